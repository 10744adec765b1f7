"""
How a conversation begins: what tells one from another where nobody says.

A growing conversation repeats its beginning, so what stands before the end of the user's first message is all that is
looked at: what comes behind changes, and may be cut off. Of the prompt the first characters count, for agents write
the date and such into it further on; of the messages the texts alone, for marks like ``cache_control`` move.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

INPUT = b'"input"'
"""Of the Responses API."""
MESSAGES = b'"messages"'
"""Of Chat Completions and Anthropic's Messages."""

MOST_READ = 262144
"""Bytes of a conversation that are read for its beginning."""
MOST_CUT = 4096
"""Bytes that stand for a first message that is longer."""
MOST_PROMPT = 2000
"""Bytes, or characters, of a prompt that count."""
MOST_MESSAGES = 16
"""Messages that the user's first one must be among."""
_FEW = 65536
_MOST_PLACES = 16

_VALUE = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*(?=[\[\"])")
_GAP = re.compile(r"[ \t\r\n,]*")
_PROMPT = re.compile(
    rb'"(?:system|instructions|systemInstruction|system_instruction)"\s*:\s*'
    rb'(?:\[\s*|\{\s*(?:"role"\s*:\s*"[a-z]*"\s*,\s*)?"parts"\s*:\s*\[\s*)?'
    rb'(?:\{\s*(?:"type"\s*:\s*"text"\s*,\s*)?"text"\s*:\s*)?"'
)
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+')
_PREVIOUS = re.compile(rb'"previous_response_id"\s*:\s*"([^"\\]{1,256})"')
_CONVERSATION = re.compile(rb'"conversation"\s*:\s*(?:\{\s*"id"\s*:\s*)?"(conv_[^"\\]{1,123})"')

_decode = json.JSONDecoder().raw_decode


def conversation_key(path: bytes) -> bytes:
    """The key of the conversation in the bodies that go to a path."""
    path = unquote_to_bytes(path)
    if b"/responses" in path:
        return INPUT
    if b"/messages" in path or b"/completions" in path:
        return MESSAGES
    return b'"contents"'


def previous_response(body: bytes) -> str | None:
    """The response that a request of the Responses API follows."""
    return _found(_PREVIOUS, b'"previous_response_id"', body)


def conversation(body: bytes) -> str | None:
    """The conversation that a request of the Responses API says it is of."""
    return _found(_CONVERSATION, b'"conversation"', body)


def _found(pattern: re.Pattern[bytes], key: bytes, body: bytes) -> str | None:
    # The search for a literal is many times faster.
    at = body.find(key)
    match = pattern.search(body, at) if at >= 0 else None
    return None if match is None else match[1].decode("utf-8", "replace")


def digest(*parts: str | bytes) -> str:
    """16 hex digits that stand for these parts."""
    seen = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        seen.update(b"%d:" % len(data))
        seen.update(data)
    return seen.hexdigest()


def opening(body: bytes, key: bytes) -> list[str | bytes] | None:
    """
    What a conversation begins with, for `digest`; ``None`` where the body has no such thing.

    :param key: of the conversation in the body, with its quotes: `conversation_key`.
    """
    begin = _begin(body, key)
    if begin < 0:
        return None
    prompt = _PROMPT.search(body, 0, begin)
    said = None if prompt is None else _INSIDE.match(body, prompt.end(), min(begin, prompt.end() + MOST_PROMPT))
    parts: list[str | bytes] = [b"" if said is None else said[0]]
    for most in (_FEW, MOST_READ):
        text = body[begin : begin + most].decode("utf-8", "replace")
        try:
            found = _messages(text)
        except (ValueError, RecursionError):
            if len(body) > begin + most:
                continue
            break
        return None if found is None else [*parts, *found]
    # Cut off within the user's first message, or no JSON.
    return [*parts, body[begin : begin + MOST_CUT]]


def _begin(body: bytes, key: bytes) -> int:
    """Where the conversation is: at a bracket, or at the quote of a single message; -1: nowhere."""
    at = body.find(key)
    for _ in range(_MOST_PLACES):
        if at < 0:
            break
        match = _VALUE.match(body, at + len(key))
        if match is not None and body[at - 1 : at] != b"\\":
            return match.end()
        at = body.find(key, at + 1)
    return -1


def _messages(text: str) -> list[str] | None:
    """
    The texts up to the end of the user's first message; ``None`` where there is no such message.

    :raises ValueError: it is no JSON that far.
    """
    if text[0] == '"':
        return [_decode(text)[0]]
    found: list[str] = []
    at = 1
    for _ in range(MOST_MESSAGES):
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return None
        message, at = _decode(text, at)
        if not isinstance(message, dict):
            return None
        role = message.get("role")
        content = message.get("content", message.get("parts"))
        if role in ("system", "developer"):
            found.append("".join(_texts(content))[:MOST_PROMPT])
        elif content is not None and role in ("user", None):
            return [*found, *_texts(content)]
    return None


def _skip(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return at if match is None else match.end()


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    return [_text(part) for part in content]


def _text(part: Any) -> str:
    if isinstance(part, dict):
        text = part.get("text")
        if isinstance(text, str):
            return text
        part = {key: value for key, value in part.items() if key != "cache_control"}
    return json.dumps(part, sort_keys=True)[:MOST_CUT]
