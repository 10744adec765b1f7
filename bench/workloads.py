"""
What is measured, as data: each workload's parameters in full and in smoke size, its metrics, and on which routes.

A workload's name is the one that `python -m bench.load` knows. Nothing runs here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ROUTES = ("plain", "squid")
"""`plain`: upstream is http on loopback. `squid`: upstream is https, reached by CONNECT through Squid, verified."""

Parameters = Mapping[str, int | float | str]


@dataclass(frozen=True)
class Metric:
    """
    One figure of a row.

    :ivar key: its name in a round's figures; see `bench.results.figures_of`.
    :ivar title: what it is, with its unit, as the report says it.
    :ivar added: the figure of `direct` in the same round is taken off.
    """

    key: str
    title: str
    better: Literal["higher", "lower"]
    added: bool = False


_LARGE = 20.0
"""Seconds for large bodies: slow peers need them."""


def rate(unit: str) -> Metric:
    return Metric("per_s", f"{unit}s/s", "higher")


def cpu(unit: str) -> Metric:
    return Metric("cpu_us", f"CPU µs per {unit}", "lower")


P50 = Metric("p50_ms", "p50 ms", "lower")
P99 = Metric("p99_ms", "p99 ms", "lower")
ADDED_P50 = Metric("p50_ms", "added p50 ms", "lower", added=True)
ADDED_P99 = Metric("p99_ms", "added p99 ms", "lower", added=True)
MB_PER_S = Metric("megabytes_per_s", "MB/s", "higher")
GROWTH = Metric("growth_mb", "memory growth MB", "lower")
RESIDENT = Metric("resident_mb", "resident memory MB", "lower")
SESSION = Metric("session_kb", "memory KB per session", "lower")


@dataclass(frozen=True)
class Workload:
    """
    :ivar says: one line for the report's readers.
    :ivar metrics: the first is the headline: what the picture and the progress show.
    :ivar full: parameters for `--set`, in full size.
    :ivar smoke: those that differ in smoke size.
    :ivar fresh: each round gets a fresh process of the peer, since memory that was once grown is not given back.
    :ivar seconds: of the measured window, at least; for work of a fixed size, of which only the deadline follows.
    """

    name: str
    says: str
    metrics: tuple[Metric, ...]
    full: Parameters = field(default_factory=dict)
    smoke: Parameters = field(default_factory=dict)
    fresh: bool = False
    routes: tuple[str, ...] = ROUTES
    seconds: float = 0

    def parameters(self, smoke: bool) -> dict[str, int | float | str]:
        return {**self.full, **(self.smoke if smoke else {})}

    @property
    def needs_direct(self) -> bool:
        """Whether some figure is the difference to `direct`."""
        return any(metric.added for metric in self.metrics)


def echo(name: str, size: str, deflate: bool = False) -> Workload:
    compressed = ", compressed (permessage-deflate)" if deflate else ""
    return Workload(
        name,
        f"WebSocket echo of {size}{compressed}, 8 connections",
        (rate("message"), cpu("message"), P50, P99, RESIDENT),
        smoke={"connections": 2},
    )


WORKLOADS = (
    Workload(
        "post",
        "small JSON POST, 16 connections, load from wrk",
        (rate("request"), P50, P99, cpu("request"), RESIDENT),
    ),
    Workload("post-1", "small JSON POST, one connection", (ADDED_P50, ADDED_P99, cpu("request"), RESIDENT)),
    Workload(
        "sse-paced", "8 streams, an event each 5 ms on each", (P99, P50, cpu("event"), RESIDENT), smoke={"events": 20}
    ),
    Workload(
        "sse", "8 streams, events as fast as they go", (rate("event"), cpu("event"), RESIDENT), smoke={"events": 100}
    ),
    echo("ws-64", "64 B"),
    echo("ws-1k", "1 KB"),
    echo("ws-64k", "64 KB"),
    echo("ws-1m", "1 MB"),
    echo("ws-64-deflate", "64 B", deflate=True),
    echo("ws-1k-deflate", "1 KB", deflate=True),
    echo("ws-64k-deflate", "64 KB", deflate=True),
    echo("ws-1m-deflate", "1 MB", deflate=True),
    Workload(
        "ws-handshake",
        "WebSocket: open, one echo of 64 B, close; 8 at once",
        (rate("handshake"), cpu("handshake"), RESIDENT),
    ),
    Workload(
        "ws-idle",
        "1,000 WebSocket sessions that say nothing",
        (SESSION, RESIDENT),
        smoke={"sessions": 20, "settle_seconds": 0.1},
        fresh=True,
    ),
    Workload(
        "ws-200",
        "200 WebSocket sessions at once, an event each 20 ms on each",
        (P99, P50, cpu("event"), RESIDENT),
        smoke={"sessions": 10},
    ),
    Workload(
        "upload", "200 MiB up", (MB_PER_S, GROWTH, RESIDENT), smoke={"bytes": 2_000_000}, fresh=True, seconds=_LARGE
    ),
    Workload(
        "download", "200 MiB down", (MB_PER_S, GROWTH, RESIDENT), smoke={"bytes": 2_000_000}, fresh=True, seconds=_LARGE
    ),
    Workload(
        "slow",
        "200 MiB down to a client that reads nothing for 3 s, then slowly",
        (GROWTH, RESIDENT),
        smoke={"bytes": 4_000_000, "hold_seconds": 0.2, "slow_seconds": 0.2},
        fresh=True,
        seconds=_LARGE,
    ),
)
NAMES = tuple(workload.name for workload in WORKLOADS)


def chosen(words: list[str]) -> list[Workload]:
    """
    The workloads that names or prefixes mean; all where there is none. A whole name means only itself.

    :raises ValueError: a word fits none.
    """
    if not words:
        return list(WORKLOADS)
    names: set[str] = set()
    for word in words:
        found = {word} if word in NAMES else {name for name in NAMES if word and name.startswith(word)}
        if not found:
            raise ValueError(f"no workload is called {word!r}; there are {', '.join(NAMES)}")
        names |= found
    return [workload for workload in WORKLOADS if workload.name in names]
