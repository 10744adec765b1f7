"""
WebSocket frames (RFC 6455, 5) as a bystander sees them: bytes pass as they came, rules are judged from the headers.

`FrameFollower` follows one direction of a spliced connection; the builders make what the proxy itself puts in.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentproxy.wire.masking import masked as apply_mask
from agentproxy.wire.masking import whole_frame
from agentproxy.wire.messages import BINARY, TEXT
from agentproxy.wire.taps import GuardedTap, MessageTap

CLOSE = 0x8
MAX_REASON = 123
"""Bytes of UTF-8 that a close reason may have (RFC 6455, 5.5)."""

# What a frame's first byte makes of it. The order counts: data frames, then control frames, then broken ones.
_WHOLE, _FIRST, _MIDDLE, _LAST, _CONTROL, _CLOSING, _BROKEN = range(7)
_REASONS = {
    _BROKEN: "reserved opcode",
    _BROKEN + 1: "reserved bit set",
    _BROKEN + 2: "fragmented control frame",
    _BROKEN + 3: "continuation frame without a message",
    _BROKEN + 4: "data frame inside a fragmented message",
}


def _kind(first: int, *, open_message: bool, rsv1: bool, any_rsv: bool) -> int:
    opcode, final = first & 0x0F, first >= 0x80
    if 0x3 <= opcode <= 0x7 or opcode > 0xA:
        return _BROKEN
    allowed = 0x70 if any_rsv else 0x40 if rsv1 and opcode in (TEXT, BINARY) else 0
    if first & 0x70 & ~allowed:
        return _BROKEN + 1
    if opcode >= 0x8:
        if not final:
            return _BROKEN + 2
        return _CLOSING if opcode == CLOSE else _CONTROL
    if opcode == 0:
        if not open_message:
            return _BROKEN + 3
        return _LAST if final else _MIDDLE
    if open_message:
        return _BROKEN + 4
    return _WHOLE if final else _FIRST


def _kinds(rsv1: bool, any_rsv: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The kind of each first byte, between messages and inside a fragmented one."""
    between, inside = (
        tuple(_kind(first, open_message=state, rsv1=rsv1, any_rsv=any_rsv) for first in range(256))
        for state in (False, True)
    )
    return between, inside


_TABLES = {(rsv1, any_rsv): _kinds(rsv1, any_rsv) for rsv1 in (False, True) for any_rsv in (False, True)}


@dataclass(frozen=True, slots=True)
class Violation:
    """
    A frame that broke the rules.

    :ivar code: what its sender is to be closed with: 1002, or 1009 for a message over the limit.
    :ivar reason: what was wrong, in a few words.
    """

    code: int
    reason: str


