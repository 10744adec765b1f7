"""A WebSocket server's frames (RFC 6455, 5), read strictly and unmasked, and permessage-deflate (RFC 7692)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from agentproxy.wire.masking import masked

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
DEFLATED = 0x40
"""RSV1 in a frame's first byte: the message is compressed (RFC 7692, 6)."""

FINAL = 0x80
"""FIN in a frame's first byte."""
_TAIL = b"\x00\x00\xff\xff"


class Violation(Exception):
    """The client broke RFC 6455."""


@dataclass(frozen=True, slots=True)
class Frame:
    """:ivar first: the first byte as it came: FIN, the reserved bits, the opcode."""

    first: int
    payload: bytes

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def final(self) -> bool:
        return bool(self.first & FINAL)

    @property
    def reserved(self) -> int:
        return self.first & 0x70


def pack(first: int, payload: bytes) -> bytes:
    """A frame as a server sends it, unmasked; ``first`` is its first byte."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def pack_close(code: int | None, reason: str = "") -> bytes:
    """A close frame; ``None`` makes an empty one."""
    payload = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
    return pack(FINAL | CLOSE, payload)


class FrameReader:
    """
    Splits what a client sends into frames.

    :param deflate: whether RSV1 may be set.
    """

    __slots__ = ("_data", "_deflate", "_inside", "_need", "_parts", "_size")

    def __init__(self, deflate: bool) -> None:
        self._deflate = deflate
        self._data = b""
        self._inside = False
        # A long frame's bytes are joined once it is whole, not with every read.
        self._parts: list[bytes] = []
        self._size = 0
        self._need = 0

    def feed(self, data: bytes) -> list[Frame]:
        """
        Take the next bytes.

        :raises Violation: close with 1002.
        """
        if self._need:
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._need:
                return []
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = self._need = 0
        elif self._data:
            data = self._data + data
        self._data = b""
        frames: list[Frame] = []
        at, size = 0, len(data)
        while size - at >= 2:
            first, second = data[at], data[at + 1]
            self._check(first, second)
            length, start = second & 0x7F, at + 6
            if length == 126:
                start += 2
                length = int.from_bytes(data[at + 2 : at + 4], "big") if size - at >= 4 else 126
            elif length == 127:
                start += 8
                length = int.from_bytes(data[at + 2 : at + 10], "big") if size - at >= 10 else 65536
            if size < start + length:
                if size >= start:
                    self._check_length(second & 0x7F, length)
                self._wait(data[at:], start + length - at)
                return frames
            self._check_length(second & 0x7F, length)
            if first & 0x0F < CLOSE:
                self._inside = not first & FINAL
            frames.append(Frame(first, masked(data[start : start + length], data[start - 4 : start])))
            at = start + length
        self._data = data[at:]
        return frames

    def _wait(self, rest: bytes, need: int) -> None:
        if need > 65536 and len(rest) >= 14:
            self._parts.append(rest)
            self._size = len(rest)
            self._need = need
        else:
            self._data = rest

    def _check(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if not second & 0x80:
            raise Violation("a client's frame must be masked")
        if first & 0x30 or (first & DEFLATED and (not self._deflate or opcode not in (TEXT, BINARY))):
            raise Violation("a reserved bit is set")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise Violation("an unknown opcode")
            if not first & FINAL or second & 0x7F > 125:
                raise Violation("a control frame must be short and whole")
            return
        if opcode > BINARY:
            raise Violation("an unknown opcode")
        if (opcode == CONTINUATION) != self._inside:
            raise Violation("a continuation out of place" if not self._inside else "a message within a message")

    def _check_length(self, given: int, length: int) -> None:
        if (given == 126 and length < 126) or (given == 127 and not 65536 <= length < 1 << 63):
            raise Violation("a length that is not minimal")


class Deflate:
    """
    permessage-deflate of one connection, both ways.

    :param client_takeover: whether the client keeps its context from message to message.
    :param server_takeover: whether we do.
    """

    def __init__(self, client_takeover: bool, server_takeover: bool) -> None:
        self._client_takeover = client_takeover
        self._server_takeover = server_takeover
        self._inflater = zlib.decompressobj(-15)
        self._deflater = zlib.compressobj(1, zlib.DEFLATED, -15)

    def inflate(self, data: bytes) -> bytes:
        """:raises Violation: it cannot be inflated."""
        try:
            out = self._inflater.decompress(data + _TAIL)
        except zlib.error as error:
            raise Violation(f"a message that does not inflate: {error}") from None
        if not self._client_takeover:
            self._inflater = zlib.decompressobj(-15)
        return out

    def deflate(self, data: bytes) -> bytes:
        out = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        if not self._server_takeover:
            self._deflater = zlib.compressobj(1, zlib.DEFLATED, -15)
        return out[: -len(_TAIL)]
