"""WebSocket frames (RFC 6455, 5): built beforehand, and read at leisure where a proxy has framed them anew."""

from __future__ import annotations

import struct
import zlib

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NO_MASK = b"\0\0\0\0"
"""Clients here mask with zeros, which every peer must accept, so that an echo is a slice."""
TAIL = b"\x00\x00\xff\xff"


class BadFrame(Exception):
    """What came is no frame, or breaks the rules."""


def header(length: int, opcode: int = TEXT, *, masked: bool, deflated: bool = False) -> bytes:
    """A final frame's header, without the mask's key."""
    first = 0x80 | (0x40 if deflated else 0) | opcode
    bit = 0x80 if masked else 0
    if length < 126:
        return struct.pack("!BB", first, bit | length)
    if length < 65536:
        return struct.pack("!BBH", first, bit | 126, length)
    return struct.pack("!BBQ", first, bit | 127, length)


def client_frame(payload: bytes, opcode: int = TEXT, *, deflated: bool = False) -> bytes:
    return header(len(payload), opcode, masked=True, deflated=deflated) + NO_MASK + payload


def server_frame(payload: bytes, opcode: int = TEXT, *, deflated: bool = False) -> bytes:
    return header(len(payload), opcode, masked=False, deflated=deflated) + payload


def deflate(text: bytes) -> bytes:
    """A message compressed by itself, as permessage-deflate wants it (RFC 7692, 7.2.1)."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
    return packed.removesuffix(TAIL)


def inflate(packed: bytes) -> bytes:
    """:raises BadFrame: it is not compressed, or not by itself."""
    try:
        return zlib.decompressobj(wbits=-15).decompress(packed + TAIL)
    except zlib.error as error:
        raise BadFrame(f"not deflated: {error}") from None


def unmask(payload: bytes, key: bytes) -> bytes:
    if key == NO_MASK:
        return payload
    size = len(payload)
    keys = key * (size // 4 + 1)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys[:size], "big")).to_bytes(size, "big")


class Frames:
    """
    Reads frames of any split and puts messages together.

    :param masked: whether the peer has to mask, as clients do.
    """

    def __init__(self, *, masked: bool) -> None:
        self._masked = masked
        self._kept = bytearray()
        self._opcode = 0
        self._deflated = False
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[tuple[int, bool, bytes]]:
        """
        Take what was read.

        :returns: opcode, whether it is deflated (it is left so), and payload, of each message and control frame.
        :raises BadFrame: the peer broke the rules.
        """
        self._kept += data
        found = []
        at = 0
        while (frame := self._frame(at)) is not None:
            at, final, deflated, opcode, payload = frame
            if opcode >= CLOSE:
                found.append((opcode, False, payload))
                continue
            if bool(opcode) == bool(self._opcode):
                raise BadFrame("a message within a message" if opcode else "a message goes on that never began")
            if opcode:
                self._opcode, self._deflated = opcode, deflated
            self._parts.append(payload)
            if final:
                found.append((self._opcode, self._deflated, b"".join(self._parts)))
                self._opcode, self._parts = 0, []
        del self._kept[:at]
        return found

    def _frame(self, at: int) -> tuple[int, bool, bool, int, bytes] | None:
        """The end of the frame at ``at``, whether it is final, deflated; opcode, payload. None: not whole."""
        kept = self._kept
        if len(kept) < at + 2:
            return None
        first, second = kept[at], kept[at + 1]
        if bool(second & 0x80) != self._masked or first & 0x30:
            raise BadFrame(f"frame header {bytes(kept[at : at + 2])!r}")
        at += 2
        length = second & 0x7F
        wide = {126: 2, 127: 8}.get(length, 0)
        if len(kept) < at + wide + 4 * self._masked:
            return None
        if wide:
            length = int.from_bytes(kept[at : at + wide], "big")
            at += wide
        key = NO_MASK
        if self._masked:
            key = bytes(kept[at : at + 4])
            at += 4
        if len(kept) < at + length:
            return None
        payload = unmask(bytes(kept[at : at + length]), key)
        return at + length, bool(first & 0x80), bool(first & 0x40), first & 0x0F, payload
