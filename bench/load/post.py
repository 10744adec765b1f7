"""`post` and `post-1`: small JSON requests, each connection the next once the one before has been answered."""

from __future__ import annotations

from time import monotonic_ns

from bench.load.channel import Channel
from bench.load.loop import Gate
from bench.load.message import Head, Malformed, Reader, build_head
from bench.load.requests import NUMBERS, PATH, question, question_fields, reply, reply_fields
from bench.load.run import Line, Run, Upstream, WrongAnswer, differs
from bench.load.upgrade import refuse
from bench.load.wrk import Summary, run_wrk, wrk_missing

WARM = 20
"""Requests on each connection before the measured window."""
CHECKS = 200
"""Answers that are compared before and after wrk, which counts the bytes of its own, but does not look at them."""
READ = 8192


def answers() -> dict[bytes, bytes]:
    """Whole answers by the request's body."""
    found = {}
    for number in range(NUMBERS):
        body = reply(number)
        fields = [*reply_fields(), ("content-length", str(len(body)))]
        found[question(number)] = build_head("HTTP/1.1 200 OK", fields) + body
    return found


class Answerer:
    """
    Upstream: compares each request's body and answers it. One that has the size of the last good one on its
    connection is looked at as a whole; any other is read bit by bit.
    """

    def __init__(self, run: Run, channel: Channel, known: dict[bytes, bytes]) -> None:
        self._run = run
        self._channel = channel
        self._write = channel.write
        self._known = known
        self._reader = Reader(self._head, self._body, self._end)
        self._size = self._head_size = 0
        self._start = self._framing = b""
        self._got: list[bytes] = []
        self._last: Head
        channel.received = self.received

    def received(self, data: bytes) -> None:
        if len(data) == self._size:
            answer = self._known.get(data[self._head_size :])
            if answer is not None and data.startswith(self._start) and self._framing in data:
                self._write(answer)
                return
        self._size = 0
        try:
            self._reader.feed(data)
        except Malformed as error:
            refuse(self._run, self._channel, str(error))
            return
        if not self._reader.between:
            self._size = 0

    def _head(self, head: Head) -> None:
        self._last = head
        self._got = []

    def _body(self, data: bytes) -> None:
        self._got.append(data)

    def _end(self) -> None:
        head, body = self._last, b"".join(self._got)
        if self._channel.closed:
            return
        answer = self._known.get(body)
        method, _, rest = head.start.partition(b" ")
        if answer is None or method != b"POST" or not rest.partition(b" ")[0].endswith(PATH.encode()):
            refuse(self._run, self._channel, f"{head.start!r} with the body {body[:200]!r}")
            return
        if not head.chunked and not head.closes:
            self._head_size, self._size = head.size, head.size + len(body)
            self._start, self._framing = head.start + b"\r\n", b": %d\r\n" % len(body)
        self._write(answer)
        if head.closes:
            self._channel.close()


def turn(run: Run, number: int) -> tuple[bytes, bytes]:
    """A whole request, and the body that has to answer it."""
    body = question(number)
    return build_head(f"POST {run.prefix}{PATH} HTTP/1.1", run.fields(question_fields(len(body)))) + body, reply(number)


