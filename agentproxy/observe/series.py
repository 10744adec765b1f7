"""
Series of metrics as plain numbers, told on the hot path and shown through prometheus_client when somebody asks.

The library's own handles take a lock and several calls for each increment; here one dictionary entry changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Key = tuple[str, ...]
"""A series' label values."""


class Counts(dict[Key, int], Collector):
    """
    A counter by its labels' values: add to an entry, which begins as 0.

    :param unit: what an entry of 1 is shown as.
    """

    _family: type[CounterMetricFamily] | type[GaugeMetricFamily] = CounterMetricFamily

    def __init__(
        self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry, *, unit: float = 1
    ) -> None:
        super().__init__()
        self._name = name
        self._text = text
        self._labels = labels
        self._unit = unit
        registry.register(self)

    def __missing__(self, key: Key) -> int:
        return 0

    # Registries keep their collectors by identity.
    __hash__ = object.__hash__  # type: ignore[assignment]

    def collect(self) -> Iterator[Metric]:
        """Called by the registry: all series as they stand."""
        family = self._family(self._name, self._text, labels=self._labels)
        for key, count in self.items():
            family.add_metric(key, count if self._unit == 1 else count / self._unit)
        yield family


class Levels(Counts):
    """As `Counts`, of what goes up and down."""

    _family = GaugeMetricFamily


class Times(Collector):
    """
    A histogram of seconds by its labels' values.

    :param buckets: upper bounds, ascending.
    """

    def __init__(
        self, name: str, text: str, labels: Sequence[str], buckets: tuple[float, ...], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._buckets = buckets
        # By labels: what fell into each bucket and no lower one, what fell into none, and the sum.
        self._series: dict[Key, tuple[list[int], list[float]]] = {}
        registry.register(self)

    def observe(self, key: Key, seconds: float) -> None:
        """Something took so long."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = ([0] * (len(self._buckets) + 1), [0.0])
        series[0][bisect_left(self._buckets, seconds)] += 1
        series[1][0] += seconds

    def collect(self) -> Iterator[Metric]:
        """Called by the registry: all series as they stand."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = [*map(floatToGoString, self._buckets), "+Inf"]
        for key, (counts, total) in self._series.items():
            family.add_metric(key, list(zip(bounds, accumulate(counts), strict=True)), total[0])
        yield family
