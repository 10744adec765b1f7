"""A provider's way up, phase by phase: each has its own timer and its own name, and giving up frees what was begun."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError, NoProtocol, NoRouteError, TCPTimedOutError
from twisted.internet.interfaces import IHandshakeListener, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from agentproxy.call import Secret
from agentproxy.config import ProxyUrl, Upstream
from agentproxy.engine.tls import Sessions
from agentproxy.errors import ProxyError, UpstreamTimeout, UpstreamUnreachable
from agentproxy.upstream.connector import Connector, _SecureEndpoint, _Securing, _TcpEndpoint
from agentproxy.upstream.tls import HostCreator, Trust
from tests.upstream.harness import Inner, Net, NoFactory, Resolver, UpstreamCase

OPEN = b"HTTP/1.1 200 OK\r\n\r\n"
SQUID = ProxyUrl("http", "squid.corp", 3128, Secret("Basic dXNlcjpodW50ZXIy"))


class Connecting:
    """A connector over memory and one attempt of it."""

    def __init__(self, scheme: str = "http", proxy: ProxyUrl | None = None, *, resolver: Any = None) -> None:
        self.net = Net()
        if resolver is not None:
            self.net.nameResolver = resolver
        self.phases: list[tuple[str, float]] = []
        upstream = Upstream(scheme, "api.example", 443, "/v1")
        self.connector = Connector(
            self.net, upstream, proxy, Trust(None), 10.0, lambda phase, seconds: self.phases.append((phase, seconds))
        )
        self.inner = Inner()
        self.waiting = self.connector.connect(Factory.forProtocol(lambda: self.inner))


class WayTests(UpstreamCase):
    def test_endpoints(self) -> None:
        """What it is made of are endpoints."""
        net = Net()
        tcp = _TcpEndpoint(object(), "a:1", net, 1, print)  # type: ignore[arg-type]
        tls = _SecureEndpoint(
            Sessions(HostCreator("a.example", Trust(None)), net), tcp, "a.example", "a:1", net, 1, lambda *_: None
        )
        for endpoint in (tcp, tls):
            self.assertTrue(verifyObject(IStreamClientEndpoint, endpoint))
        self.assertTrue(verifyObject(IHandshakeListener, _Securing(tls, NoFactory())))

    def test_direct(self) -> None:
        """Without a proxy upstream itself is dialled, and the protocol has the transport for itself."""
        connecting = Connecting()
        self.assertEqual([client[1] for client in connecting.net.tcpClients], [443])
        connecting.net.advance(0.25)
        transport = connecting.net.take()
        self.assertIs(self.successResultOf(connecting.waiting), connecting.inner)
        self.assertIs(transport.protocol, connecting.inner)
        self.assertTrue(transport.no_delay)
        self.assertEqual(connecting.phases, [("connect", 0.25)])
        self.assertEqual(connecting.net.getDelayedCalls(), [])

    def test_proxied(self) -> None:
        """With a proxy the proxy is dialled, and asked for upstream; each phase is told with its own seconds."""
        connecting = Connecting(proxy=SQUID)
        self.assertEqual([client[1] for client in connecting.net.tcpClients], [3128])
        connecting.net.advance(0.25)
        transport = connecting.net.take()
        self.assertEqual(transport.taken().split(b"\r\n")[0], b"CONNECT api.example:443 HTTP/1.1")
        connecting.net.advance(0.5)
        transport.protocol.dataReceived(OPEN)
        self.assertIs(self.successResultOf(connecting.waiting), connecting.inner)
        self.assertEqual(connecting.phases, [("connect", 0.25), ("tunnel", 0.5)])
        self.assertEqual(connecting.net.getDelayedCalls(), [])

    def test_again(self) -> None:
        """A connector connects as often as it is asked."""
        connecting = Connecting()
        second = Inner()
        waiting = connecting.connector.connect(Factory.forProtocol(lambda: second))
        connecting.net.take()
        connecting.net.take()
        self.assertIs(self.successResultOf(connecting.waiting), connecting.inner)
        self.assertIs(self.successResultOf(waiting), second)

    def test_no_protocol(self) -> None:
        """A factory that builds nothing fails the attempt and drops the connection."""
        connecting = Connecting()
        waiting = connecting.connector.connect(NoFactory())
        connecting.net.take()
        transport = connecting.net.take()
        self.failureResultOf(waiting, NoProtocol)
        self.assertTrue(transport.aborted)
        self.assertEqual(connecting.net.getDelayedCalls(), [])

    def test_quiet(self) -> None:
        """Connecting writes nothing to the log."""
        told: list[Any] = []
        observer: Any = told.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for scheme, proxy in (("http", None), ("http", SQUID), ("https", None)):
            connecting = Connecting(scheme, proxy)
            # What the reactor tells a factory whose attempt begins.
            connecting.net.tcpClients[0][2].doStart()
            connecting.net.take()
        self.assertEqual(told, [])


class ConnectFailureTests(UpstreamCase):
    def test_failures(self) -> None:
        """What TCP says is told in words, with the hop that was dialled."""
        for error, said in (
            (ConnectionRefusedError(), "the connection was refused"),
            (NoRouteError(), "there is no route"),
            (TCPTimedOutError(), "the connection timed out"),
        ):
            for proxy, hop in ((None, "api.example:443"), (SQUID, "squid.corp:3128")):
                connecting = Connecting(proxy=proxy)
                connecting.net.refuse(error)
                # The endpoint looks for further addresses first.
                connecting.net.pump([0.3])
                failed = self.failed(connecting.waiting, "connect")
                self.assertIsInstance(failed, UpstreamUnreachable)
                self.assertEqual(failed.message, f"Failed connecting to {hop}: {said}.")
                self.assertEqual(connecting.phases, [])
                self.assertEqual(connecting.net.getDelayedCalls(), [])

    def test_no_name(self) -> None:
        """A name that is not found is said to be so."""
        connecting = Connecting(resolver=Resolver(answers=True))
        failed = self.failed(connecting.waiting, "connect")
        self.assertEqual(failed.message, "Failed connecting to api.example:443: the name was not found.")
        self.assertEqual(connecting.net.getDelayedCalls(), [])

    def test_secret_unseen(self) -> None:
        """No error shows the proxy's credential."""
        connecting = Connecting(proxy=SQUID)
        connecting.net.refuse(ConnectionRefusedError())
        connecting.net.pump([0.3])
        failure = self.failureResultOf(connecting.waiting, ProxyError)
        self.assertNotIn("dXNlcj", failure.value.text + failure.getTraceback() + repr(connecting.connector))


