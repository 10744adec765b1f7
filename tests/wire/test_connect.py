"""CONNECT's client half: the request's bytes, and every kind of answer in every kind of pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.connect import (
    MAX_HEAD,
    ConnectHandshake,
    TunnelGarbled,
    TunnelRefused,
    authority,
    connect_request,
)
from agentproxy.wire.parse import parse_response
from tests.wire.splits import PROPERTY, cut, every_split, places

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


def read(pieces: list[bytes]) -> bytes | None:
    """The surplus, with the pieces that were not fed any more behind it."""
    handshake = ConnectHandshake()
    for number, piece in enumerate(pieces):
        surplus = handshake.feed(piece)
        if surplus is not None:
            return surplus + b"".join(pieces[number + 1 :])
    return None


class Request(SynchronousTestCase):
    def test_plain(self) -> None:
        """The authority stands in the request line and in Host; nothing else is said."""
        self.assertEqual(
            connect_request("api.example", 443, None),
            b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n",
        )
        self.assertEqual(connect_request("a", 1, ""), b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")

    def test_credential(self) -> None:
        """The proxy's credential goes in its own field."""
        self.assertEqual(
            connect_request("a", 443, "Basic dTpw"),
            b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n",
        )

    def test_authority(self) -> None:
        """IPv6 addresses come in brackets."""
        self.assertEqual(authority("::1", 443), "[::1]:443")
        self.assertEqual(authority("10.0.0.1", 80), "10.0.0.1:80")
        self.assertTrue(
            connect_request("::1", 443, None).startswith(b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r")
        )


class Answer(SynchronousTestCase):
    def test_accepted(self) -> None:
        """Any 2xx opens the tunnel; what stands behind its head is the surplus, exactly, in every split."""
        for head in (
            OK,
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200\r\n\r\n",
            b"HTTP/1.1 299 \r\nVia: 1.1 squid\r\nX: \xe9\r\n\r\n",
        ):
            for surplus in (b"", b"\x16\x03\x01", b"\r\n\r\nHTTP/1.1 403 No\r\n\r\n"):
                for pieces in every_split(head + surplus):
                    self.assertEqual(read(pieces), surplus, pieces)

    def test_framing_is_ignored(self) -> None:
        """A 2xx answer's Content-Length and Transfer-Encoding mean nothing, however odd (RFC 9110, 9.3.6)."""
        for lines in (
            b"Content-Length: 5\r\n",
            b"content-length: x\r\nContent-Length: 7\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            b"TRANSFER-ENCODING: gzip\r\nX: 1\r\n",
        ):
            self.assertEqual(read([b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nhello"]), b"hello")

    def test_interim(self) -> None:
        """1xx answers before the final one are passed over, however many pieces they come in."""
        data = b"HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\nHTTP/1.1 103 X\r\n\r\n" + OK + b"tls"
        for pieces in every_split(data):
            self.assertEqual(read(pieces), b"tls", pieces)
        self.assertIsNone(read([data[:60]]))
        self.assertRaises(TunnelRefused, read, [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 No\r\n\r\n"])

    def test_refused(self) -> None:
        """Any other final status is a refusal that says which, whatever its framing and body; 101 is one too."""
        for status in (101, 300, 301, 400, 403, 407, 429, 500, 502, 503, 504, 999):
            data = b"HTTP/1.1 %d No\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nno!" % status
            for pieces in every_split(data):
                with self.assertRaises(TunnelRefused) as caught:
                    read(pieces)
                self.assertEqual(caught.exception.status, status)
        self.assertIn("407", str(caught.exception.__class__(407)))

    def test_garbage_at_once(self) -> None:
        """What can't become an HTTP answer is refused with its first wrong byte."""
        for data in (
            b"\x05",
            b"SSH-2.0-x\r\n",
            b"h",
            b"HTTP/2",
            b"HTTPS",
            b"\r\n",
            b" HTTP",
            b"\x15\x03\x01",
            b"HTTP/1 ",
        ):
            for pieces in every_split(data):
                self.assertRaises(TunnelGarbled, read, pieces)

    def test_garbage(self) -> None:
        """A head that is malformed is no answer."""
        for data in (
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/1.9 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
            b"HTTP/1.1 200 OK\nA: 1\r\n\r\n",
            b"HTTP/1.1 100 X\r\n\r\nnonsense",
        ):
            for pieces in every_split(data):
                self.assertRaises(TunnelGarbled, read, pieces)

    def test_limit(self) -> None:
        """A head of exactly the limit opens the tunnel, one byte more is refused, ended or not."""
        head = b"HTTP/1.1 200 OK\r\nX: " + b"v" * (MAX_HEAD - 24) + b"\r\n\r\n"
        self.assertEqual(len(head), MAX_HEAD)
        self.assertEqual(read([head[:-1], head[-1:] + b"tls"]), b"tls")
        self.assertRaises(TunnelGarbled, read, [head[:-4] + b"v\r\n\r\n"])
        self.assertIsNone(read([head[:-4] + b"v" * 4]))
        self.assertRaises(TunnelGarbled, read, [head[:-4] + b"v" * 5])

    def test_unfinished(self) -> None:
        """No beginning of a good answer is refused, none at all is waited on too."""
        for end in range(len(OK)):
            self.assertIsNone(read([OK[:end]]))

    @PROPERTY
    @given(st.binary(max_size=20), places(80))
    def test_any_split(self, surplus: bytes, at: list[int]) -> None:
        """Whatever the surplus and the pieces, not a byte of it is lost."""
        self.assertEqual(read(cut(b"HTTP/1.1 100 C\r\n\r\n" + OK + surplus, at)), surplus)

    def test_same_parser(self) -> None:
        """The answers used here are responses by the strict parser too."""
        self.assertEqual(parse_response(OK, b"CONNECT").status, 200)
