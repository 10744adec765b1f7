"""The CONNECT tunnel as an endpoint: what it says to the proxy, and what each answer, silence or loss becomes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError, NoProtocol
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface.verify import verifyObject

from agentproxy.call import Secret
from agentproxy.errors import UpstreamTimeout, UpstreamUnreachable
from agentproxy.upstream.tunnel import TunnelEndpoint
from tests.fakes import FakeTransport
from tests.upstream.harness import Inner, Net, NoFactory, UpstreamCase, cuts, every_cut, properties

CREDENTIAL = "Basic dXNlcjpodW50ZXIy"
OPEN = b"HTTP/1.1 200 Connection established\r\nProxy-Agent: squid/6\r\n\r\n"


class Tunnelling:
    """An attempt to connect through a proxy, with the proxy's end in hand."""

    def __init__(self, host: str = "api.example", *, authorization: Secret | None = None, factory: Any = None) -> None:
        self.net = Net()
        self.opened: list[float] = []
        proxy = TCP4ClientEndpoint(self.net, "192.0.2.7", 3128)
        self.endpoint = TunnelEndpoint(
            proxy,
            host,
            443,
            hop="squid.corp:3128",
            authorization=authorization,
            clock=self.net,
            timeout=10.0,
            opened=self.opened.append,
        )
        self.inner = Inner()
        self.waiting: Deferred[Any] = self.endpoint.connect(factory or Factory.forProtocol(lambda: self.inner))

    def answered(self, *pieces: bytes) -> FakeTransport:
        """The proxy is reached, and says this."""
        transport = self.net.take()
        for piece in pieces:
            transport.protocol.dataReceived(piece)
        return transport


class RequestTests(UpstreamCase):
    def test_endpoint(self) -> None:
        """It is the endpoint that it says it is."""
        self.assertTrue(verifyObject(IStreamClientEndpoint, Tunnelling().endpoint))

    def test_request(self) -> None:
        """The proxy is asked for host and port, an IPv6 address in brackets, without a credential that isn't there."""
        for host, authority in (
            ("api.example", b"api.example:443"),
            ("192.0.2.9", b"192.0.2.9:443"),
            ("2001:db8::1", b"[2001:db8::1]:443"),
        ):
            transport = Tunnelling(host).answered()
            self.assertEqual(transport.taken(), b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (authority, authority))

    def test_credential(self) -> None:
        """A credential is sent as it is."""
        transport = Tunnelling(authorization=Secret(CREDENTIAL)).answered()
        self.assertIn(b"\r\nProxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n", transport.taken())

    def test_credential_unseen(self) -> None:
        """No error and no repr on the way shows the credential."""
        for answer in (b"HTTP/1.1 407 No\r\nX: %b\r\n\r\n" % CREDENTIAL.encode(), CREDENTIAL.encode() + b"\r\n\r\n"):
            tunnelling = Tunnelling(authorization=Secret(CREDENTIAL))
            transport = tunnelling.answered()
            before = [repr(transport.protocol), repr(vars(transport.protocol))]
            transport.protocol.dataReceived(answer)
            failure = self.failureResultOf(tunnelling.waiting, UpstreamUnreachable)
            shown = [*before, repr(tunnelling.endpoint), repr(vars(tunnelling.endpoint)), str(failure.value)]
            shown += [failure.value.text, repr(failure.value), failure.getTraceback()]
            for text in shown:
                self.assertNotIn("dXNlcj", text)


class OpenedTests(UpstreamCase):
    def check_open(self, pieces: list[bytes], surplus: bytes = b"") -> None:
        tunnelling = Tunnelling()
        transport = tunnelling.answered(*pieces)
        self.assertIs(self.successResultOf(tunnelling.waiting), tunnelling.inner)
        self.assertIs(tunnelling.inner.transport, transport)
        self.assertEqual(tunnelling.inner.data, surplus)
        self.assertFalse(transport.aborted)
        self.assertEqual(tunnelling.net.getDelayedCalls(), [])

    def test_every_cut(self) -> None:
        """The answer opens the tunnel wherever it is cut."""
        for pieces in every_cut(OPEN):
            self.check_open(pieces)

    @properties
    @given(cuts(OPEN + b"\x16\x03\x01hello\r\n\r\n"))
    def test_surplus(self, pieces: list[bytes]) -> None:
        """Bytes behind the answer are the inner protocol's first bytes, however all of it is cut."""
        self.check_open(pieces, b"\x16\x03\x01hello\r\n\r\n")

    def test_kinds(self) -> None:
        """Any 2xx opens it; 1xx before it and framing fields in it mean nothing."""
        for answer in (
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 204\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </>\r\n\r\n" + OPEN,
        ):
            self.check_open([answer + b"surplus"], b"surplus")

    def test_handed_over(self) -> None:
        """From then on the transport is the inner protocol's alone: its bytes, and its end."""
        tunnelling = Tunnelling()
        transport = tunnelling.answered(OPEN)
        transport.protocol.dataReceived(b"more")
        self.assertEqual(tunnelling.inner.data, b"more")
        transport.lost()
        self.assertIsNotNone(tunnelling.inner.ended)
        tunnelling.net.advance(60)
        self.assertFalse(transport.aborted)

    def test_told(self) -> None:
        """How long the proxy took is told once the tunnel is open."""
        tunnelling = Tunnelling()
        transport = tunnelling.answered()
        tunnelling.net.advance(1.5)
        self.assertEqual(tunnelling.opened, [])
        transport.protocol.dataReceived(OPEN)
        self.assertEqual(tunnelling.opened, [1.5])


