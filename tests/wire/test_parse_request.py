"""Request heads: what is one, what it means, and that only its bytes count, not how they came."""

from __future__ import annotations

import httptools
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.errors import ExpectationFailed, HeadersTooLarge, MethodNotAllowed, ProxyError, UriTooLong
from agentproxy.wire.head import CHUNKED, RequestHead
from agentproxy.wire.parse import MAX_TARGET, RequestHeads, parse_request
from tests.wire.splits import PROPERTY, cut, every_split, places

LIMIT = 65536


def read(pieces: list[bytes], limit: int = LIMIT) -> tuple[RequestHead, bytes] | None:
    """Feed pieces until a head is whole; what is left of them stands behind its surplus."""
    heads = RequestHeads(limit)
    for number, piece in enumerate(pieces):
        got = heads.feed(piece)
        if got is not None:
            return got[0], got[1] + b"".join(pieces[number + 1 :])
    return None


def told(pieces: list[bytes]) -> object:
    """What came of it, comparable: all of a head, or an error's class."""
    try:
        got = read(pieces)
    except ProxyError as error:
        return type(error)
    if got is None:
        return None
    head, rest = got
    return (head.method, head.target, head.minor, head.fields, head.length, head.keep_alive, head.expects, rest)


def head_of(*lines: bytes, first: bytes = b"GET /x HTTP/1.1", host: bool = True) -> bytes:
    fields = (b"Host: a", *lines) if host else lines
    return b"".join(line + b"\r\n" for line in (first, *fields, b""))


WHOLE = [
    head_of(),
    b"\r\n\r\n" + head_of(b"X-A: 1", b"x-a:2\t"),
    head_of(b"Content-Length: 5", first=b"POST /v1/x?y=z%20 HTTP/1.1") + b"helloGET / HTTP/1.1\r\n",
    head_of(b"Transfer-Encoding: chunked", b"Expect: 100-Continue", first=b"PUT / HTTP/1.1") + b"0\r\n\r\n",
    head_of(b"X: caf\xe9\x85\xff", b"Empty:", b"Connection: close", first=b"BREW / HTTP/1.1"),
    head_of(host=False, first=b"GET / HTTP/1.0"),
    head_of(b"Upgrade: websocket", b"Connection: Upgrade", b"Last: 1") + b"\x81\x80abcd",
    head_of(first=b"TRACE / HTTP/1.1"),
    head_of(first=b"CONNECT a:443 HTTP/1.1"),
    head_of(b"Bad : 1"),
    head_of(b"A: 1", b" folded"),
    head_of(b"Expect: tea"),
    b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
]


