"""The workloads by name, with the parameters that each knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.load.burst import sse
from bench.load.handshake import handshakes
from bench.load.post import post, post_1
from bench.load.run import Run
from bench.load.sessions import idle, streaming
from bench.load.slow import slow
from bench.load.sse import sse_paced
from bench.load.transfer import transfer
from bench.load.websocket import echo

BYTES = 209715200
"""200 MiB."""


@dataclass(frozen=True)
class Entry:
    """A workload: what runs it, and the parameters that it knows, with their defaults."""

    run: Callable[[Run], None]
    parameters: dict[str, float]


def echo_of(size: int, deflate: bool = False) -> Entry:
    return Entry(echo, {"connections": 8, "size": size, "deflate": deflate})


WORKLOADS = {
    "post": Entry(post, {"connections": 16, "wrk": 1}),
    "post-1": Entry(post_1, {"connections": 1}),
    "ws-64": echo_of(64),
    "ws-1k": echo_of(1024),
    "ws-64k": echo_of(65536),
    "ws-1m": echo_of(1048576),
    "ws-64-deflate": echo_of(64, deflate=True),
    "ws-1k-deflate": echo_of(1024, deflate=True),
    "ws-64k-deflate": echo_of(65536, deflate=True),
    "ws-1m-deflate": echo_of(1048576, deflate=True),
    "sse-paced": Entry(sse_paced, {"streams": 8, "events": 200, "interval_ms": 5}),
    "sse": Entry(sse, {"streams": 8, "events": 1000, "batch": 1}),
    "ws-handshake": Entry(handshakes, {"connections": 8, "size": 64}),
    "ws-idle": Entry(idle, {"sessions": 1000, "size": 64, "settle_seconds": 1}),
    "ws-200": Entry(streaming, {"sessions": 200, "interval_ms": 20}),
    "upload": Entry(transfer(up=True), {"bytes": BYTES}),
    "download": Entry(transfer(up=False), {"bytes": BYTES}),
    "slow": Entry(slow, {"bytes": BYTES, "hold_seconds": 3, "slow_seconds": 2}),
}
