"""`ws-handshake`: open a session, echo one message, close it, and again; a few at once."""

from __future__ import annotations

import struct

from bench.load.frames import CLOSE, Frames, client_frame, server_frame
from bench.load.loop import Gate
from bench.load.run import Run, WrongAnswer, differs
from bench.load.upgrade import Session
from bench.load.websocket import messages, serve_echo

WARM = 3
"""Sessions of each before the measured window."""
NORMAL = struct.pack("!H", 1000)


class Opener(Session):
    """:ivar count: sessions that were opened, answered and closed."""

    read = 4096

    def __init__(self, run: Run, number: int, gate: Gate) -> None:
        super().__init__(run, number)
        self.count = 0
        self._gate = gate
        self._enough = WARM
        self._text = messages(run, number)[0]
        self._frame = client_frame(self._text)
        self._echo = server_frame(self._text)
        self._close = client_frame(NORMAL, CLOSE)
        self._closed = server_frame(NORMAL, CLOSE)

    def opened(self) -> None:
        self._closing = False
        self._frames: Frames | None = None
        super().opened()

    def ready(self) -> None:
        self.channel.write(self._frame)

    def arrived(self, data: bytes) -> None:
        if self._frames is None and data == (self._closed if self._closing else self._echo):
            self._step()
            return
        if self._frames is None:
            self._frames = Frames(masked=False)
        for opcode, payload in self.frames(self._frames, data):
            if self._closing and opcode == CLOSE:
                if payload[:2] != NORMAL:
                    raise differs("close", payload, NORMAL)
            elif self._closing or opcode == CLOSE:
                raise WrongAnswer(
                    f"opcode {opcode} in place of the {'close' if self._closing else 'echo'}: {payload!r}"
                )
            elif payload != self._text:
                raise differs("echo", payload, self._text)
            self._step()

    def _step(self) -> None:
        """The echo was right: close. Or that has been answered too: the next session."""
        if not self._closing:
            self._closing = True
            self.channel.write(self._close)
            return
        self.channel.close()
        self.count += 1
        if self.count == self._enough:
            self._gate.come()
        else:
            self.open()

    def finish(self, gate: Gate) -> None:
        self._gate, self._enough = gate, self.count + 1


def handshakes(run: Run) -> None:
    """For the run's seconds."""
    count = run.number("connections")
    serve_echo(run, count)
    gate = Gate(run.loop, count)
    clients = [Opener(run, number, gate) for number in range(count)]
    for client in clients:
        client.open()
    run.loop.run(lambda: f"warming up: {gate.missing} of {count} have not opened {WARM} sessions")
    run.begin()
    for client in clients:
        client.open()
    run.loop.run("opening sessions", run.seconds)
    run.end(sum(client.count - WARM for client in clients))
    run.checked += run.operations + WARM * count
    run.finish(clients)
