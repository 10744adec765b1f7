"""
Server-sent events, read by the rules of the HTML standard (9.2.6, interpreting an event stream).

What passes through the proxy passes as it came; this reads a copy, within bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

MAX_NAME = 256
"""Bytes of an event's name that are kept."""


class Likeness(Protocol):
    """
    What events have in common that need not be told one by one.

    :ivar prefix: what their data, which is one line, begins with.
    :ivar each: what stands in each of them exactly once; ``never``: in none.
    """

    @property
    def prefix(self) -> bytes: ...
    @property
    def each(self) -> tuple[bytes, ...]: ...
    @property
    def never(self) -> tuple[bytes, ...]: ...


OnEvent = Callable[[str, bytes, bool], Likeness | None]
"""
Told an event's name (``message`` where it has none), its data, and whether that was cut; returns what events like it
have in common if a run of them may be passed over.
"""
OnSkimmed = Callable[[int, int], object]
"""Told how many events were passed over, and the bytes of all their data."""

_BOM = b"\xef\xbb\xbf"
_PIECE = 65536

# What nearly all events look like: fullmatch is faster than anything that looks at each line.
_PLAIN = re.compile(rb"(?:event: ?([^\n]*)\n)?data: ?([^\n]*)")
# A line that matters; all others (comments, id, retry, unknown fields) are skipped without Python seeing them.
_FIELD = re.compile(rb"^(data|event)(?:: ?(.*))?$", re.MULTILINE)


class SseReader:
    """
    Tells the events of one stream, fed as its bytes come.

    An event that has no data is not told, nor is one that the stream's end leaves unfinished. Data is bytes as they
    came, whether UTF-8 or not; a name is decoded, with what is no UTF-8 replaced. ``id`` and ``retry`` are ignored.

    :param on_event: must not raise: what follows in the same piece would be lost.
    :param on_skimmed: told of runs of events that are like the last one told.
    :param max_bytes: of one event's data, what is kept; the rest is thrown away and the event told as cut. No more than
        about twice that is held, however long lines and events are.
    """

    __slots__ = (
        "_begun", "_behind_cr", "_cut", "_data", "_frame", "_head", "_like", "_line", "_marker", "_max", "_max_line",
        "_name", "_skimmed", "_tell",
    )  # fmt: skip

    def __init__(self, on_event: OnEvent, on_skimmed: OnSkimmed, *, max_bytes: int) -> None:
        self._tell = on_event
        self._skimmed = on_skimmed
        # Of the last event that was told, if runs of its like may be passed over: how they begin, behind another.
        self._like: Likeness | None = None
        self._marker = b""
        self._frame = 0
        self._max = max_bytes
        # One more than a data line may have, so that one which was cut here is seen to be too long.
        self._max_line = max(max_bytes, MAX_NAME) + len(b"event: ")
        self._begun = False
        self._head = b""
        self._behind_cr = False
        self._line = bytearray()  # the unfinished line; empty at a line's beginning
        self._name = b""
        self._data: bytearray | None = None  # of the event that has begun; None: no data line yet
        self._cut = False

    def feed(self, data: bytes) -> None:
        """Take the stream's next bytes, and tell each event that they end."""
        if not self._begun:
            data = self._head + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._head = data
                return
            self._begun = True
            self._head = b""
            data = data.removeprefix(_BOM)
        if self._behind_cr and data:
            self._behind_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._behind_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # In pieces, so that a large one of nothing but line ends does not become as many objects.
        for at in range(0, len(data), _PIECE):
            self._take(data[at : at + _PIECE])

    def close(self, *, whole: bool = False) -> None:
        """
        The stream has ended: what is unfinished is dropped.

        :param whole: the body it came in is whole: an event that lacks its empty line is told, since some write no last
            one, though the standard drops it.
        """
        self._head = b""
        if whole:
            if self._line:
                self._fields(bytes(self._line))
            self._end_event()
        self._line.clear()
        self._drop_event()

    def _take(self, data: bytes) -> None:
        """Read a piece whose line ends are all LF."""
        at = 0
        if self._line:
            end = data.find(b"\n")
            self._keep(data if end < 0 else data[:end])
            if end < 0:
                return
            self._fields(bytes(self._line))
            self._line.clear()
            at = end + 1
        if self._name or self._data is not None:
            # Inside an event, at a line's beginning.
            if data.startswith(b"\n", at):
                at += 1
            else:
                end = data.find(b"\n\n", at)
                if end < 0:
                    self._begin(data[at:])
                    return
                self._fields(data[at:end])
                at = end + 2
            self._end_event()
        end = data.rfind(b"\n\n", at)
        if end >= at:
            events = data[at : end + 2]
            at = end + 2
            if self._like is None or not self._skim(self._like, events):
                self._each(events)
        rest = data[at:]
        if rest:
            self._begin(rest)

    def _each(self, events: bytes) -> None:
        """Tell whole events; the first one that says what its like have in common may spare the rest."""
        before, at = self._like, 0
        while self._like is before and at < len(events):
            end = events.find(b"\n\n", at)
            if end < 0:
                break
            if end > at:
                self._whole(events[at:end])
            at = end + 2
        rest = events[at:]
        if rest and (self._like is None or not self._skim(self._like, rest)):
            for event in rest.split(b"\n\n"):
                if event:
                    self._whole(event)

    def _skim(self, like: Likeness, events: bytes) -> bool:
        """Whether these are all like the last one told, and so passed over."""
        marker = self._marker
        # Each of them begins behind another one's end, or with the piece: of two lines of data one counts.
        count = events.count(marker) + events.startswith(marker[2:])
        if count != events.count(b"\n\n"):
            return False
        for mark in like.each:
            if events.count(mark) != count:
                return False
        for mark in like.never:
            if mark in events:
                return False
        self._skimmed(count, len(events) - count * self._frame)
        return True

    def _whole(self, event: bytes) -> None:
        plain = _PLAIN.fullmatch(event)
        if plain is None:
            self._like = None
            self._fields(event)
            self._end_event()
            return
        name, data = plain.groups()
        if len(data) > self._max:
            self._like = None
            self._tell(_text(name), data[: self._max], True)
            return
        like = self._tell(_text(name), data, False)
        if like is not None and like is not self._like:
            before = len(event) - len(data)
            self._frame = before + 2
            self._marker = b"\n\n" + event[:before] + like.prefix
        self._like = like

    def _begin(self, lines: bytes) -> None:
        """Lines of an event that goes on, the last one perhaps unfinished."""
        whole, _, line = lines.rpartition(b"\n")
        if whole:
            self._fields(whole)
        if line:
            self._keep(line)

    def _keep(self, part: bytes) -> None:
        self._line += part[: self._max_line - len(self._line)]

    def _fields(self, lines: bytes) -> None:
        for field, value in _FIELD.findall(lines):
            if field == b"event":
                self._name = value[:MAX_NAME]
                continue
            if self._data is None:
                self._data = bytearray()
            elif len(self._data) < self._max:
                self._data += b"\n"
            else:
                self._cut = True
            room = self._max - len(self._data)
            if len(value) > room:
                self._cut = True
            self._data += value[:room]

    def _end_event(self) -> None:
        name, data, cut = self._name, self._data, self._cut
        self._drop_event()
        if data is not None:
            # Whatever it is like: a run goes on, should it do so, once a whole one is told.
            self._tell(_text(name), bytes(data), cut)

    def _drop_event(self) -> None:
        self._name = b""
        self._data = None
        self._cut = False


def _text(name: bytes | None) -> str:
    return name[:MAX_NAME].decode("utf-8", "replace") if name else "message"
