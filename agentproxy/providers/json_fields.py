"""Fields of JSON from outside, taken for what they should be or for nothing: what reads turns trusts no shape."""

from __future__ import annotations

import json
import re
from typing import Any

from agentproxy.usage import Turn

MOST_TEXT = 256
"""Characters of a name, an id or a reason; what is longer is none."""
MOST_PARTS = 100_000
"""Objects and arrays of a JSON text above which it is not read as a whole."""
MOST_TOOLS = 256
"""Tools that are noted of a turn."""
_LARGE = 65536
_NUMBERS = re.compile(rb"\[[-+0-9.eE,\s]{256,}+\]")


def lean(data: bytes) -> bytes:
    """A JSON text without its long rows of numbers: embeddings are megabytes of them, and say nothing of a turn."""
    return _NUMBERS.sub(b"[]", data) if len(data) > _LARGE else data


def crowded(data: bytes) -> bool:
    """Whether a text may have more objects and arrays than are made for it: each costs much more than its bytes."""
    return len(data) > MOST_PARTS and data.count(b"{") + data.count(b"[") > MOST_PARTS


def parsed(data: bytes) -> Any:
    """
    The value of a JSON text, but for long rows of numbers.

    :raises ValueError: it is none, is not UTF-8, is nested too deeply to be read, or is of too many parts.
    """
    if crowded(data):
        raise ValueError("too many parts")
    try:
        return json.loads(lean(data))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def table(value: object) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[Any]:
    """An array, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str | None:
    """A short printable string, fit for a log line or a label; ``None`` where it is none."""
    if isinstance(value, str) and 0 < len(value) <= MOST_TEXT and value.isprintable():
        return value
    return None


def note_tool(turn: Turn, name: object) -> None:
    """Note the name of a tool that a turn called."""
    named = text(name)
    if named is not None and len(turn.tools) < MOST_TOOLS:
        turn.tools.append(named)
