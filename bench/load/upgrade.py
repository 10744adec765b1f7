"""The WebSocket handshake on both sides (RFC 6455, 4), and permessage-deflate in it (RFC 7692)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from bench.load.channel import Channel
from bench.load.frames import CLOSE, PING, PONG, BadFrame, Frames, client_frame, inflate, server_frame
from bench.load.message import Head, Malformed, Reader, build_head
from bench.load.requests import AGENT, KEY, PATH
from bench.load.run import Line, Run, WrongAnswer

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEYS = [base64.b64encode(bytes([i]) * 16) for i in range(64)]
"""A session takes the one that comes next, so that answers that were mixed up are noticed."""
DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
"""Without contexts a message is compressed once, before, and sent again and again."""


def accept_of(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


class Session(Line):
    """
    A client's WebSocket session. A child overrides `ready`, and `arrived` for what comes after it.

    :param number: which one it is; decides on its key.
    """

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(run)
        self.deflate = bool(run.parameters.get("deflate"))
        self.number = number
        self._key = KEYS[number % len(KEYS)]
        self._accept = accept_of(self._key)
        self._request = request(run, self._key, self.deflate)

    def opened(self) -> None:
        self._reader = Reader(self._head, lambda data: None, lambda: None)
        self.channel.write(self._request)

    def received(self, data: bytes) -> None:
        try:
            surplus = self._reader.feed(data)
        except Malformed as error:
            raise WrongAnswer(f"handshake: {error}") from None
        if self.channel.received == self.arrived:
            self.ready()
            if surplus:
                self.arrived(surplus)

    def _head(self, head: Head) -> None:
        if head.status != 101:
            self._reader.detach()
            self.failed(f"handshake: {head.start!r}")
            return
        if head.fields.get(b"sec-websocket-accept") != self._accept:
            raise WrongAnswer(f"handshake: sec-websocket-accept {head.fields.get(b'sec-websocket-accept')!r}")
        extension = head.fields.get(b"sec-websocket-extensions", b"")
        if self.deflate != (b"permessage-deflate" in extension) or self.deflate != (b"server_no_context" in extension):
            raise WrongAnswer(f"handshake: sec-websocket-extensions {extension!r}")
        self._reader.detach()
        self.channel.received = self.arrived

    def ready(self) -> None:
        """The session is open."""
        raise NotImplementedError

    def arrived(self, data: bytes) -> None:
        """Bytes of frames."""
        raise NotImplementedError

    def frames(self, frames: Frames, data: bytes) -> list[tuple[int, bytes]]:
        """
        Opcode and payload of each message in what was read, inflated, and of a close; pings are answered.

        :raises WrongAnswer: it is no frame.
        """
        found = []
        try:
            for opcode, deflated, payload in frames.feed(data):
                if opcode == PING:
                    self.channel.write(client_frame(payload, PONG))
                elif opcode != PONG:
                    found.append((opcode, inflate(payload) if deflated else payload))
        except BadFrame as error:
            raise WrongAnswer(f"session {self.number}: {error}") from None
        return found

    def messages(self, frames: Frames, data: bytes) -> list[bytes]:
        """
        The payloads of the messages in what was read.

        :raises WrongAnswer: it is no frame, or the peer closes.
        """
        found = self.frames(frames, data)
        for opcode, payload in found:
            if opcode == CLOSE:
                raise WrongAnswer(f"session {self.number} was closed: {payload!r}")
        return [payload for _, payload in found]


def request(run: Run, key: bytes, deflate: bool) -> bytes:
    usual = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", key.decode()),
        ("user-agent", AGENT),
        ("authorization", KEY),
        ("openai-beta", "responses_websockets=2026-02-06"),
    ]
    if deflate:
        usual.append(("sec-websocket-extensions", DEFLATE))
    return build_head(f"GET {run.prefix}{PATH} HTTP/1.1", run.fields(usual))


class Welcome:
    """
    Upstream's side of a new connection: answers the handshake.

    :param serve: takes the connection then, and returns what is called with the bytes of frames.
    """

    def __init__(self, run: Run, channel: Channel, serve: Callable[[Channel], Callable[[bytes], None]]) -> None:
        self._run = run
        self._channel = channel
        self._serve = serve
        self._reader = Reader(self._head, lambda data: None, lambda: None)
        self._opened: Callable[[bytes], None] | None = None
        channel.received = self._received

    def _received(self, data: bytes) -> None:
        try:
            surplus = self._reader.feed(data)
        except Malformed as error:
            refuse(self._run, self._channel, str(error))
            return
        if self._opened is not None:
            self._channel.received = self._opened
            if surplus:
                self._opened(surplus)

    def _head(self, head: Head) -> None:
        self._reader.detach()
        fields = head.fields
        deflate = bool(self._run.parameters.get("deflate"))
        offered = fields.get(b"sec-websocket-extensions", b"")
        if fields.get(b"upgrade", b"").lower() != b"websocket" or b"sec-websocket-key" not in fields:
            refuse(self._run, self._channel, f"no upgrade: {head.start!r}")
            return
        if deflate and b"client_no_context_takeover" not in offered:
            refuse(self._run, self._channel, f"upstream was offered {offered!r}")
            return
        answer = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", accept_of(fields[b"sec-websocket-key"]).decode()),
        ]
        if deflate:
            answer.append(("sec-websocket-extensions", DEFLATE))
        self._channel.write(build_head("HTTP/1.1 101 Switching Protocols", answer))
        self._opened = self._serve(self._channel)


def refuse(run: Run, channel: Channel, why: str) -> None:
    """
    Upstream got what it can't understand: of a load before, while nothing is measured yet.

    :raises WrongAnswer: something is.
    """
    if run.began is not None and not run.ended:
        raise WrongAnswer(f"upstream: {why}")
    run.refused = why
    channel.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    channel.close()


def answer_control(channel: Channel, opcode: int, payload: bytes) -> None:
    """Upstream's answer to a ping or a close; it drops the connection behind a close, as servers do."""
    if opcode == PING:
        channel.write(server_frame(payload, PONG))
    elif opcode == CLOSE:
        channel.write(server_frame(payload[:2], CLOSE))
        channel.close()
