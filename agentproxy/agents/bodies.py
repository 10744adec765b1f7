"""
What a request's body, or a message that asks for a turn, says of who calls.

A body is searched, not parsed: it may be a megabyte, or only its beginning may be known. What is searched for has
quotes as they stand around JSON's own keys and values; inside of strings, where a user's or a model's text is, every
quote has a backslash before it. A directory that an agent's own prompt tells is taken from that prompt alone.

Seen on the wire, from the clients that `heads` names. Only read of: the ``user_..._account_..._session_...`` of older
Claude Code (public sources), and Gemini CLI's ``session_id`` where it is logged in (its program).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from agentproxy.agents.heads import codex_part
from agentproxy.agents.who import Who, directory, name, unescaped

MOST_OBJECT = 16384
"""Bytes of an object that are read."""
MOST_PROMPT = 65536
"""Bytes of a prompt that are searched, where its end is not known."""
_MOST_PLACES = 50
"""Places in a prompt that are looked at."""

_decode = json.JSONDecoder().raw_decode

_STRING = re.compile(rb'"((?:[^"\\]|\\.){0,4096})"')
_USER_ROLE = b'"role":"user"'
_BILLING = b'"system":[{"type":"text","text":"x-anthropic-billing-header:'
_PLACE = b"orking directory: "
_BEFORE_PLACE = re.compile(rb"\\n[ *-]{0,8}(?:Primary w|Current w|W)$")
# A path ends with its line, and a line with an escaped line feed.
_LINE = re.compile(rb'((?:[^"\\]|\\[^n]){1,1024})(?:\\n|")')
_CODEX_PLACE = re.compile(rb'"text":"<environment_context>\\n *<cwd>((?:[^"\\<]|\\[^n]){1,1024})</cwd>')
_GEMINI_PLACE = re.compile(
    rb'"text":"<session_context>(?:[^"\\]|\\.){0,4096}?Workspace Directories:\*\*\\n *- ((?:[^"\\]|\\[^n]){1,1024})'
)
_TASK = re.compile(rb'"agent_task_id":"([^"\\]{1,256})"')
_TITLE = re.compile(
    rb'(?:"role":"(?:system|developer)","content":|"system":(?:\[\{"type":"text","text":)?|"instructions":)'
    rb'"You are a title generator\.'
)


def last_object(body: bytes, key: bytes) -> dict[str, Any]:
    """
    The object behind the last place of a key in a body; empty where there is none, or it is too large.

    :param key: with its quotes and its colon.
    """
    at = body.rfind(key)
    # A key may end with this one, behind a quote of its own.
    if at < 0 or body[at - 1 : at] == b"\\":
        return {}
    begin = at + len(key)
    text = body[begin : begin + MOST_OBJECT].decode("utf-8", "replace")
    return _object(text)


def _object(text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        value = _decode(text)[0]
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def claude_session(body: bytes) -> str | None:
    """The session in an Anthropic body's ``metadata.user_id``, where that is Claude Code's; else ``None``."""
    key = b'"metadata":{"user_id":'
    at = body.rfind(key)
    if at < 0 or body[at - 1 : at] == b"\\":
        return None
    match = _STRING.match(body, at + len(key))
    value = None if match is None else unescaped(match[1])
    if value is None:
        return None
    if value.startswith("{"):
        return name(_object(value).get("session_id"))
    _, told, session = value.rpartition("_session_")
    return name(session) if told else None


def read_codex(who: Who, body: bytes, place: bool) -> None:
    """Codex repeats its head in each message, where one WebSocket may carry the turns of several agents."""
    metadata: dict[str, Any] = {}
    if who.socket or who.session is None:
        metadata = last_object(body, b'"client_metadata":')
    if metadata:
        turn = _object(metadata.get("x-codex-turn-metadata"))
        who.state(name(metadata.get("session_id")))
        kind = metadata.get("x-openai-subagent")
        who.sub_agent = None if kind is None else codex_part(kind, turn.get("agent_name"))
        if place:
            # The workspace is the repository's: where the first message says what is worked in, that is more exact.
            workspaces = turn.get("workspaces")
            found = next(iter(workspaces), None) if isinstance(workspaces, dict) else None
            who.working_directory = directory(found)
    if place:
        at = body.find(b'"text":"<environment_context>\\n')
        match = _CODEX_PLACE.match(body, at) if at >= 0 else None
        if match is not None:
            who.working_directory = directory(unescaped(match[1])) or who.working_directory


def read_claude(who: Who, body: bytes, place: bool) -> None:
    """Claude Code writes its prompt behind the conversation."""
    if who.session_source != "stated":
        who.state(claude_session(body))
    if not place and who.sub_agent is not None:
        return
    begin = body.rfind(b'"system":[{')
    if begin < 0:
        return
    if who.sub_agent is None and body.startswith(_BILLING, begin):
        match = _STRING.match(body, begin + len(_BILLING) - len(b'"x-anthropic-billing-header:'))
        if match is not None and b"cc_is_subagent=true" in match[1]:
            who.sub_agent = "subagent"
    if place:
        end = begin + MOST_PROMPT
        if body.find(b'"role":"', 0, begin) < 0:
            # The conversation is behind it after all.
            role = body.find(b'"role":"', begin, end)
            end = end if role < 0 else role
        who.working_directory = _place(body, begin, end)


def read_copilot(who: Who, body: bytes, place: bool) -> None:
    """Copilot repeats its head in each message of a WebSocket, and writes its prompt before the conversation."""
    if who.socket:
        if who.session_source != "stated":
            who.state(name(last_object(body, b'"headers":').get("X-Client-Session-Id")))
        at = body.rfind(b'"parent_agent_id":"')
        if at >= 0:
            match = _TASK.search(body, max(0, at - 1024))
            who.sub_agent = (None if match is None else name(match[1])) or who.sub_agent
    if place:
        _read_place_before(who, body)


def read_opencode(who: Who, body: bytes, place: bool) -> None:
    """OpenCode writes its prompt before the conversation. Its titles are made by a prompt of their own."""
    if who.sub_agent is None and _TITLE.search(body, 0, 1024):
        who.sub_agent = "title"
    if place:
        _read_place_before(who, body)


def read_gemini(who: Who, body: bytes, place: bool) -> None:
    """Gemini CLI's conversation begins with what it works in."""
    # Logged in, what else would be the body is its request. The arguments of tools are no strings here, but objects,
    # which may well have a session_id.
    if who.session_source != "stated" and body.find(b'"request":{', 0, 1024) >= 0:
        at = body.rfind(b'"session_id":"')
        match = _STRING.match(body, at + len(b'"session_id":')) if at >= 0 else None
        if match is not None:
            who.state(name(unescaped(match[1])))
    if place:
        at = body.find(b'"text":"<session_context>')
        match = _GEMINI_PLACE.match(body, at) if at >= 0 else None
        if match is not None:
            who.working_directory = directory(unescaped(match[1]))


def _read_place_before(who: Who, body: bytes) -> None:
    end = body.find(_USER_ROLE)
    if end < 0:
        end = body.find(b'"input":[')
    who.working_directory = _place(body, 0, end) if end > 0 else None


def _place(body: bytes, begin: int, end: int) -> str | None:
    """The first working directory that a prompt between these places tells, on a line of its own."""
    at = body.find(_PLACE, begin, end)
    for _ in range(_MOST_PLACES):
        if at < 0:
            return None
        if _BEFORE_PLACE.search(body[max(begin, at - 24) : at]):
            match = _LINE.match(body, at + len(_PLACE), end)
            return None if match is None else directory(unescaped(match[1]))
        at = body.find(_PLACE, at + 1, end)
    return None


READERS: dict[str, Callable[[Who, bytes, bool], None]] = {
    "codex": read_codex,
    "claude-code": read_claude,
    "copilot": read_copilot,
    "opencode": read_opencode,
    "gemini-cli": read_gemini,
}
"""What reads an agent's bodies: the third argument is whether the working directory is wanted."""
