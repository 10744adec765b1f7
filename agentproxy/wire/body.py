"""
Body framing by RFC 9112: the chunked coding read and written, strictly, keeping what comes behind the body.

llhttp does not say where a body ended inside the bytes it was given, and a relay has to know.
"""

from __future__ import annotations

import re

from agentproxy.wire.head import CHUNKED, UNTIL_CLOSE

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_MAX_SIZE_LINE = 4096

LAST_CHUNK = b"0\r\n\r\n"
"""What ends a chunked body that has no trailers."""


class BadBody(ValueError):
    """A body whose framing is broken."""


def chunk(data: bytes) -> bytes:
    """One chunk of these bytes, which may not be empty (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ChunkedReader:
    """
    Takes the chunked coding off (RFC 9112, 7.1). Chunk extensions and trailers are checked and dropped.

    :param trailer_limit: bytes that the trailer section may have.
    :ivar done: whether the body has ended.
    :ivar rest: what came behind it, once it has.
    """

    __slots__ = ("_data", "_left", "_trailers", "_trailing", "done", "rest")

    def __init__(self, trailer_limit: int) -> None:
        self._data = b""
        # Bytes of the chunk that are still to come, its CR LF included; 0 between chunks.
        self._left = 0
        self._trailing = False
        self._trailers = trailer_limit
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes.

        :returns: the body bytes among them, perhaps none.
        :raises BadBody: the framing is broken. Body bytes before the break are lost with it.
        """
        if self._data:
            data = self._data + data
            self._data = b""
        if self._trailing:
            self._trailer(data, 0)
            return b""
        pieces: list[bytes] = []
        left, at, size = self._left, 0, len(data)
        while at < size:
            if left > 2:
                piece = data[at : at + left - 2]
                pieces.append(piece)
                left -= len(piece)
                at += len(piece)
            elif left:
                # The CR LF behind the chunk's data.
                if data[at] != (13 if left == 2 else 10):
                    raise BadBody("chunk data not ended by CR LF")
                left -= 1
                at += 1
            else:
                end = data.find(b"\r\n", at)
                if end < 0:
                    # Its CR may be here already; a bare LF ends nothing.
                    if size - at > _MAX_SIZE_LINE + 1 or data.find(b"\n", at) >= 0:
                        raise BadBody("a chunk size line not ended by CR LF")
                    self._data = data[at:]
                    break
                line = _SIZE_LINE.fullmatch(data, at, end)
                if line is None or end - at > _MAX_SIZE_LINE:
                    raise BadBody("a malformed chunk size line")
                at = end + 2
                left = int(line.group(1), 16)
                if left == 0:
                    self._trailing = True
                    self._trailer(data, at)
                    break
                left += 2
        self._left = left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _trailer(self, data: bytes, at: int) -> None:
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                # The CR of the empty line that ends it is not the section's.
                if len(data) - at > max(self._trailers, 1):
                    raise BadBody("a trailer section over the limit")
                if data.find(b"\n", at) >= 0:
                    raise BadBody("a trailer line not ended by CR LF")
                self._data = data[at:]
                return
            if end == at:
                self.done = True
                self.rest = data[end + 2 :]
                return
            if _TRAILER_LINE.fullmatch(data, at, end) is None:
                raise BadBody("a malformed trailer line")
            self._trailers -= end + 2 - at
            if self._trailers < 0:
                raise BadBody("a trailer section over the limit")
            at = end + 2


class LengthReader:
    """
    Follows a body of known length, with the interface of `ChunkedReader`.

    :param length: its bytes.
    """

    __slots__ = ("done", "left", "rest")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; returns those of the body."""
        size = len(data)
        if size < self.left:
            self.left -= size
            return data
        if size > self.left:
            self.rest = data[self.left :]
            data = data[: self.left]
        self.left = 0
        self.done = True
        return data


class UntilCloseReader:
    """Follows a body that ends with its connection; it is never `done` by itself."""

    __slots__ = ()
    done = False
    rest = b""

    def feed(self, data: bytes) -> bytes:
        """Every byte is the body's."""
        return data


BodyReader = ChunkedReader | LengthReader | UntilCloseReader


def body_reader(length: int, trailer_limit: int) -> BodyReader:
    """The reader for a head's ``length``."""
    if length == CHUNKED:
        return ChunkedReader(trailer_limit)
    return UntilCloseReader() if length == UNTIL_CLOSE else LengthReader(length)
