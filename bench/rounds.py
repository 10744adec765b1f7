"""
Runs the rounds: every peer once in each, in an order that changes from round to round, so that what else the machine
does falls on all alike. What goes wrong fails its row, and only that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Protocol

from bench.measure import Wrong
from bench.peers import Peer, PeerFailed, Running
from bench.results import DIRECT, Measured, Row, figures_of, number
from bench.workloads import Workload

Say = Callable[[str], None]


class Place(Protocol):
    """A route that stands: upstream's port and, where it has one, Squid."""

    def start(self, peer: Peer) -> Running:
        """:raises PeerFailed: it did not."""

    def measure(self, workload: Workload, peer: Peer, running: Running) -> Measured:
        """:raises Wrong: there are no figures."""


@dataclass(frozen=True)
class Plan:
    """
    :ivar keep: a peer's process lives as long as its route, even where a workload wants a fresh one; that is quick, and
        good for nothing but finding out whether all is right.
    """

    routes: Sequence[str]
    workloads: Sequence[Workload]
    rounds: int
    keep: bool = False


def rotated(peers: Sequence[Peer], number: int) -> list[Peer]:
    """Whose turn it is in a round, first to last."""
    first = number % len(peers) if peers else 0
    return [*peers[first:], *peers[:first]]


def run(
    plan: Plan, peers: Sequence[Peer], places: Callable[[str], AbstractContextManager[Place]], say: Say
) -> Generator[Row]:
    """
    All of it, each route in turn. A workload's rows come when its last round is done, so that they can be kept when a
    later one is interrupted; whoever goes away before the end closes the iterator, which stops the peers.

    :param places: makes a route stand; where it raises `PeerFailed`, the route's rows are skipped.
    :param say: is told each step, in a line.
    """
    for route in plan.routes:
        workloads = [workload for workload in plan.workloads if route in workload.routes]
        with ExitStack() as stack:
            try:
                place = stack.enter_context(places(route))
            except PeerFailed as error:
                say(f"{route}: SKIPPED: {error}")
                for workload in workloads:
                    yield from (Row(route, workload.name, peer.name, "skipped", str(error)) for peer in peers)
                continue
            team = _Team(place, say, plan.keep)
            stack.callback(team.stop)
            for workload in workloads:
                yield from _Turns(route, workload, peers, team, say).all(plan.rounds)


class _Team:
    """The peers that run at the moment."""

    def __init__(self, place: Place, say: Say, keep: bool) -> None:
        self.place = place
        self.keep = keep
        self._say = say
        self._running: dict[str, Running] = {}

    def get(self, peer: Peer) -> Running:
        """The peer's process, started if need be."""
        if peer.name not in self._running:
            self._running[peer.name] = self.place.start(peer)
        return self._running[peer.name]

    def drop(self, peer: Peer) -> None:
        """Stop one, if it runs."""
        running = self._running.pop(peer.name, None)
        if running is not None:
            running.stop()

    def stop(self) -> None:
        """Stop all."""
        while self._running:
            self._running.popitem()[1].stop()


class _Turns:
    """One workload on one route: its rounds."""

    def __init__(self, route: str, workload: Workload, peers: Sequence[Peer], team: _Team, say: Say) -> None:
        self._route = route
        self._workload = workload
        self._team = team
        self._say = say
        self._rows: dict[str, Row] = {}
        self._able: list[Peer] = []
        for peer in peers:
            if peer.name == DIRECT:
                if workload.needs_direct:
                    self._add(peer, None)
            else:
                self._add(peer, peer.missing() or peer.lacks(workload.name, route))

    def _add(self, peer: Peer, why_not: str | None) -> None:
        row = Row(self._route, self._workload.name, peer.name)
        self._rows[peer.name] = row
        if why_not is None:
            self._able.append(peer)
        else:
            row.state, row.why = "skipped", why_not

    def all(self, rounds: int) -> list[Row]:
        """Its rows, after so many rounds."""
        fresh = self._workload.fresh and not self._team.keep
        if not fresh:
            # All before the first round, since one that starts takes its time from none that is measured.
            for peer in self._able:
                self._try(peer, "start", lambda peer: self._team.get(peer))
        for turn in range(rounds):
            for peer in rotated(self._able, turn):
                self._try(peer, f"{turn + 1}/{rounds}", self._measure)
                if fresh:
                    self._team.drop(peer)
        if not self._team.keep:
            self._team.stop()
        return list(self._rows.values())

    def _try(self, peer: Peer, step: str, what: Callable[[Peer], object]) -> None:
        """Do a thing for a row that is well so far; what goes wrong ends the row and the peer's process."""
        row = self._rows[peer.name]
        if row.state != "ok":
            return
        try:
            what(peer)
        except (Wrong, PeerFailed) as error:
            row.fail(str(error))
            self._team.drop(peer)
            self._say(f"{self._route} {self._workload.name} {step} {peer.name}: FAILED: {error}")
        else:
            if row.rounds:
                self._say(f"{self._route} {self._workload.name} {step} {peer.name}: {self._headline(row)}")

    def _measure(self, peer: Peer) -> None:
        running = self._team.get(peer)
        measured = self._team.place.measure(self._workload, peer, running)
        row = self._rows[peer.name]
        row.rounds.append(figures_of(measured))
        row.notes += [note for note in measured.notes if note not in row.notes]

    def _headline(self, row: Row) -> str:
        return ", ".join(_figures(self._workload, row.rounds[-1]))


def _figures(workload: Workload, figures: dict[str, float]) -> Iterator[str]:
    for metric in workload.metrics:
        if metric.key in figures:
            yield f"{number(figures[metric.key])} {metric.title.removeprefix('added ')}"
