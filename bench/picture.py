"""The picture: each workload's headline figure as a multiple of Node's, on a logarithmic scale. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.results import DIRECT, PEER, Results
from bench.workloads import ROUTES, WORKLOADS, Workload

BASE = "node"
_COLOURS = {
    PEER: "#d1495b",
    "nginx": "#2e7d5b",
    "tcp": "#5b8db8",
    "mitmproxy": "#edae49",
    "litellm": "#7b5ea7",
}


class NoPicture(Exception):
    """Why there is none."""


def heights(results: Results, route: str, peers: Sequence[str]) -> list[tuple[Workload, list[float | None]]]:
    """
    How many times better than Node each peer is, by the workload's headline figure: more than 1 is always better,
    also where lower figures are.

    :returns: a workload with one value a peer, or ``None`` where there is none, for each that has Node's figure.
    """
    found = []
    for workload in WORKLOADS:
        metric = workload.metrics[0]
        base = results.figure(route, workload.name, BASE, metric)
        if base is None or base.median <= 0:
            continue
        values: list[float | None] = []
        for peer in peers:
            figure = results.figure(route, workload.name, peer, metric)
            if figure is None or figure.median <= 0:
                values.append(None)
            else:
                ratio = figure.median / base.median
                values.append(ratio if metric.better == "higher" else 1 / ratio)
        found.append((workload, values))
    return found


def draw(results: Results, folder: Path, name: str = "ratios") -> list[Path]:
    """
    Save the picture as PNG and SVG.

    :raises NoPicture: there is nothing to draw, or nothing to draw with.
    """
    # Node itself is the line at 1.
    peers = [peer for peer in results.peers() if peer not in (DIRECT, BASE)]
    panels = [(route, found) for route in ROUTES if (found := heights(results, route, peers))]
    if not panels:
        raise NoPicture(f"it shows multiples of {BASE}'s figures, and there are none")
    try:
        import matplotlib
    except ImportError:
        raise NoPicture("matplotlib is not installed: bench/run installs it") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    widest = max(len(found) for _, found in panels)
    figure, axes = pyplot.subplots(
        len(panels),
        1,
        figsize=(max(9.0, widest * 1.1), 4.6 * len(panels)),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for (route, found), axis in zip(panels, axes[:, 0], strict=True):
        _panel(axis, route, found, peers)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(peers), frameon=False)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    for path in paths:
        figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return paths


def _panel(axis: Any, route: str, found: list[tuple[Workload, list[float | None]]], peers: Sequence[str]) -> None:
    """One route's bars, from the line at 1 up or down."""
    shown = [peer for i, peer in enumerate(peers) if any(values[i] is not None for _, values in found)]
    width = 0.84 / max(3, len(shown))
    for peer in peers:
        index = list(peers).index(peer)
        places, tops = [], []
        for at, (_, values) in enumerate(found):
            value = values[index]
            if peer in shown and value is not None:
                places.append(at + width * (shown.index(peer) - (len(shown) - 1) / 2))
                tops.append(value)
        # On a logarithmic scale a bar from 1 to the value has the height of their difference.
        bars = axis.bar(
            places, [top - 1 for top in tops], width, bottom=1, label=peer, color=_COLOURS.get(peer), zorder=2
        )
        if peer == PEER:
            for bar, top in zip(bars, tops, strict=True):
                up = top >= 1
                axis.annotate(
                    f"{top:.2g}x" if top < 10 else f"{top:.0f}x",
                    (bar.get_x() + width / 2, top),
                    (0, 2 if up else -2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if up else "top",
                    fontsize=7,
                )
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axis.axhline(1, color="#333333", linewidth=0.8, zorder=3)
    axis.grid(axis="y", which="both", color="#e6e6e6", linewidth=0.6, zorder=0)
    axis.set_axisbelow(True)
    axis.set_xlim(-0.6, len(found) - 0.4)
    names = [f"{work.name}\n{work.metrics[0].title}" for work, _ in found]
    axis.set_xticks(range(len(found)), names, rotation=35, ha="right", fontsize=8)
    axis.set_title(
        f"{route}: times better than a minimal Node pipe, which is the line at 1x (log scale, up is better)",
        fontsize=10,
    )
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
