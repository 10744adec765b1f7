"""What a run found, as Markdown: a table per route, the targets, and the way from an earlier run to this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench.results import DIRECT, PEER, Results, Row, metric_of, metrics_of, number
from bench.targets import SENSES, TARGETS, Target
from bench.workloads import ROUTES, WORKLOADS, Metric

_NOTHING = "-"
_SHOWN = 90
"""Characters of a reason that a table's cell shows; below the table it stands whole."""
_WAYS = {
    "plain": "upstream is http on loopback",
    "squid": "upstream is https, by CONNECT through Squid, its certificate verified",
}


_BUSY = 0.9
"""The part of its core from which on a peer counts as the one that could do no more."""


def markdown(results: Results, before: Results | None = None) -> str:
    """
    The whole report.

    :param before: an earlier run, to hold this one against.
    """
    lines = ["# agentproxy beside its peers", "", *_head(results), ""]
    for route in ROUTES:
        lines += _route(results, route)
    lines += _workloads(results)
    lines += _targets(results, TARGETS)
    if before is not None:
        lines += _against(before, results)
    return "\n".join(lines).rstrip() + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines."""
    lines = [header, ["---"] * 2 + ["---:"] * (len(header) - 2), *rows]
    return [f"| {' | '.join(cell(text) for text in line)} |" for line in lines]


def cell(text: str) -> str:
    """Text that can't break out of a table's cell."""
    return " ".join(text.replace("|", "\\|").split())


def titled(metric: Metric) -> str:
    """A metric's name, with the direction that is good."""
    return f"{metric.title} ({metric.better} is better)"


def _head(results: Results) -> Iterator[str]:
    options = results.options
    size = "smoke size: says whether all is right, and nothing about speed" if options.get("smoke") else "full size"
    yield f"{results.begun}; rounds: {options.get('rounds')}; seconds each: {options.get('seconds')}; {size}."
    yield ""
    for name, value in results.machine.items():
        if name == "memory_bytes":
            yield f"- memory: {value / 2**30:.0f} GiB"
        elif value is not None:
            yield f"- {name}: {value}"
    gone = [name for name, value in results.machine.items() if value is None]
    if gone:
        yield f"- not here: {', '.join(gone)}"
    yield ""
    yield (
        "Medians over the rounds. Behind a peer's figure stands the ratio agentproxy / peer: where higher is better a "
        "ratio above 1 is good for agentproxy, **where lower is better a ratio below 1 is**. CPU is the peer's own; "
        "memory growth is its peak within the transfer. `added`: less what the same load saw on the same upstream "
        "without a proxy, which is `direct`."
    )


def _route(results: Results, route: str) -> list[str]:
    rows = [row for row in results.rows if row.route == route]
    if not rows:
        return []
    peers = [name for name in results.peers() if any(row.peer == name for row in rows)]
    names = [workload.name for workload in WORKLOADS if any(row.workload == workload.name for row in rows)]
    lines = [f"## Route {route}: {_WAYS[route]}", ""]
    body = []
    for name in names:
        for metric in metrics_of(name):
            cells = [_cell(results, route, name, peer, metric) for peer in peers]
            body.append([name, titled(metric), *cells])
    lines += table(["workload", "metric", *peers], body)
    lines += ["", *_reasons(results, route), ""]
    return lines


def _workloads(results: Results) -> list[str]:
    """What each of those that ran is."""
    ran = {row.workload for row in results.rows}
    lines = [f"- {workload.name}: {workload.says}" for workload in WORKLOADS if workload.name in ran]
    return ["## Workloads", "", *lines, ""] if lines else []


def _cell(results: Results, route: str, workload: str, peer: str, metric: Metric) -> str:
    row = results.row(route, workload, peer)
    if row is None or row.state == "skipped":
        return _NOTHING
    if row.state == "failed":
        return f"failed: {(row.why or '')[:_SHOWN]}" if metric == metrics_of(workload)[0] else "failed"
    figure = results.figure(route, workload, peer, metric)
    if figure is None:
        return _NOTHING
    ratio = None if peer in (PEER, DIRECT) else results.ratio(route, workload, metric, peer)
    return number(figure.median) + ("" if ratio is None else f" ({ratio:.2f})")


