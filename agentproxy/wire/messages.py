"""
The copy of a WebSocket's messages: what a follower of frames tells, put together, unmasked and inflated.

It only watches. Whatever goes wrong here ends the watching, never the connection.
"""

from __future__ import annotations

from collections.abc import Callable

from agentproxy.wire.deflate import InflateError, Inflater
from agentproxy.wire.masking import masked

TEXT = 0x1
BINARY = 0x2

GLANCE = 128
"""Bytes of a message by which it is decided how much of it is kept."""
_SIP = 1024
"""Compressed bytes that are looked at at a time, until that is decided."""
_PEEK = 256
"""Compressed bytes that are looked at first where a message is compressed by itself."""
_SIPPED = 2 * _SIP * 1032
"""Bytes that a sip can bring: deflate makes one of at most 1,032."""

# What becomes of the payload that comes: read as it is, inflated, passed over until the next message, or for good.
_PLAIN, _DEFLATED, _SKIPPED, _LOST = range(4)


class MessageReader:
    """
    A tap that reports messages, each as far as it is wanted.

    A compressed message that can't be inflated is not reported. With context takeover neither is any message behind
    it, compressed or not; without it, reading goes on with the next message.

    :param wanted: given a message's first bytes, `GLANCE` or all of them: how many bytes of it to report; 0: it is not
        reported.
    :param on_message: (is it text, its first bytes as wanted, whether there were more); returns what messages like it
        begin with if they need not be reported one by one: those that come whole, in one frame and uncompressed, are
        only counted from then on, until another is reported.
    :param on_skimmed: told how many were counted, and their bytes, before the next report and at `flush`.
    :param inflate: this direction's inflater, if permessage-deflate was negotiated.
    :ivar degraded: why a message could not be read: the first reason, which stays even where reading went on.
    """

    __slots__ = (
        "_inflate", "_is_text", "_kept", "_like", "_looked", "_max", "_on_message", "_on_skimmed", "_skimmed", "_skims",
        "_state", "_truncated", "_wanted", "degraded",
    )  # fmt: skip

    def __init__(
        self,
        wanted: Callable[[bytes], int],
        on_message: Callable[[bool, bytes, bool], bytes | None],
        *,
        inflate: Inflater | None,
        on_skimmed: Callable[[int, int], object] | None = None,
    ) -> None:
        self._wanted = wanted
        self._on_message = on_message
        self._on_skimmed = on_skimmed
        self._like: bytes | None = None
        self._skims = self._skimmed = 0
        self._inflate = inflate
        self._max = GLANCE
        self._looked = False
        self._state = _SKIPPED
        self._is_text = False
        self._truncated = False
        self._kept: bytes | bytearray = b""
        self.degraded: str | None = None

    @property
    def inside(self) -> bool:
        """Whether a message that can be read has begun, and has not ended."""
        return self._state <= _DEFLATED

    def begin(self, opcode: int, compressed: bool) -> None:
        if self._state == _LOST:
            return
        self._is_text = opcode == TEXT
        self._truncated = False
        self._looked = False
        self._max = GLANCE
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
            self._plain(data, start, end, key, offset)
        elif state == _DEFLATED:
            assert self._inflate is not None
            # Where no later message needs it, no more is unmasked and inflated than is kept.
            some = self._inflate.no_context_takeover
            if (
                some
                and not self._looked
                and not self._inflate.inflated
                and self._unwanted(data, start, end, key, offset)
            ):
                return
            at = start
            while at < end and self._state == _DEFLATED:
                step = min(at + _SIP, end) if some or not self._looked else end
                piece = data[at:step]
                self._inflated(piece if key is None else masked(piece, key, offset + at - start))
                if some and self._truncated:
                    return
                at = step

    def _peeked(self, data: bytes, start: int, end: int, key: bytes | None) -> int | None:
        """How much is wanted of a small message that is compressed by itself; ``None``: it can't be said so."""
        assert self._inflate is not None
        piece = data[start:end]
        beginning = self._inflate.peek(piece if key is None else masked(piece, key), GLANCE)
        return self._wanted(beginning) if beginning else None

    def _unwanted(self, data: bytes, start: int, end: int, key: bytes | None, offset: int) -> bool:
        """Look at the beginning of a message that is compressed by itself; whether it is passed over."""
        assert self._inflate is not None
        piece = data[start : min(end, start + _PEEK)]
        beginning = self._inflate.peek(piece if key is None else masked(piece, key, offset), GLANCE)
        if len(beginning) < GLANCE:
            return False
        self._looked = True
        self._max = self._wanted(beginning)
        if not self._max:
            self._state = _SKIPPED
        return not self._max

    def end(self) -> None:
        if self._state == _DEFLATED:
            self._inflated(None)
        if self._state <= _DEFLATED:
            if not self._looked:
                self._look()
            kept, self._kept = bytes(self._kept), b""
            self._state = _SKIPPED
            if self._max:
                self._report(self._is_text, kept, self._truncated)

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        if first & 0x40:
            inflate = self._inflate
            alone = inflate is not None and inflate.no_context_takeover and end - start <= _PEEK
            wanted = self._peeked(data, start, end, key) if alone else None
            if wanted == 0:
                self._state = _SKIPPED
                return
            self.begin(first & 0x0F, True)
            if wanted is not None:
                self._looked, self._max = True, wanted
            if start < end:
                self.payload(data, start, end, key, 0)
            self.end()
        elif self._state != _LOST:
            self._state = _SKIPPED
            seen = start + GLANCE
            piece = data[start : end if end <= seen else seen]
            if key is not None:
                piece = masked(piece, key)
            if self._like is not None and piece.startswith(self._like):
                self._skims += 1
                self._skimmed += end - start
                return
            wanted = self._wanted(piece)
            if not wanted:
                return
            kept = start + wanted
            if end > seen and wanted > GLANCE:
                piece = data[start : end if end <= kept else kept]
                if key is not None:
                    piece = masked(piece, key)
            self._report(first & 0x0F == TEXT, piece if wanted >= GLANCE else piece[:wanted], end > kept)

    def flush(self) -> None:
        """Tell what was counted so far."""
        skims, size = self._skims, self._skimmed
        if skims and self._on_skimmed is not None:
            self._skims = self._skimmed = 0
            self._on_skimmed(skims, size)

    def forget(self) -> None:
        """What was said of messages like the last one holds no longer."""
        if self._like is not None:
            self.flush()
            self._like = None

    def _report(self, is_text: bool, message: bytes, truncated: bool) -> None:
        if self._skims:
            self.flush()
        self._like = self._on_message(is_text, message, truncated)

    def _plain(self, data: bytes, start: int, end: int, key: bytes | None, offset: int) -> None:
        while start < end:
            room = self._max - len(self._kept)
            step = start + room if end - start > room else end
            if step > start:
                piece = data[start:step]
                self._keep(piece if key is None else masked(piece, key, offset))
                offset += step - start
            if self._looked or len(self._kept) < GLANCE:
                self._truncated = self._truncated or step < end
                return
            self._look()
            start = step

    def _keep(self, piece: bytes) -> None:
        if not self._kept:
            self._kept = piece
            return
        if isinstance(self._kept, bytes):
            self._kept = bytearray(self._kept)
        self._kept += piece

    def _look(self) -> None:
        """Enough of the message is here to say how much of it is wanted."""
        self._looked = True
        self._max = wanted = self._wanted(bytes(self._kept[:GLANCE]))
        if len(self._kept) > wanted:
            self._kept = self._kept[:wanted]
            self._truncated = True

    def _inflated(self, piece: bytes | None) -> None:
        """Inflate a piece of a message, or with ``None`` what its end still brings."""
        inflate = self._inflate
        assert inflate is not None
        if self._truncated and inflate.no_context_takeover:
            return
        # Before the look, all that a sip brings is kept, lest what turns out to be wanted be gone.
        room = self._max - len(self._kept) if self._looked else _SIPPED
        try:
            self._keep(inflate.finish(room) if piece is None else inflate.feed(piece, room))
        except InflateError as error:
            self._lose(str(error))
            return
        if not self._looked and len(self._kept) >= GLANCE:
            self._look()
        if self._looked:
            self._truncated = inflate.inflated > self._max

    def _lose(self, reason: str) -> None:
        self.degraded = self.degraded or reason
        self._kept = b""
        recovers = self._inflate is not None and self._inflate.no_context_takeover
        self._state = _SKIPPED if recovers else _LOST
