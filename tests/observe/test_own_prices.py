"""A file of one's own prices: what a right one becomes, and the one line that each wrong one gives."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.errors import ConfigError
from agentproxy.observe.own_prices import MOST_MICRO_USD, OwnPrice, load_own


class OwnFile(SynchronousTestCase):
    def write(self, text: str | bytes) -> str:
        path = str(self.mktemp())
        Path(path).write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def refused(self, text: str | bytes) -> str:
        path = self.write(text)
        line = str(self.assertRaises(ConfigError, load_own, path))
        self.assertEqual(len(line.splitlines()), 1)
        self.assertTrue(line.startswith(f"{path}: "), line)
        return line.removeprefix(f"{path}: ")

    def test_whole(self) -> None:
        """Every key of a model arrives; names are in lower case."""
        path = self.write(
            """
            [models."gpt-5"]
            input = 1250000
            output = 10000000
            cache_read = 125000
            cache_write = 1
            cache_write_1h = 2
            input_audio = 3
            output_audio = 4
            web_search = 10000

            [models."Claude-*"]
            input = 0
            output = 0
            """
        )
        self.assertEqual(
            dict(load_own(path)),
            {"gpt-5": OwnPrice(1_250_000, 10_000_000, 125_000, 1, 2, 3, 4, 10_000), "claude-*": OwnPrice(0, 0)},
        )

    def test_empty(self) -> None:
        """A file that names no model is right."""
        self.assertEqual(dict(load_own(self.write(""))), {})
        self.assertEqual(dict(load_own(self.write("[models]"))), {})

    def test_mistakes(self) -> None:
        """Each mistake is one line: the file, the key, what was wanted, what was found."""
        price = f"an integer from 0 to {MOST_MICRO_USD}"
        name = 'a model\'s name, or the beginning of one and "*"'
        for text, expected in (
            ("models = 1", "models: want a table, got an integer"),
            ("[model.a]", "model: want only models, got an unknown key"),
            ("[models]\na = 1", "models.a: want a table, got an integer"),
            ('[models."gpt-5.1"]\ninput = 1', f'models."gpt-5.1".output: want {price}, got nothing'),
            ("[models.a]\noutput = 1", f"models.a.input: want {price}, got nothing"),
            ("[models.a]\ninput = 1.25\noutput = 1", f"models.a.input: want {price}, got 1.25"),
            ("[models.a]\ninput = true\noutput = 1", f"models.a.input: want {price}, got true"),
            ("[models.a]\ninput = 1\noutput = -1", f"models.a.output: want {price}, got -1"),
            ('[models.a]\ninput = 1\noutput = 1\nweb_search = "1"', f'models.a.web_search: want {price}, got "1"'),
            ('[models."a*b"]\ninput = 1\noutput = 1', f'models."a*b": want {name}, got "a*b"'),
            ('[models.""]\ninput = 1\noutput = 1', f'models."": want {name}, got ""'),
            (
                "[models.a]\ninput = 1\noutput = 1\n[models.A]\ninput = 1\noutput = 1",
                "models.A: want each model once, in whatever case, got a second table",
            ),
            (b"# \xff\n", "line 1: want UTF-8, got other bytes"),
        ):
            self.assertEqual(self.refused(text), expected)
        self.assertIn("models.a.inputs: want one of input, output, ", self.refused("[models.a]\ninputs = 1"))
        self.assertTrue(self.refused("a = ").startswith("want TOML, got "))
        self.assertEqual(
            self.refused("a = " + "[" * 5_000),
            "want a readable TOML file, got one that can't be read (RecursionError)",
        )

    def test_missing(self) -> None:
        """A file that is not there is a mistake too."""
        error = self.assertRaises(ConfigError, load_own, "/nowhere/prices.toml")
        self.assertEqual(str(error), "/nowhere/prices.toml: want a readable TOML file, got No such file or directory")
