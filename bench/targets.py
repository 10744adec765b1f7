"""agentproxy's own goals, as data, and how a run's figures stand to them. They are told, and never fail a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.workloads import ROUTES

Sense = Literal[">=", "<=", "<"]
SENSES: dict[Sense, Callable[[float, float], bool]] = {
    ">=": lambda measured, bound: measured >= bound,
    "<=": lambda measured, bound: measured <= bound,
    "<": lambda measured, bound: measured < bound,
}


@dataclass(frozen=True)
class Target:
    """
    :ivar metric: a metric's key.
    :ivar peer: the bound is times this peer's figure; ``None``: the bound is the figure itself.
    """

    route: str
    workload: str
    metric: str
    sense: Sense
    bound: float
    peer: str | None = None


def _all() -> list[Target]:
    targets = [
        Target("plain", "post", "per_s", ">=", 1.0, "node"),
        Target("plain", "post", "per_s", ">=", 8.0, "mitmproxy"),
        Target("plain", "post", "p99_ms", "<=", 1.0, "node"),
        Target("squid", "post", "per_s", ">=", 1.0, "node"),
        Target("plain", "post-1", "p50_ms", "<=", 0.30),
        Target("plain", "post-1", "p99_ms", "<=", 0.8),
        *(Target("plain", "sse-paced", "p99_ms", "<", 1.0, peer) for peer in ("node", "mitmproxy", "litellm")),
        Target("plain", "sse", "per_s", ">=", 1.0, "nginx"),
    ]
    for name in ("ws-64", "ws-1k"):
        targets.append(Target("plain", name, "per_s", ">=", 0.7, "nginx"))
        targets.append(Target("plain", name, "per_s", ">=", 1.0, "node"))
    targets += [Target("plain", name, "per_s", ">=", 1.5, "nginx") for name in ("ws-64k", "ws-1m")]
    targets += [
        Target("squid", "ws-64", "per_s", ">=", 0.9, "node"),
        Target("plain", "ws-handshake", "per_s", ">=", 0.5, "node"),
        Target("squid", "ws-handshake", "per_s", ">=", 1.3, "node"),
        Target("plain", "ws-idle", "session_kb", "<=", 30),
        Target("squid", "ws-idle", "session_kb", "<=", 90),
    ]
    for route in ROUTES:
        for name in ("upload", "download"):
            targets.append(Target(route, name, "megabytes_per_s", ">=", 0.8, "node"))
            targets.append(Target(route, name, "growth_mb", "<", 16))
        targets.append(Target(route, "slow", "growth_mb", "<", 4))
    return targets


TARGETS = tuple(_all())
