"""`upload` and `download`: one large body, in either direction, of which every byte is compared on its way."""

from __future__ import annotations

import random
from collections.abc import Callable

from bench.load.channel import Channel
from bench.load.message import Head, Malformed, Reader, build_head
from bench.load.requests import AGENT, KEY, dumps, reply_fields
from bench.load.run import Line, Run, Upstream, WrongAnswer, differs
from bench.load.upgrade import refuse

PERIOD = 1048573
"""Bytes after which a body repeats: a prime, so that no buffer's size divides it and a swap of two would be noticed."""
PIECE = 262144
WARM = 65536
"""Bytes of a first body, not measured, on the same connection."""
PATH = "/v1/files"

PATTERN = random.Random(1).randbytes(PERIOD) * 2


class Source:
    """Writes a body of ``size`` bytes into a connection, as fast as it takes them."""

    def __init__(self, channel: Channel, size: int) -> None:
        self._channel = channel
        self._view = memoryview(PATTERN)
        self.size = size
        self.at = 0
        channel.drained = self._more
        self._more()

    def _more(self) -> None:
        channel = self._channel
        while self.at < self.size and not channel.busy and not channel.closed:
            start = self.at % PERIOD
            piece = self._view[start : start + min(PIECE, self.size - self.at)]
            self.at += len(piece)
            channel.write(piece)


class Sink:
    """Compares a body as it comes. :ivar at: bytes that were right."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.at = 0

    def take(self, data: bytes) -> None:
        """:raises WrongAnswer: it differs."""
        start = self.at % PERIOD
        if not PATTERN.startswith(data, start):
            raise differs(f"{self._what}, from byte {self.at}", data, PATTERN[start : start + len(data)])
        self.at += len(data)


class FileServer:
    """Upstream: takes bodies and says how long they were; and gives a body as long as the path's end says."""

    def __init__(self, run: Run, channel: Channel, sources: list[Source]) -> None:
        self._run = run
        self._channel = channel
        self._sources = sources
        self._reader = Reader(self._head, self._body, self._end)
        channel.received = self._received

    def _received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Malformed as error:
            refuse(self._run, self._channel, str(error))

    def _head(self, head: Head) -> None:
        self._start = head.start
        self._sink = Sink("upload")
        if head.fields.get(b"expect", b"").lower() == b"100-continue":
            self._channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body(self, data: bytes) -> None:
        self._sink.take(data)

    def _end(self) -> None:
        method, _, rest = self._start.partition(b" ")
        path = rest.partition(b" ")[0]
        size = path.rpartition(b"/")[2]
        if method == b"POST" and path.endswith(PATH.encode()):
            body = received(self._sink.at)
            fields = [*reply_fields(), ("content-length", str(len(body)))]
            self._channel.write(build_head("HTTP/1.1 200 OK", fields) + body)
        elif method == b"GET" and size.isdigit():
            fields = [*reply_fields("application/octet-stream"), ("content-length", size.decode())]
            self._channel.write(build_head("HTTP/1.1 200 OK", fields))
            self._sources.append(Source(self._channel, int(size)))
        else:
            refuse(self._run, self._channel, repr(self._start))


def received(size: int) -> bytes:
    return dumps({"id": "file_0123456789", "object": "file", "bytes": size})


class Transfer(Line):
    """
    A client that moves one body after the other over one connection.

    :param up: whether it sends them.
    """

    read = PIECE

    def __init__(self, run: Run, up: bool) -> None:
        super().__init__(run)
        self._up = up
        self._size = WARM
        self._good = False
        self.sink = Sink("download")
        self.answer = b""
        self._reader: Reader

    def opened(self) -> None:
        self.move(WARM)

    def move(self, size: int) -> None:
        """Begin with the next body; the loop is stopped once all of its answer is there and right."""
        self._reader = Reader(self._head, self._body, self._end)
        self._size = size
        self.sink = Sink("download")
        self.answer = b""
        usual = [("user-agent", AGENT), ("accept", "*/*"), ("authorization", KEY)]
        if self._up:
            usual += [("content-type", "application/octet-stream"), ("content-length", str(size))]
            self.channel.write(build_head(f"POST {self.run.prefix}{PATH} HTTP/1.1", self.run.fields(usual)))
            Source(self.channel, size)
        else:
            path = f"{self.run.prefix}{PATH}/content/{size}"
            self.channel.write(build_head(f"GET {path} HTTP/1.1", self.run.fields(usual)))

    def received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Malformed as error:
            raise WrongAnswer(f"answer: {error}") from None

    def lost(self, why: str) -> None:
        if not self._reader.eof():
            self.failed(f"the connection to the proxy: {why}, after {self.sink.at} bytes")

    def _head(self, head: Head) -> None:
        self._good = head.status == 200
        if head.status >= 200 and not self._good:
            self.failed(f"answer: {head.start!r}")

    def _body(self, data: bytes) -> None:
        if self._good and self._up:
            self.answer += data
        elif self._good:
            self.sink.take(data)

    def _end(self) -> None:
        if not self._good:
            return
        if self._up and self.answer != received(self._size):
            raise differs("answer", self.answer, received(self._size))
        if not self._up and self.sink.at != self._size:
            raise WrongAnswer(f"the download ended after {self.sink.at} of {self._size} bytes")
        self.run.checked += 1
        self.run.loop.stop()


def transfer(up: bool) -> Callable[[Run], None]:
    """The workload `upload` or `download`."""

    def move(run: Run) -> None:
        client = Transfer(run, up)
        prepare(client)
        size = run.number("bytes")
        run.begin()
        client.move(size)
        run.loop.run(lambda: f"moving {size} bytes: {client.sink.at} have come down")
        run.end(1)
        run.values |= {"megabytes": size / 1e6, "megabytes_per_s": size / 1e6 / run.elapsed}

    return move


def prepare(client: Transfer) -> list[Source]:
    """Let upstream serve, and the client move a small body first. Returns the sources that upstream writes from."""
    sources: list[Source] = []
    Upstream(client.run, lambda channel: FileServer(client.run, channel, sources), PIECE)
    client.open()
    client.run.loop.run("moving a small body")
    return sources
