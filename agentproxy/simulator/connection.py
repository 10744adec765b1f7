"""
A connection of the simulator: reads requests (RFC 9112), has them answered in order, and keeps the journal.

What is answered is decided in `routes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from agentproxy.errors import ProxyError
from agentproxy.simulator import handshake, routes, scripted
from agentproxy.simulator.answer import Answer, Request, Step, refusal_bytes, render
from agentproxy.simulator.journal import Seen
from agentproxy.simulator.player import Player
from agentproxy.simulator.script import BadScript
from agentproxy.simulator.websocket import Socket
from agentproxy.wire.body import BadBody, BodyReader, ChunkedReader, LengthReader
from agentproxy.wire.head import CHUNKED, RequestHead
from agentproxy.wire.parse import RequestHeads

if TYPE_CHECKING:
    from agentproxy.simulator.server import Simulator

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD_LIMIT = 1 << 20
_HELD_LIMIT = 1 << 16


class Connection(Protocol):
    """
    One client's connection. It reads a request, answers it, reads the next; what comes in between is held, and
    above 64 KiB of it not read. After an upgrade all bytes are the WebSocket's.
    """

    transport: Any

    def __init__(self, simulator: Simulator, number: int) -> None:
        self.simulator = simulator
        self.number = number
        self._heads = RequestHeads(_HEAD_LIMIT)
        self._request: Request | None = None
        self._reader: BodyReader | None = None
        self._pieces: list[bytes] = []
        self._consumer: scripted.Consumer | None = None
        self._seen: Seen | None = None
        self._player: Player | None = None
        self._busy = False
        self._held = b""
        self._delayed: Any = None
        self._reading = True
        self._socket: Socket | None = None

    def connectionMade(self) -> None:
        self.simulator.connected(self)
        self.transport.setTcpNoDelay(True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._seen is not None and self._seen.outcome in ("reading", "answering"):
            self._seen.outcome = "gone"
        if self._player is not None:
            self._player.stop()
        if self._delayed is not None:
            self._delayed.cancel()
            self._delayed = None
        if self._socket is not None:
            self._socket.lost()
        self.simulator.disconnected(self)

    def abort(self) -> None:
        """Reset it."""
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.feed(data)
        elif self._busy:
            self._held += data
            if len(self._held) > _HELD_LIMIT and self._reading:
                self._reading = False
                self.transport.pauseProducing()
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            while data and not self._busy and self._socket is None:
                if self._request is None:
                    found = self._heads.feed(data)
                    if found is None:
                        return
                    data = found[1]
                    self._begin(found[0])
                    continue
                data = self._body(data)
        except ProxyError as error:
            self._refuse(error.status, error.message)
            return
        except (BadBody, BadScript) as error:
            self._refuse(400, str(error))
            return
        if data and self._socket is not None:
            self._socket.feed(data)
        elif data:
            self._held = data + self._held

    def _begin(self, head: RequestHead) -> None:
        simulator = self.simulator
        simulator.served += 1
        request = Request(head, simulator.script, simulator.served)
        upgrade = b"upgrade" in head.connection and handshake.wanted(head)
        routes.locate(request)
        if simulator.journal is not None:
            self._note(request, "websocket" if upgrade else "http")
        self._request = request
        if upgrade:
            self._upgrade(request)
            return
        if head.length == 0:
            self._reader = None
            self._whole(b"")
            return
        self._reader = ChunkedReader(_HEAD_LIMIT) if head.length == CHUNKED else LengthReader(head.length)
        self._consumer = scripted.consumer(request, self.transport)
        if head.expects:
            self.transport.write(_CONTINUE)
        if self._consumer is not None and self._consumer.hold:
            self.transport.pauseProducing()
            self._delayed = simulator.clock.callLater(self._consumer.hold, self._unhold)

    def _unhold(self) -> None:
        self._delayed = None
        self.transport.resumeProducing()

    def _body(self, data: bytes) -> bytes:
        reader = self._reader
        assert reader is not None
        piece = reader.feed(data)
        if self._consumer is not None:
            self._consumer.feed(piece)
            if self._seen is not None:
                self._seen.body_bytes += len(piece)
        elif piece:
            self._pieces.append(piece)
        if not reader.done:
            return b""
        pieces, self._pieces = self._pieces, []
        rest = reader.rest
        self._whole(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        return rest

    def _whole(self, body: bytes) -> None:
        """The request has come whole: answer it."""
        request, seen = self._request, self._seen
        assert request is not None
        request.body = body
        if seen is not None and self._consumer is None:
            assert self.simulator.journal is not None
            self.simulator.journal.ended(seen, body)
        consumer, self._consumer = self._consumer, None
        answer = consumer.finish() if consumer is not None else routes.answer(request, self.simulator)
        if answer is None:
            self._answered(True)
        else:
            self._answer(request, answer)

    def _answer(self, request: Request, answer: Answer) -> None:
        out = render(answer, request)
        if isinstance(out, bytes):
            self.transport.write(out)
            self._answered(True)
        else:
            self._play(out)

    def _play(self, steps: Iterator[Step]) -> None:
        self._busy = True
        self._player = Player(self.simulator.clock, self.transport, steps, self._played)
        self._player.start()

    def _played(self, alive: bool) -> None:
        self._player = None
        self._answered(alive)
        if alive and self._request is None:
            self._go_on()

    def _answered(self, alive: bool) -> None:
        request, self._request = self._request, None
        assert request is not None
        if self._seen is not None:
            self._seen.outcome = "answered" if alive or request.script.close else "cut"
            self._seen = None
        if alive and request.head.keep_alive:
            self._busy = False
        else:
            self._busy = True
            self.transport.loseConnection()

    def _go_on(self) -> None:
        if self._busy:
            return
        held, self._held = self._held, b""
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()
        if held:
            self._read(held)

    def _upgrade(self, request: Request) -> None:
        opened = handshake.open_socket(request, self)
        if isinstance(opened, Answer):
            self._answer(request, opened)
            return
        self._socket = opened
        self._request = None
        if self._seen is not None:
            self._seen.outcome = "answered"
            self._seen = None
        opened.start()

    def _refuse(self, status: int, message: str) -> None:
        self._busy = True
        self.transport.write(refusal_bytes(status, message))
        self.transport.loseConnection()

    def _note(self, request: Request, protocol: str) -> None:
        assert self.simulator.journal is not None
        head = request.head
        headers = [(name, value) for _, name, value in head.fields]
        name = server_name(self.transport)
        # The target as it was on the wire, not as a prefix changed it.
        self._seen = Seen(head.method, head.target, headers, protocol, request.provider, name, self.number)
        self.simulator.journal.requests.append(self._seen)

    @property
    def seen(self) -> Seen | None:
        """The journal's entry of the request being read or answered."""
        return self._seen


def server_name(transport: Any) -> str | None:
    """The name that the client asked for in TLS; ``None`` without TLS."""
    handle = getattr(transport, "getHandle", lambda: None)()
    ask = getattr(handle, "get_servername", None)
    if ask is None:
        return None
    name = ask()
    return name.decode("ascii", "replace") if name else ""
