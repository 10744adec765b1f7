"""`ws-64` and its kin: an echo, one message in flight on each connection."""

from __future__ import annotations

from time import monotonic_ns

from bench.load.channel import Channel
from bench.load.frames import CLOSE, NO_MASK, BadFrame, Frames, client_frame, deflate, header, server_frame
from bench.load.loop import Gate
from bench.load.requests import prose
from bench.load.run import Run, Upstream, differs
from bench.load.upgrade import Session, Welcome, answer_control, refuse

WARM = 5
"""Echoes on each connection before the measured window."""
BIG = 262144
"""Bytes asked for in one read where messages are large."""

Shapes = dict[int, tuple[bytes, bytes]]
"""By the size of a whole frame as the clients send it: its header with the mask's key, and the header of its echo."""


class EchoServer:
    """
    Upstream: sends each message back. A frame as this load's clients send it is turned in a slice; one that somebody
    has masked or cut anew is read bit by bit from then on.
    """

    def __init__(self, run: Run, channel: Channel, shapes: Shapes) -> None:
        self._run = run
        self._channel = channel
        self._write = channel.write
        self._shapes = shapes
        self._parts: list[bytes | memoryview] = []
        self._missing = 0
        self._frames: Frames | None = None

    def received(self, data: bytes) -> None:
        shape = self._shapes.get(len(data))
        if shape is not None and not self._missing and data.startswith(shape[0]):
            if len(data) > 4096:
                self._channel.write_parts([shape[1], memoryview(data)[len(shape[0]) :]])
            else:
                self._write(shape[1] + data[len(shape[0]) :])
        elif self._frames is not None:
            self._bit_by_bit(self._frames, data)
        elif self._missing:
            self._go_on(data)
        else:
            self._start(data)

    def _start(self, data: bytes) -> None:
        """The beginning of a message that is not whole yet, or of another shape."""
        for whole, (expected, answer) in self._shapes.items():
            if len(data) < whole and data.startswith(expected):
                self._parts = [answer, memoryview(data)[len(expected) :]]
                self._missing = whole - len(data)
                return
        self._frames = Frames(masked=True)
        self._bit_by_bit(self._frames, data)

    def _go_on(self, data: bytes) -> None:
        """More of a large message: it is kept as it comes, and sent back once it is whole."""
        part, rest = (data, b"") if len(data) <= self._missing else (data[: self._missing], data[self._missing :])
        self._parts.append(part)
        self._missing -= len(part)
        if not self._missing:
            self._channel.write_parts(self._parts)
            self._parts = []
            if rest:
                self.received(rest)

    def _bit_by_bit(self, frames: Frames, data: bytes) -> None:
        try:
            for opcode, deflated, payload in frames.feed(data):
                if opcode < CLOSE:
                    self._write(server_frame(payload, opcode, deflated=deflated))
                else:
                    answer_control(self._channel, opcode, payload)
        except BadFrame as error:
            refuse(self._run, self._channel, str(error))


class EchoClient(Session):
    """
    A session that sends its messages in turn, each once the one before has come back.

    :ivar delays: nanoseconds from sending to the whole echo, of each.
    """

    def __init__(self, run: Run, number: int, gate: Gate, limit: int | None = WARM) -> None:
        super().__init__(run, number)
        self.read = read_size(run)
        self._gate = gate
        self.limit = limit
        self.delays: list[int] = []
        self._sent = 0
        texts = messages(run, number)
        payloads = [deflate(text) if self.deflate else text for text in texts]
        self._turns = [
            (client_frame(payload, deflated=self.deflate), server_frame(payload, deflated=self.deflate), text)
            for payload, text in zip(payloads, texts, strict=True)
        ]
        self._frame, self._expected, self._text = self._turns[0]
        self._at = 0
        self._frames: Frames | None = None

    def ready(self) -> None:
        self.go(self.limit)

    def go(self, limit: int | None = None) -> None:
        """Begin to send: as many messages, or for ever."""
        self.limit = limit
        self.delays = []
        self._sent = monotonic_ns()
        self.channel.write(self._frame)

    def finish(self, gate: Gate) -> None:
        self._gate = gate
        self.limit = len(self.delays) + 1

    def arrived(self, data: bytes) -> None:
        if data == self._expected and not self._at:
            self._came()
        elif self._frames is not None:
            self._anew(self._frames, data)
        elif self._expected.startswith(data, self._at):
            self._at += len(data)
            if self._at == len(self._expected):
                self._at = 0
                self._came()
        else:
            self._frames = Frames(masked=False)
            self._anew(self._frames, self._expected[: self._at] + data)
            self._at = 0

    def _anew(self, frames: Frames, data: bytes) -> None:
        """Somebody has framed the echo anew: its content has to be right all the same."""
        for payload in self.messages(frames, data):
            if payload != self._text:
                raise differs("echo", payload, self._text)
            self._came()

    def _came(self) -> None:
        """The echo was right: the next one."""
        now = monotonic_ns()
        delays = self.delays
        delays.append(now - self._sent)
        self._sent = now
        self._frame, self._expected, self._text = self._turns[len(delays) & 1]
        if len(delays) == self.limit:
            self.run.checked += len(delays)
            self._gate.come()
        else:
            self.channel.write(self._frame)


def messages(run: Run, number: int) -> list[bytes]:
    """The two messages that a connection sends in turn; no other sends the same."""
    size = run.number("size")
    return [prose(size, 2 * number + i) for i in (1000, 1001)]


def read_size(run: Run) -> int:
    return BIG if run.number("size") > 16384 else 16384


def serve_echo(run: Run, clients: int) -> None:
    """Let upstream echo what as many clients send."""
    deflated = bool(run.parameters.get("deflate"))
    shapes: Shapes = {}
    for number in range(clients):
        for text in messages(run, number):
            length = len(deflate(text)) if deflated else len(text)
            head = header(length, masked=True, deflated=deflated) + NO_MASK
            shapes[len(head) + length] = (head, header(length, masked=False, deflated=deflated))
    Upstream(
        run,
        lambda channel: Welcome(run, channel, lambda opened: EchoServer(run, opened, shapes).received),
        read_size(run),
    )


def echo(run: Run) -> None:
    """Echo for the run's seconds."""
    count = run.number("connections")
    serve_echo(run, count)
    gate = Gate(run.loop, count)
    clients = [EchoClient(run, number, gate) for number in range(count)]
    for client in clients:
        client.open()
    run.loop.run(lambda: f"warming up: {gate.missing} of {count} sessions are not ready")
    run.begin()
    for client in clients:
        client.go()
    run.loop.run("echoing", run.seconds)
    run.end(sum(len(client.delays) for client in clients))
    run.delays([delay for client in clients for delay in client.delays])
    run.finish(clients)
