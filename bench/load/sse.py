"""
`sse-paced`: streams of server-sent events at a steady pace, each asked for by a POST and answered in chunks.

Upstream stamps each event and keeps what it sent, so that the client, in the same process and by the same clock,
compares every byte and knows how long it was under way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic, monotonic_ns
from typing import Protocol

from bench.load.channel import Channel
from bench.load.events import Ledger, Pacer, event_text
from bench.load.loop import Gate
from bench.load.message import Head, Malformed, Reader, build_head
from bench.load.requests import PATH, dumps, prose, question_fields, reply_fields
from bench.load.run import Finishing, Line, Run, Upstream, WrongAnswer
from bench.load.upgrade import refuse

WARM = 5
"""Events of each stream before the measured window."""
LAST = b"0\r\n\r\n"


def wanted(number: int) -> bytes:
    """The body that asks for a stream, about 300 bytes."""
    return dumps(
        {
            "model": "gpt-5-codex",
            "instructions": "You are a coding agent. Answer in one line.",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": prose(100, 1).decode()}]}],
            "store": False,
            "stream": True,
            "prompt_cache_key": f"bench-thread-{number:06}",
        }
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def wire(text: bytes) -> bytes:
    """An event as it goes over the wire, without the chunk around it."""
    return b"data: " + text + b"\n\n"


class StreamServer:
    """
    Upstream: answers each request for a stream.

    :param stream: begins to write the stream of that number into the connection; it writes the last chunk too.
    """

    def __init__(
        self, run: Run, channel: Channel, asked: dict[bytes, int], stream: Callable[[Channel, int], object]
    ) -> None:
        self._run = run
        self._channel = channel
        self._asked = asked
        self._stream = stream
        self._reader = Reader(self._head, self._body, self._end)
        self._got: list[bytes] = []
        self._start = b""
        channel.received = self._received

    def _received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Malformed as error:
            refuse(self._run, self._channel, str(error))

    def _head(self, head: Head) -> None:
        self._start = head.start
        self._got = []

    def _body(self, data: bytes) -> None:
        self._got.append(data)

    def _end(self) -> None:
        number = self._asked.get(b"".join(self._got))
        if number is None:
            refuse(self._run, self._channel, f"{self._start!r} with the body {b''.join(self._got)[:200]!r}")
            return
        fields = [*reply_fields("text/event-stream"), ("cache-control", "no-cache"), ("transfer-encoding", "chunked")]
        self._channel.write(build_head("HTTP/1.1 200 OK", fields))
        self._stream(self._channel, number)


class StreamClient(Line):
    """A client that asks for its stream again and again. A child takes the bytes in `body` and the end in `done`."""

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(run)
        self.number = number
        body = wanted(number)
        fields = run.fields(question_fields(len(body), "text/event-stream"))
        self._request = build_head(f"POST {run.prefix}{PATH} HTTP/1.1", fields) + body
        self._closes = False

    def opened(self) -> None:
        self.fresh()
        self._ask()

    def fresh(self) -> None:
        """Read a head next."""
        self.reader = Reader(self.head, self._body, self.end)

    def _ask(self) -> None:
        self._good = self._closes = False
        self.begin()
        self.channel.write(self._request)

    def received(self, data: bytes) -> None:
        self.feed(data)

    def feed(self, data: bytes) -> bytes:
        """:returns: what came behind a head at which the reader was detached."""
        try:
            return self.reader.feed(data)
        except Malformed as error:
            raise WrongAnswer(f"stream {self.number}: {error}") from None

    def lost(self, why: str) -> None:
        if not self.reader.eof():
            self.failed(f"stream {self.number}: the connection to the proxy: {why}")

    def head(self, head: Head) -> None:
        self._closes |= head.closes
        if head.status != 200:
            self.failed(f"stream {self.number}: {head.start!r}")
        elif not head.fields.get(b"content-type", b"").startswith(b"text/event-stream"):
            raise WrongAnswer(f"stream {self.number}: content-type {head.fields.get(b'content-type')!r}")
        else:
            self._good = True

    def _body(self, data: bytes) -> None:
        if self._good:
            self.body(data)

    def end(self) -> None:
        if not self._good:
            return
        self.done()
        if self._closes or self.channel.closed:
            self.channel.close()
            self.open()
        else:
            self._ask()

    def begin(self) -> None:
        """A new answer is asked for."""
        raise NotImplementedError

    def body(self, data: bytes) -> None:
        raise NotImplementedError

    def done(self) -> None:
        """The answer has ended."""
        raise NotImplementedError


class PacedClient(StreamClient):
    """:ivar delays: nanoseconds from upstream's write to our read, of each event."""

    def __init__(self, run: Run, number: int, ledger: Ledger, gate: Gate) -> None:
        super().__init__(run, number)
        self._events = run.number("events")
        self._ledger = ledger
        self._gate: Gate | None = gate
        self._enough = WARM
        self.delays: list[int] = []
        self._count = 0

    def begin(self) -> None:
        self._ledger.forget(self.number)
        self._count = 0

    def body(self, data: bytes) -> None:
        now = monotonic_ns()
        times = self._ledger.came(self.number, data)
        self._count += len(times)
        self.delays += [now - sent for sent in times]
        if self._gate is not None and len(self.delays) >= self._enough:
            self._gate.come()
            self._gate = None

    def finish(self, gate: Gate) -> None:
        self._gate, self._enough = gate, len(self.delays) + 1

    def done(self) -> None:
        if self._count != self._events:
            raise WrongAnswer(f"stream {self.number} ended after {self._count} of {self._events} events")


def sse_paced(run: Run) -> None:
    """Events at a steady pace: how long each is under way."""
    count, events = run.number("streams"), run.number("events")
    interval = run.parameters["interval_ms"] / 1e3
    ledger = Ledger(count)

    def stream(channel: Channel, number: int) -> None:
        def send(sequence: int, now: int) -> bool:
            if channel.closed:
                return False
            if sequence == events:
                channel.write(LAST)
                return False
            event = wire(event_text(number, sequence, now))
            ledger.sent(number, event, now)
            channel.write(chunk(event))
            return True

        # The streams begin in step; each waits for its part of the interval, so that their events are spread out.
        Pacer(run.loop, monotonic() + interval * (number + 1) / count, interval, send)

    asked = {wanted(number): number for number in range(count)}
    Upstream(run, lambda channel: StreamServer(run, channel, asked, stream))
    gate = Gate(run.loop, count)
    clients = [PacedClient(run, number, ledger, gate) for number in range(count)]
    for client in clients:
        client.open()
    run.loop.run(lambda: f"warming up: {gate.missing} of {count} streams are not ready")
    window(run, clients)


class Delayed(Finishing, Protocol):
    """A client that notes how long events were under way."""

    delays: list[int]


def window(run: Run, clients: Sequence[Delayed]) -> None:
    """Measure for the run's seconds what goes on by itself."""
    run.begin()
    for client in clients:
        run.checked += len(client.delays)
        client.delays = []
    run.loop.run("streaming", run.seconds)
    run.end(sum(len(client.delays) for client in clients))
    run.checked += run.operations
    run.delays([delay for client in clients for delay in client.delays])
    run.finish(clients)
