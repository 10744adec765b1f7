"""
The client's program, by its User-Agent (RFC 9110, 10.1.5).

Seen on the wire: ``codex_exec/0.169.0 (Debian ...)``, ``claude-cli/2.1.197 (external, sdk-cli)``,
``copilot/1.0.102 (linux ...)``, ``opencode/1.18.33 (linux ...) ai-sdk/...``,
``GeminiCLI-tui/0.61.0/gemini-2.5-flash (...)``, ``OpenAI/JS 5.20.1``, ``Anthropic/JS 0.94.0``. Only read of, in public
sources: ``codex_cli_rs/``, ``codex-tui/``, ``codex_vscode/``, ``GitHubCopilotChat/``, ``AsyncOpenAI/Python 1.99.0``.
"""

from __future__ import annotations

import re

from agentproxy.agents.who import name

MOST_READ = 512
"""Bytes of a User-Agent that are looked at."""
MOST_KEPT = 1000
"""User-Agents whose reading is kept."""

# A product, its version, and the next word, which is an SDK's version where the first "version" is its language.
_FIRST = re.compile(rb"[ \t]*([^ \t/()]+)(?:/([^ \t/()]*))?(?:[ \t]+([^ \t/();]+))?")
_NUMBER = re.compile(rb"v?\d")

_AGENTS = (
    ("codex", "codex"),
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("copilot", "copilot"),
    ("githubcopilot", "copilot"),
    ("opencode", "opencode"),
    ("geminicli", "gemini-cli"),
)

Product = tuple[str | None, str | None]
"""An agent and its version."""

_NONE: Product = (None, None)


class Products:
    """Reads User-Agents. There are few, so readings are kept."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Product] = {}

    def read(self, user_agent: bytes | None) -> Product:
        """The agent and its version, by the value of a User-Agent."""
        if not user_agent:
            return _NONE
        found = self._kept.get(user_agent)
        if found is None:
            found = product(user_agent)
            if len(user_agent) <= MOST_READ:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                self._kept[user_agent] = found
        return found


def product(user_agent: bytes) -> Product:
    """The agent and its version, as one User-Agent has them."""
    match = _FIRST.match(user_agent[:MOST_READ])
    if match is None:
        return _NONE
    first, version, following = match.groups()
    called = name(first)
    if called is None:
        return _NONE
    called = called.lower()
    for beginning, agent in _AGENTS:
        if called.startswith(beginning):
            return agent, _version(version)
    if version and not _NUMBER.match(version):
        # The official SDKs: OpenAI/Python 1.99.0.
        language = name(version)
        if language is not None:
            called = f"{called.removeprefix('async')}-{language.lower()}"
            version = following
    return name(called), _version(version)


def _version(version: bytes | None) -> str | None:
    return name(version) if version and _NUMBER.match(version) else None
