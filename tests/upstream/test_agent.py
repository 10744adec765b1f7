"""The agent below the real treq: bytes pass as they are, and a request is sent again only where it may be."""

from __future__ import annotations

import gzip
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface.verify import verifyObject

from agentproxy.errors import ProxyError, UpstreamTimeout, UpstreamUnreachable
from agentproxy.upstream.agent import PoolAgent, ProviderClient
from agentproxy.upstream.outbound import Outbound
from tests.fakes import FakeTransport, timers
from tests.upstream.harness import Body, Dialler, Reader, UpstreamCase, WholeBody, outbound, pool

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class AgentCase(UpstreamCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dialler = Dialler()
        self.pool = pool(self.clock, self.dialler)
        self.addCleanup(self.pool.close)
        self.agent = PoolAgent(self.pool)
        self.client = ProviderClient(self.agent)

    def send(self, head: Outbound | None = None, body: Any = None) -> Deferred[Any]:
        return self.client.send(head or outbound(), body)

    @property
    def transport(self) -> FakeTransport:
        """The connection made last."""
        return self.dialler.transports[-1]

    def say(self, data: bytes) -> None:
        self.transport.protocol.dataReceived(data)

    def answered(self, waiting: Deferred[Any], answer: bytes = PLAIN) -> tuple[Any, Reader]:
        self.say(answer)
        response = self.successResultOf(waiting)
        reader = Reader()
        response.deliverBody(reader)
        return response, reader

    def warm(self) -> FakeTransport:
        """A connection that has carried a request and is idle."""
        self.answered(self.send())
        self.transport.taken()
        return self.transport


class TransparencyTests(AgentCase):
    def test_interfaces(self) -> None:
        """It is an agent, and takes what treq takes for bodies."""
        self.assertTrue(verifyObject(IAgent, self.agent))
        for body in (Body(), WholeBody(b"")):
            self.assertTrue(verifyObject(IBodyProducer, body))

    def test_request(self) -> None:
        """What reaches the wire is what was handed in, byte for byte, and our Host and framing: nothing of treq's."""
        fields = [
            (b"X-Two", b"b"),
            (b"accept-encoding", b"br;q=1, gzip"),
            (b"x-two", b"\x80\xc3\xa9\xff"),
            (b"User-Agent", b"codex/1"),
            (b"X-Two", b"a"),
        ]
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        for method, target in (
            (b"GET", b"/v1/models?limit=1&limit=2"),
            (b"gEt", b"/v1/a//b/../c/./%2e%2E/%zz?a=b?c&d=%00+%20;e"),
            (b"M-SEARCH", b"/\"<>[]{}|\\^`'!*();:@&=+$,~"),
        ):
            self.send(outbound(method, target, fields))
            want = b"%b %b HTTP/1.1\r\nHost: api.example\r\n%b\r\n" % (method, target, lines)
            self.assertEqual(self.transport.taken(), want)

    def test_nothing_added(self) -> None:
        """Without fields there is only the Host: no Accept-Encoding, Connection or Cookie is made up."""
        self.send()
        self.assertEqual(self.transport.taken(), b"GET /v1/x HTTP/1.1\r\nHost: api.example\r\n\r\n")

    def test_body(self) -> None:
        """Bodies go out as they are, without a type of treq's."""
        self.send(outbound(b"POST"), WholeBody(b'{"a": 1}'))
        want = b'POST /v1/x HTTP/1.1\r\nHost: api.example\r\nContent-Length: 8\r\n\r\n{"a": 1}'
        self.assertEqual(self.transport.taken(), want)
        body = Body()
        self.send(outbound(b"POST"), body)
        body.send(b"abc")
        body.finish()
        want = b"POST /v1/x HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        self.assertEqual(self.transport.taken(), want)

    def test_encoded(self) -> None:
        """An encoded body is not decoded, and says still what it is."""
        coded = gzip.compress(b"hello" * 50)
        for name in (b"Content-Encoding", b"content-encoding"):
            answer = b"HTTP/1.1 200 OK\r\n%b: gzip\r\nContent-Length: %d\r\n\r\n%b" % (name, len(coded), coded)
            response, reader = self.answered(self.send(), answer)
            self.assertEqual((reader.data, reader.ended), (coded, ResponseDone))
            self.assertEqual(response.head.first(b"content-encoding"), b"gzip")
            self.assertEqual(response.length, len(coded))

    def test_cookies(self) -> None:
        """Cookies are neither kept nor sent; the client's own is a field like any other."""
        cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
        response, _ = self.answered(self.send(), cookie)
        self.assertEqual(response.head.first(b"set-cookie"), b"a=b; Path=/")
        self.transport.taken()
        self.send()
        self.assertNotIn(b"cookie", self.transport.taken().lower())
        self.send(outbound(fields=[(b"Cookie", b"c=d")]))
        self.assertEqual(self.transport.taken().count(b"Cookie"), 1)

    def test_redirect(self) -> None:
        """A redirect or a 401 is an answer like any other."""
        for status in (301, 307, 401):
            answer = b"HTTP/1.1 %d X\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n" % status
            response, _ = self.answered(self.send(), answer)
            self.assertEqual(response.code, status)
        self.assertEqual(self.transport.taken().count(b"GET "), 3)

    def test_streams(self) -> None:
        """A body is not gathered: each piece is here as it comes."""
        waiting = self.send()
        _, reader = self.answered(waiting, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.say(b"2\r\nhe\r\n")
        self.say(b"3\r\nllo\r\n")
        self.assertEqual(reader.pieces, [b"he", b"llo"])

    def test_secret_unseen(self) -> None:
        """A request's repr does not show its fields."""
        self.assertNotIn("sk-secret", repr(outbound(fields=[(b"Authorization", b"Bearer sk-secret")])))

    def test_other_callers(self) -> None:
        """Others may use the agent below a treq of their own."""
        waiting = HTTPClient(self.agent).get(
            "https://api.example/v1/x?y=z", headers=Headers({"X-A": ["1", "2"]}), reactor=self.clock
        )
        taken = self.transport.taken()
        self.assertTrue(taken.startswith(b"GET /v1/x?y=z HTTP/1.1\r\nHost: api.example\r\n"))
        self.assertIn(b"X-A: 1\r\nX-A: 2\r\n", taken)
        self.say(PLAIN)
        self.successResultOf(waiting)


class ReuseTests(AgentCase):
    def test_reused(self) -> None:
        """Requests that follow each other share a connection; those that overlap don't."""
        self.warm()
        self.answered(self.send())
        self.assertEqual(len(self.dialler.transports), 1)
        self.send()
        self.send()
        self.assertEqual(len(self.dialler.transports), 2)

    def test_sent_again(self) -> None:
        """A safe request without body that met a dead connection is sent once more, over a fresh one."""
        for method in (b"GET", b"HEAD", b"OPTIONS"):
            self.setUp()
            old = self.warm()
            waiting = self.send(outbound(method, b"/v1/y"))
            sent = old.taken()
            old.lost()
            self.assertEqual(len(self.dialler.transports), 2)
            self.assertEqual(self.transport.taken(), sent)
            response, _ = self.answered(waiting, b"HTTP/1.1 204 X\r\n\r\n")
            self.assertEqual(response.code, 204)
            self.pool.close()

    def test_once(self) -> None:
        """It is never sent a third time, though there be idle connections."""
        first, second = self.send(), self.send()
        for waiting, transport in zip((first, second), list(self.dialler.transports), strict=True):
            transport.protocol.dataReceived(PLAIN)
            self.successResultOf(waiting).deliverBody(Reader())
        waiting = self.send()
        self.dialler.transports[1].lost()
        self.assertEqual(len(self.dialler.transports), 3)
        self.transport.lost()
        self.failed(waiting, "first_byte")
        self.assertEqual(len(self.dialler.transports), 3)

    def test_not_sent_again(self) -> None:
        """Not so what is not safe, or has a body: upstream may have done it already."""
        for method, body in (
            (b"POST", None),
            (b"POST", WholeBody(b"{}")),
            (b"DELETE", None),
            (b"PUT", WholeBody(b"")),
            (b"get", None),
            (b"GET", WholeBody(b"{}")),
            (b"GET", Body()),
        ):
            self.setUp()
            old = self.warm()
            waiting = self.send(outbound(method), body)
            old.lost()
            self.failureResultOf(waiting, UpstreamUnreachable)
            self.assertEqual(len(self.dialler.transports), 1)

    def test_answer_begun(self) -> None:
        """Nor where a byte of an answer had come, be it a 1xx's."""
        for said in (b"H", b"HTTP/1.1 103 Hints\r\n\r\n"):
            self.setUp()
            old = self.warm()
            waiting = self.send()
            self.say(said)
            old.lost()
            self.failureResultOf(waiting, UpstreamUnreachable)
            self.assertEqual(len(self.dialler.transports), 1)

    def test_fresh(self) -> None:
        """Nor where the connection was a fresh one: upstream means it."""
        waiting = self.send()
        self.transport.lost()
        self.failureResultOf(waiting, UpstreamUnreachable)
        self.assertEqual(len(self.dialler.transports), 1)

    def test_our_doing(self) -> None:
        """Nor where it was our own timer, or whoever asked has given up."""
        self.warm()
        waiting = self.send()
        self.clock.advance(30)
        self.failureResultOf(waiting, UpstreamTimeout)
        self.assertEqual(len(self.dialler.transports), 1)
        self.setUp()
        self.warm()
        waiting = self.send()
        waiting.cancel()
        self.transport.lost()
        self.failureResultOf(waiting, ProxyError)
        self.assertEqual(len(self.dialler.transports), 1)

    def test_again_unreached(self) -> None:
        """Where upstream can't be reached again, that is what is told."""
        old = self.warm()
        waiting = self.send()
        self.dialler.error = UpstreamUnreachable("No.", phase="connect")
        old.lost()
        self.failed(waiting, "connect")

    def test_given_up(self) -> None:
        """Whoever gives up while a connection is being made frees it; none is left busy."""
        self.dialler.slow = Deferred()
        waiting = self.send()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertEqual(self.transport.taken(), b"")

    def test_answers_late(self) -> None:
        """A Deferred's waiting leaves no timer once the answer is here."""
        self.answered(self.send())
        self.pool.close()
        self.assertEqual(timers(self.clock), [])