class Splits(SynchronousTestCase):
    def test_every_place(self) -> None:
        """A head cut anywhere, or fed byte by byte, gives what it gives whole."""
        for data in WHOLE:
            expected = told([data])
            for pieces in every_split(data):
                self.assertEqual(told(pieces), expected, pieces)

    @PROPERTY
    @given(st.sampled_from(WHOLE), places(140))
    def test_any_split(self, data: bytes, at: list[int]) -> None:
        """In any number of pieces too."""
        self.assertEqual(told(cut(data, at)), told([data]))

    @PROPERTY
    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"\t", b"\0", b"A", b"Host: a", b"\xff"])))
    def test_noise(self, noise: list[bytes]) -> None:
        """Whatever follows a request line, only a `ProxyError` is raised, and what passes has no CR, LF or NUL."""
        try:
            got = read([b"GET / HTTP/1.1\r\n" + b"".join(noise) + b"\r\n\r\n"])
        except ProxyError:
            return
        assert got is not None
        for _, name, value in got[0].fields:
            self.assertFalse(set(b"\r\n\0") & set(name + value))

    def test_pending(self) -> None:
        """A head is pending from its first byte to its last, and empty lines before it are none of it."""
        heads = RequestHeads(LIMIT)
        self.assertFalse(heads.pending)
        heads.feed(b"\r\n\r\n")
        self.assertFalse(heads.pending)
        heads.feed(b"G")
        self.assertTrue(heads.pending)
        self.assertIsNotNone(heads.feed(b"ET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        self.assertFalse(heads.pending)

    def test_many_empty_lines(self) -> None:
        """A megabyte of leading empty lines is dropped in one go, whatever the limit."""
        self.assertEqual(told([b"\r\n" * 524288 + head_of()]), told([head_of()]))


class Meaning(SynchronousTestCase):
    def test_fields(self) -> None:
        """Fields keep order, case and doubles; white space around values goes, inside it stays; empty ones stay."""
        head = parse_request(head_of(b"X-A: \t 1  2 \t", b"x-a:3", b"Empty:", b"Empty2: \t"))
        self.assertEqual(
            head.fields,
            [
                (b"host", b"Host", b"a"),
                (b"x-a", b"X-A", b"1  2"),
                (b"x-a", b"x-a", b"3"),
                (b"empty", b"Empty", b""),
                (b"empty2", b"Empty2", b""),
            ],
        )
        self.assertEqual(head.values(b"x-a"), [b"1  2", b"3"])
        self.assertEqual(head.first(b"x-a"), b"1  2")
        self.assertIsNone(head.first(b"none"))

    def test_high_bytes(self) -> None:
        """Each byte from 0x80 to 0xff in a value is legal and passes as it is, next to its edges too."""
        for byte in range(0x80, 0x100):
            value = bytes([byte]) + b"x" + bytes([byte])
            self.assertEqual(parse_request(head_of(b"X: " + value)).first(b"x"), value)

    def test_every_token_is_a_method(self) -> None:
        """Methods that no registry knows pass as they are (RFC 9110, 9.1), in their own case."""
        for method in (b"GET", b"QUERY", b"BREW", b"get", b"M-SEARCH", b"a1!#$%&'*+-.^_`|~", b"PRI", b"connect", b"X"):
            self.assertEqual(parse_request(head_of(first=method + b" / HTTP/1.1")).method, method)

    def test_targets(self) -> None:
        """A path passes byte for byte, and `path` is what stands before its query."""
        for target, path in ((b"/", b"/"), (b"/a//b", b"/a//b"), (b"/a?b?c//", b"/a"), (b"/%2F%zz?", b"/%2F%zz")):
            head = parse_request(head_of(first=b"GET " + target + b" HTTP/1.1"))
            self.assertEqual((head.target, head.path), (target, path))

    def test_body(self) -> None:
        """Where a body follows, and how long it is."""
        for lines, length in (
            ((), 0),
            ((b"Content-Length: 0",), 0),
            ((b"content-LENGTH: \t0042 ",), 42),
            ((b"Content-Length: 999999999999999999",), 999999999999999999),
            ((b"Transfer-Encoding: chunked",), CHUNKED),
            ((b"transfer-encoding:\tChunKed ",), CHUNKED),
        ):
            self.assertEqual(parse_request(head_of(*lines)).length, length, lines)

    def test_connection(self) -> None:
        """Whether the connection lives on (RFC 9112, 9.3), and `Connection`'s options over all its lines."""
        for minor, lines, keep in (
            (1, (), True),
            (1, (b"Connection: close",), False),
            (1, (b"Connection: x, ,CLOSE",), False),
            (1, (b"Connection: keep-alive", b"Connection: close"), False),
            (1, (b"Connection: closed",), True),
            (1, (b"Proxy-Connection: close",), True),
            (0, (), False),
            (0, (b"Connection: Keep-Alive",), True),
            (0, (b"Connection: keep-alive, close",), False),
        ):
            head = parse_request(head_of(*lines, first=b"GET / HTTP/1.%d" % minor))
            self.assertEqual((head.minor, head.keep_alive), (minor, keep), lines)
        head = parse_request(head_of(b"Connection: X-A,,\tupgrade ", b"connection: b"))
        self.assertEqual(head.connection, {b"x-a", b"upgrade", b"b"})

    def test_expect(self) -> None:
        """100-continue is known in any case, but not from HTTP/1.0 (RFC 9110, 10.1.1)."""
        for minor, lines, expects in (
            (1, (), False),
            (1, (b"Expect: 100-continue",), True),
            (1, (b"expect: 100-CONTINUE ",), True),
            (0, (b"Expect: 100-continue",), False),
        ):
            head = parse_request(head_of(*lines, first=b"GET / HTTP/1.%d" % minor))
            self.assertEqual(head.expects, expects, lines)

    def test_hosts(self) -> None:
        """One valid Host passes, an empty one too (RFC 9112, 3.2); HTTP/1.0 may leave it out."""
        for host in (
            b"",
            b"a",
            b"A.example:443",
            b"[::1]",
            b"[fe80::1%25eth0]:8",
            b"127.0.0.1:0",
            b"a_b",
            b"x%41",
            b"a:",
        ):
            self.assertEqual(parse_request(head_of(b"Host: " + host, host=False)).first(b"host"), host)
        parse_request(head_of(host=False, first=b"GET / HTTP/1.0"))


class Limits(SynchronousTestCase):
    def test_target(self) -> None:
        """The longest target passes however it is cut; one byte more is 414, as soon as it is seen."""
        data = head_of(first=b"GET /" + b"a" * (MAX_TARGET - 1) + b" HTTP/1.1")
        start = len(b"GET /") + MAX_TARGET - 3
        for place in (*range(start, len(data)), 1, 4, 9000):
            got = read([data[:place], data[place:]])
            assert got is not None
            self.assertEqual(len(got[0].target), MAX_TARGET)
        self.assertIsNone(read([b"GET /" + b"a" * (MAX_TARGET - 1)]))
        for over in (b"", b" ", b" HTTP/1.1\r", b" HTTP/1.1\r\n", b" HTTP/1.1\r\nHost: a\r\n\r\n"):
            with self.assertRaises(UriTooLong) as caught:
                read([b"GET /" + b"a" * MAX_TARGET + over])
            self.assertEqual(caught.exception.status, 414)

    def test_target_over_both(self) -> None:
        """A target that is over both limits is 414, one that is over the head's alone 431."""
        self.assertRaises(UriTooLong, read, [b"GET /" + b"a" * MAX_TARGET], 1024)
        self.assertRaises(HeadersTooLarge, read, [b"GET /" + b"a" * 1024], 1024)

    def test_head(self) -> None:
        """A head of exactly the limit passes however it is cut, one byte more is 431, whole or not."""
        for limit in (100, 70000):
            empty = head_of(b"X: ")
            data = head_of(b"X: " + b"v" * (limit - len(empty)))
            self.assertEqual(len(data), limit)
            for place in (1, limit // 2, *range(limit - 8, limit)):
                self.assertIsNotNone(read([data[:place], data[place:] + b"body" * 100], limit))
                self.assertIsNotNone(read([b"\r\n\r\n" + data[:place], data[place:]], limit))
            self.assertRaises(HeadersTooLarge, read, [data], limit - 1)
            self.assertRaises(HeadersTooLarge, read, [data[:-4] + b"v" + data[-4:]], limit)
            self.assertIsNone(read([data[:-4]], limit))
            self.assertRaises(HeadersTooLarge, read, [data[:-4] + b"vvvvv"], limit)

    def test_head_without_line(self) -> None:
        """A method that never ends is 431 once it is over the limit."""
        self.assertIsNone(read([b"A" * 100], 100))
        self.assertRaises(HeadersTooLarge, read, [b"A" * 101], 100)


class Refused(SynchronousTestCase):
    def test_methods(self) -> None:
        """TRACE and CONNECT are 405 whatever their target."""
        for target in (b"/", b"*", b"host:443", b"//", b"http://a/", b"/v1#x", b"[::1]:443", b"\xff", b"a b"):
            for method in (b"TRACE", b"CONNECT"):
                with self.assertRaises(MethodNotAllowed) as caught:
                    read([head_of(first=method + b" " + target + b" HTTP/1.1")])
                self.assertEqual(caught.exception.status, 405)

    def test_expectations(self) -> None:
        """An Expect other than 100-continue is 417, from HTTP/1.0 too."""
        for value in (b"tea", b"100-continue, tea", b"100-continued", b"", b"100-continue;q=1"):
            for minor in (0, 1):
                with self.assertRaises(ExpectationFailed) as caught:
                    read([head_of(b"Expect: " + value, first=b"GET / HTTP/1.%d" % minor)])
                self.assertEqual(caught.exception.status, 417)
        self.assertRaises(ExpectationFailed, read, [head_of(b"Expect: 100-continue", b"Expect: x")])


class Splitting:
    """What llhttp finds in a head."""

    def __init__(self, head: bytes) -> None:
        self.fields: list[tuple[bytes, bytes, bytes]] = []
        httptools.HttpRequestParser(self).feed_data(head)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), name, value.strip(b" \t")))


class SecondOpinionTests(SynchronousTestCase):
    @PROPERTY
    @given(
        st.lists(
            st.tuples(
                st.text("abcXYZ019-_!#$%&'*+.^`|~", min_size=1, max_size=12),
                st.binary(max_size=30).map(lambda value: bytes(byte for byte in value if byte > 31 and byte != 127)),
                st.sampled_from([b"", b" ", b"\t", b"  \t "]),
            ),
            max_size=8,
        )
    )
    def test_same_fields(self, fields: list[tuple[str, bytes, bytes]]) -> None:
        """A head that passes is split where llhttp splits it: names as sent, values without the space around them."""
        lines = [b"%b:%b%b%b\r\n" % (b"x" + name.encode(), blank, value, blank) for name, value, blank in fields]
        head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(lines) + b"\r\n"
        self.assertEqual(parse_request(head).fields, Splitting(head).fields)

    def test_no_fields(self) -> None:
        """A head of a request line alone has none."""
        self.assertEqual(parse_request(b"GET / HTTP/1.0\r\n\r\n").fields, [])
