"""
The event log: one event a line, as JSON or as text, buffered so that a call never waits for the disk.

It takes keys and values as they are given: free text goes through `redact.Redactor` before it comes here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii as _quote
from math import isfinite
from typing import Literal

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LEVELS = ("debug", "info", "warn", "error")
FLUSH_SECONDS = 0.1
FLUSH_CHARACTERS = 65536

_RANK = {level: rank for rank, level in enumerate(LEVELS)}
_DEEPEST = 8
_MOST_NAMES = 256
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,~-]+")
_LITERALS = frozenset(("null", "true", "false"))


class EventLog:
    """
    Writes events as lines of ASCII, each with ``time`` (RFC 3339, UTC, milliseconds), ``level``, ``event``, then its
    own keys. Control characters are always escaped, so no value can end its line or begin another.

    :ivar lost: lines that could not be formatted or written. Nothing is ever raised to who emits.

    :param write: puts whole lines out at once (a buffered file must be flushed by it); may raise.
    :param wall: seconds since 1970, as `time.time`.
    :param level: the least of `LEVELS` that is written.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        clock: IReactorTime,
        wall: Callable[[], float],
        level: str = "info",
        format: Literal["json", "text"] = "json",
    ) -> None:
        self.lost = 0
        self._write = write
        self._clock = clock
        self._wall = wall
        self._floor = _RANK[level]
        self._line, self._part = {"json": (_json_line, json_part), "text": (_text_line, text_part)}[format]
        self._lines: list[str] = []
        self._waiting = 0
        self._timer: IDelayedCall | None = None
        self._closed = False
        self._millisecond = self._second = -1
        self._day = self._stamp = ""

    def enabled(self, level: str) -> bool:
        """Whether events of this level are written: ask where making the keys costs something."""
        return _RANK.get(level, self._floor) >= self._floor

    def emit(self, event: str, level: str = "info", **keys: object) -> None:
        """
        Write an event, at most `FLUSH_SECONDS` from now.

        :param event: a dotted name.
        :param keys: JSON values, none of them named ``time``; anything else is replaced by a stand-in.
        """
        if _RANK.get(level, self._floor) < self._floor:
            return
        try:
            self.emit_parts(event, level, self._part(keys))
        except Exception:
            self.lost += 1

    def part(self, keys: Mapping[str, object]) -> str:
        """Keys as they stand in a line, for `emit_parts`: those that many lines share need be written only once."""
        return self._part(keys)

    def emit_parts(self, event: str, level: str, *parts: str) -> None:
        """As `emit`, the keys being given as parts. It does not ask whether the level is enabled."""
        line = self._line(self._now(), level, event, "".join(parts))
        self._lines.append(line)
        self._waiting += len(line)
        if self._waiting >= FLUSH_CHARACTERS or self._closed:
            self._put()
        elif self._timer is None:
            self._timer = self._clock.callLater(FLUSH_SECONDS, self._due)

    def flush(self) -> None:
        """Write what waits, now."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._put()

    def close(self) -> None:
        """Flush, and write every further line at once: for when the clock is about to stop."""
        self._closed = True
        self.flush()

    def _due(self) -> None:
        self._timer = None
        self._put()

    def _put(self) -> None:
        lines, self._lines, self._waiting = self._lines, [], 0
        if not lines:
            return
        try:
            self._write("".join(lines))
        except Exception:
            self.lost += len(lines)

    def _now(self) -> str:
        millisecond = round(self._wall() * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
                self._second = second
            self._stamp = f"{self._day}.{rest:03d}Z"
        return self._stamp


class _Names(dict[str, str]):
    """Keys as they begin a member: the same few in every line."""

    def __missing__(self, key: str) -> str:
        name = f",{_quote(key)}:"
        if len(self) < _MOST_NAMES:
            self[key] = name
        return name


_NAMES = _Names()


def json_line(stamp: str, level: str, event: str, keys: Mapping[str, object]) -> str:
    """One event as a JSON object and a newline, all of it printable ASCII."""
    return _json_line(stamp, level, event, json_part(keys))


def _json_line(stamp: str, level: str, event: str, part: str) -> str:
    line = f'{{"time":"{stamp}","level":{_quote(level)},"event":{_quote(event)}{part}}}\n'
    return line if "\x7f" not in line else line.replace("\x7f", "\\u007f")


def json_part(keys: Mapping[str, object]) -> str:
    """Members of a JSON object, each with a comma before it."""
    parts = []
    for key, value in keys.items():
        # What most values are; the rest is the encoder's.
        if value is None:
            text = "null"
        elif type(value) is str:
            text = _quote(value)
        elif type(value) is int or (type(value) is float and isfinite(value)):
            text = repr(value)
        else:
            text = _json(value)
        parts.append(_NAMES[key] + text)
    return "".join(parts)


def text_line(stamp: str, level: str, event: str, keys: Mapping[str, object]) -> str:
    """One event as ``time level event key=value ...`` and a newline; what is not plain is quoted as JSON."""
    return _text_line(stamp, level, event, text_part(keys))


def _text_line(stamp: str, level: str, event: str, part: str) -> str:
    return f"{stamp} {level} {_word(event)}{part}".replace("\x7f", "\\u007f") + "\n"


def text_part(keys: Mapping[str, object]) -> str:
    """``key=value``, each with a space before it."""
    return "".join(
        [f" {key if key.isascii() and key.isidentifier() else _word(key)}={_word(of)}" for key, of in keys.items()]
    )


def _word(value: object) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) and value not in _LITERALS else _quote(value)
    if value is None:
        return "null"
    return _json(value)


def _json(value: object) -> str:
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):
        return _encode(_plain(value, 0))


def _plain(value: object, depth: int) -> object:
    """What JSON can hold of a value that it can't hold as it is: odd keys, infinities, cycles."""
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(_stand_in(key)): _plain(of, depth + 1) for key, of in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value


def _stand_in(value: object) -> object:
    """What is shown of a value that isn't JSON: its type's name, for its repr may say too much."""
    if isinstance(value, bytes | bytearray):
        return value.decode("ascii", "backslashreplace")
    if isinstance(value, int | float | None):
        return str(value)
    return f"<{type(value).__name__}>"


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_stand_in).encode
