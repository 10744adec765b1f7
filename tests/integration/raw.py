"""Raw sockets for tests: bytes in, bytes out, and waiting for what comes."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from agentproxy.wire.body import ChunkedReader
from agentproxy.wire.parse import parse_response, split_head
from tests.integration.waiting import Waiting, reactor


class Raw(Waiting, Protocol):
    """
    A client's connection.

    :ivar data: what came and was not taken yet.
    :ivar closed: whether the other side has closed; ``reset``: whether it did so by a reset.
    """

    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.closed = False
        self.reset = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = True
        self.reset = reason is not connectionDone and not reason.check(type(connectionDone.value))
        self.look()

    def send(self, data: bytes) -> None:
        """Write."""
        self.transport.write(data)

    def drop(self) -> None:
        """Reset the connection."""
        self.transport.abortConnection()

    async def read(self, size: int) -> bytes:
        """The next so many bytes."""
        await self.until(lambda: len(self.data) >= size or self.closed)
        assert len(self.data) >= size, self.data
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    async def end(self) -> bytes:
        """Everything until the other side closes."""
        await self.until(lambda: self.closed)
        return self.data

    async def head(self, method: bytes = b"GET") -> Any:
        """The next response's head."""
        await self.until(lambda: b"\r\n\r\n" in self.data or self.closed)
        split = split_head(self.data, 1 << 20)
        assert split is not None, self.data
        head, self.data = split
        return parse_response(head, method)

    async def response(self, method: bytes = b"GET") -> tuple[Any, bytes]:
        """The next whole response, with its body."""
        head = await self.head(method)
        if head.length >= 0:
            return head, await self.read(head.length)
        if head.length == -2:
            body = await self.end()
            self.data = b""
            return head, body
        reader, pieces = ChunkedReader(65536), []
        while not reader.done:
            await self.until(lambda: bool(self.data) or self.closed)
            assert self.data, (head.status, b"".join(pieces))
            taken, self.data = self.data, b""
            pieces.append(reader.feed(taken))
        self.data = reader.rest + self.data
        return head, b"".join(pieces)

    def state(self) -> str:
        return f"there is {self.data[-2000:]!r}"


async def connect(port: int) -> Raw:
    """Connect to a port of this machine."""
    raw = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(Factory.forProtocol(Raw))
    assert isinstance(raw, Raw)
    return raw


def request(
    target: str, *fields: str, method: str = "GET", body: bytes | None = None, host: str = "localhost"
) -> bytes:
    """A request's bytes."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def upgrade(target: str, *fields: str) -> bytes:
    """A WebSocket upgrade's bytes."""
    own = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
    return request(target, *own, *fields)
