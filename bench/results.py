"""What a run found: rows of rounds of figures, their medians and spread, and the JSON that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench.targets import SENSES, Target
from bench.workloads import WORKLOADS, Metric

FORMAT = 1
PEER = "agentproxy"
DIRECT = "direct"

State = Literal["ok", "failed", "skipped"]
"""`skipped`: the row was not to be had here, or makes no sense for this peer; `why` says which."""


@dataclass(frozen=True)
class Measured:
    """
    One round of one row, every answer right.

    :ivar values: the load's own figures, such as ``p50_ms``.
    :ivar cpu_seconds: of the peer's processes, in the measured window.
    :ivar growth_bytes: of the peer's resident memory, at its peak in the measured window.
    :ivar resident_bytes: all of that memory, at the same time.
    :ivar notes: what else the load says, such as that it did without wrk.
    """

    operations: int
    seconds: float
    checked: int
    values: Mapping[str, float]
    cpu_seconds: float
    growth_bytes: int
    resident_bytes: int
    notes: tuple[str, ...] = ()


def figures_of(measured: Measured) -> dict[str, float]:
    """A round's figures by the keys that metrics name; those of the load itself beside what follows from them."""
    figures = dict(measured.values)
    figures["per_s"] = measured.operations / measured.seconds
    figures["cpu_us"] = measured.cpu_seconds / measured.operations * 1e6
    figures["peer_busy"] = measured.cpu_seconds / measured.seconds
    figures["growth_mb"] = measured.growth_bytes / 1e6
    figures["resident_mb"] = measured.resident_bytes / 1e6
    if figures.get("sessions"):
        figures["session_kb"] = measured.growth_bytes / 1e3 / figures["sessions"]
    return figures


@dataclass
class Row:
    """One peer under one workload on one route. The rounds of a row that is not ok are not looked at."""

    route: str
    workload: str
    peer: str
    state: State = "ok"
    why: str | None = None
    rounds: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, why: str) -> None:
        self.state, self.why = "failed", why


@dataclass(frozen=True)
class Figure:
    """Of one metric over the rounds."""

    median: float
    lowest: float
    highest: float


@dataclass
class Results:
    """A whole run."""

    begun: str
    options: dict[str, Any]
    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    def row(self, route: str, workload: str, peer: str) -> Row | None:
        for row in self.rows:
            if (row.route, row.workload, row.peer) == (route, workload, peer):
                return row
        return None

    def peers(self) -> list[str]:
        """In the order in which they first stand; agentproxy first, `direct` last."""
        names = dict.fromkeys(row.peer for row in self.rows)
        return sorted(names, key=lambda name: {PEER: 0, DIRECT: 2}.get(name, 1))

    def figure(self, route: str, workload: str, peer: str, metric: Metric) -> Figure | None:
        """The metric's median and spread over the rounds; none where the row, or what is taken off it, is not ok."""
        row = self.row(route, workload, peer)
        if row is None or row.state != "ok" or (peer == DIRECT and not metric.added):
            return None
        figures = [each.get(metric.key) for each in row.rounds]
        if metric.added and peer != DIRECT:
            direct = self.row(route, workload, DIRECT)
            if direct is None or direct.state != "ok":
                return None
            off = [each.get(metric.key) for each in direct.rounds]
            figures = [
                None if one is None or other is None else one - other for one, other in zip(figures, off, strict=False)
            ]
        known = [one for one in figures if one is not None]
        if not known or len(known) < len(figures):
            return None
        return Figure(median(known), min(known), max(known))

    def ratio(self, route: str, workload: str, metric: Metric, peer: str) -> float | None:
        """agentproxy's median divided by the peer's; none where either is missing or not above 0."""
        ours = self.figure(route, workload, PEER, metric)
        theirs = self.figure(route, workload, peer, metric)
        if ours is None or theirs is None or theirs.median <= 0 or ours.median <= 0:
            return None
        return ours.median / theirs.median

    def failed(self, peer: str) -> list[Row]:
        return [row for row in self.rows if row.peer == peer and row.state == "failed"]

    def measured(self, target: Target) -> float | None:
        """What a target is held against: the ratio, or agentproxy's own figure."""
        metric = metric_of(target.workload, target.metric)
        if target.peer is not None:
            return self.ratio(target.route, target.workload, metric, target.peer)
        figure = self.figure(target.route, target.workload, PEER, metric)
        return None if figure is None else figure.median

    def to_json(self, targets: tuple[Target, ...]) -> dict[str, Any]:
        """Everything: each round's figures, and what the report says of them."""
        return {
            "format": FORMAT,
            "begun": self.begun,
            "options": self.options,
            "machine": self.machine,
            "rows": [{**vars(row), "figures": self._figures(row)} for row in self.rows],
            "targets": [self._target(target) for target in targets],
        }

    def _figures(self, row: Row) -> dict[str, dict[str, float]]:
        found = {}
        for metric in metrics_of(row.workload):
            figure = self.figure(row.route, row.workload, row.peer, metric)
            if figure is not None:
                name = f"added_{metric.key}" if metric.added and row.peer != DIRECT else metric.key
                found[name] = {"median": figure.median, "min": figure.lowest, "max": figure.highest}
        return found

    def _target(self, target: Target) -> dict[str, Any]:
        measured = self.measured(target)
        met = None if measured is None else SENSES[target.sense](measured, target.bound)
        return {**vars(target), "measured": measured, "met": met}


def number(value: float) -> str:
    """For people: three figures that count, or all before the point."""
    if value == 0:
        return "0"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def metrics_of(workload: str) -> tuple[Metric, ...]:
    """None for a workload that is not known, as an earlier run's may be."""
    return next((one.metrics for one in WORKLOADS if one.name == workload), ())


def metric_of(workload: str, key: str) -> Metric:
    """:raises LookupError: the workload has no such metric."""
    for metric in metrics_of(workload):
        if metric.key == key:
            return metric
    raise LookupError(f"{workload} has no metric {key}")


def load(path: Path) -> Results:
    """
    Read an earlier run's JSON.

    :raises ValueError: the file is none.
    :raises OSError: it can't be read.
    """
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["format"] != FORMAT:
            raise ValueError(f"{path}: format {kept['format']}, want {FORMAT}")
        names = ("route", "workload", "peer", "state", "why", "rounds", "notes")
        rows = [Row(**{name: row[name] for name in names}) for row in kept["rows"]]
        return Results(kept["begun"], kept["options"], kept["machine"], rows)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no results of bench: {error!r}") from error
