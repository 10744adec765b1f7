"""
The copy of a WebSocket's messages: what a follower of frames tells, put together, unmasked and inflated.

It only watches. Whatever goes wrong here ends the watching, never the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agentproxy.wire.deflate import InflateError, Inflater
from agentproxy.wire.masking import masked

TEXT = 0x1
BINARY = 0x2


class MessageTap(Protocol):
    """Is told of one direction's data messages while they pass; never of control frames."""

    def begin(self, opcode: int, compressed: bool) -> None:
        """A message begins: `TEXT` or `BINARY`, and whether its first frame has RSV1 set (RFC 7692, 6)."""

    def payload(self, data: bytes, start: int, end: int, key: bytes | None, offset: int) -> None:
        """
        More of the message: ``data[start:end]``, never empty; copy of it only what is needed.

        :param key: the frame's masking key, or ``None``.
        :param offset: where in its frame's payload this piece begins: the key's phase.
        """

    def end(self) -> None:
        """The message is whole."""

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        """
        A message in one frame that is all here, as most are: in place of the other three.

        :param first: the frame's first byte; the rest as in `payload`, but perhaps empty.
        """


class GuardedTap:
    """
    A tap that can't raise: the first exception drops it.

    :ivar degraded: why it was dropped; of an error only its type, as its text may quote the payload.
    """

    __slots__ = ("_key", "_last", "_offset", "_tap", "degraded")

    def __init__(self, tap: MessageTap) -> None:
        self._tap: MessageTap | None = tap
        self._key: bytes | None = None
        self._offset = 0
        self._last = False
        self.degraded: str | None = None

    def frame(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        """
        A data frame, as far as it is there.

        :param first: its first byte.
        :param start: where its payload begins; ``end``, where it ends, which may be behind the data.
        """
        tap = self._tap
        if tap is None:
            return
        try:
            size = len(data)
            if first & 0x8F > 0x80 and end <= size:
                tap.whole(first, data, start, end, key)
                return
            if first & 0x0F:
                tap.begin(first & 0x0F, first & 0x40 != 0)
            if end > size:
                self._key = key
                self._offset = size - start
                self._last = first >= 0x80
                if start < size:
                    tap.payload(data, start, size, key, 0)
                return
            if start < end:
                tap.payload(data, start, end, key, 0)
            if first >= 0x80:
                tap.end()
        except Exception as error:
            self._drop(error)

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        """A message in one frame that is all here: what `frame` makes of it, at less cost."""
        tap = self._tap
        if tap is not None:
            try:
                tap.whole(first, data, start, end, key)
            except Exception as error:
                self._drop(error)

    def more(self, data: bytes, size: int, ends_frame: bool) -> None:
        """The first ``size`` bytes of the data, at least one, go on with the frame."""
        tap = self._tap
        if tap is None:
            return
        try:
            tap.payload(data, 0, size, self._key, self._offset)
            self._offset += size
            if ends_frame and self._last:
                tap.end()
        except Exception as error:
            self._drop(error)

    def _drop(self, error: Exception) -> None:
        self.degraded = f"the tap raised {type(error).__name__}"
        self._tap = None


_SIP = 1024
"""Compressed bytes that are looked at at a time."""

# What becomes of the payload that comes: read as it is, inflated, passed over until the next message, or for good.
_PLAIN, _DEFLATED, _SKIPPED, _LOST = range(4)


class MessageReader:
    """
    A tap that reports whole messages.

    A compressed message that can't be inflated is not reported. With context takeover neither is any message behind
    it, compressed or not; without it, reading goes on with the next message.

    :param on_message: (is it text, its first ``max_bytes`` bytes, whether there were more).
    :param inflate: this direction's inflater, if permessage-deflate was negotiated.
    :param max_bytes: the most that is kept of a message, inflated.
    :ivar degraded: why a message could not be read: the first reason, which stays even where reading went on.
    """

    __slots__ = ("_inflate", "_is_text", "_kept", "_max", "_on_message", "_state", "_truncated", "degraded")

    def __init__(
        self, on_message: Callable[[bool, bytes, bool], object], *, inflate: Inflater | None, max_bytes: int
    ) -> None:
        self._on_message = on_message
        self._inflate = inflate
        self._max = max_bytes
        self._state = _SKIPPED
        self._is_text = False
        self._truncated = False
        self._kept: bytes | bytearray = b""
        self.degraded: str | None = None

    def begin(self, opcode: int, compressed: bool) -> None:
        if self._state == _LOST:
            return
        self._is_text = opcode == TEXT
        self._truncated = False
        self._kept = b""
        if not compressed:
            self._state = _PLAIN
        elif self._inflate is None:
            self._lose("a compressed message where no compression was negotiated")
        else:
            self._state = _DEFLATED
            self._inflate.begin()

    def payload(self, data: bytes, start: int, end: int, key: bytes | None, offset: int) -> None:
        state = self._state
        if state == _PLAIN:
            room = self._max - len(self._kept)
            if end - start > room:
                self._truncated = True
                end = start + room
            piece = data[start:end]
            self._keep(piece if key is None else masked(piece, key, offset))
        elif state == _DEFLATED:
            assert self._inflate is not None
            # Where no later message needs it, no more is unmasked and inflated than is kept.
            some = self._inflate.no_context_takeover
            step = _SIP if some else end - start
            for at in range(start, end, step):
                piece = data[at : min(at + step, end)]
                self._inflated(piece if key is None else masked(piece, key, offset + at - start))
                if some and self._truncated:
                    return

    def end(self) -> None:
        if self._state == _DEFLATED:
            self._inflated(None)
        if self._state <= _DEFLATED:
            kept, self._kept = bytes(self._kept), b""
            self._on_message(self._is_text, kept, self._truncated)

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        if first & 0x40:
            self.begin(first & 0x0F, True)
            if start < end:
                self.payload(data, start, end, key, 0)
            self.end()
        elif self._state != _LOST:
            self._state = _SKIPPED
            kept = start + self._max
            piece = data[start : end if end <= kept else kept]
            self._on_message(first & 0x0F == TEXT, piece if key is None else masked(piece, key), end > kept)

    def _keep(self, piece: bytes) -> None:
        if not self._kept:
            self._kept = piece
            return
        if isinstance(self._kept, bytes):
            self._kept = bytearray(self._kept)
        self._kept += piece

    def _inflated(self, piece: bytes | None) -> None:
        """Inflate a piece of a message, or with ``None`` what its end still brings."""
        inflate = self._inflate
        assert inflate is not None
        if self._truncated and inflate.no_context_takeover:
            return
        room = self._max - len(self._kept)
        try:
            self._keep(inflate.finish(room) if piece is None else inflate.feed(piece, room))
        except InflateError as error:
            self._lose(str(error))
        else:
            self._truncated = inflate.inflated > self._max

    def _lose(self, reason: str) -> None:
        self.degraded = self.degraded or reason
        self._kept = b""
        recovers = self._inflate is not None and self._inflate.no_context_takeover
        self._state = _SKIPPED if recovers else _LOST
