"""Made-up results, peers and places for the tests of the rounds and of the report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Wrong
from bench.peers import Peer, PeerFailed, Route, Running
from bench.results import Measured, Results, Row
from bench.workloads import Workload


def rows_of(route: str, workload: str, key: str, **figures: list[float]) -> list[Row]:
    """Good rows: one a peer, with a figure of this key in each round."""
    return [Row(route, workload, peer, rounds=[{key: one} for one in each]) for peer, each in figures.items()]


def results_of(*rows: Row) -> Results:
    return Results(
        "2026-01-02T03:04:05+00:00", {"rounds": 3, "seconds": 2, "smoke": False}, {"cpu": "a", "node": None}, [*rows]
    )


class FakeRunning(Running):
    """A peer's process that is none, and tells the journal when it is stopped."""

    def __init__(self, name: str, journal: list[str]) -> None:
        super().__init__(None, 1)
        self._name = name
        self._journal = journal

    def stop(self) -> None:
        self._journal.append(f"stop {self._name}")


class FakePeer:
    """
    A peer.

    :param missing: why it is not there; ``lacks``: why it has no row; ``broken``: why it does not start.
    """

    def __init__(
        self, name: str, missing: str | None = None, lacks: str | None = None, broken: str | None = None
    ) -> None:
        self.name = name
        self._missing = missing
        self._lacks = lacks
        self.broken = broken

    def missing(self) -> str | None:
        return self._missing

    def lacks(self, workload: str, route: str) -> str | None:
        return self._lacks

    def start(self, route: Route, folder: Path, core: int) -> Running:
        raise NotImplementedError


class FakePlace:
    """
    A route on which nothing runs.

    :ivar journal: what was done, in order.
    :ivar wrong: which measurement fails, by ``NAME NUMBER`` of the peer, and why.
    """

    def __init__(self, wrong: dict[str, str] | None = None) -> None:
        self.journal: list[str] = []
        self._wrong = wrong or {}
        self._counts: dict[str, int] = {}
        self.interrupt_at: str | None = None

    @contextlib.contextmanager
    def __call__(self, route: str) -> Iterator[FakePlace]:
        self.journal.append(f"route {route}")
        try:
            yield self
        finally:
            self.journal.append(f"end {route}")

    def start(self, peer: Peer) -> Running:
        assert isinstance(peer, FakePeer)
        if peer.broken:
            raise PeerFailed(peer.broken)
        self.journal.append(f"start {peer.name}")
        return FakeRunning(peer.name, self.journal)

    def measure(self, workload: Workload, peer: Peer, running: Running) -> Measured:
        count = self._counts[peer.name] = self._counts.get(peer.name, 0) + 1
        step = f"{peer.name} {count}"
        if step == self.interrupt_at:
            raise KeyboardInterrupt
        if step in self._wrong:
            raise Wrong(self._wrong[step])
        self.journal.append(step)
        return Measured(
            100 * count, 2.0, 100, {"p50_ms": 1.0, "p99_ms": 2.0}, 0.5, 3_000_000, 60_000_000, ("generator: own",)
        )
