"""
The Prometheus metrics of the service, in a registry of their own.

Told on the hot path, so every series' handle is looked up once and kept in a plain dict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from agentproxy.call import Call, Close

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of `Metrics.render`: Prometheus's text format."""

CALL_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip
"""Seconds. A refusal takes milliseconds, an agent's long answer many minutes."""
CONNECT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

MOST_MODELS = 200
MOST_CODES = 64
OTHER = "other"

_MODEL = re.compile(r"[A-Za-z0-9._:/@+-]{1,100}")
_MICRO = 1_000_000

Key = tuple[str, ...]
_Handle = TypeVar("_Handle", Counter, Gauge, Histogram)


class _Told(NamedTuple):
    """What has been counted of a call so far."""

    bytes_in: int = 0
    bytes_out: int = 0
    frames_in: int = 0
    frames_out: int = 0


class _Series(dict[Key, _Handle]):
    """A metric's handles by their labels' values, made when they are first asked for."""

    def __init__(self, metric: _Handle) -> None:
        super().__init__()
        self._labels: Callable[..., _Handle] = metric.labels

    def __missing__(self, key: Key) -> _Handle:
        handle = self[key] = self._labels(*key)
        return handle


class _Few(dict[str, str]):
    """Values of a label that come from outside: so many different ones as they are, the rest as `OTHER`."""

    def __init__(self, most: int, fits: Callable[[str], object]) -> None:
        super().__init__()
        self._most = most
        self._fits = fits

    def __missing__(self, value: str) -> str:
        if len(self) >= self._most or not self._fits(value):
            return OTHER
        self[value] = value
        return value


class _Cost(Collector):
    """Micro-dollars by provider and model: whole numbers, exported in dollars."""

    def __init__(self) -> None:
        self.micro_dollars: dict[tuple[str, str], int] = {}

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "agentproxy_cost_usd", "Cost of calls, in US dollars.", labels=["provider", "model"]
        )
        for labels, micro_dollars in self.micro_dollars.items():
            family.add_metric(labels, micro_dollars / _MICRO)
        yield family


class _Plain(Collector):
    """A registry without the ``_created`` series, which double the output and say nothing that is asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if sample.name != f"{metric.name}_created"]
            yield metric


class Metrics:
    """
    Counts what it is told of calls. Providers' names come from the configuration; phases, sides, directions and codes
    of errors are ours; models and close codes come from outside and are capped in number.

    :param providers: names whose series are there, as zeros, from the start.
    """

    def __init__(self, version: str, providers: Iterable[str] = ()) -> None:
        registry = CollectorRegistry()
        self._output = _Plain(registry)
        self._told: dict[Call, _Told] = {}
        self._models = _Few(MOST_MODELS, _MODEL.fullmatch)
        self._codes = _Few(MOST_CODES, str.isdigit)

        def counter(name: str, text: str, *labels: str) -> _Series[Counter]:
            return _Series(Counter(f"agentproxy_{name}", text, labels, registry=registry))

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> _Series[Histogram]:
            return _Series(Histogram(f"agentproxy_{name}", text, labels, buckets=buckets, registry=registry))

        build = Gauge("agentproxy_build_info", "The running version; always 1.", ("version",), registry=registry)
        build.labels(version).set(1)
        self._requests = counter("requests_total", "Calls that ended.", "provider", "protocol", "status")
        self._active = _Series(
            Gauge("agentproxy_active_calls", "Calls running now.", ("provider", "protocol"), registry=registry)
        )
        self._duration = histogram(
            "request_duration_seconds", "From a call's head to its end.", CALL_BUCKETS, "provider", "protocol"
        )
        self._first_byte = histogram(
            "time_to_first_byte_seconds", "From a call's head to upstream's.", CALL_BUCKETS, "provider"
        )
        self._bytes = counter("bytes_total", "Bytes of bodies and frames.", "provider", "direction")
        self._frames = counter("websocket_frames_total", "WebSocket frames.", "provider", "direction")
        self._closes = counter("websocket_closes_total", "WebSockets that ended.", "provider", "side", "code")
        self._denials = counter("denials_total", "Calls that the proxy refused.", "provider", "code")
        self._connect = histogram(
            "upstream_connect_seconds", "What a connection's phases took.", CONNECT_BUCKETS, "provider", "phase"
        )
        self._errors = counter("upstream_errors_total", "Calls that upstream failed.", "provider", "phase")
        self._tokens = counter("tokens_total", "Tokens used.", "provider", "model", "type")
        self._cost = _Cost()
        registry.register(self._cost)
        for provider in providers:
            for name in ("http", "websocket"):
                self._active[provider, name].set(0)
            for name in ("to_upstream", "to_client"):
                self._bytes[provider, name].inc(0)

    def call_started(self, call: Call) -> None:
        """A call began."""
        self._told[call] = _Told()
        self._active[call.provider, call.protocol].inc()

    def progress(self, call: Call) -> None:
        """Count what moved since this was last told; `render` does it for every running call."""
        told = self._told.get(call)
        if told is not None:
            self._told[call] = self._moved(call, told)

    def call_ended(self, call: Call, seconds: float) -> None:
        """
        A call ended; one that didn't begin, or has ended before, is not counted.

        :param seconds: how long it took.
        """
        told = self._told.pop(call, None)
        if told is None:
            return
        provider, protocol = call.provider, call.protocol
        self._active[provider, protocol].dec()
        self._requests[provider, protocol, str(call.status)].inc()
        self._duration[provider, protocol].observe(seconds)
        if call.first_byte is not None:
            self._first_byte[(provider,)].observe(call.first_byte - call.started)
        self._moved(call, told)
        if call.close is not None:
            self._closed(provider, call.close)

    def denied(self, provider: str, code: str) -> None:
        """The proxy refused a call with this error code of ours."""
        self._denials[provider, code].inc()

    def connect_phase(self, provider: str, phase: str, seconds: float) -> None:
        """A phase of reaching upstream is done."""
        self._connect[provider, phase].observe(seconds)

    def upstream_error(self, provider: str, phase: str) -> None:
        """Upstream failed a call in this phase."""
        self._errors[provider, phase].inc()

    def usage(self, provider: str, model: str, type: str, tokens: int) -> None:
        """Tokens of one type were used."""
        self._tokens[provider, self._models[model], type].inc(tokens)

    def cost(self, provider: str, model: str, micro_dollars: int) -> None:
        """A call cost so many millionths of a dollar."""
        key = provider, self._models[model]
        self._cost.micro_dollars[key] = self._cost.micro_dollars.get(key, 0) + micro_dollars

    def render(self) -> tuple[bytes, str]:
        """All series as they stand, and their content type."""
        for call in list(self._told):
            self.progress(call)
        return generate_latest(self._output), CONTENT_TYPE

    def _moved(self, call: Call, told: _Told) -> _Told:
        provider = call.provider
        self._bytes[provider, "to_upstream"].inc(call.bytes_in - told.bytes_in)
        self._bytes[provider, "to_client"].inc(call.bytes_out - told.bytes_out)
        if call.protocol == "websocket":
            self._frames[provider, "to_upstream"].inc(call.frames_in - told.frames_in)
            self._frames[provider, "to_client"].inc(call.frames_out - told.frames_out)
        return _Told(call.bytes_in, call.bytes_out, call.frames_in, call.frames_out)

    def _closed(self, provider: str, close: Close) -> None:
        self._closes[provider, close.side, self._codes[str(close.code)]].inc()