class Asker(Line):
    """
    A client that asks again and again.

    :ivar delays: nanoseconds from a request to its whole answer, of each.
    :ivar smallest: size of the smallest answer, in bytes, head and all; and so ``largest``.
    """

    read = READ

    def __init__(self, run: Run, number: int, gate: Gate, limit: int | None = WARM) -> None:
        super().__init__(run)
        self.limit = limit
        self.delays: list[int] = []
        self.smallest = 1 << 60
        self.largest = 0
        self._gate = gate
        self._turns = [turn(run, (2 * number + i) % NUMBERS) for i in (0, 1)]
        self._request, self._expected = self._turns[0]
        self._sent = 0
        self._size = 0
        self._idle = False
        self._status = self._framing = b""
        self._got: list[bytes] = []
        self._count = 0
        self._last: Head

    def opened(self) -> None:
        self._reader = Reader(self._head, self._body, self._end)
        self._size = self._count = 0
        self._ask()

    def go(self, limit: int | None = None) -> None:
        """Begin to ask: as many times, or for ever."""
        self.limit = limit
        self.delays = []
        if self.channel.closed:
            self.open()
        else:
            self._ask()

    def finish(self, gate: Gate) -> None:
        self._gate = gate
        self.limit = len(self.delays) + 1

    def _ask(self) -> None:
        self._idle = False
        self._sent = monotonic_ns()
        self.channel.write(self._request)

    def received(self, data: bytes) -> None:
        if (
            len(data) == self._size
            and data.endswith(self._expected)
            and data.startswith(self._status)
            and self._framing in data
        ):
            self._came()
            return
        self._count += len(data)
        self._size = 0
        try:
            self._reader.feed(data)
        except Malformed as error:
            raise WrongAnswer(f"answer: {error}") from None
        if not self._reader.between:
            self._size = 0

    def lost(self, why: str) -> None:
        if not self._idle and not self._reader.eof():
            self.failed(f"the connection to the proxy: {why}")

    def _head(self, head: Head) -> None:
        self._last = head
        self._got = []

    def _body(self, data: bytes) -> None:
        self._got.append(data)

    def _end(self) -> None:
        head, body = self._last, b"".join(self._got)
        if 100 <= head.status < 200:
            return
        if head.status != 200:
            self.failed(f"answer: {head.start!r} {body[:200]!r}")
            return
        if body != self._expected:
            raise differs("answer", body, self._expected)
        if not head.fields.get(b"content-type", b"").startswith(b"application/json"):
            raise WrongAnswer(f"answer: content-type {head.fields.get(b'content-type')!r}")
        self.smallest, self.largest = min(self.smallest, self._count), max(self.largest, self._count)
        if not head.closes and b"content-length" in head.fields:
            self._size, self._status = self._count, head.start + b"\r\n"
            self._framing = b": %d\r\n" % len(body)
        self._count = 0
        self._came(head.closes or self.channel.closed)

    def _came(self, closed: bool = False) -> None:
        """The answer was right: the next request."""
        delays = self.delays
        delays.append(monotonic_ns() - self._sent)
        self._request, self._expected = self._turns[len(delays) & 1]
        if closed:
            self.channel.close()
        if len(delays) == self.limit:
            self._idle = True
            self.run.checked += len(delays)
            self._gate.come()
        elif closed:
            self.open()
        else:
            self._ask()


def post(run: Run) -> None:
    """Load from wrk where it is there; else our own, which compares every answer."""
    known = answers()
    Upstream(run, lambda channel: Answerer(run, channel, known), READ)
    count = run.number("connections")
    why = wrk_missing()
    if not run.number("wrk") or why is not None:
        run.values["generator"] = "own" if why is None else f"own: {why}"
        ask(run, count)
        return
    run.values["generator"] = "wrk"
    smallest, largest = check(run, count)
    run.begin()
    summary = run_wrk(run, count, question(0))
    run.end(summary.requests)
    run.elapsed = summary.seconds
    judge(summary, smallest, largest, count)
    run.values |= {"p50_ms": summary.p50_ms, "p99_ms": summary.p99_ms}
    run.checked += summary.requests
    check(run, count)


def warm(run: Run, count: int, limit: int) -> list[Asker]:
    """As many clients, each of which has asked as often."""
    gate = Gate(run.loop, count)
    clients = [Asker(run, number, gate, limit) for number in range(count)]
    for client in clients:
        client.open()
    run.loop.run(lambda: f"asking {limit} times: {gate.missing} of {count} connections have not done")
    return clients


def check(run: Run, count: int) -> tuple[int, int]:
    """Compare `CHECKS` answers; sizes of the smallest and the largest in bytes, head and all."""
    clients = warm(run, count, -(-CHECKS // count))
    for client in clients:
        client.channel.close()
    return min(client.smallest for client in clients), max(client.largest for client in clients)


def ask(run: Run, count: int) -> None:
    """Ask for the run's seconds."""
    clients = warm(run, count, WARM)
    run.begin()
    for client in clients:
        client.go()
    run.loop.run("asking", run.seconds)
    run.end(sum(len(client.delays) for client in clients))
    run.delays([delay for client in clients for delay in client.delays])
    run.finish(clients)


def post_1(run: Run) -> None:
    """One connection, for the time that an answer takes. wrk would count it in coarser steps."""
    known = answers()
    Upstream(run, lambda channel: Answerer(run, channel, known), READ)
    ask(run, run.number("connections"))


def judge(summary: Summary, smallest: int, largest: int, count: int) -> None:
    """
    :raises WrongAnswer: wrk met an error, or its bytes do not fit the answers of the size that was seen before.
    """
    if summary.errors:
        raise WrongAnswer(f"wrk: {summary.errors}")
    if not summary.requests:
        raise WrongAnswer("wrk: no answer came")
    # A proxy that closes a connection now and then says so: "close" for "keep-alive", or a field more.
    closes = summary.requests // 100 + count
    least = summary.requests * smallest - closes * len("-alive")
    most = (summary.requests + count) * largest + closes * len("connection: close\r\n")
    if not least <= summary.bytes <= most:
        raise WrongAnswer(
            f"wrk: {summary.requests} answers of {smallest} to {largest} bytes, and {summary.bytes} bytes in all"
        )