class Stage:
    """A place where an attempt can hang: its name, the hop it waits for, and how it is reached."""

    def __init__(self, phase: str, hop: str, told: str, connecting: Connecting, *said: bytes, taken: bool) -> None:
        self.phase = phase
        self.told = f"No progress within 10 s while {told} {hop}{' to answer CONNECT' * (phase == 'tunnel')}."
        self.connecting = connecting
        self.transport = connecting.net.take() if taken else None
        for piece in said:
            assert self.transport is not None
            self.transport.protocol.dataReceived(piece)


def stages() -> list[Stage]:
    """Every place where an attempt can hang."""
    return [
        Stage("connect", "api.example:443", "connecting to", Connecting(resolver=Resolver(answers=False)), taken=False),
        Stage("connect", "api.example:443", "connecting to", Connecting("https"), taken=False),
        Stage("connect", "squid.corp:3128", "connecting to", Connecting("https", SQUID), taken=False),
        Stage("tunnel", "squid.corp:3128", "waiting for", Connecting("https", SQUID), taken=True),
        Stage("tls", "api.example:443", "the TLS handshake with", Connecting("https"), taken=True),
        Stage("tls", "api.example:443", "the TLS handshake with", Connecting("https", SQUID), OPEN, taken=True),
        Stage(
            "tls",
            "squid.corp:3129",
            "the TLS handshake with",
            Connecting("https", ProxyUrl("https", "squid.corp", 3129)),
            taken=True,
        ),
    ]


class HangingTests(UpstreamCase):
    def check_freed(self, stage: Stage) -> None:
        net = stage.connecting.net
        if stage.transport is None:
            for connector in net.connectors:
                self.assertTrue(connector.stoppedConnecting)
        else:
            self.assertTrue(stage.transport.aborted)
            stage.transport.lost(clean=False)
        self.assertEqual(net.getDelayedCalls(), [])
        self.assertIsNone(stage.connecting.inner.transport)

    def test_late(self) -> None:
        """A phase that does not end in time is a 504 which names it and its hop; what was begun is dropped."""
        for stage in stages():
            net = stage.connecting.net
            net.pump([1] * 9)
            self.assertNoResult(stage.connecting.waiting)
            net.advance(1)
            failed = self.failed(stage.connecting.waiting, stage.phase)
            self.assertIsInstance(failed, UpstreamTimeout)
            self.assertEqual(failed.message, stage.told)
            self.check_freed(stage)

    def test_address(self) -> None:
        """An address's attempt would give up by itself only later than the phase does, which names it."""
        for host in ("192.0.2.7", "2001:db8::7"):
            net = Net()
            connector = Connector(net, Upstream("http", host, 80, ""), None, Trust(None), 10.0, lambda *_: None)
            waiting: Any = connector.connect(Factory.forProtocol(Inner))
            self.assertEqual(net.tcpClients[0][0], host)
            self.assertGreater(net.tcpClients[0][3], 10.0)
            net.advance(10)
            self.assertIsInstance(self.failed(waiting, "connect"), UpstreamTimeout)

    def test_own_time(self) -> None:
        """Each phase has the whole of its time, however long the one before took."""
        connecting = Connecting("https", SQUID)
        connecting.net.pump([1] * 9)
        transport = connecting.net.take()
        connecting.net.advance(9)
        transport.protocol.dataReceived(OPEN)
        connecting.net.advance(9)
        self.assertNoResult(connecting.waiting)
        connecting.net.advance(1)
        self.failed(connecting.waiting, "tls")

    def test_cancel(self) -> None:
        """Giving up in any phase drops what was begun and leaves no timer."""
        for stage in stages():
            stage.connecting.waiting.cancel()
            self.failureResultOf(stage.connecting.waiting, CancelledError, ProxyError)
            self.check_freed(stage)

    def test_lost(self) -> None:
        """A peer that goes away has failed in the phase it was in."""
        for clean in (True, False):
            for stage in stages():
                if stage.transport is None:
                    stage.connecting.waiting.cancel()
                    self.failureResultOf(stage.connecting.waiting)
                    continue
                stage.transport.lost(clean=clean)
                failed = self.failed(stage.connecting.waiting, stage.phase)
                self.assertTrue(failed.message.startswith("Failed "), failed.message)
                self.assertIn("the connection was closed", failed.message)
                self.assertEqual(stage.connecting.net.getDelayedCalls(), [])
