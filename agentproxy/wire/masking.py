"""WebSocket frames to be sent: masking (RFC 6455, 5.3) as a XOR of big integers, and a payload's header."""

from __future__ import annotations

_PIECE = 16384  # a multiple of four; beyond it the integers leave the cache and cost twice as much a byte


def masked(payload: bytes, key: bytes, offset: int = 0) -> bytes:
    """
    Mask a payload, or unmask it: the operation is its own inverse.

    :param key: four bytes.
    :param offset: where in the frame's payload these bytes begin.
    """
    turn = offset & 3
    if turn:
        key = key[turn:] + key[:turn]
    size = len(payload)
    if size <= _PIECE:
        return _xor(payload, key, size)
    pieces = (payload[at : at + _PIECE] for at in range(0, size, _PIECE))
    return b"".join([_xor(piece, key, len(piece)) for piece in pieces])


def _xor(payload: bytes, key: bytes, size: int) -> bytes:
    pad = (key * ((size >> 2) + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def whole_frame(opcode: int, payload: bytes, mask: bytes | None) -> bytes:
    """
    A final frame without reserved bits, its length in the shortest form (RFC 6455, 5.2).

    :param mask: four bytes towards a server, ``None`` towards a client.
    """
    size = len(payload)
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big")
    return head + payload if mask is None else head + mask + masked(payload, mask)
