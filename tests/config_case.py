"""What the tests of the configuration share: files to load, and the line that a wrong one gives."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from agentproxy import config
from agentproxy.config import ConfigError

SECRET = "sk-do-not-show-me"

ONE = """
[providers.one]
kind = "openai"
port = 10000
upstream = "https://api.openai.com/v1"
"""


class ConfigCase(SynchronousTestCase):
    def write(self, text: str | bytes) -> str:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        path = folder / "a.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def load(self, text: str, environ: dict[str, str] | None = None, own: tuple[str, ...] = ()) -> config.Settings:
        return config.load(self.write(text), environ or {}, own)

    def refused(self, text: str | bytes, environ: dict[str, str] | None = None, own: tuple[str, ...] = ()) -> str:
        """The mistake's line behind the file's name."""
        path = self.write(text)
        error = self.assertRaises(ConfigError, config.load, path, environ or {}, own)
        line = str(error)
        self.assertEqual(len(line.splitlines()), 1)
        self.assertNotIn(SECRET, line)
        self.assertTrue(line.startswith(f"{path}: "), line)
        return line.removeprefix(f"{path}: ")
