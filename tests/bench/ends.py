"""Both ends of a peer, small and strict, in plain blocking sockets: what one sends the other must see byte for byte."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import threading

HOST = "127.0.0.1"
BODY = b'{"model":"gpt-5","input":"' + bytes(range(0x20, 0x7F)).replace(b'"', b"").replace(b"\\", b"") * 3 + b'"}'
EVENTS = [b'event: response.output_text.delta\ndata: {"sequence": %d, "delta": "\xc3\xa4"}\n\n' % n for n in range(50)]
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SECONDS = 20


class Upstream:
    """
    A provider: answers a POST with its body, a GET with server-sent events, an upgrade with an echo of its messages.

    :ivar port: where it listens, on loopback.
    :ivar heads: the request heads that it got.
    :ivar connections: how many it accepted.
    """

    def __init__(self, cert: str | None = None, key: str | None = None) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self._context = None
        if cert:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(cert, key)
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept nothing more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            wire = Wire(sock)
            while True:
                head = wire.until(b"\r\n\r\n")
                self.heads.append(head)
                if b"\r\nupgrade: websocket" in head.lower():
                    self._echo(wire, head)
                elif head.startswith(b"GET "):
                    self._events(wire)
                else:
                    body = wire.body(head)
                    length = b"content-length: %d\r\n" % len(body)
                    wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-served: 1\r\n" + length)
                    wire.send(b"\r\n" + body)

    def _events(self, wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in EVENTS:
            wire.send(b"%x\r\n%b\r\n" % (len(event), event))
        wire.send(b"0\r\n\r\n")

    def _echo(self, wire: Wire, head: bytes) -> None:
        accept = base64.b64encode(hashlib.sha1(header(head, b"sec-websocket-key") + _GUID).digest())
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n")
        wire.send(b"sec-websocket-accept: " + accept + b"\r\n\r\n")
        while True:
            first, payload = wire.frame()
            wire.send(frame(first, payload, b""))
            if first & 15 == 8:
                raise EOFError


class Wire:
    """A socket that is read by the piece."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(_SECONDS)
        self.sock = sock
        self._data = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            self._more()
        piece, _, self._data = self._data.partition(mark)
        return piece + mark

    def exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            self._more()
        piece, self._data = self._data[:size], self._data[size:]
        return piece

    def body(self, head: bytes) -> bytes:
        """A body that is behind this head."""
        if b"chunked" not in header(head, b"transfer-encoding"):
            return self.exactly(int(header(head, b"content-length") or b"0"))
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size + 2)[:-2]
        self.exactly(2)
        return body

    def frame(self) -> tuple[int, bytes]:
        """A frame's first byte, and its payload without the mask."""
        first, second = self.exactly(2)
        size = second & 127
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8))
        mask = self.exactly(4) if second & 128 else b""
        payload = self.exactly(size)
        return first, masked(payload, mask) if mask else payload

    def _more(self) -> None:
        data = self.sock.recv(1 << 18)
        if not data:
            raise EOFError(f"ended behind {self._data[-200:]!r}")
        self._data += data


def header(head: bytes, name: bytes) -> bytes:
    """A header's value, or nothing."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""


def masked(payload: bytes, mask: bytes) -> bytes:
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))


def frame(first: int, payload: bytes, mask: bytes) -> bytes:
    """A frame, masked where there is a mask."""
    size = len(payload)
    if size < 126:
        length = bytes([size | (128 if mask else 0)])
    elif size < 65_536:
        length = bytes([126 | (128 if mask else 0)]) + size.to_bytes(2)
    else:
        length = bytes([127 | (128 if mask else 0)]) + size.to_bytes(8)
    return bytes([first]) + length + mask + (masked(payload, mask) if mask else payload)


class Client:
    """An agent, on one connection that is kept. Each of its calls says what came back."""

    def __init__(self, host: str, port: int, prefix: str = "", headers: list[str] | None = None) -> None:
        self.wire = Wire(socket.create_connection((host, port), _SECONDS))
        self._prefix = prefix
        self._headers = "".join(f"{line}\r\n" for line in [f"Host: {host}:{port}", *(headers or [])])

    def close(self) -> None:
        self.wire.sock.close()

    def _ask(self, method: str, path: str, more: str, body: bytes = b"") -> bytes:
        lines = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._headers}{more}\r\n"
        self.wire.send(lines.encode() + body)
        return self.wire.until(b"\r\n\r\n")

    def post(self, body: bytes = BODY) -> tuple[int, bytes]:
        more = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nauthorization: Bearer sk-client\r\n"
        head = self._ask("POST", "/v1/responses", more, body)
        return int(head.split()[1]), self.wire.body(head)

    def events(self) -> tuple[int, bytes]:
        more = "accept: text/event-stream\r\nauthorization: Bearer sk-client\r\n"
        head = self._ask("GET", "/v1/responses/resp_1", more)
        return int(head.split()[1]), self.wire.body(head)

    def upgrade(self) -> int:
        key = base64.b64encode(os.urandom(16)).decode()
        more = (
            "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: {key}\r\nauthorization: Bearer sk-client\r\n"
        )
        head = self._ask("GET", "/v1/responses", more)
        if head.startswith(b"HTTP/1.1 101 "):
            accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
            assert header(head, b"sec-websocket-accept") == accept, head
        return int(head.split()[1])

    def echo(self, payload: bytes, text: bool = False) -> tuple[int, bytes]:
        self.wire.send(frame(0x81 if text else 0x82, payload, os.urandom(4)))
        return self.wire.frame()
