"""
OpenAI's messages as JSON: their type read cheaply, and of one that is cut short or broken as much as can be read.

Nothing here raises for what a message holds.
"""

from __future__ import annotations

import json
import re
from typing import Any

from agentproxy.providers.json_fields import crowded, lean, table

# The API and its clients send `type` first, some Realtime servers behind an `event_id`.
_TYPE = re.compile(rb'\s*\{\s*(?:"event_id"\s*:\s*"[^"\\]{0,128}"\s*,\s*)?"type"\s*:\s*"([A-Za-z0-9_.-]{1,96})"')
_SPACE = re.compile(r"[ \t\n\r]*")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DECODE = json.JSONDecoder().raw_decode
_WHOLE = json.JSONDecoder().decode

MOST_BYTES = 16 << 20
"""A message above this is not read as a whole: of its beginning, so much as says what it is."""
NO_JSON = "a message that is no JSON object"
BROKEN = "a message that is cut short or no valid JSON"

_BEGINNING = 256 << 10
_DEPTH = 3
_MOST_MEMBERS = 256


def type_of(data: bytes) -> bytes | None:
    """A message's ``type`` where it stands first, in at most 96 characters; else ``None``."""
    found = _TYPE.match(data)
    return found[1] if found is not None else None


def may_be_object(beginning: bytes) -> bool:
    """Whether what begins so may be a JSON object."""
    return beginning[:1] == b"{" or beginning.lstrip()[:1] == b"{"


def read(data: bytes) -> tuple[dict[str, Any] | None, bool]:
    """
    A message that ought to be a JSON object, but for long rows of numbers.

    :returns: the object, and whether it is the whole message: of one that is cut short, too long, or broken at some
        place, what stands before that; ``None`` where it is no object at all.
    """
    if len(data) <= MOST_BYTES and not crowded(data):
        try:
            value = _loads(lean(data))
        except (ValueError, RecursionError):
            pass
        else:
            return (value, True) if isinstance(value, dict) else (None, False)
        some = data
    else:
        some = data[:_BEGINNING]
    return _beginning(some.decode("utf-8", "replace"), _DEPTH), False


def _beginning(source: str, depth: int) -> dict[str, Any] | None:
    """The members of an object whose text ends, or goes wrong, somewhere; ``depth`` objects deep."""
    at = _skip(source, 0)
    if source[at : at + 1] != "{":
        return None
    found: dict[str, Any] = {}
    for _ in range(_MOST_MEMBERS):
        key: object = None
        try:
            key, at = _DECODE(source, _skip(source, at + 1))
            at = _skip(source, at)
            if not isinstance(key, str) or source[at : at + 1] != ":":
                return found
            at = _skip(source, at + 1)
            value, end = _DECODE(source, at)
        except (ValueError, RecursionError):
            if isinstance(key, str) and depth > 1 and source[at : at + 1] == "{":
                found[key] = _beginning(source[at:], depth - 1)
            return found
        at = _skip(source, end)
        behind = source[at : at + 1]
        if isinstance(value, (str, dict, list)) or behind in (",", "}"):
            # Of a number, more may have been meant to come.
            found[key] = value
        if behind != ",":
            return found
    return found


def _skip(source: str, at: int) -> int:
    found = _SPACE.match(source, at)
    return found.end() if found is not None else at


def _loads(data: bytes) -> Any:
    try:
        return _WHOLE(data.decode())
    except UnicodeDecodeError:
        # Other encodings of Unicode are JSON, too.
        return json.loads(data)


def characters(raw: bytes) -> int:
    """How many characters a JSON string has; ``raw`` is what stands between its quotes."""
    if raw.isascii() and b"\\" not in raw:
        return len(raw)
    try:
        return len(json.loads(b'"%b"' % raw))
    except ValueError:
        return len(raw)


def error_code(value: dict[str, Any]) -> str | None:
    """An error's code, or else its type, wherever it stands; never its message, which may quote what was asked."""
    error = value.get("error")
    for place in (table(error), value, {"code": error}):
        for name in ("code", "type"):
            found = place.get(name)
            if isinstance(found, str) and _CODE.fullmatch(found) and found != "error":
                return found
    return None


def refuses(value: dict[str, Any]) -> bool:
    """
    Whether an error says that nothing was done: by a status, as that of an HTTP answer, or where it has none, as
    Realtime's, by its type.
    """
    error = table(value.get("error"))
    found = (value.get("status"), value.get("status_code"), error.get("code"))
    statuses = [status for status in found if type(status) is int]
    if statuses:
        return any(400 <= status < 500 or status in (503, 529) for status in statuses)
    return error.get("type") == "invalid_request_error"
