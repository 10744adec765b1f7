"""
A CONNECT proxy (RFC 9110, 9.3.6) for demo and tests: names are looked up in a table first, and it can misbehave.

It copies what it is told to copy and no more; nothing here is a model for a proxy that faces a network.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

_HEAD_LIMIT = 65536
_EARLY_LIMIT = 1 << 20
_OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_REASONS = {400: b"Bad Request", 403: b"Forbidden", 407: b"Proxy Authentication Required", 502: b"Bad Gateway"}


class ConnectProxy(Factory):
    """
    :param reactor: an `IReactorTCP`, `IReactorTime`, and resolver for what the table does not have.
    :param mapping: ``(host, port)`` to the ``(address, port)`` that it is reached at.
    :param strict: refuse (502) what is not in the mapping, so that nothing leaves the machine.
    :param credentials: ``user:password`` that clients must send by Basic (RFC 7617); else 407.
    :ivar refuse: a status (403, say) that every CONNECT gets; 0: none.
    :ivar stall: say nothing to any CONNECT.
    :ivar pieces: send the answer byte by byte, each in a segment of its own as far as the system does it.
    :ivar connects: every CONNECT asked for, refused or not, as host and port.
    :ivar authorizations: the ``Proxy-Authorization`` of each, or ``None``.
    :ivar opened: tunnels opened so far.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        mapping: Mapping[tuple[str, int], tuple[str, int]] | None = None,
        *,
        strict: bool = False,
        credentials: str | None = None,
        refuse: int = 0,
        stall: bool = False,
        pieces: bool = False,
    ) -> None:
        self.reactor = reactor
        self.mapping = dict(mapping or {})
        self.strict = strict
        self.authorization = b"Basic " + b64encode(credentials.encode()) if credentials is not None else None
        self.refuse = refuse
        self.stall = stall
        self.pieces = pieces
        self.connects: list[tuple[str, int]] = []
        self.authorizations: list[bytes | None] = []
        self.opened = 0
        self.clients: set[ClientSide] = set()
        self._emptied: Deferred[None] | None = None

    @property
    def tunnels(self) -> int:
        """The tunnels that are open now."""
        return sum(client.server is not None for client in self.clients)

    def buildProtocol(self, addr: IAddress | None) -> ClientSide:
        return ClientSide(self)

    def left(self, client: ClientSide) -> None:
        """A client's connection has ended."""
        self.clients.discard(client)
        if self._emptied is not None and not self.clients:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def disconnect(self) -> Deferred[None]:
        """Reset every connection; fires once the clients' have ended. Not to be called again before that."""
        if not self.clients:
            return succeed(None)
        self._emptied = emptied = Deferred[None]()
        for client in list(self.clients):
            client.transport.abortConnection()
        return emptied


class ClientSide(Protocol):
    """A client's connection: a CONNECT, its answer, then the tunnel."""

    transport: Any

    def __init__(self, proxy: ConnectProxy) -> None:
        self._proxy = proxy
        self._data = b""
        self._state = "head"
        self._dialling: Deferred[Any] | None = None
        self._piece: Any = None
        self.server: ServerSide | None = None

    def connectionMade(self) -> None:
        self._proxy.clients.add(self)
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        if self.server is not None and self._state == "tunnel":
            self.server.transport.write(data)
            return
        self._data += data
        if self._state == "head":
            self._read_head()
        elif len(self._data) > _EARLY_LIMIT:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._state = "gone"
        if self._dialling is not None:
            self._dialling.cancel()
        if self._piece is not None:
            self._piece.cancel()
            self._piece = None
        server, self.server = self.server, None
        if server is not None:
            server.client = None
            server.transport.unregisterProducer()
            server.transport.loseConnection()
        self._proxy.left(self)

    def _read_head(self) -> None:
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            if len(self._data) > _HEAD_LIMIT:
                self._refuse(400)
            return
        lines = head.split(b"\r\n")
        line = lines[0].split(b" ")
        host, _, port = line[1].decode("latin-1").rpartition(":") if len(line) == 3 else ("", "", "")
        if line[0] != b"CONNECT" or not host or not port.isdigit():
            self._refuse(400)
            return
        self._data = rest
        self._open(host.strip("[]").lower(), int(port), lines[1:])

    def _open(self, host: str, port: int, lines: list[bytes]) -> None:
        proxy = self._proxy
        fields = [line.partition(b":") for line in lines]
        sent = next((value.strip() for name, _, value in fields if name.lower() == b"proxy-authorization"), None)
        proxy.connects.append((host, port))
        proxy.authorizations.append(sent)
        address = proxy.mapping.get((host, port))
        if proxy.authorization is not None and sent != proxy.authorization:
            self._refuse(407)
        elif proxy.refuse:
            self._refuse(proxy.refuse)
        elif address is None and proxy.strict:
            self._refuse(502)
        else:
            self._state = "dialling"
            if not proxy.stall:
                self._dial(*(address or (host, port)))

    def _dial(self, host: str, port: int) -> None:
        endpoint = HostnameEndpoint(self._proxy.reactor, host.encode(), port)
        self._dialling = endpoint.connect(Factory.forProtocol(ServerSide))
        self._dialling.addCallbacks(self._dialled, self._not_dialled)

    def _not_dialled(self, failure: Failure) -> None:
        self._dialling = None
        if self._state != "gone":
            self._refuse(502)

    def _dialled(self, server: ServerSide) -> None:
        self._dialling = None
        if self._state == "gone":
            server.transport.abortConnection()
            return
        self.server = server
        server.client = self
        server.transport.setTcpNoDelay(True)
        if self._proxy.pieces:
            self._say(_OPENED)
        else:
            self.transport.write(_OPENED)
            self._join()

    def _say(self, left: bytes) -> None:
        self._piece = None
        self.transport.write(left[:1])
        if len(left) > 1:
            self._piece = self._proxy.reactor.callLater(0.001, self._say, left[1:])
        else:
            self._join()

    def _join(self) -> None:
        """The answer is out: bytes pass, each side paused while the other's buffer is full."""
        server = self.server
        if server is None:
            return
        self._state = "tunnel"
        self._proxy.opened += 1
        early, self._data = self._data, b""
        if early:
            server.transport.write(early)
        server.transport.registerProducer(self.transport, True)
        self.transport.registerProducer(server.transport, True)
        server.join()

    def _refuse(self, status: int) -> None:
        self._state = "refused"
        challenge = b'Proxy-Authenticate: Basic realm="simulated"\r\n' if status == 407 else b""
        body = b"refused by the simulated proxy\n"
        head = b"HTTP/1.1 %d %b\r\n%bContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        self.transport.write(head % (status, _REASONS.get(status, b"Refused"), challenge, len(body)) + body)
        self.transport.loseConnection()


class ServerSide(Protocol):
    """The tunnel's other end."""

    transport: Any

    def __init__(self) -> None:
        self.client: ClientSide | None = None
        self._early = b""
        self._joined = False

    def join(self) -> None:
        """The client has its answer; what came before that may follow."""
        self._joined = True
        early, self._early = self._early, b""
        if early and self.client is not None:
            self.client.transport.write(early)

    def dataReceived(self, data: bytes) -> None:
        if self._joined and self.client is not None:
            self.client.transport.write(data)
        else:
            self._early += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        client, self.client = self.client, None
        if client is not None:
            client.server = None
            client.transport.unregisterProducer()
            client.transport.loseConnection()
