"""A simulator in memory: a clock, a transport, and the bytes that go in and come out."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from agentproxy.simulator import Script, Simulator


class Wire(StringTransport):
    """A transport that counts reading's pauses and knows how it was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.nodelay = enabled

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class Link:
    """A connection to a simulator of its own, unless one is given."""

    def __init__(self, simulator: Simulator | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.simulator = simulator or Simulator(self.clock, **options)
        self.wire = Wire()
        self.protocol = self.simulator.buildProtocol(None)
        self.protocol.makeConnection(self.wire)

    def send(self, data: bytes) -> bytes:
        """Send bytes; returns what came back for them."""
        self.protocol.dataReceived(data)
        return self.take()

    def take(self) -> bytes:
        """What has come back since the last time."""
        data: bytes = self.wire.value()
        self.wire.clear()
        return data


def request(target: str, body: Any = None, method: str = "POST", host: str = "127.0.0.1", *headers: str) -> bytes:
    """A request's bytes; a body that is no bytes is sent as JSON; none makes a GET."""
    if body is None:
        lines = [f"{method if method != 'POST' else 'GET'} {target} HTTP/1.1", f"Host: {host}", *headers, "", ""]
        return "\r\n".join(lines).encode()
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content


def split(response: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one response, its chunks put together."""
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    if fields.get("transfer-encoding") == "chunked":
        whole = b""
        while body and not body.startswith(b"0\r\n"):
            size, _, rest = body.partition(b"\r\n")
            whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        body = whole
    return int(lines[0].split(" ")[1]), fields, body


def events(body: bytes) -> list[dict[str, Any]]:
    """The JSON values of a stream's events."""
    lines = body.decode().replace("\r\n", "\n").split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


QUIET = Script(text="Fine.", events=2)
