"""What the tests of upstream share: a network over memory, TLS peers, bodies, and connections under test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IHostnameResolver, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from agentproxy.errors import ProxyError
from agentproxy.simulator.ca import ServerCertificate, ServerContext
from agentproxy.timers import Waits
from agentproxy.upstream.connection import Connection
from agentproxy.upstream.leg import Leg
from agentproxy.upstream.outbound import Outbound
from agentproxy.upstream.pool import Pool
from agentproxy.wire.head import ResponseHead
from tests.fakes import FakeTransport, connected

properties = settings(max_examples=150)


class UpstreamCase(SynchronousTestCase):
    def failed(self, waiting: Deferred[Any], phase: str) -> ProxyError:
        """The error of ours that a Deferred has failed with, which must name this phase."""
        error: ProxyError = self.failureResultOf(waiting, ProxyError).value
        self.assertEqual(error.phase, phase)
        return error


def cut(data: bytes, at: Iterable[int]) -> Iterator[bytes]:
    """The bytes in the pieces that end at these positions."""
    return (data[start:end] for start, end in pairwise([0, *sorted(at), len(data)]))


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Whole, in two pieces at every place, and byte by byte."""
    yield [data]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
    yield [data[at : at + 1] for at in range(len(data))]


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """The bytes in any pieces."""
    return st.sets(st.integers(1, len(data) - 1)).map(lambda at: list(cut(data, at)))


class Net(MemoryReactorClock):
    """A network over memory: each attempt to connect waits, in order, until it is taken or refused."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = 0

    def take(self) -> FakeTransport:
        """The oldest attempt succeeds; returns our end's transport."""
        factory = self.tcpClients[self._seen][2]
        self._seen += 1
        protocol: Any = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 443))
        return connected(protocol)

    def refuse(self, error: Exception) -> None:
        """The oldest attempt fails."""
        factory = self.tcpClients[self._seen][2]
        connector: Any = self.connectors[self._seen]
        self._seen += 1
        factory.clientConnectionFailed(connector, Failure(error))


@implementer(IHostnameResolver)
class Resolver:
    """Finds no address, and ``answers`` so or never does."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers

    def resolveHostName(self, resolutionReceiver: Any, *_: Any, **__: Any) -> Any:
        if self._answers:
            resolutionReceiver.resolutionComplete()


class Inner(Protocol):
    """
    Remembers what reached it.

    :ivar data: the bytes; ``ended``: why it was lost.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.ended: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.ended is None
        self.ended = reason


class NoFactory(Factory):
    """Builds nothing."""

    def buildProtocol(self, addr: Any) -> None:
        return None


class TlsPeer:
    """
    A TLS server's end of a connection.

    :ivar inner: gets what was decrypted; ``names``: those asked for by SNI.
    """

    def __init__(self, clock: Clock, certificate: ServerCertificate) -> None:
        self.inner = Inner()
        self.names: list[bytes | None] = []
        context = ServerContext(certificate)
        context.getContext().set_tlsext_servername_callback(lambda tls: self.names.append(tls.get_servername()))
        factory = TLSMemoryBIOFactory(context, False, Factory.forProtocol(lambda: self.inner), clock)
        self.transport = connected(factory.buildProtocol(None))


def pump(clock: Clock, one: FakeTransport, other: FakeTransport) -> None:
    """Carry bytes, then ends, between the two until nothing moves."""
    moved = True
    while moved:
        moved = False
        # TLS gathers small writes until the reactor's next turn.
        clock.advance(0)
        for here, there in ((one, other), (other, one)):
            data = here.taken()
            if data and there.connected and not there.aborted:
                there.protocol.dataReceived(data)
                moved = True
        for end in (one, other):
            if end.disconnecting and end.connected and not moved:
                clean, moved = not end.aborted, True
                for each in (one, other):
                    each.lost(clean=clean)


class Reader(Protocol):
    """
    Reads a response's body.

    :ivar ended: the exception type it ended with, once it has.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.pieces: list[bytes] = []
        self.ended: type[BaseException] | None = None

    def dataReceived(self, data: bytes) -> None:
        assert self.ended is None
        self.pieces.append(data)
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.ended is None
        self.ended = reason.type


@implementer(IBodyProducer, IPushProducer)
class Body:
    """
    A request's body that the test sends.

    :ivar calls: what the connection asked of it.
    """

    def __init__(self, length: int | None = None) -> None:
        self.length: Any = UNKNOWN_LENGTH if length is None else length
        self.calls: list[str] = []
        self.done: Deferred[None] = Deferred()
        self.consumer: Any = None

    def startProducing(self, consumer: Any) -> Deferred[None]:
        self.consumer = consumer
        consumer.registerProducer(self, True)
        return self.done

    def send(self, data: bytes) -> None:
        self.consumer.write(data)

    def finish(self) -> None:
        self.consumer.unregisterProducer()
        self.done.callback(None)

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class WholeBody(Body):
    """One that is all here."""

    def __init__(self, whole: bytes) -> None:
        super().__init__(len(whole))
        self.whole = whole


class Wire:
    """
    A `Connection` over memory, and upstream's end of it.

    :ivar released: what it said of itself: whether it may be used again.
    """

    def __init__(self, clock: Clock | None = None, **changes: Any) -> None:
        self.clock = clock or Clock()
        self.released: list[bool] = []
        self.connection = build(self.clock, lambda _, reusable: self.released.append(reusable), **changes)
        self.transport = connected(self.connection)

    def ask(self, method: bytes = b"GET", body: Any = None, interim: Any = None) -> Deferred[Any]:
        """Send a request."""
        return self.connection.request(outbound(method, interim=interim), body)

    def say(self, *pieces: bytes) -> None:
        """Upstream's bytes, as long as anybody reads them."""
        for piece in pieces:
            if self.transport.connected and not self.transport.aborted:
                self.transport.protocol.dataReceived(piece)


class Dialler:
    """
    A connector that connects at once, or fails.

    :ivar transports: of the connections made, in order.
    """

    hop = "api.example:443"

    def __init__(self) -> None:
        self.transports: list[FakeTransport] = []
        self.error: Exception | None = None
        self.slow: Deferred[Any] | None = None

    def connect(self, factory: Any) -> Deferred[Any]:
        if self.error is not None:
            return fail(self.error)
        protocol = factory.buildProtocol(None)
        self.transports.append(connected(protocol))
        return succeed(protocol) if self.slow is None else self.slow.addCallback(lambda _: protocol)


def pool(clock: Clock, dialler: Dialler, **changes: Any) -> Pool:
    """A pool of connections with small limits."""
    connector: Any = dialler
    return Pool(clock, connector, lambda released: build(clock, released, **changes))


def build(clock: Clock, released: Callable[[Connection, bool], object], **changes: Any) -> Connection:
    """A `Connection` with small limits."""
    wanted: dict[str, Any] = {
        "hop": "api.example:443",
        "host_header": b"api.example",
        "head_limit": 4096,
        "buffer_bytes": 123456,
        "first_byte": Waits(clock, 30.0),
    }
    if "first_byte" in changes:
        changes["first_byte"] = Waits(clock, changes["first_byte"])
    return Connection(Leg(**(wanted | changes)), released)


def outbound(
    method: bytes = b"GET",
    target: bytes = b"/v1/x",
    fields: Iterable[tuple[bytes, bytes]] = (),
    interim: Callable[[ResponseHead], object] | None = None,
) -> Outbound:
    """A request's head."""
    return Outbound(method, target, list(fields), interim or (lambda _: None))
