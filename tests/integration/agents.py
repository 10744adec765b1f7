"""Runs the real agents, each in a throw-away home with made-up credentials, away from every network but loopback."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from tests.integration.process import ROOT, Watched, reactor

CLIENTS = Path(os.environ.get("AGENTPROXY_TEST_CLIENTS", ROOT / ".clients")) / "node_modules"
"""Where ``scripts/clients`` installs them."""

HOW = "not installed; scripts/clients does that"

_CODEX = """\
model = "gpt-5.5"
openai_base_url = "{url}/v1"
check_for_update_on_startup = false
approval_policy = "never"
sandbox_mode = "danger-full-access"
cli_auth_credentials_store = "file"
web_search = "disabled"
[analytics]
enabled = false
[feedback]
enabled = false
[history]
persistence = "none"
[features]
apps = false
plugins = false
"""


def find(name: str) -> str | None:
    """A client's program, or ``None``."""
    program = CLIENTS / ".bin" / name
    if name == "claude":
        # The npm package's own launcher is put in place by an install script, which is not run.
        program = next(CLIENTS.glob("@anthropic-ai/claude-code-*/claude"), program)
    return str(program) if program.exists() else None


class Home:
    """
    A throw-away home. Codex refuses to work below the system's folder for temporary files, so it lies in the
    checkout.
    """

    def __init__(self) -> None:
        base = ROOT / "_trial_temp_homes"
        base.mkdir(exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=base)
        self.path = Path(self._folder.name)
        (self.path / "work").mkdir()

    def remove(self) -> None:
        """Leave nothing behind."""
        self._folder.cleanup()
        base = ROOT / "_trial_temp_homes"
        if not any(base.iterdir()):
            base.rmdir()

    def run(self, arguments: list[str], environ: dict[str, str]) -> Deferred[Watched]:
        """Run a client to its end."""
        clean = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "TMPDIR": str(self.path),
            "TERM": "dumb",
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
            "CI": "1",
            "DO_NOT_TRACK": "1",
            "DISABLE_TELEMETRY": "1",
        }
        watched = Watched()
        process: Any = reactor.spawnProcess(
            watched, arguments[0], arguments, env={**clean, **environ}, path=str(self.path / "work")
        )
        process.closeStdin()
        return watched.ended(90).addCallback(lambda _: watched)


def codex(home: Home, url: str, *arguments: str) -> Deferred[Watched]:
    """Run Codex, its built-in provider pointed at a port."""
    program = find("codex")
    assert program is not None
    folder = home.path / "codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(_CODEX.format(url=url))
    (folder / "auth.json").write_text('{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-nothing"}')
    (folder / "auth.json").chmod(0o600)
    return home.run([program, *arguments], {"CODEX_HOME": str(folder), "RUST_LOG": "error"})


def claude(home: Home, url: str, prompt: str) -> Deferred[Watched]:
    """Run Claude Code, pointed at a port."""
    program = find("claude")
    assert program is not None
    environ = {
        "CLAUDE_CONFIG_DIR": str(home.path / "claude"),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-nothing",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }
    arguments = [program, "-p", prompt, "--model", "claude-sonnet-4-5", "--max-turns", "4"]
    return home.run(arguments, environ)
