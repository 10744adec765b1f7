"""
What a request's header fields say of who calls.

Seen on the wire: Codex 0.169 (``session-id``, ``x-openai-subagent``, ``x-codex-turn-metadata``), Claude Code 2.1.197
(``x-claude-code-session-id``, ``x-claude-code-agent-id``), Copilot CLI 1.0.102 logged in (``x-client-session-id``,
``x-agent-task-id``, ``x-parent-agent-id``) and with its user's own key (``x-initiator``, ``x-interaction-type``, and
the User-Agent of an SDK), OpenCode 1.18.33 (``x-session-id``, ``x-parent-session-id``). Gemini CLI 0.61 says nothing.
``x-opencode-session`` is in OpenCode's program, for its makers' own provider; ``session_id`` and ``conversation_id``
are what public sources have of older Codex, ``x-interaction-id`` what they have of Copilot's other clients: it names an
exchange, which is less than a session.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agentproxy.agents.who import Who, name, unescaped
from agentproxy.wire.head import RequestHead

_SESSIONS = (
    b"x-claude-code-session-id",
    b"x-client-session-id",
    b"x-opencode-session",
    b"x-session-id",
    b"session-id",
    b"session_id",
    b"x-session-affinity",
    b"conversation_id",
    b"x-interaction-id",
)
_ANY_SESSION = frozenset(_SESSIONS)
_PARENT = b"x-parent-session-id"

_SDKS = ("openai-js", "anthropic-js")
_INTERACTION = b"x-interaction-type"
_COPILOT = frozenset({b"x-initiator", _INTERACTION})
_MAIN = (None, b"conversation-user", b"conversation-agent")

_AGENT_NAME = re.compile(rb'"agent_name":"((?:[^"\\]|\\.){1,256})"')
ROOT = "/root"
"""How Codex calls its main agent; the others are below it."""


def read_head(who: Who, head: RequestHead) -> None:
    """Note what a head says; `Who.agent` is that of its User-Agent."""
    keys = head.keys
    if not keys.isdisjoint(_ANY_SESSION):
        for key in _SESSIONS:
            if key in keys:
                session = name(head.first(key))
                if session is not None:
                    who.state(session)
                    break
    if who.agent in _SDKS and not keys.isdisjoint(_COPILOT):
        # With its user's own key Copilot calls through an SDK, and shows that one's User-Agent and version.
        who.agent, who.agent_version = "copilot", None
    part = _PARTS.get(who.agent or "")
    if part is not None:
        who.sub_agent = part(head)


def parent_of(head: RequestHead) -> str | None:
    """The session that the one of this head is a part of."""
    return name(head.first(_PARENT)) if _PARENT in head.keys else None


def _codex(head: RequestHead) -> str | None:
    kind = head.first(b"x-openai-subagent")
    if kind is None:
        return None
    match = _AGENT_NAME.search(head.first(b"x-codex-turn-metadata") or b"")
    return codex_part(kind, None if match is None else unescaped(match[1]))


def codex_part(kind: object, called: object) -> str | None:
    """
    The name of a part of Codex.

    :param kind: ``x-openai-subagent``: what it is, such as ``review`` or ``collab_spawn``.
    :param called: ``agent_name``: the path of an agent that was spawned, or `ROOT`, which names the main one.
    """
    named = name(called)
    return named if named is not None and named != ROOT else name(kind)


def _claude(head: RequestHead) -> str | None:
    return name(head.first(b"x-claude-code-agent-id"))


def _copilot(head: RequestHead) -> str | None:
    if b"x-parent-agent-id" in head.keys:
        return name(head.first(b"x-agent-task-id"))
    kind = head.first(_INTERACTION)
    return None if kind is None or kind in _MAIN else name(kind.removeprefix(b"conversation-"))


_PARTS: dict[str, Callable[[RequestHead], str | None]] = {"codex": _codex, "claude-code": _claude, "copilot": _copilot}
