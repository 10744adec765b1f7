"""
The simulator's WebSockets once they are open: messages in and out, control frames, close.

What a socket says is its app's business: `sockets` (the scripted ones), `openai`, `realtime`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from agentproxy.simulator.answer import Step
from agentproxy.simulator.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATED,
    FINAL,
    PING,
    PONG,
    TEXT,
    Deflate,
    Frame,
    FrameReader,
    Violation,
    pack,
    pack_close,
)
from agentproxy.simulator.journal import MAX_BYTES, SeenSocket
from agentproxy.simulator.player import Player, ReadPauser

if TYPE_CHECKING:
    from agentproxy.simulator.connection import Connection


class App(Protocol):
    """
    What is behind a socket.

    :ivar raw: it wants frames, unmasked and as they came; else whole messages, inflated.
    """

    raw: bool

    def opened(self, socket: Socket) -> None: ...

    def message(self, socket: Socket, message: str | bytes) -> None: ...

    def frames(self, socket: Socket, frames: list[Frame]) -> None: ...


class Socket:
    """
    One WebSocket.

    :ivar deflate: permessage-deflate, where it was agreed on.
    :ivar seen: its entry in the journal, or ``None``.
    """

    def __init__(
        self, connection: Connection, app: App, opening: bytes, deflate: Deflate | None, interrupted: str
    ) -> None:
        self.transport: Any = connection.transport
        self.clock = connection.simulator.clock
        self.deflate = deflate
        self.closing = False
        self._app = app
        self._opening = opening
        self._interrupted = interrupted
        self._reader = FrameReader(deflate is not None)
        self._parts: list[bytes] = []
        self._kind = 0
        self._compressed = False
        self._player: Player | None = None
        self._queue: list[Iterator[Step]] = []
        self._echoes = False
        self._kept = 0
        journal = connection.simulator.journal
        self.seen: SeenSocket | None = None
        if journal is not None and connection.seen is not None:
            self.seen = SeenSocket(connection.seen, deflate=deflate is not None)
            journal.websockets.append(self.seen)

    def start(self) -> None:
        """Send the 101."""
        if self._interrupted:
            self.closing = True
            if self._interrupted == "head":
                self.transport.write(self._opening[: len(self._opening) // 2])
            if self._interrupted != "silent":
                self.transport.abortConnection()
            return
        self.transport.write(self._opening)
        if self._app.raw:
            self._echoes = True
            self.transport.registerProducer(ReadPauser(self.transport), True)
        self._app.opened(self)

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        if self.closing:
            return
        try:
            frames = self._reader.feed(data)
            if self.seen is not None:
                for frame in frames:
                    self._note(frame)
            if not self._app.raw or self.seen is not None:
                for frame in frames:
                    self._frame(frame)
            if self._app.raw:
                self._app.frames(self, frames)
        except (Violation, UnicodeDecodeError) as error:
            if self.seen is not None:
                self.seen.violation = str(error)
            self.close(1002 if isinstance(error, Violation) else 1007)

    def lost(self) -> None:
        """The connection has ended."""
        self.closing = True
        self._queue.clear()
        if self._player is not None:
            self._player.stop()
        if self.seen is not None:
            self.seen.gone = True

    def send(self, message: str | bytes) -> None:
        """Send a message, compressed where that was agreed on."""
        if not self.closing:
            self.transport.write(self.packed(message))

    def packed(self, message: str | bytes) -> bytes:
        """A message's frame. Frames of a compressing socket must go out in the order in which they were made."""
        first = FINAL | (TEXT if isinstance(message, str) else BINARY)
        payload = message.encode() if isinstance(message, str) else message
        if self.deflate is not None:
            return pack(first | DEFLATED, self.deflate.deflate(payload))
        return pack(first, payload)

    def play(self, steps: Iterator[Step]) -> None:
        """Play steps, behind those that are playing."""
        self._queue.append(steps)
        if self._player is None:
            self._next()

    def close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame and end the connection."""
        if self.closing:
            return
        self.closing = True
        self.transport.write(pack_close(code, reason))
        self._drop_producer()
        self.transport.loseConnection()

    def drop(self, reset: bool = False) -> None:
        """End the connection without a close frame."""
        self.closing = True
        self._drop_producer()
        if reset:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def _drop_producer(self) -> None:
        self._queue.clear()
        if self._player is not None:
            self._player.stop()
            self.transport.unregisterProducer()
            self._player = None
        elif self._echoes:
            self._echoes = False
            self.transport.unregisterProducer()

    def _next(self) -> None:
        if self._queue and not self.closing:
            self._player = Player(self.clock, self.transport, self._queue.pop(0), self._played)
            self._player.start()

    def _played(self, alive: bool) -> None:
        self._player = None
        if alive:
            self._next()
        else:
            self.drop()

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode >= CLOSE:
            if not self._app.raw:
                self.control(frame)
        else:
            if opcode != CONTINUATION:
                self._kind, self._compressed = opcode, bool(frame.first & DEFLATED)
            self._parts.append(frame.payload)
            if frame.final:
                self._message(b"".join(self._parts))

    def _message(self, payload: bytes) -> None:
        self._parts.clear()
        raw = self._app.raw
        if self._compressed and self.deflate is not None:
            payload = self.deflate.inflate(payload)
        message: str | bytes = payload
        if self._kind == TEXT:
            message = payload.decode("utf-8", "replace" if raw else "strict")
        if self.seen is not None:
            self.seen.messages.append(message)
        if not raw and not self.closing:
            self._app.message(self, message)

    def control(self, frame: Frame) -> None:
        """Answer a control frame (RFC 6455, 5.5)."""
        if frame.opcode == CLOSE:
            self._closed_by_client(frame.payload)
        elif frame.opcode == PING and not self.closing:
            self.transport.write(pack(FINAL | PONG, frame.payload))

    def _closed_by_client(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else None
        if self.seen is not None:
            self.seen.close = (code or 1005, payload[2:].decode("utf-8", "replace"))
        self.close(code)

    def _note(self, frame: Frame) -> None:
        assert self.seen is not None
        self._kept += len(frame.payload)
        if self._kept > MAX_BYTES:
            self.seen.frames.clear()
            self.seen.messages.clear()
            self._kept = len(frame.payload)
        self.seen.frames.append((frame.opcode, frame.final, frame.reserved, frame.payload))
