"""Response heads: what they mean for the body and the connection, and which are refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.head import CHUNKED, UNTIL_CLOSE, BadHead, ResponseHead
from agentproxy.wire.parse import parse_response, split_head
from tests.wire.splits import PROPERTY


def head_of(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"".join(line + b"\r\n" for line in (first, *lines, b""))


def parsed(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET") -> ResponseHead:
    return parse_response(head_of(*lines, first=first), method)


LENGTH = b"Content-Length: 5"
CHUNKS = b"Transfer-Encoding: chunked"
KEEP = b"Connection: keep-alive"


class Meaning(SynchronousTestCase):
    def test_status_lines(self) -> None:
        """Status and reason as sent; the reason may be empty or, with its space, missing."""
        for line, expected in (
            (b"HTTP/1.1 200 OK", (1, 200, b"OK")),
            (b"HTTP/1.0 404 Not  Found", (0, 404, b"Not  Found")),
            (b"HTTP/1.1 200 ", (1, 200, b"")),
            (b"HTTP/1.1 200", (1, 200, b"")),
            (b"HTTP/1.1 999 \xe9\t!", (1, 999, b"\xe9\t!")),
            (b"HTTP/1.1 101 Switching Protocols", (1, 101, b"Switching Protocols")),
        ):
            head = parsed(LENGTH, first=line)
            self.assertEqual((head.minor, head.status, head.reason), expected)

    def test_fields(self) -> None:
        """Fields keep order, case, doubles and bytes from 0x80 to 0xff; white space around values goes."""
        high = bytes(range(0x80, 0x100))
        head = parsed(b"Set-Cookie: a=1; b", b"set-cookie: \tc ", b"Empty:", b"X: " + high, LENGTH)
        self.assertEqual(
            head.fields,
            [
                (b"set-cookie", b"Set-Cookie", b"a=1; b"),
                (b"set-cookie", b"set-cookie", b"c"),
                (b"empty", b"Empty", b""),
                (b"x", b"X", high),
                (b"content-length", b"Content-Length", b"5"),
            ],
        )

    def test_framing(self) -> None:
        """The body's length and whether the connection can serve again (RFC 9112, 6.3 and 9.3)."""
        for minor, status, method, lines, length, keep in (
            (1, 200, b"GET", (LENGTH,), 5, True),
            (1, 200, b"GET", (b"Content-Length: 0",), 0, True),
            (1, 200, b"GET", (CHUNKS,), CHUNKED, True),
            (1, 200, b"GET", (b"transfer-encoding: CHUNKED ",), CHUNKED, True),
            (1, 200, b"GET", (), UNTIL_CLOSE, False),
            (1, 200, b"GET", (KEEP,), UNTIL_CLOSE, False),
            (1, 200, b"GET", (LENGTH, b"Connection: close"), 5, False),
            (1, 200, b"GET", (CHUNKS, b"Connection: x, Close"), CHUNKED, False),
            (0, 200, b"GET", (LENGTH,), 5, False),
            (0, 200, b"GET", (LENGTH, b"Connection: Keep-Alive"), 5, True),
            (0, 200, b"GET", (LENGTH, KEEP, b"Connection: close"), 5, False),
            (0, 200, b"GET", (KEEP,), UNTIL_CLOSE, False),
            (0, 200, b"GET", (), UNTIL_CLOSE, False),
            (1, 200, b"HEAD", (LENGTH,), 0, True),
            (1, 200, b"HEAD", (CHUNKS,), 0, True),
            (1, 200, b"HEAD", (), 0, True),
            (1, 200, b"HEAD", (b"Connection: close",), 0, False),
            (0, 200, b"HEAD", (), 0, False),
            (1, 204, b"GET", (), 0, True),
            (1, 204, b"GET", (LENGTH,), 0, True),
            (1, 304, b"GET", (LENGTH,), 0, True),
            (1, 304, b"GET", (), 0, True),
            (1, 205, b"GET", (), UNTIL_CLOSE, False),
            (1, 100, b"POST", (), 0, True),
            (1, 101, b"GET", (b"Connection: Upgrade", b"Upgrade: websocket"), 0, True),
            (1, 103, b"GET", (LENGTH,), 0, True),
            (1, 500, b"get", (LENGTH,), 5, True),
        ):
            head = parsed(*lines, first=b"HTTP/1.%d %d X" % (minor, status), method=method)
            self.assertEqual((head.length, head.keep_alive), (length, keep), (minor, status, method, lines))

    def test_connection(self) -> None:
        """The options of all `Connection` lines, in lower case."""
        head = parsed(b"Connection: X-A, ,b", b"connection: C", LENGTH)
        self.assertEqual(head.connection, {b"x-a", b"b", b"c"})

    def test_upgrade_keeps_its_fields(self) -> None:
        """What stands behind an upgrade's fields is not lost."""
        head = parsed(b"Upgrade: websocket", b"Connection: upgrade", b"Empty:", b"Last: 1", first=b"HTTP/1.1 101 S")
        self.assertEqual([key for key, _, _ in head.fields], [b"upgrade", b"connection", b"empty", b"last"])