class FailureTests(UpstreamCase):
    def check_failed(self, tunnelling: Tunnelling, transport: FakeTransport) -> str:
        error = self.failed(tunnelling.waiting, "tunnel")
        self.assertTrue(transport.aborted)
        self.assertEqual(tunnelling.opened, [])
        self.assertEqual(tunnelling.net.getDelayedCalls(), [])
        # Nothing comes of what comes after.
        transport.protocol.dataReceived(OPEN)
        transport.lost(clean=False)
        self.assertEqual(tunnelling.inner.data, b"")
        return error.message

    def test_refused(self) -> None:
        """Anything but a 2xx is a refusal, whose error names the hop, the phase and what can be done."""
        told = "CONNECT to squid.corp:3128 was refused: "
        user = " Put the proxy's user and password into egress.proxy's URL."
        for status, hint in (
            (407, user),
            (403, " Allow the provider's host there."),
            (502, ""),
            (301, ""),
            (101, ""),
        ):
            tunnelling = Tunnelling()
            body = b"HTTP/1.1 %d Why\r\nContent-Length: 4\r\n\r\nnope" % status
            message = self.check_failed(tunnelling, tunnelling.answered(body))
            self.assertEqual(message, f"{told}{status}.{hint}")

    def test_refused_every_cut(self) -> None:
        """A refusal is one wherever it is cut."""
        for pieces in every_cut(b"HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n"):
            tunnelling = Tunnelling()
            self.assertIn("was refused: 403", self.check_failed(tunnelling, tunnelling.answered(*pieces)))

    def test_garbage(self) -> None:
        """What is no response is said to be no proxy, at once."""
        for answer in (
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 2OO OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad line\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20000,
        ):
            tunnelling = Tunnelling()
            message = self.check_failed(tunnelling, tunnelling.answered(answer))
            self.assertTrue(message.startswith("squid.corp:3128 is no CONNECT proxy: "), message)

    def test_late(self) -> None:
        """A proxy that does not answer in time has its phase's timeout, which bytes of a head don't push back."""
        tunnelling = Tunnelling()
        transport = tunnelling.answered()
        tunnelling.net.advance(9.9)
        transport.protocol.dataReceived(b"HTTP/1.1 200")
        self.assertNoResult(tunnelling.waiting)
        tunnelling.net.advance(0.1)
        message = self.check_failed(tunnelling, transport)
        self.assertEqual(message, "No progress within 10 s while waiting for squid.corp:3128 to answer CONNECT.")

    def test_late_is_a_timeout(self) -> None:
        """That error is the 504 one."""
        tunnelling = Tunnelling()
        tunnelling.answered()
        tunnelling.net.advance(10)
        self.failureResultOf(tunnelling.waiting, UpstreamTimeout)

    def test_lost(self) -> None:
        """A proxy that goes away before it has answered has failed in this phase."""
        for clean in (True, False):
            for said in ((), (b"HTTP/1.1 200 OK\r\n",)):
                tunnelling = Tunnelling()
                tunnelling.answered(*said).lost(clean=clean)
                error = self.failed(tunnelling.waiting, "tunnel")
                self.assertEqual(
                    error.message,
                    "Failed waiting for squid.corp:3128 to answer CONNECT: the connection was closed.",
                )
                self.assertEqual(tunnelling.net.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        """Giving up before the answer drops the connection and leaves no timer."""
        tunnelling = Tunnelling()
        transport = tunnelling.answered(b"HTTP/1.1 2")
        tunnelling.waiting.cancel()
        self.failureResultOf(tunnelling.waiting, CancelledError)
        self.assertTrue(transport.aborted)
        self.assertEqual(tunnelling.net.getDelayedCalls(), [])
        transport.protocol.dataReceived(b"00 OK\r\n\r\n")
        transport.lost(clean=False)
        self.assertIsNone(tunnelling.inner.transport)

    def test_no_protocol(self) -> None:
        """A factory that builds nothing fails the attempt and drops the tunnel."""
        tunnelling = Tunnelling(factory=NoFactory())
        transport = tunnelling.answered(OPEN)
        self.failureResultOf(tunnelling.waiting, NoProtocol)
        self.assertTrue(transport.aborted)
        self.assertEqual(tunnelling.net.getDelayedCalls(), [])

    def test_proxy_unreached(self) -> None:
        """Where the proxy itself isn't reached, its endpoint's failure is ours."""
        tunnelling = Tunnelling()
        tunnelling.net.refuse(ConnectionRefusedError())
        self.failureResultOf(tunnelling.waiting, ConnectionRefusedError)
        self.assertEqual(tunnelling.net.getDelayedCalls(), [])
