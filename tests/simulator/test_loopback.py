"""The simulator and its CONNECT proxy over real sockets on loopback, with TLS and names."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from agentproxy.simulator import ConnectProxy, Script, Served, Simulator, ThrowawayCA, serve
from tests.simulator.support import request

reactor: Any = installed_reactor


class Caller(Protocol):
    """Collects what comes until it has so much, or the connection ends."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.ended: Deferred[BaseException | None] = Deferred()
        self._wanted = b""
        self._found: Deferred[bytes] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self._look()

    def until(self, mark: bytes) -> Deferred[bytes]:
        """What came up to and with these bytes."""
        self._wanted, self._found = mark, Deferred()
        found = self._found
        self._look()
        return found

    def _look(self) -> None:
        if self._found is not None and self._wanted in self.data:
            at = self.data.index(self._wanted) + len(self._wanted)
            got, self.data = self.data[:at], self.data[at:]
            found, self._found = self._found, None
            found.callback(got)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(reason.value)


class LoopbackCase(TestCase):
    def setUp(self) -> None:
        self.simulator = Simulator(reactor)
        self.served: Served = serve(reactor, self.simulator)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.served.stop()))

    async def call(self, port: int, name: str | None = None, ca: ThrowawayCA | None = None) -> Caller:
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        if name is not None:
            trust = trustRootFromCertificates([Certificate.loadPEM((ca or self.served.ca).pem)])
            endpoint = wrapClientTLS(optionsForClientTLS(name, trust), endpoint)
        caller: Caller = await connectProtocol(endpoint, Caller())
        return caller


class ServeTests(LoopbackCase):
    async def test_plain(self) -> None:
        """A request in the clear is answered, and its journal entry knows no name."""
        caller = await self.call(self.served.port)
        caller.transport.write(request("/simulator/echo", b"hello"))
        await caller.until(b"\r\n\r\nhello")
        self.assertIsNone(self.simulator.requests[0].server_name)
        caller.transport.loseConnection()
        await caller.ended

    async def test_tls(self) -> None:
        """Every provider's name, localhost and 127.0.0.1 are verified; the name asked for is in the journal."""
        for name in ("api.openai.com", "chatgpt.com", "x.githubcopilot.com", "localhost", "127.0.0.1"):
            caller = await self.call(self.served.tls_port, name)
            caller.transport.write(request("/simulator/echo", b"hello"))
            await caller.until(b"\r\n\r\nhello")
            expected = "" if name == "127.0.0.1" else name
            self.assertEqual(self.simulator.requests[-1].server_name, expected)
            caller.transport.loseConnection()
            await caller.ended

    async def test_not_verified(self) -> None:
        """A wrong name, another CA and an expired certificate are not accepted."""
        ca = ThrowawayCA()
        expired = serve(reactor, self.simulator, ca=ca, certificate=ca.issue("localhost", expired=True))
        cases = (
            (self.served.tls_port, "example.com", None),
            (self.served.tls_port, "localhost", ca),
            (expired.tls_port, "localhost", ca),
        )
        for port, name, authority in cases:
            caller = await self.call(port, name, authority)
            reason = await caller.ended
            self.assertNotIsInstance(reason, ConnectionDone)
        await expired.stop()

    async def test_silent_tls(self) -> None:
        """Told to be silent, a TLS port does not even shake hands, and lets go at the end."""
        self.simulator.script = Script(silence="tls")
        caller = await self.call(self.served.tls_port)
        caller.transport.write(b"\x16\x03\x01")
        await deferLater(reactor, 0.05, lambda: None)
        self.assertEqual((caller.data, len(self.simulator.connections)), (b"", 1))
        await self.served.simulator.disconnect()
        await caller.ended

    async def test_slow_reader(self) -> None:
        """A reader that stops costs no memory: of 50 MB only what the sockets hold is made."""
        caller = await self.call(self.served.port)
        caller.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        caller.transport.pauseProducing()
        made = 0

        def count(data: bytes, write: Any) -> None:
            nonlocal made
            made += len(data)
            write(data)

        while not self.simulator.connections:
            await deferLater(reactor, 0, lambda: None)
        (connection,) = self.simulator.connections
        write = connection.transport.write
        connection.transport.write = lambda data: count(data, write)
        caller.transport.write(request("/simulator/bytes?n=50000000", None))
        await deferLater(reactor, 0.2, lambda: None)
        self.assertGreater(made, 65536)
        self.assertLess(made, 20_000_000)
        caller.transport.abortConnection()
        await caller.ended


class ConnectProxyTests(LoopbackCase):
    def listen(self, **options: Any) -> tuple[ConnectProxy, int]:
        proxy = ConnectProxy(reactor, self.served.mapping(), strict=True, **options)
        port = reactor.listenTCP(0, proxy, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(proxy.disconnect)
        return proxy, port.getHost().port

    async def connect(self, port: int, *headers: str, to: str = "api.openai.com:443") -> tuple[Caller, bytes]:
        caller = await self.call(port)
        caller.transport.write("\r\n".join([f"CONNECT {to} HTTP/1.1", f"Host: {to}", *headers, "", ""]).encode())
        return caller, await caller.until(b"\r\n\r\n")

    async def test_tunnel(self) -> None:
        """A provider's name leads to the simulator; a client that goes takes the other side with it."""
        for pieces in (False, True):
            proxy, port = self.listen(pieces=pieces)
            caller, head = await self.connect(port)
            self.assertIn(b" 200 ", head)
            caller.transport.startTLS(
                optionsForClientTLS(
                    "api.openai.com", trustRootFromCertificates([Certificate.loadPEM(self.served.ca.pem)])
                )
            )
            caller.transport.write(request("/simulator/echo", b"hello"))
            await caller.until(b"\r\n\r\nhello")
            self.assertEqual((proxy.connects, proxy.tunnels), ([("api.openai.com", 443)], 1))
            caller.transport.abortConnection()
            await caller.ended
            while self.simulator.connections:
                await deferLater(reactor, 0.001, lambda: None)
            self.assertEqual(proxy.tunnels, 0)

    async def test_dead_upstream(self) -> None:
        """Where the far side goes, the client is let go."""
        _, port = self.listen()
        caller, _ = await self.connect(port)
        await self.simulator.disconnect()
        await caller.ended

    async def test_refusals(self) -> None:
        """Without the credentials 407, where told so 403, for names that are not in the table 502."""
        proxy, port = self.listen(credentials="user:pass")
        caller, head = await self.connect(port)
        self.assertIn(b" 407 ", head)
        self.assertIn(b"Proxy-Authenticate: Basic", head)
        await caller.ended
        caller, head = await self.connect(port, "Proxy-Authorization: Basic dXNlcjpwYXNz")
        self.assertIn(b" 200 ", head)
        self.assertEqual(proxy.authorizations, [None, b"Basic dXNlcjpwYXNz"])
        _, port = self.listen(refuse=403)
        self.assertIn(b" 403 ", (await self.connect(port))[1])
        _, port = self.listen()
        self.assertIn(b" 502 ", (await self.connect(port, to="example.com:443"))[1])

    async def test_stall(self) -> None:
        """Told to stall, it says nothing."""
        proxy, port = self.listen(stall=True)
        caller = await connectProtocol(HostnameEndpoint(reactor, b"127.0.0.1", port), Caller())
        caller.transport.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n")
        while not proxy.connects:
            await deferLater(reactor, 0.001, lambda: None)
        self.assertEqual(caller.data, b"")
        caller.transport.abortConnection()
        await caller.ended
