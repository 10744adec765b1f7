"""What every workload is given: the loop, where the proxy is, the upstream's listener, and whom to tell what."""

from __future__ import annotations

import json
import os
import resource
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import Protocol

from bench.load.channel import READ, Channel, TlsChannel, connect
from bench.load.loop import Gate, Loop

TRIES = 10
"""How often a connection may fail before the measured window: a proxy may still hold dead ones to a load before."""
PAUSE = 0.1
SHOWN = 120


class WrongAnswer(Exception):
    """Something came that should not have come, or something did not come; the message says what."""


def differs(what: str, got: bytes, expected: bytes) -> WrongAnswer:
    """The error that says where two byte strings part."""
    at = next((i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b), min(len(got), len(expected)))
    return WrongAnswer(
        f"{what}: byte {at} of {len(got)}, expected {len(expected)}: "
        f"{got[at : at + SHOWN]!r} in place of {expected[at : at + SHOWN]!r}"
    )


def say(event: dict[str, object]) -> None:
    """One line of JSON for who started the load."""
    os.write(1, json.dumps(event).encode() + b"\n")


class Finishing(Protocol):
    """A client that goes on by itself."""

    def finish(self, gate: Gate) -> None:
        """Come to the gate once the answer that is under way is there and right."""


@dataclass
class Run:
    """
    One measurement.

    :ivar seconds: how long the measured window is, where the workload has no size of its own.
    :ivar target_tls: to speak TLS to the target; a proxy is always spoken to in the clear.
    :ivar headers: name and value, sent with each request besides the usual ones, or in their place.
    :ivar parameters: numbers by name.
    :ivar pause: seconds before a connection that failed is tried again, until the window begins.
    :ivar checked: answers and messages of which every byte was right.
    :ivar refused: what upstream could not understand, while nothing was measured yet.
    :ivar operations: what was done in the window; ``values``: further figures of it.
    """

    loop: Loop
    host: str
    port: int
    listener: socket.socket
    seconds: float
    upstream_tls: ssl.SSLContext | None = None
    target_tls: ssl.SSLContext | None = None
    prefix: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    parameters: dict[str, float] = field(default_factory=dict)
    pause: float = PAUSE
    tell: Callable[[dict[str, object]], None] = say
    checked: int = 0
    operations: int = 0
    elapsed: float = 0.0
    values: dict[str, float | str] = field(default_factory=dict)
    began: float | None = None
    cpu: float = 0.0
    ended: bool = False
    refused: str = ""

    def number(self, name: str) -> int:
        return int(self.parameters[name])

    def connect(self, read: int = READ, receive_buffer: int = 0) -> Channel:
        """A new connection to the target."""
        return connect(self.loop, self.host, self.port, self.target_tls, read, receive_buffer)

    def begin(self) -> None:
        """The measured window begins."""
        self.tell({"event": "begin"})
        self.cpu = cpu_seconds()
        self.began = monotonic()

    def end(self, operations: int | None = None) -> None:
        """
        It ends. ``load_busy`` among the values is then the part of the time in which the load itself used the CPU: near
        1 it was the load that could do no more.

        :param operations: where they were not counted on the way.
        """
        if self.began is None or self.ended:
            return
        self.ended = True
        self.elapsed = monotonic() - self.began
        self.values["load_busy"] = (cpu_seconds() - self.cpu) / self.elapsed
        self.tell({"event": "end"})
        if operations is not None:
            self.operations = operations

    def finish(self, clients: Sequence[Finishing]) -> None:
        """
        Behind the window: each client has to get what it waits for, so that nothing lost goes unnoticed.

        :raises Stalled: one does not.
        """
        gate = Gate(self.loop, len(clients))
        for client in clients:
            client.finish(gate)
        self.loop.run(lambda: f"{gate.missing} of {len(clients)} connections got nothing more")

    def delays(self, nanoseconds: list[int]) -> None:
        """Put the median and the 99th percentile into the values, in milliseconds."""
        if nanoseconds:
            ordered = sorted(nanoseconds)
            self.values["p50_ms"] = percentile(ordered, 0.50) / 1e6
            self.values["p99_ms"] = percentile(ordered, 0.99) / 1e6

    def fields(self, usual: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Header fields of a request: the target's name, the usual ones, and those of the command line."""
        given = {name.lower() for name, _ in self.headers}
        own = [("host", f"{self.host}:{self.port}"), *usual]
        return [pair for pair in own if pair[0] not in given] + self.headers


def cpu_seconds() -> float:
    """CPU that this process has used, and its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + ended.ru_utime + ended.ru_stime


def percentile(ordered: list[int], part: float) -> int:
    """By nearest rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Line:
    """
    A client's connection, which may fail for a while until the measured window begins.

    A child overrides `opened`, which sends the first bytes, and `received`.
    """

    read = READ
    receive_buffer = 0

    def __init__(self, run: Run) -> None:
        self.run = run
        self.tries = TRIES
        self._again = False
        self.channel: Channel

    def open(self) -> None:
        self._again = False
        self.channel = self.run.connect(self.read, self.receive_buffer)
        self.channel.received = self.received
        self.channel.lost = self.lost
        self.opened()

    def opened(self) -> None:
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def lost(self, why: str) -> None:
        self.failed(f"the connection to the proxy: {why}")

    def failed(self, why: str) -> None:
        """
        Try again where nothing is measured yet.

        :raises WrongAnswer: it is, or it failed too often.
        """
        if self._again:
            return
        self.tries -= 1
        if self.run.began is not None:
            raise WrongAnswer(why)
        if not self.tries:
            refused = f"; upstream had refused {self.run.refused}" if self.run.refused else ""
            raise WrongAnswer(f"{why}, {TRIES} times before the window{refused}")
        self._again = True
        self.channel.close()
        self.run.loop.after(self.run.pause, self.open)


class Upstream:
    """
    Accepts for the upstream.

    :param serve: takes each new connection, and sets what it wants to hear of it.
    """

    def __init__(self, run: Run, serve: Callable[[Channel], object], read: int = READ) -> None:
        self._run = run
        self._serve = serve
        self._read = read
        self.accepted = 0
        run.listener.setblocking(False)
        run.listener.listen(4096)
        self._drop_stale()
        run.loop.watch(run.listener.fileno(), self._ready)

    def _drop_stale(self) -> None:
        """Connections that were made to a load before this one, and never accepted, get an end."""
        while True:
            try:
                self._run.listener.accept()[0].close()
            except BlockingIOError:
                return

    def _ready(self, mask: int) -> None:
        while True:
            try:
                sock, _ = self._run.listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            self._serve(self._channel(sock))

    def _channel(self, sock: socket.socket) -> Channel:
        run = self._run
        if run.upstream_tls is None:
            return Channel(run.loop, sock, self._read)
        secure = run.upstream_tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return TlsChannel(run.loop, secure, self._read)
