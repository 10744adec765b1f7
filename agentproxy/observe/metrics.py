"""
The Prometheus metrics of the service, in a registry of their own.

Told on the hot path: what is counted is a number in a dictionary until somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest

from agentproxy.call import Call, Close
from agentproxy.observe.series import Counts, Levels, Times

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


class _Told(NamedTuple):
    """What has been counted of a call so far."""

    bytes_in: int = 0
    bytes_out: int = 0
    frames_in: int = 0
    frames_out: int = 0


_NOTHING = _Told()


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


class Metrics:
    """
    Counts what it is told of calls. Providers' names come from the configuration; phases, sides, directions and codes
    of errors are ours; models and close codes come from outside and are capped in number.

    :param providers: names whose series are there, as zeros, from the start.
    :ivar records_lost: asked how many records could not be kept.
    """

    def __init__(self, version: str, providers: Iterable[str] = ()) -> None:
        self._registry = registry = CollectorRegistry()
        self._told: dict[Call, _Told] = {}
        self._models = _Few(MOST_MODELS, _MODEL.fullmatch)
        self._codes = _Few(MOST_CODES, str.isdigit)

        def counter(name: str, text: str, *labels: str, unit: float = 1) -> Counts:
            return Counts(f"agentproxy_{name}", text, labels, registry, unit=unit)

        def times(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Times:
            return Times(f"agentproxy_{name}", text, labels, buckets, registry)

        Levels("agentproxy_build_info", "The running version; always 1.", ("version",), registry)[(version,)] = 1
        self._requests = counter("requests", "Calls that ended.", "provider", "protocol", "status")
        self._active = Levels("agentproxy_active_calls", "Calls running now.", ("provider", "protocol"), registry)
        self._duration = times(
            "request_duration_seconds", "From a call's head to its end.", CALL_BUCKETS, "provider", "protocol"
        )
        self._first_byte = times(
            "time_to_first_byte_seconds", "From a call's head to upstream's.", CALL_BUCKETS, "provider"
        )
        self._bytes = counter("bytes", "Bytes of bodies and frames.", "provider", "direction")
        self._frames = counter("websocket_frames", "WebSocket frames.", "provider", "direction")
        self._closes = counter("websocket_closes", "WebSockets that ended.", "provider", "side", "code")
        self._denials = counter("denials", "Calls that the proxy refused.", "provider", "code")
        self._connect = times(
            "upstream_connect_seconds", "What a connection's phases took.", CONNECT_BUCKETS, "provider", "phase"
        )
        self._errors = counter("upstream_errors", "Calls that upstream failed.", "provider", "phase")
        self._tokens = counter("tokens", "Tokens used.", "provider", "model", "type")
        self._lost = counter("records_lost", "Records of calls, turns and content that could not be kept.")
        self.records_lost: Callable[[], int] = int
        self._cost = counter("cost_usd", "Cost of calls, in US dollars.", "provider", "model", unit=_MICRO)
        for provider in providers:
            for name in ("http", "websocket"):
                self._active[provider, name] = 0
            for name in ("to_upstream", "to_client"):
                self._bytes[provider, name] = 0

    def call_started(self, call: Call) -> None:
        """A call began."""
        self._told[call] = _NOTHING
        self._active[call.provider, call.protocol] += 1

    def progress(self, call: Call) -> None:
        """Count what moved since this was last told; `render` does it for every running call."""
        told = self._told.get(call)
        if told is not None:
            self._moved(call, told)
            self._told[call] = _Told(call.bytes_in, call.bytes_out, call.frames_in, call.frames_out)

    def call_ended(self, call: Call, seconds: float) -> None:
        """
        A call ended; one that didn't begin, or has ended before, is not counted.

        :param seconds: how long it took.
        """
        told = self._told.pop(call, None)
        if told is None:
            return
        provider, protocol = call.provider, call.protocol
        self._active[provider, protocol] -= 1
        self._requests[provider, protocol, str(call.status)] += 1
        self._duration.observe((provider, protocol), seconds)
        if call.first_byte is not None:
            self._first_byte.observe((provider,), call.first_byte - call.started)
        self._moved(call, told)
        if call.close is not None:
            self._closed(provider, call.close)

    def denied(self, provider: str, code: str) -> None:
        """The proxy refused a call with this error code of ours."""
        self._denials[provider, code] += 1

    def connect_phase(self, provider: str, phase: str, seconds: float) -> None:
        """A phase of reaching upstream is done."""
        self._connect.observe((provider, phase), seconds)

    def upstream_error(self, provider: str, phase: str) -> None:
        """Upstream failed a call in this phase."""
        self._errors[provider, phase] += 1

    def usage(self, provider: str, model: str, type: str, tokens: int) -> None:
        """Tokens of one type were used."""
        self._tokens[provider, self._models[model], type] += tokens

    def is_label(self, model: str | None) -> bool:
        """Whether this model has series already."""
        return model in self._models

    def cost(self, provider: str, model: str, micro_dollars: int) -> None:
        """A call cost so many millionths of a dollar."""
        self._cost[provider, self._models[model]] += micro_dollars

    def render(self) -> tuple[bytes, str]:
        """All series as they stand, and their content type."""
        for call in list(self._told):
            self.progress(call)
        self._lost[()] = self.records_lost()
        return generate_latest(self._registry), CONTENT_TYPE

    def _moved(self, call: Call, told: _Told) -> None:
        provider, counted = call.provider, self._bytes
        counted[provider, "to_upstream"] += call.bytes_in - told.bytes_in
        counted[provider, "to_client"] += call.bytes_out - told.bytes_out
        if call.protocol == "websocket":
            self._frames[provider, "to_upstream"] += call.frames_in - told.frames_in
            self._frames[provider, "to_client"] += call.frames_out - told.frames_out

    def _closed(self, provider: str, close: Close) -> None:
        self._closes[provider, close.side, self._codes[str(close.code)]] += 1