class FrameFollower:
    """
    Follows one direction of a spliced WebSocket.

    :param masked: whether the frames come from the client and so must be masked; the server's must not be.
    :param rsv1: whether permessage-deflate was negotiated: RSV1 may be set on a message's first frame.
    :param any_rsv: whether an extension that is not known here was: any reserved bit passes.
    :param max_message_bytes: the most that the payloads of a message's frames may sum up to, as they travel.
    :param tap: is told of the messages; dropped if it raises.
    :ivar passed: bytes passed on.
    :ivar close: code and reason of the close frame once it was passed; 1005 where it was empty.
    :ivar violation: what broke the rules; nothing is passed on from there. ``ended``: whether there is either.
    """

    __slots__ = (
        "_base", "_between", "_head", "_held", "_inside", "_kinds", "_left", "_max", "_opened", "_short",
        "_size", "_tap", "_telling", "close", "ended", "passed", "violation",
    )  # fmt: skip

    def __init__(
        self, *, masked: bool, rsv1: bool, any_rsv: bool = False, max_message_bytes: int, tap: MessageTap | None = None
    ) -> None:
        self._between, self._inside = _TABLES[rsv1, any_rsv]
        self._kinds = self._between
        self._base = 0x80 if masked else 0  # what a legal second byte is the payload length plus
        self._head = 6 if masked else 2  # bytes of a header with a seven-bit length
        self._max = max_message_bytes
        self._short = min(126, max_message_bytes + 1)  # payloads below need no closer look as messages of their own
        self._held = b""
        self._left = 0  # payload bytes still to come of the frame that the bytes passed end in
        self._size = 0  # payload bytes of the fragmented message so far
        self._opened = 0  # frames whose header was passed
        self.ended = False
        self._tap = None if tap is None else GuardedTap(tap)
        self._telling: GuardedTap | None = None  # the tap while it is to hear of the payload still to come
        self.passed = 0
        self.close: tuple[int, str] | None = None
        self.violation: Violation | None = None

    @property
    def frames(self) -> int:
        """Whole frames passed on."""
        return self._opened - (self._left > 0)

    @property
    def degraded(self) -> str | None:
        """Why the tap was dropped, or ``None``."""
        return None if self._tap is None else self._tap.degraded

    @property
    def in_frame(self) -> bool:
        """Whether the bytes passed end in the middle of a frame, so that none can be put in behind them."""
        return self._left > 0

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes as they came.

        Held back are only an incomplete frame header and a close frame until it is whole; nothing passes behind a
        close frame or from a broken frame on.

        :returns: what may be passed on now; where that is all, and nothing was held back, ``data`` itself.
        """
        left = self._left
        size = len(data)
        if size <= left:
            if self._telling is not None and size:
                self._telling.more(data, size, size == left)
                if size == left:
                    self._telling = None
            self._left = left - size
            self.passed += size
            return data
        if self.ended:
            return b""
        if self._held:
            data = self._held + data
            self._held = b""
            size = len(data)
        elif self._telling is not None:
            self._telling.more(data, left, True)
            self._telling = None
        kinds = self._kinds
        base = self._base
        head = self._head
        short, most = self._short, self._max
        tap = self._tap
        at = left
        opened = 0
        while at < size:
            payload = at + head
            if payload + 2 <= size and not kinds[data[at]]:
                length = data[at + 1] - base
                if length == 126:
                    payload += 2
                    length = (data[at + 2] << 8) + data[at + 3]
                    end = payload + length if 126 <= length <= most else -1
                else:
                    end = payload + length if 0 <= length < short else -1
                if end > 0 and (tap is None or end <= size):
                    if tap is not None:
                        tap.whole(data[at], data, payload, end, data[payload - 4 : payload] if base else None)
                    at = end
                    opened += 1
                    continue
            at = self._open(data, at)
            if at < 0:
                at = size = ~at
                data = data[:size]
                break
            kinds = self._kinds
        self._left = at - size
        self._opened += opened
        self.passed += size
        return data

    def _open(self, data: bytes, at: int) -> int:
        """
        Judge the frame whose header begins at ``at``, byte by byte in the order in which they come.

        :returns: where the frame ends, which may be behind the data; or, inverted, where what may be passed ends.
        """
        kinds = self._kinds
        kind = kinds[data[at]]
        if kind >= _BROKEN:
            return self._break(at, _REASONS[kind])
        size = len(data)
        if at + 2 > size:
            return self._hold(data, at)
        length = data[at + 1] - self._base
        if not 0 <= length <= 127:
            return self._break(at, "unmasked frame" if self._base else "masked frame")
        start = at + self._head
        if length > 125:
            if kind >= _CONTROL:
                return self._break(at, "control frame of more than 125 bytes")
            width, least = (2, 126) if length == 126 else (8, 65536)
            start += width
            if at + 2 + width > size:
                return self._hold(data, at)
            length = int.from_bytes(data[at + 2 : at + 2 + width], "big")
            if length >> 63:
                return self._break(at, "frame length with its top bit set")
            if length < least:
                return self._break(at, "frame length not in its shortest form")
        message = length
        if kind < _CONTROL:
            if kinds is self._inside:
                message += self._size
            if message > self._max:
                return self._break(at, f"message of more than {self._max} bytes", 1009)
        if start > size:
            return self._hold(data, at)
        end = start + length
        if kind >= _CONTROL:
            if kind == _CLOSING:
                return self._take_close(data, at, start, end)
        else:
            self._size = message
            self._kinds = self._inside if _FIRST <= kind <= _MIDDLE else self._between
            if self._tap is not None:
                key = data[start - 4 : start] if self._base else None
                self._tap.frame(data[at], data, start, end, key)
                if end > size:
                    self._telling = self._tap
        self._opened += 1
        return end

    def _hold(self, data: bytes, at: int) -> int:
        self._held = data[at:]
        return ~at

    def _break(self, at: int, reason: str, code: int = 1002) -> int:
        self.ended = True
        self.violation = Violation(code, reason)
        return ~at

    def _take_close(self, data: bytes, at: int, start: int, end: int) -> int:
        if end > len(data):
            return self._hold(data, at)
        payload = data[start:end]
        if payload:
            if self._base:
                payload = apply_mask(payload, data[start - 4 : start])
            if len(payload) == 1:
                return self._break(at, "close payload of one byte")
            code = int.from_bytes(payload[:2], "big")
            if not may_travel(code):
                return self._break(at, f"close code {code} may not travel")
            self.close = (code, payload[2:].decode("utf-8", "replace"))
        else:
            self.close = (1005, "")
        self.ended = True
        self._opened += 1
        return ~end


def may_travel(code: int) -> bool:
    """Whether a close frame may carry this code (RFC 6455, 7.4, and the IANA registry up to 1014)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def close_frame(code: int | None, reason: str = "", *, mask: bytes | None) -> bytes:
    """
    A close frame.

    :param code: ``None`` makes an empty one, without the reason.
    :param reason: cut at a character to at most `MAX_REASON` bytes.
    :param mask: four bytes towards a server, ``None`` towards a client.
    :raises ValueError: the code may not travel.
    """
    if code is None:
        return whole_frame(CLOSE, b"", mask)
    if not may_travel(code):
        raise ValueError(f"close code {code} may not travel")
    text = reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")
    return whole_frame(CLOSE, code.to_bytes(2, "big") + text.encode("utf-8"), mask)
