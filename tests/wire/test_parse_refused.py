"""Request heads that are malformed, or that two readers could read apart: each is 400, and at once where it can be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.errors import BadRequest, ProxyError
from agentproxy.wire.parse import RequestHeads
from tests.wire.splits import every_split
from tests.wire.test_parse_request import head_of, read

POST = b"POST / HTTP/1.1"

FIRST_LINES = [
    b"GET /",
    b"GET / ",
    b"GET",
    b"",
    b" ",
    b" GET / HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"GET /  HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET\t/ HTTP/1.1",
    b"GET /\tHTTP/1.1",
    b"GET / HTTP/1.1\t",
    b"GET / a HTTP/1.1",
    b"G(T / HTTP/1.1",
    b"G\xe9T / HTTP/1.1",
    b"GET / HTTP/0.9",
    b"GET / HTTP/1.2",
    b"GET / HTTP/1.10",
    b"GET / HTTP/01.1",
    b"GET / HTTP/1",
    b"GET / HTTP/1.",
    b"GET / HTTP/1,1",
    b"GET / HTTP/2.0",
    b"GET / HTTP/2",
    b"PRI * HTTP/2.0",
    b"GET / http/1.1",
    b"GET / Http/1.1",
    b"GET / HTTPS/1.1",
    b"GET / ICE/1.0",
    b"GET / HTTP /1.1",
    b"GET  HTTP/1.1",
    # Targets.
    b"GET http://a/ HTTP/1.1",
    b"GET HTTPS://a/ HTTP/1.1",
    b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET // HTTP/1.1",
    b"GET //a/x HTTP/1.1",
    b"GET a HTTP/1.1",
    b"GET ?x HTTP/1.1",
    b"GET a:443 HTTP/1.1",
    b"GET \\x HTTP/1.1",
    b"GET /x#y HTTP/1.1",
    b"GET /x?y#z HTTP/1.1",
    b"GET /# HTTP/1.1",
    b"GET /\xe9 HTTP/1.1",
    b"GET /\x7f HTTP/1.1",
    b"GET /\x00 HTTP/1.1",
    b"GET /\x0b HTTP/1.1",
    b"GET /\r HTTP/1.1",
    b"GET /x\n HTTP/1.1",
]

LINES = [
    (b"No colon",),
    (b": no name",),
    (b" : no name",),
    (b"A : 1",),
    (b"A\t: 1",),
    (b" A: 1",),
    (b"\tA: 1",),
    (b"A B: 1",),
    (b"A(b): 1",),
    (b"A\xe9: 1",),
    (b"A\x00: 1",),
    (b'"A": 1',),
    (b"A: 1", b" folded"),
    (b"A: 1", b"\tfolded"),
    (b"A: 1", b" "),
    (b"A:", b" Content-Length: 5"),
    (b"A: 1\rB: 2",),
    (b"A: 1\nB: 2",),
    (b"A: 1\r\rB: 2",),
    (b"A: 1\n\rB: 2",),
    (b"A: 1\r",),
    (b"A: \n",),
    (b"A\r: 1",),
    # Framing.
    (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    (b"Transfer-Encoding: chunked", b"Content-Length: 0"),
    (b"Content-Length: 5", b"Content-Length: 5"),
    (b"Content-Length: 5", b"content-length: 6"),
    (b"Content-Length: 5, 5",),
    (b"Content-Length: 5,",),
    (b"Content-Length: +5",),
    (b"Content-Length: -5",),
    (b"Content-Length: -0",),
    (b"Content-Length: 0x5",),
    (b"Content-Length: 5h",),
    (b"Content-Length: 5 5",),
    (b"Content-Length: 5\t5",),
    (b"Content-Length: 5.0",),
    (b"Content-Length: 1_0",),
    (b'Content-Length: "5"',),
    (b"Content-Length: 5;x",),
    (b"Content-Length: \xb2",),
    (b"Content-Length:",),
    (b"Content-Length: five",),
    (b"Content-Length: 1000000000000000000",),
    (b"Content-Length: 18446744073709551617",),
    (b"Content-Length: " + b"9" * 400,),
    (b"Content-Length : 5",),
    (b"Transfer-Encoding: identity",),
    (b"Transfer-Encoding: gzip",),
    (b"Transfer-Encoding: gzip, chunked",),
    (b"Transfer-Encoding: chunked, gzip",),
    (b"Transfer-Encoding: chunked, chunked",),
    (b"Transfer-Encoding: chunked,",),
    (b"Transfer-Encoding: ,chunked",),
    (b"Transfer-Encoding: chunked;q=1",),
    (b'Transfer-Encoding: "chunked"',),
    (b"Transfer-Encoding: xchunked",),
    (b"Transfer-Encoding: chunkedx",),
    (b"Transfer-Encoding: chun ked",),
    (b"Transfer-Encoding: chunked\xa0",),
    (b"Transfer-Encoding: \x85chunked",),
    (b"Transfer-Encoding: chun\xe7ed",),
    (b"Transfer-Encoding: \x0bchunked",),
    (b"Transfer-Encoding:",),
    (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding: chunked", b"transfer-encoding: identity"),
    (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding:", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding : chunked",),
    # One Host is there already.
    (b"Host: a",),
    (b"host: b",),
    (b"Host:",),
]

HOSTS = [
    b"a b",
    b"a/b",
    b"a?b",
    b"a#b",
    b"a\\b",
    b"user@a",
    b"http://a",
    b"a:b",
    b"a:-1",
    b"a:80:80",
    b"a:123456",
    b"::1",
    b"[::1",
    b"::1]",
    b"[]",
    b"[::g]",
    b"[::1]x",
    b"[::1]:x",
    b"a\xe9",
    b"a%",
    b"a%4",
    b"a%zz",
    b"<a>",
    b'"a"',
    b"a,b c",
]


class Whole(SynchronousTestCase):
    def assert_bad(self, data: bytes) -> None:
        with self.assertRaises(BadRequest, msg=repr(data)) as caught:
            read([data])
        self.assertEqual(caught.exception.status, 400)

    def test_first_lines(self) -> None:
        """A request line that is none by RFC 9112, 3, of another version, or whose target is no plain path."""
        for line in FIRST_LINES:
            # An empty first line is skipped; what then stands first is no request line either.
            self.assert_bad(head_of(first=line))

    def test_lines(self) -> None:
        """A field that is none by RFC 9112, 5, or framing that could be read in two ways (6.3)."""
        for lines in LINES:
            for after in ((), (b"Z: 1",)):
                self.assert_bad(head_of(*lines, *after, first=POST))

    def test_control_bytes(self) -> None:
        """No control byte but the tab, in a value, a name, or before one; DEL is one too."""
        for byte in (*range(9), *range(10, 32), 127):
            for line in (b"A: 1%b2", b"A:%b", b"A%b: 1", b"%bA: 1"):
                self.assert_bad(head_of(line.replace(b"%b", bytes([byte])), first=POST))

    def test_transfer_encoding_in_1_0(self) -> None:
        """HTTP/1.0 knows no transfer codings (RFC 9112, 6.1)."""
        self.assert_bad(head_of(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"))

    def test_hosts(self) -> None:
        """A Host that is no host and port, from HTTP/1.0 too."""
        for host in HOSTS:
            for minor in (0, 1):
                self.assert_bad(head_of(b"Host: " + host, first=b"GET / HTTP/1.%d" % minor, host=False))

    def test_no_host(self) -> None:
        """HTTP/1.1 needs one, and one alone."""
        self.assert_bad(head_of(host=False))
        self.assert_bad(head_of(b"Hosts: a", host=False))
        self.assert_bad(head_of(b"Host: a", b"Host: a", first=b"GET / HTTP/1.0", host=False))

    def test_bare_line_feeds(self) -> None:
        """LF alone ends nothing, wherever it stands; a head whose every line ends so is refused too."""
        good = head_of(b"A: 1")
        self.assert_bad(good.replace(b"\r\n", b"\n"))
        self.assert_bad(good.replace(b"\r\n", b"\r"))
        for at in range(len(good)):
            if good[at : at + 2] == b"\r\n":
                self.assert_bad(good[:at] + good[at + 1 :] + good)
                self.assert_bad(good[: at + 1] + good[at + 2 :] + good)
        self.assert_bad(b"\n" + good)
        self.assert_bad(b"\r" + good)

    def test_splits(self) -> None:
        """However they are cut, they stay refused."""
        for data in (head_of(*lines, first=POST) for lines in LINES):
            for pieces in every_split(data[:120]):
                self.assertRaises(ProxyError, read, [*pieces, data[120:]])


class AtOnce(SynchronousTestCase):
    """What can't become a head any more is not waited for."""

    def test_unfinished(self) -> None:
        """A broken first line, a control byte, a bare CR or LF is refused before the head is whole."""
        for data in (
            b"\x16",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x00",
            b"\n",
            b"\rG",
            b"GET /\n",
            b"GET /\r ",
            b"GET /\x00",
            b"GET /\r\n",
            b"GET / http/1.1\r\n",
            b"GET / HTTP/2.0\r\n",
            b"GET / HTTP/1.1\n",
            b"GET / HTTP/1.1\rX",
            b"GET / HTTP/1.1\r\nA: 1\n",
            b"GET / HTTP/1.1\r\nA: 1\rB",
            b"GET / HTTP/1.1\r\nA: 1\r\r",
            b"GET / HTTP/1.1\r\nA: \x00",
            b"GET / HTTP/1.1\r\nA: 1\r\n\n",
            b"GET / HTTP/1.1\r\n\x7f",
        ):
            for pieces in every_split(data):
                heads = RequestHeads(65536)
                with self.assertRaises(BadRequest, msg=repr(pieces)):
                    for piece in pieces:
                        self.assertIsNone(heads.feed(piece))

    def test_may_still_become_one(self) -> None:
        """Every beginning of a good head is waited on, a CR at its end too."""
        good = head_of(b"A: caf\xe9\t", b"B:")
        for end in range(len(good)):
            self.assertIsNone(RequestHeads(65536).feed(good[:end]))
