"""`agentproxy check`: exit codes, the configuration as text, and no secret in it."""

from __future__ import annotations

import io
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.command import Console
from agentproxy.cli.main import COMMANDS, main

SECRET = "sk_do_not_show_me"

PROVIDER = """
[providers.one]
kind = "chatgpt"
port = 10000
upstream = "http://[::1]:8080/v1/"
"""


class CheckTests(SynchronousTestCase):
    def check(self, text: str | None, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a check of this text; ``None``: of the default."""
        arguments = ["check"]
        if text is not None:
            self.folder = Path(self.mktemp())
            self.folder.mkdir()
            (self.folder / "a.toml").write_text(text)
            arguments += ["-c", str(self.folder / "a.toml")]
        out, err = io.StringIO(), io.StringIO()
        code = main(arguments, Console(environ or {}, out, err))
        for text in (out.getvalue(), err.getvalue()):
            self.assertNotIn(SECRET, text)
        return code, out.getvalue(), err.getvalue()

    def test_default(self) -> None:
        """The default is right, and is printed as TOML with the secrets as what they are: set or missing."""
        code, out, err = self.check(None, {"OPENAI_API_KEY": SECRET, "GEMINI_API_KEY": " "})
        self.assertEqual((code, err), (0, ""))
        printed = tomllib.loads(out)
        self.assertEqual(printed["timeouts"]["connect"], 10)
        self.assertEqual(printed["providers"]["openai"]["upstream"], "https://api.openai.com/v1")
        self.assertEqual(printed["providers"]["openai"]["credential"], "set")
        self.assertEqual(printed["providers"]["gemini"]["credential"], "missing")
        self.assertEqual(len(printed["providers"]), 6)

    def test_prices(self) -> None:
        """A mistake in the file of one's own prices is one in the configuration."""
        for text, want in (
            ('[models."gpt-5"]\ninput = -1\noutput = 1', "models.gpt-5.input: want"),
            ("no toml", "want TOML"),
            (None, "want a readable TOML file"),
        ):
            prices = Path(self.mktemp()).absolute()
            if text is not None:
                prices.write_text(text)
            code, out, err = self.check(f'{PROVIDER}[record]\nprices = "{prices}"\n')
            self.assertEqual((code, out, err.count("\n")), (1, "", 1))
            self.assertIn(want, err.replace('"', ""))

    def test_sources(self) -> None:
        """A file is looked into, a command is not run; headers show their names only."""
        (Path(self.mktemp())).touch()
        trace = Path(self.mktemp()).absolute()
        text = PROVIDER + (
            f'credential = {{ command = ["touch", "{trace}", "{SECRET}"] }}\n'
            f'account_id = {{ file = "account" }}\nheaders = {{ X-A = "{SECRET}" }}\n'
        )
        code, out, _ = self.check(text)
        one = tomllib.loads(out)["providers"]["one"]
        self.assertEqual(code, 0)
        self.assertEqual((one["credential"], one["account_id"]), ("command", "missing"))
        self.assertEqual((one["headers"], one["upstream"]), ({"X-A": "set"}, "http://[::1]:8080/v1"))
        self.assertFalse(trace.exists())

    def test_file_source(self) -> None:
        """A credential file that has something in it is set; one of blanks is missing."""
        path = Path(self.mktemp()).absolute()
        for content, state in ((SECRET, "set"), (" \n", "missing")):
            path.write_text(content)
            _, out, _ = self.check(PROVIDER + f'credential = {{ file = "{path}" }}\n')
            self.assertEqual(tomllib.loads(out)["providers"]["one"]["credential"], state)

    def test_key_in_place_of_a_variable(self) -> None:
        """A key pasted where its variable's name belongs is not shown."""
        _, out, _ = self.check(PROVIDER + f'credential = {{ env = "{SECRET}" }}\n')
        self.assertEqual(tomllib.loads(out)["providers"]["one"]["credential"], "missing")

    def test_proxy_and_token(self) -> None:
        """A proxy shows without its user and password, the admin token as set."""
        text = f'[egress]\nproxy = "http://{SECRET}:{SECRET}@squid:3128"\n[admin]\ntoken = {{ env = "T" }}\n'
        _, out, _ = self.check(text, {"T": SECRET})
        printed = tomllib.loads(out)
        self.assertEqual(printed["egress"]["https"], "http://squid:3128")
        self.assertIn("user and password set", out)
        self.assertEqual(printed["admin"]["token"], "set")

    def test_finding(self) -> None:
        """A mistake: exit 1, one line on standard error, nothing on standard output."""
        code, out, err = self.check(PROVIDER.replace("10000", '"60"'))
        self.assertEqual((code, out), (1, ""))
        path = self.folder / "a.toml"
        self.assertEqual(err, f'{path}: providers.one.port: want an integer from 1 to 65535, got "60"\n')


class MainTests(SynchronousTestCase):
    def exits(self, *arguments: str) -> tuple[object, str]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            error = self.assertRaises(SystemExit, main, list(arguments))
        return error.code, out.getvalue()

    def test_wrong_usage(self) -> None:
        """No command, an unknown one, an unknown option: exit 2."""
        for arguments in ((), ("nonsense",), ("check", "--nonsense"), ("check", "-c"), ("check", "surplus")):
            with self.subTest(arguments):
                self.assertEqual(self.exits(*arguments)[0], 2)

    def test_help(self) -> None:
        """The script and each command have --help: exit 0, and the commands are listed."""
        code, out = self.exits("--help")
        self.assertEqual(code, 0)
        for command in COMMANDS:
            self.assertIn(command.help, " ".join(out.split()))
            self.assertEqual(self.exits(command.name, "--help")[0], 0)

    def test_names(self) -> None:
        """Every command has a name of its own."""
        self.assertEqual(len({command.name for command in COMMANDS}), len(COMMANDS))
