"""
What a request may ask for behind its question mark: one table, which both reads it and describes it. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args
from urllib.parse import parse_qsl

from agentproxy.records.paging import By
from agentproxy.records.times import when

MOST_LIMIT = 1000
MOST_TEXT = 4096
"""Characters of a value; `next` of a page may hold a name that a client chose."""

GROUPS = get_args(By)
TURN_STATUSES = ("completed", "failed", "incomplete", "cancelled", "unsettled")

_CALL_STATUS = re.compile(r"0|[1-9][0-9]{2}|[a-z][a-z_]{0,63}")
_KEY = re.compile(r"[0-9a-f]{16}", re.ASCII)
_SHOWN = 40


class BadParameter(Exception):
    """A parameter that can't be used; its text begins with the parameter's name and says what was wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """
    A parameter of the query.

    :ivar schema: what its value is, as JSON Schema.
    :ivar read: gives the value of a text, the time now in seconds since 1970 given too.
    :raises ValueError: by `read`; its text is what was wanted.
    """

    name: str
    description: str
    schema: Mapping[str, object]
    read: Callable[[str, float], object]


def instant(text: str, now: float) -> int:
    """
    A time in microseconds since 1970, as `when` reads it; a space stands for the plus of a zone too: that is what a
    plus means in a query.

    :raises ValueError: it is none of these, or out of all bounds.
    """
    return when(text.replace(" ", "+") if "t" in text.lower() else text).microseconds(now)


def _limit(text: str, _: float) -> int:
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= MOST_LIMIT:
        raise ValueError(f"want an integer from 1 to {MOST_LIMIT}")
    return int(text)


def _text(text: str, _: float) -> str:
    if not 0 < len(text) <= MOST_TEXT:
        raise ValueError(f"want 1 to {MOST_TEXT} characters")
    return text


def _one_of(choices: Sequence[str]) -> Callable[[str, float], str]:
    def read(text: str, _: float) -> str:
        if text not in choices:
            raise ValueError(f"want one of {', '.join(choices)}")
        return text

    return read


def read_key(text: str, _: float = 0.0) -> str:
    """
    The id of a turn or a call.

    :raises ValueError: it is none.
    """
    if not _KEY.fullmatch(text):
        raise ValueError("want 16 hexadecimal digits")
    return text


def _status(text: str, _: float) -> str:
    if not _CALL_STATUS.fullmatch(text):
        raise ValueError("want an HTTP status, 0 where none was sent, or an error's code")
    return text


_TEXT = {"type": "string", "minLength": 1, "maxLength": MOST_TEXT}
_WHEN = "a date, a date and a time (RFC 3339; UTC where no zone is given), or how long ago: 15m, 24h, 7d, 2w"

SINCE = Parameter("since", f"Not before this time: {_WHEN}.", _TEXT, instant)
UNTIL = Parameter("until", f"Before this time: {_WHEN}.", _TEXT, instant)
SESSION = Parameter("session", "Of this session.", _TEXT, _text)
AGENT = Parameter("agent", "Of this agent.", _TEXT, _text)
PROVIDER = Parameter("provider", "Of this provider, by its name in the configuration.", _TEXT, _text)
MODEL = Parameter("model", "Of this model, as it was asked for or as it answered.", _TEXT, _text)
STATUS = Parameter(
    "status", "Turns that ended so.", {"type": "string", "enum": list(TURN_STATUSES)}, _one_of(TURN_STATUSES)
)
CALL_STATUS = Parameter(
    "status",
    "Calls with this HTTP status, 0 where none was sent, or with this code of an error of the proxy's own.",
    {"type": "string", "pattern": f"^({_CALL_STATUS.pattern})$"},
    _status,
)
LIMIT = Parameter(
    "limit", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": 100}, _limit
)
AFTER = Parameter("after", "Where to go on: `next` of the page before, of the same request.", _TEXT, _text)
BY = Parameter("by", "What to add up by.", {"type": "string", "enum": list(GROUPS), "default": "day"}, _one_of(GROUPS))
LAST_EVENT_ID = Parameter(
    "last_event_id",
    "The latest event that was seen, where it can't be sent as the header `Last-Event-ID`, which comes first.",
    {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    read_key,
)


def read_query(query: bytes, known: Sequence[Parameter], now: float) -> dict[str, object]:
    """
    The values by name.

    :param now: seconds since 1970.
    :raises BadParameter: one is unknown, there twice, or has a value that can't be used.
    """
    parameters = {each.name: each for each in known}
    values: dict[str, object] = {}
    for name, text in _pairs(query):
        parameter = parameters.get(name)
        if parameter is None:
            names = ", ".join(parameters) or "none"
            raise BadParameter(f"{_printable(name)}: there is no such parameter here (there are: {names})")
        if name in values:
            raise BadParameter(f"{name}: is there twice")
        try:
            values[name] = parameter.read(text, now)
        except ValueError as error:
            raise BadParameter(f"{name}: {error}") from None
    return values


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise BadParameter("the query: want name=value&name=value in percent-encoded UTF-8") from None


def _printable(name: str) -> str:
    """A name from outside, short and without what a terminal would obey."""
    shown = "".join(each if each.isprintable() else "?" for each in name)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "\u2026"
