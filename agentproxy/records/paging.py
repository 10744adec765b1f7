"""What is asked of a store, and pages of what it answers. No I/O."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Literal

from agentproxy.records.errors import BadCursor

_MOST_CURSOR = 4096
"""Characters; ours are far shorter, but names in them are the clients' to choose."""

Key = int | str
By = Literal["day", "model", "agent", "session", "provider"]
"""What usage is added up by."""


@dataclass(frozen=True, slots=True)
class Filter:
    """
    Which records are wanted: those that match all that is given.

    :ivar since_us: begun then or later, microseconds since 1970; ``until_us``: begun before then.
    :ivar model: the model that answered, or the one asked for.
    :ivar status: of turns `TurnRecord.status`; of calls the HTTP status, or the error's code.
    """

    since_us: int | None = None
    until_us: int | None = None
    session: str | None = None
    agent: str | None = None
    provider: str | None = None
    model: str | None = None
    status: str | None = None


@dataclass(slots=True)
class Page:
    """
    :ivar next: what to ask for the next page with, letters, digits, ``-`` and ``_``; ``None``: this is the last.
    """

    rows: list[dict[str, Any]]
    next: str | None


def text_of(value: str) -> str:
    """A text as the store has it: half a surrogate pair has no place in a file."""
    return value.encode("utf-8", "replace").decode()


def number_of(value: int) -> int:
    """A number as SQLite takes it: 64 bits."""
    return max(-(2**63), min(value, 2**63 - 1))


def cursor(*keys: Key) -> str:
    """The place behind the row with these keys."""
    return urlsafe_b64encode(json.dumps(keys, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(given: str | None, *types: type[Key]) -> tuple[Key, ...] | None:
    """
    The keys that `cursor` was given; ``None`` of ``None``.

    :raises BadCursor: it is none, or another list's.
    """
    if given is None:
        return None
    try:
        if len(given) > _MOST_CURSOR:
            raise ValueError
        keys = json.loads(urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    except (ValueError, RecursionError):
        raise BadCursor("this is no place in a list of records") from None
    if type(keys) is not list or [type(key) for key in keys] != list(types):
        raise BadCursor("this is no place in this list of records")
    return tuple(number_of(key) if isinstance(key, int) else text_of(key) for key in keys)
