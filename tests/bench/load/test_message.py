"""The reader of HTTP messages, for which any split of the bytes is the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from bench.load.message import Malformed, Reader, build_head, parse_head
from tests.wire.splits import PROPERTY, cut, every_split, places

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX-Trailer: 1\r\nX-B: 2\r\n\r\n"
)
NONE = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class Read:
    def __init__(self) -> None:
        self.found: list[Any] = []
        self.reader = Reader(lambda head: self.found.append(head.start), self._body, lambda: self.found.append("end"))

    def _body(self, data: bytes) -> None:
        if isinstance(self.found[-1], bytearray):
            self.found[-1] += data
        else:
            self.found.append(bytearray(data))


def read(pieces: list[bytes]) -> list[Any]:
    read = Read()
    for piece in pieces:
        read.reader.feed(piece)
    return read.found


class ReaderTests(SynchronousTestCase):
    def test_messages(self) -> None:
        """Bodies by length, in chunks, empty and none, one behind the other."""
        expected = [
            b"HTTP/1.1 200 OK", b"hello", "end", b"HTTP/1.1 200 OK", b"hello", "end", b"GET / HTTP/1.1", "end",
            b"HTTP/1.1 200 OK", "end", b"HTTP/1.1 100 Continue", "end",
        ]  # fmt: skip
        for pieces in every_split(PLAIN + CHUNKED + NONE + EMPTY + INTERIM):
            self.assertEqual(read(pieces), expected)

    @PROPERTY
    @given(places(len(PLAIN + CHUNKED) * 2))
    def test_split(self, at: list[int]) -> None:
        """Any split gives the same."""
        data = (PLAIN + CHUNKED) * 2
        self.assertEqual(read(cut(data, at)), read([data]))

    def test_to_the_end(self) -> None:
        """An answer without a length ends with its connection; one that has a length does not."""
        found = Read()
        found.reader.feed(b"HTTP/1.1 200 OK\r\n\r\nhello")
        self.assertTrue(found.reader.eof())
        self.assertEqual(found.found, [b"HTTP/1.1 200 OK", b"hello", "end"])
        for data in (b"", PLAIN, PLAIN[:-1], CHUNKED[:-1], b"HTTP/1.1"):
            other = Read()
            other.reader.feed(data)
            self.assertFalse(other.reader.eof())

    def test_between(self) -> None:
        """Whether a message is under way is known."""
        for size in range(len(PLAIN) + 1):
            found = Read()
            found.reader.feed(PLAIN[:size])
            self.assertEqual(found.reader.between, size in (0, len(PLAIN)), size)

    def test_detach(self) -> None:
        """Behind a head that ends HTTP, bytes are given back."""
        reader = Reader(lambda head: reader.detach(), lambda data: self.fail("a body"), lambda: self.fail("an end"))
        self.assertEqual(reader.feed(b"HTTP/1.1 101 S\r\nupgrade: websocket\r\n"), b"")
        self.assertEqual(reader.feed(b"\r\n\x81\x00"), b"\x81\x00")

    def test_malformed(self) -> None:
        """What is no message is said so."""
        for data in (
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
            b"x" * 70_000,
        ):
            self.assertRaises(Malformed, read, [data])

    def test_head(self) -> None:
        """A head that was built is read as it was meant; repeated fields are joined."""
        head = parse_head(build_head("HTTP/1.1 204 No", [("Connection", "Close"), ("a", "1"), ("A", "2")]))
        self.assertEqual((head.status, head.closes, head.chunked, head.fields[b"a"]), (204, True, False, b"1, 2"))
        self.assertEqual(parse_head(b"HTTP/1.1\r\n\r\n").status, 0)
