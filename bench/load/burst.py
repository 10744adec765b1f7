"""`sse`: streams of server-sent events that upstream writes as fast as they are taken, known beforehand."""

from __future__ import annotations

from bench.load.channel import Channel
from bench.load.events import event_text
from bench.load.loop import Gate
from bench.load.message import Head
from bench.load.run import Run, Upstream, WrongAnswer, differs
from bench.load.sse import LAST, StreamClient, StreamServer, chunk, wanted, wire

TURN = 16
"""Writes of one stream before the others get their turn."""
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Script:
    """
    What a stream is made of.

    :ivar pieces: what upstream writes at a time, each of ``batch`` events, each event in a chunk of its own.
    :ivar body: the events; ``raw``: the same with the chunks around them, to the end of the answer.
    """

    def __init__(self, number: int, events: int, batch: int) -> None:
        self.events = events
        each = [wire(event_text(number, sequence, 0)) for sequence in range(events)]
        chunks = [chunk(event) for event in each]
        self.pieces = [b"".join(chunks[i : i + batch]) for i in range(0, events, batch)]
        self.pieces[-1] += LAST
        self.body = b"".join(each)
        self.raw = b"".join(self.pieces)


class Burst:
    """Upstream's side of one stream."""

    def __init__(self, run: Run, channel: Channel, script: Script) -> None:
        self._run = run
        self._channel = channel
        self._pieces = script.pieces
        self._next = 0
        channel.drained = self._more
        run.loop.soon(self._more)

    def _more(self) -> None:
        channel = self._channel
        for piece in self._pieces[self._next : self._next + TURN]:
            channel.write(piece)
            self._next += 1
            if channel.busy or channel.closed:
                return
        if self._next < len(self._pieces):
            self._run.loop.soon(self._more)


class BurstClient(StreamClient):
    """
    Compares its stream. Chunks that come as upstream wrote them are compared as they are; where somebody has cut them
    anew, they are read one by one from then on.
    """

    read = 131072

    def __init__(self, run: Run, number: int, script: Script, gate: Gate) -> None:
        super().__init__(run, number)
        self._script = script
        self._gate: Gate | None = gate
        self._before = 0
        self._at = 0
        self._raw = self._anew = False

    @property
    def events(self) -> int:
        """Those that have come, in all answers."""
        whole = len(self._script.raw if self._raw else self._script.body)
        return self._before + self._at * self._script.events // whole

    def begin(self) -> None:
        self._at = 0
        self._raw = False

    def head(self, head: Head) -> None:
        super().head(head)
        if head.chunked and head.status == 200 and not self._anew:
            self._raw = True
            self.reader.detach()

    def received(self, data: bytes) -> None:
        if not self._raw:
            data = self.feed(data)
        if self._raw and data:
            self._compare(data)

    def _compare(self, data: bytes) -> None:
        raw = self._script.raw
        if raw.startswith(data, self._at):
            self._at += len(data)
            if self._at == len(raw):
                self._raw = False
                self._at = len(self._script.body)
                self.fresh()
                self.end()
            return
        self._anew = True
        before = raw[: self._at]
        self.begin()
        self.fresh()
        self.feed(CHUNKED + before + data)

    def body(self, data: bytes) -> None:
        body = self._script.body
        if not body.startswith(data, self._at):
            raise differs(f"stream {self.number} at {self._at}", data, body[self._at : self._at + len(data)])
        self._at += len(data)

    def finish(self, gate: Gate) -> None:
        self._gate = gate

    def done(self) -> None:
        if self._at != len(self._script.body):
            raise WrongAnswer(f"stream {self.number} ended after {self._at} of {len(self._script.body)} bytes")
        self._before += self._script.events
        self._at = 0
        if self._gate is not None:
            self._gate.come()
            self._gate = None


def sse(run: Run) -> None:
    """Events as fast as they go."""
    count, events = run.number("streams"), run.number("events")
    scripts = [Script(number, events, run.number("batch")) for number in range(count)]
    asked = {wanted(number): number for number in range(count)}
    Upstream(
        run,
        lambda channel: StreamServer(run, channel, asked, lambda opened, number: Burst(run, opened, scripts[number])),
    )
    gate = Gate(run.loop, count)
    clients = [BurstClient(run, number, script, gate) for number, script in enumerate(scripts)]
    for client in clients:
        client.open()
    run.loop.run(lambda: f"warming up: {gate.missing} of {count} streams have not come once")
    run.begin()
    before = sum(client.events for client in clients)
    run.loop.run("streaming", run.seconds)
    run.end(sum(client.events for client in clients) - before)
    run.checked += before + run.operations
    run.finish(clients)
