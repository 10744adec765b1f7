"""HTTP/1.1 messages: heads, and a reader that takes any split of the bytes. As much of RFC 9112 as is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_HEAD = 65536


class Malformed(Exception):
    """What came is no HTTP message, or one of a kind that neither end here sends."""


@dataclass(frozen=True)
class Head:
    """
    :ivar start: the request's or status line.
    :ivar fields: header fields, names in lower case; of a repeated one the values are joined by ", ".
    :ivar size: bytes of it all, with the empty line.
    """

    start: bytes
    fields: dict[bytes, bytes]
    size: int

    @property
    def status(self) -> int:
        """An answer's status; 0 where the line has none."""
        word = self.start.split(b" ", 2)[1:2]
        return int(word[0]) if word and word[0].isdigit() else 0

    @property
    def closes(self) -> bool:
        return b"close" in self.fields.get(b"connection", b"").lower()

    @property
    def chunked(self) -> bool:
        return self.fields.get(b"transfer-encoding", b"").lower() == b"chunked"


def parse_head(data: bytes) -> Head:
    """
    :param data: up to and with the empty line.
    :raises Malformed: a line without a colon.
    """
    start, *lines = data[:-4].split(b"\r\n")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise Malformed(f"header line {line!r}")
        name, value = name.strip().lower(), value.strip()
        fields[name] = fields[name] + b", " + value if name in fields else value
    return Head(start, fields, len(data))


def build_head(start: str, fields: list[tuple[str, str]]) -> bytes:
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in fields), "", ""]).encode("latin-1")


class Reader:
    """
    Reads one message after the other off a connection. Answers without a body that have a length all the same (to HEAD,
    304) are not understood: nobody here asks for them.

    :param on_head: called with each head.
    :param on_body: called with each piece of a body.
    :param on_end: called at each message's end.
    """

    def __init__(
        self, on_head: Callable[[Head], None], on_body: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> None:
        self._on_head = on_head
        self._on_body = on_body
        self._on_end = on_end
        self._kept = b""
        self._step: Callable[[bytes], bytes | None] = self._head
        self._missing = 0
        self._detached = False

    @property
    def between(self) -> bool:
        """Whether no message has begun that has not ended."""
        return self._step == self._head and not self._kept

    def detach(self) -> None:
        """From ``on_head``: what follows is no HTTP; `feed` returns it."""
        self._detached = True

    def feed(self, data: bytes) -> bytes:
        """
        Take what was read.

        :returns: what belongs to another protocol, behind a head at which `detach` was called.
        :raises Malformed: it is no message.
        """
        if self._kept:
            data, self._kept = self._kept + data, b""
        while data:
            rest = self._step(data)
            if self._detached:
                return rest or b""
            if rest is None:
                self._kept = data
                break
            data = rest
        return b""

    # Each step takes bytes and returns those it did not need, or None where it needs more than there are.

    def _head(self, data: bytes) -> bytes | None:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > MAX_HEAD:
                raise Malformed("a head without end")
            return None
        head = parse_head(data[: end + 4])
        length = head.fields.get(b"content-length")
        if head.chunked:
            self._step = self._chunk_line
        elif length is not None:
            if not length.isdigit():
                raise Malformed(f"content-length {length!r}")
            self._missing = int(length)
            self._step = self._plain
        elif head.start.startswith(b"HTTP/") and head.status >= 200:
            self._step = self._to_the_end
        self._on_head(head)
        if not self._detached and (self._step == self._head or (self._step == self._plain and not self._missing)):
            self._ended()
        return data[end + 4 :]

    def _ended(self) -> None:
        self._step = self._head
        self._on_end()

    def _plain(self, data: bytes) -> bytes:
        if len(data) < self._missing:
            self._missing -= len(data)
            self._on_body(data)
            return b""
        part, rest = data[: self._missing], data[self._missing :]
        self._on_body(part)
        self._ended()
        return rest

    def _to_the_end(self, data: bytes) -> bytes:
        """A body that ends with the connection, of which `eof` tells."""
        self._on_body(data)
        return b""

    def eof(self) -> bool:
        """The connection has ended; whether that was a message's end."""
        if self._step != self._to_the_end:
            return False
        self._ended()
        return True

    def _chunk_line(self, data: bytes) -> bytes | None:
        end = data.find(b"\r\n")
        if end < 0:
            if len(data) > MAX_HEAD:
                raise Malformed("a chunk's line without end")
            return None
        try:
            self._missing = int(data[:end].partition(b";")[0], 16)
        except ValueError:
            raise Malformed(f"chunk size {data[:end]!r}") from None
        self._step = self._chunk if self._missing else self._trailer
        return data[end + 2 :]

    def _chunk(self, data: bytes) -> bytes:
        if len(data) < self._missing:
            self._missing -= len(data)
            self._on_body(data)
            return b""
        part, rest = data[: self._missing], data[self._missing :]
        self._on_body(part)
        self._step = self._chunk_end
        return rest

    def _chunk_end(self, data: bytes) -> bytes | None:
        if len(data) < 2:
            return None
        if data[:2] != b"\r\n":
            raise Malformed(f"behind a chunk: {data[:10]!r}")
        self._step = self._chunk_line
        return data[2:]

    def _trailer(self, data: bytes) -> bytes | None:
        end = data.find(b"\r\n")
        if end < 0:
            return None
        if end == 0:
            self._ended()
        return data[end + 2 :]
