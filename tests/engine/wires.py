"""
A transport of the engine on a real socket pair, a reactor that does only what it is told, and TLS over memory.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from agentproxy.engine.tls import Sessions, TLSEndpoint
from agentproxy.engine.transport import DirectServer, turn
from agentproxy.simulator.ca import ServerContext, ThrowawayCA
from tests.fakes import FakeTransport, connected
from tests.upstream.harness import pump

CA = ThrowawayCA()
CERTIFICATE = CA.issue("api.example")


class Descriptors(Clock):
    """A reactor that remembers who wants to read and to write."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)


class Remembering(Protocol):
    """Keeps what it is given; ``answer`` is called with each piece."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.sizes: list[int] = []
        self.ended: Failure | None = None
        self.answer: Any = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.sizes.append(len(data))
        self.answer(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.ended is None
        self.ended = reason


class CountingSocket:
    """
    A socket whose sends are counted.

    :ivar sends: bytes of each that was taken.
    """

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.sends: list[int] = []

    def send(self, data: Any) -> int:
        sent = self._inner.send(data)
        self.sends.append(sent)
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Producer:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class Wire:
    """
    A transport and its peer's socket.

    :param reactor: the transport's, which it does not read from yet.
    :param buffer_bytes: of each of the system's buffers, so that they are soon full.
    """

    def __init__(self, reactor: Any = None, buffer_bytes: int = 16384) -> None:
        self.reactor = reactor or Descriptors()
        ours, self.peer = socket.socketpair()
        for end in (ours, self.peer):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            end.setblocking(False)
        self.socket = CountingSocket(ours)
        self.protocol = Remembering()
        handle: Any = self.socket
        server: Any = None
        self.transport: Any = DirectServer(handle, self.protocol, ("127.0.0.1", 1), server, 0, self.reactor)
        self.protocol.makeConnection(self.transport)

    def close(self) -> None:
        """Leave nothing open."""
        self.peer.close()
        if self.transport.connected:
            self.transport.connectionLost(Failure(ConnectionDone()))

    @property
    def writes(self) -> bool:
        """Whether the reactor is to say when the system takes more."""
        return self.transport in self.reactor.writers

    def taken(self) -> bytes:
        """What has reached the peer."""
        data = b""
        while True:
            try:
                piece = self.peer.recv(1 << 20)
            except BlockingIOError:
                return data
            if not piece:
                return data
            data += piece

    def drained(self) -> bytes:
        """Let the reactor write until nothing waits; returns what the peer got."""
        data = self.taken()
        while self.writes:
            why = self.transport.doWrite()
            data += self.taken()
            if why is not None:
                self.reactor.removeWriter(self.transport)
                self.transport.connectionLost(Failure(why))
        return data


class OpenTurn:
    """A turn, as the reactor opens one for a round of reads."""

    def __enter__(self) -> None:
        turn.open = True

    def __exit__(self, *_: object) -> None:
        turn.end()


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """
    Makes TLS connections to whoever has a certificate of ours, for one name.

    :ivar secrets: what an eavesdropper must not know, by its label in a key log.
    """

    def __init__(self) -> None:
        self.secrets: dict[bytes, bytes] = {}
        self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        root = crypto.X509.from_cryptography(x509.load_pem_x509_certificate(CA.pem))
        self._context.get_cert_store().add_cert(root)
        self._context.set_verify(SSL.VERIFY_PEER)
        self._context.set_keylog_callback(self._learn)

    def _learn(self, _: SSL.Connection, line: bytes) -> None:
        label, _random, secret = line.split()
        self.secrets[label] = bytes.fromhex(secret.decode())

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        return SSL.Connection(self._context, None)


@implementer(IStreamClientEndpoint)
class Memory:
    """Connects at once; ``transport`` is the last one's."""

    transport: FakeTransport

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        protocol = protocolFactory.buildProtocol(None)
        self.transport = connected(protocol)
        return succeed(protocol)


def server_context(version: int = SSL.TLS1_3_VERSION) -> ServerContext:
    """A server's, which speaks this version and none later; it knows only the sessions that it has given out."""
    context = ServerContext(CERTIFICATE)
    context.getContext().set_max_proto_version(version)
    return context


class Link:
    """
    A client of the engine and a server of Twisted's own, of which each write is a record, joined by memory.

    :ivar client: the TCP transport below the client, of which ``inner`` is the protocol above.
    :ivar server: the one below the server, of which ``remote`` is the protocol above.
    :ivar flight: what the server said to the first hello, once `handshake` has run.
    """

    def __init__(self, context: ServerContext, sessions: Sessions | None = None, inner: Any = None) -> None:
        self.clock, self.flight = Clock(), b""
        self.inner, self.remote = inner or Remembering(), Remembering()
        way = Memory()
        endpoint = TLSEndpoint(sessions or Sessions(Creator(), self.clock), way, self.clock)
        endpoint.connect(Factory.forProtocol(lambda: self.inner))
        self.client = way.transport
        factory = TLSMemoryBIOFactory(context, False, Factory.forProtocol(lambda: self.remote), self.clock)
        factory.protocol = TLSMemoryBIOProtocol
        self.server = connected(factory.buildProtocol(None))

    def up(self) -> None:
        """What the client has sent reaches the server."""
        data = self.client.taken()
        if data:
            self.server.protocol.dataReceived(data)

    def down(self, data: bytes) -> None:
        """These bytes reach the client."""
        self.client.protocol.dataReceived(data)

    def handshake(self) -> Link:
        """Let it come to its end, with the tickets that follow; returns itself."""
        self.up()
        self.flight = self.server.taken()
        self.down(self.flight)
        self.pump()
        return self

    def coded(self, *records: bytes) -> list[bytes]:
        """Each as the server sends it."""
        coded = []
        for record in records:
            self.remote.transport.write(record)
            coded.append(self.server.taken())
        return coded

    def pump(self) -> None:
        """Until nothing moves."""
        pump(self.clock, self.client, self.server)

    def pump_cut(self, cut: Callable[[bytes], Iterable[bytes]]) -> None:
        """The same; what reaches the client does so in the pieces that ``cut`` makes of it."""
        moved = True
        while moved:
            self.up()
            data = self.server.taken()
            for piece in cut(data):
                self.down(piece)
            moved = bool(data or self.client.value())


class Forger:
    """
    Writes the records of a server that speaks TLS 1.3 with AES-256-GCM (RFC 8446, 5.2 and 7.3).

    :param secret: its traffic secret.
    :param sent: how many records it has sent under it.
    """

    def __init__(self, secret: bytes, sent: int) -> None:
        self._secret = secret
        self._sent = sent

    def record(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        """One record: ``kind`` 22 is of the handshake, 23 is data."""
        plain = content + bytes([kind]) + bytes(padding)
        head = b"\x17\x03\x03" + (len(plain) + 16).to_bytes(2, "big")
        nonce = int.from_bytes(self._derived(b"iv", 12), "big") ^ self._sent
        self._sent += 1
        return head + AESGCM(self._derived(b"key", 32)).encrypt(nonce.to_bytes(12, "big"), plain, head)

    def key_update(self, answer: bool) -> bytes:
        """A record that says that the next ones have another key, and perhaps that the peer's must too (4.6.3)."""
        record = self.record(22, b"\x18\0\0\x01" + bytes([answer]))
        self._secret, self._sent = self._derived(b"traffic upd", 48), 0
        return record

    def _derived(self, label: bytes, size: int) -> bytes:
        info = size.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label + b"\0"
        return HKDFExpand(SHA384(), size, info).derive(self._secret)
