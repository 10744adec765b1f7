"""A proxy in the load's own loop, which passes bytes on as they are, or as a test wants them spoilt."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from bench.load.__main__ import measure
from bench.load.catalogue import WORKLOADS
from bench.load.channel import Channel, connect
from bench.load.loop import Loop
from bench.load.run import Run

Change = Callable[[bytes], list[bytes]]
"""What becomes of the bytes of one read: pieces, each of which is written in a turn of the loop of its own."""
Changes = Callable[[Run], tuple[Change, Change]]
"""For each connection anew: what becomes of bytes to upstream, and to the client."""

HOST = "127.0.0.1"
TINY: dict[str, dict[str, float]] = {
    "post": {"wrk": 0},
    "sse-paced": {"events": 20, "interval_ms": 1},
    "sse": {"events": 50},
    "ws-1m": {"connections": 2},
    "ws-idle": {"sessions": 40, "settle_seconds": 0.01},
    "ws-200": {"sessions": 5, "interval_ms": 2},
    "upload": {"bytes": 3_000_000},
    "download": {"bytes": 3_000_000},
    "slow": {"bytes": 3_000_000, "hold_seconds": 0.05, "slow_seconds": 0.05},
}
"""Parameters that make a workload short."""


def as_it_is(data: bytes) -> list[bytes]:
    return [data]


def untouched(run: Run) -> tuple[Change, Change]:
    return as_it_is, as_it_is


class Relay:
    """Accepts on a port of its own, and connects to the upstream's for each."""

    def __init__(self, run: Run, upstream: int, changes: Changes) -> None:
        self._run = run
        self._upstream = upstream
        self._changes = changes
        self._listener = socket.create_server((HOST, 0), backlog=512)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._channels: list[Channel] = []
        run.loop.watch(self._listener.fileno(), self._accept)

    def _accept(self, mask: int) -> None:
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Channel(self._run.loop, sock)
        upstream = connect(self._run.loop, HOST, self._upstream)
        up, down = self._changes(self._run)
        self._join(client, upstream, up)
        self._join(upstream, client, down)
        self._channels += [client, upstream]

    def _join(self, reads: Channel, writes: Channel, change: Change) -> None:
        waiting: deque[bytes] = deque()

        def later() -> None:
            piece = waiting.popleft()
            if piece:
                writes.write(piece)
            else:
                writes.close()
                reads.close()
            if waiting:
                self._run.loop.soon(later)

        def take(data: bytes) -> None:
            idle = not waiting
            waiting.extend(change(data))
            if idle and waiting:
                self._run.loop.soon(later)

        reads.received = take
        reads.lost = lambda why: writes.close()

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._listener.close()


def run_load(
    workload: str,
    changes: Changes | None = untouched,
    *,
    seconds: float = 0.03,
    deadline: float = 20.0,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    **parameters: float,
) -> tuple[dict[str, Any], list[str]]:
    """
    Run a workload in this process.

    :param changes: of the relay between; None: the clients connect to upstream itself.
    :param tls: upstream's context and the clients'; only without a relay.
    :returns: its result, and the names of the events before.
    """
    told: list[str] = []
    listener = socket.create_server((HOST, 0))
    run = Run(
        loop=Loop(monotonic() + deadline),
        host=HOST,
        port=listener.getsockname()[1],
        listener=listener,
        seconds=seconds,
        upstream_tls=tls[0] if tls else None,
        target_tls=tls[1] if tls else None,
        parameters={**WORKLOADS[workload].parameters, **TINY.get(workload, {}), **parameters},
        pause=0.01,
        tell=lambda event: told.append(str(event["event"])),
    )
    relay = Relay(run, run.port, changes) if changes else None
    if relay:
        run.port = relay.port
    try:
        return measure(run, workload), told
    finally:
        if relay:
            relay.close()
        listener.close()
        run.loop.close()