class Refused(SynchronousTestCase):
    def test_status_lines(self) -> None:
        """What is no status line of HTTP/1.0 or 1.1."""
        for line in (
            b"",
            b"HTTP/1.1",
            b"HTTP/1.1 ",
            b"HTTP/1.1 20",
            b"HTTP/1.1 2000",
            b"HTTP/1.1 099 X",
            b"HTTP/1.1 20x OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1 +20 OK",
            b"HTTP/1.1 \xb2\xb2\xb2 OK",
            b" HTTP/1.1 200 OK",
            b"http/1.1 200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/2 200",
            b"HTTP/2.0 200 OK",
            b"HTTP/0.9 200 OK",
            b"ICY 200 OK",
            b"SSH-2.0-OpenSSH",
            b"HTTP/1.1 200 O\x00K",
            b"HTTP/1.1 200 O\rK",
            b"HTTP/1.1 200 O\nK",
            b"HTTP/1.1 200 OK\x7f",
        ):
            self.assertRaises(BadHead, parsed, LENGTH, first=line)

    def test_fields(self) -> None:
        """Malformed lines, and framing that could be read in two ways, whatever status and method say of a body."""
        for lines in (
            (b"No colon",),
            (b": x",),
            (b"A : 1",),
            (b" A: 1",),
            (b"A: 1", b" folded"),
            (b"A: 1", b"\tfolded"),
            (b"A: 1\rB: 2",),
            (b"A: 1\nB: 2",),
            (b"A: \x00",),
            (b"A: \x0b",),
            (LENGTH, CHUNKS),
            (CHUNKS, LENGTH),
            (LENGTH, LENGTH),
            (LENGTH, b"Content-Length: 6"),
            (b"Content-Length: 5, 5",),
            (b"Content-Length: +5",),
            (b"Content-Length: -5",),
            (b"Content-Length: 0x5",),
            (b"Content-Length: 5 5",),
            (b"Content-Length:",),
            (b"Content-Length: 1000000000000000000",),
            (b"Content-Length: " + b"9" * 30,),
            (b"Transfer-Encoding: gzip",),
            (b"Transfer-Encoding: identity",),
            (b"Transfer-Encoding: gzip, chunked",),
            (b"Transfer-Encoding: chunked, chunked",),
            (b"Transfer-Encoding: chunked, gzip",),
            (b"Transfer-Encoding: chunked\xa0",),
            (b"Transfer-Encoding:",),
            (CHUNKS, CHUNKS),
            (b"Transfer-Encoding: gzip", CHUNKS),
        ):
            for status, method in ((200, b"GET"), (200, b"HEAD"), (204, b"GET"), (304, b"GET"), (100, b"GET")):
                first = b"HTTP/1.1 %d X" % status
                with self.assertRaises(BadHead, msg=(lines, status, method)):
                    parsed(*lines, first=first, method=method)

    def test_chunked_in_1_0(self) -> None:
        """HTTP/1.0 knows no transfer codings (RFC 9112, 6.1)."""
        self.assertRaises(BadHead, parsed, CHUNKS, first=b"HTTP/1.0 200 OK")

    @PROPERTY
    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"A", b"Content-Length: 1", b"\0", b"\xff"])))
    def test_noise(self, noise: list[bytes]) -> None:
        """Only `BadHead` is raised, whatever comes."""
        try:
            head = parse_response(b"HTTP/1.1 200 OK\r\n" + b"".join(noise) + b"\r\n\r\n", b"GET")
        except BadHead:
            return
        for _, name, value in head.fields:
            self.assertFalse(set(b"\r\n\0") & set(name + value))


class SplitHead(SynchronousTestCase):
    def test_split(self) -> None:
        """The first empty line ends a head; what follows is kept as it is."""
        self.assertEqual(split_head(b"a\r\n\r\nb\r\n\r\n", 100), (b"a\r\n\r\n", b"b\r\n\r\n"))
        self.assertEqual(split_head(b"a\r\n\r\n", 100), (b"a\r\n\r\n", b""))
        for part in (b"", b"a", b"a\r\n", b"a\r\n\r", b"a\n\n"):
            self.assertIsNone(split_head(part, 100))

    def test_limit(self) -> None:
        """A head of exactly the limit passes, whatever follows it; one byte more does not, whole or not."""
        data = b"a" * 6 + b"\r\n\r\n"
        self.assertEqual(split_head(data + b"rest" * 9, 10), (data, b"rest" * 9))
        self.assertRaises(BadHead, split_head, data, 9)
        self.assertIsNone(split_head(b"a" * 10, 10))
        self.assertRaises(BadHead, split_head, b"a" * 11, 10)