def _reasons(results: Results, route: str) -> Iterator[str]:
    """Why rows have no figures: failed ones one by one, skipped ones by their reason."""
    skipped: dict[tuple[str, str], list[str]] = {}
    for row in results.rows:
        if row.route != route:
            continue
        if row.state == "failed":
            yield f"- **failed**: {row.workload}, {row.peer}: {cell(row.why or '')}"
        elif row.state == "skipped":
            skipped.setdefault((row.peer, row.why or ""), []).append(row.workload)
    every = {row.workload for row in results.rows if row.route == route}
    for (peer, why), workloads in skipped.items():
        which = "row" if set(workloads) == every and len(every) > 1 else ", ".join(workloads)
        yield f"- {peer} has no {which}: {cell(why)}"
    idle = [f"{row.workload} of {row.peer} ({busy:.0%} busy)" for row, busy in _idle(results, route)]
    if idle:
        yield (
            "- the load, or Squid beside it, could do no more while the peer still had time; so the peer is better "
            f"than its rate, and CPU per operation says more: {', '.join(idle)}"
        )
    notes = dict.fromkeys(f"{row.workload}: {note}" for row in results.rows if row.route == route for note in row.notes)
    yield from (f"- {note}" for note in notes)


def _idle(results: Results, route: str) -> Iterator[tuple[Row, float]]:
    """Rows with a rate in which the peer did not use its core whole, and the part of it that it used."""
    for row in results.rows:
        metrics = metrics_of(row.workload)
        if row.route == route and row.state == "ok" and row.rounds and metrics and metrics[0].key == "per_s":
            busy = median(each.get("peer_busy", 1) for each in row.rounds)
            if busy < _BUSY:
                yield row, busy


def _targets(results: Results, targets: Sequence[Target]) -> list[str]:
    body = []
    for target in targets:
        if results.row(target.route, target.workload, PEER) is None:
            continue
        metric = metric_of(target.workload, target.metric)
        wanted = f"{target.sense} {target.bound:g}" + (f" x {target.peer}" if target.peer else "")
        measured = results.measured(target)
        if measured is None:
            found, met = _NOTHING, "not measured"
        else:
            found = f"{number(measured)}{f' x {target.peer}' if target.peer else ''}"
            met = "yes" if SENSES[target.sense](measured, target.bound) else "**no**"
        body.append([f"{target.route} {target.workload}", titled(metric), wanted, found, met])
    if not body:
        return []
    lines = ["## Targets", "", "agentproxy's own goals. What misses one is said, and fails nothing.", ""]
    return [*lines, *table(["workload", "metric", "wanted", "measured", "met"], body), ""]


def _against(before: Results, after: Results) -> list[str]:
    """agentproxy before and after, and what the machine did meanwhile to the others, which have not changed."""
    drift = [name for name in after.peers() if name not in (PEER, DIRECT) and name in before.peers()]
    body = []
    for row in after.rows:
        if row.peer != PEER:
            continue
        for metric in metrics_of(row.workload):
            was, now = (one.figure(row.route, row.workload, PEER, metric) for one in (before, after))
            if was is None and now is None:
                continue
            cells = [_NOTHING if one is None else number(one.median) for one in (was, now)]
            changes = [_change(before, after, row.route, row.workload, name, metric) for name in (PEER, *drift)]
            body.append([f"{row.route} {row.workload}", titled(metric), *cells, *changes])
    lines = [f"## Against the run of {before.begun}", ""]
    lines.append(
        "`after / before` of agentproxy, then of each peer, which did not change: what theirs differs from 1 is the "
        "machine's doing, not agentproxy's."
    )
    header = ["workload", "metric", "before", "after", "after / before", *drift]
    return [*lines, "", *table(header, body), ""]


def _change(before: Results, after: Results, route: str, workload: str, peer: str, metric: Metric) -> str:
    was, now = (one.figure(route, workload, peer, metric) for one in (before, after))
    if was is None or now is None or was.median <= 0 or now.median <= 0:
        return _NOTHING
    return f"{now.median / was.median:.2f}"
