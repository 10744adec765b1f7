"""What the tests of the books share: a ledger between a fake sink and broken parts, heads, and bodies in codings."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.identifier import Identifier
from agentproxy.agents.who import Who
from agentproxy.call import Call
from agentproxy.config import Provider, Upstream
from agentproxy.observe.ledger import Ledger
from agentproxy.observe.log import EventLog
from agentproxy.observe.metrics import Metrics
from agentproxy.observe.observer import Observer
from agentproxy.observe.pages import HttpPage, SocketPage
from agentproxy.observe.pricing import Prices
from agentproxy.providers import KINDS
from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord
from agentproxy.wire.head import RequestHead, ResponseHead

WALL = 1_763_000_000.0
"""Seconds since 1970 at which the clock of these tests is at 0."""

CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstandard.ZstdCompressor().compress,
}


def asks(target: bytes = b"/v1/responses", *fields: tuple[bytes, bytes], method: bytes = b"POST") -> RequestHead:
    """A request's head."""
    return RequestHead(method, target, 1, [(name.lower(), name, value) for name, value in fields])


def answers(status: int = 200, kind: bytes = b"application/json", *fields: tuple[bytes, bytes]) -> ResponseHead:
    """A response's head."""
    all_fields = ((b"Content-Type", kind), *fields)
    return ResponseHead(status, b"Reason", 1, [(name.lower(), name, value) for name, value in all_fields])


SSE = b"text/event-stream; charset=utf-8"


def dump(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def events(*values: Any) -> bytes:
    """The bytes of an event stream."""
    return b"".join(b"data: " + dump(value) + b"\n\n" for value in values)


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[CallRecord] = []
        self.turns: list[TurnRecord] = []
        self.contents: list[ContentRecord] = []

    def call(self, record: CallRecord) -> None:
        self.calls.append(record)

    def turn(self, record: TurnRecord) -> None:
        self.turns.append(record)

    def content(self, record: ContentRecord) -> None:
        self.contents.append(record)


class BrokenSink(Sink):
    """Takes nothing."""

    def _fail(self, record: object) -> None:
        raise OSError("the disk is full of secrets")

    call = turn = content = _fail


class BrokenPrices(Prices):
    """Knows no prices, and not even that."""

    def cost(self, *args: object) -> int | None:
        raise KeyError("secret")


class BrokenIdentifier(Identifier):
    """Raises wherever it is asked."""

    def begin(self, *args: object) -> Who:
        raise LookupError("secret")

    asked = settle = begin  # type: ignore[assignment]


class BookCase(SynchronousTestCase):
    """
    :ivar clock: reads 0 at `WALL`.
    :ivar published: turns' records, in order.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.written: list[str] = []
        self.log = EventLog(self.written.append, clock=self.clock, wall=lambda: 0.0)
        self.metrics = Metrics("1")
        self.observer = Observer(self.log, self.metrics, self.clock)
        self.published: list[TurnRecord] = []

    def ledger(self, sink: Sink | None, **parts: Any) -> Ledger:
        """A ledger, of which single parts may be others."""
        return Ledger(
            self.observer,
            parts.pop("prices", None) or Prices(),
            parts.pop("identifier", None) or Identifier(random=lambda size: bytes(size)),
            seconds=self.clock.seconds,
            wall=parts.pop("wall", lambda: WALL + self.clock.seconds()),
            publish=parts.pop("publish", self.published.append),
            sink=sink,
            **parts,
        )

    def provider(self, kind: str = "openai", host: str = "api.openai.com") -> Provider:
        return Provider("one", KINDS[kind], 0, Upstream("https", host, 443, ""), {}, True, False, ())

    def call(self, head: RequestHead, protocol: str = "http") -> Call:
        """A call that begins now."""
        path = head.path.decode("latin-1")
        return Call("id-1", "one", protocol, head.method.decode(), path, self.clock.seconds())

    def http(self, ledger: Ledger, head: RequestHead | None = None, kind: str = "openai", **how: Any) -> HttpPage:
        head = asks() if head is None else head
        return HttpPage(ledger, self.call(head), self.provider(kind, **how), head)

    def socket(self, ledger: Ledger, head: RequestHead | None = None, kind: str = "openai", **how: Any) -> SocketPage:
        if head is None:
            head = asks(b"/v1/responses", (b"Connection", b"Upgrade"), method=b"GET")
        head.connection = frozenset({b"upgrade"})
        return SocketPage(ledger, self.call(head, "websocket"), self.provider(kind, **how), head)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of a name, without their times."""
        self.log.flush()
        lines = [json.loads(line) for line in "".join(self.written).splitlines()]
        return [{key: line[key] for key in line if key != "time"} for line in lines if line["event"] == name]

    def series(self, name: str) -> dict[str, float]:
        """A metric's samples that are not 0, by label set."""
        rows = (line.rpartition(" ") for line in self.metrics.render()[0].decode().splitlines() if line[:1] != "#")
        named = {row[0]: float(row[2]) for row in rows if row[0].partition("{")[0] == f"agentproxy_{name}"}
        return {labels.partition("{")[2].rstrip("}"): value for labels, value in named.items() if value}

    def assert_no_fault(self) -> None:
        """Nothing in here has failed."""
        self.assertEqual((self.observer.faults, self.events("observe.fault")), (0, []))
