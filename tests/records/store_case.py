"""What the store's tests share: records to write, a writer that ends with its test, a look into the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from threading import get_ident

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.records.queries import Store
from agentproxy.records.rows import Record
from agentproxy.records.schema import FILE
from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord
from agentproxy.records.writer import Pace, Writer

NOON_US = 1_767_323_045_000_000  # 2026-01-02T03:04:05Z
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
SOON = 20.0
"""Seconds that what is to happen at once may take on a busy machine."""
QUICK = Pace(batch_s=0.01, busy_s=0.01, patience_s=0.05, retry_s=0.01)
"""A writer that gives up soon."""


def key(number: int) -> str:
    return f"{number:016x}"


def turn(number: int, **changes: object) -> TurnRecord:
    """A turn, begun ``number`` seconds after noon."""
    record = TurnRecord(
        key=key(number), call_key=key(number), request_id=f"r{number}", provider="anthropic", protocol="http",
        operation="messages", lane=None, started_us=NOON_US + number * SECOND_US, first_token_us=250_000,
        duration_us=2_000_000, request_model="sonnet", response_model="sonnet-1", response_id=f"m{number}",
        upstream_request_id=None, input_tokens=1000, output_tokens=100, cache_read_tokens=800, cache_write_tokens=50,
        cache_write_1h_tokens=None, reasoning_tokens=10, input_audio_tokens=None, output_audio_tokens=None,
        web_searches=None, cost_micro_usd=5000, price_version="1", source="reported", status="completed",
        stop_reason="end_turn", note=None, degraded=None, session="session-one", session_source="stated",
        agent="claude-code", agent_version="2.0", sub_agent=None, working_directory="/repo/me", tools=["Bash", "Read"],
    )  # fmt: skip
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def call(number: int, **changes: object) -> CallRecord:
    """A call, begun ``number`` seconds after noon."""
    record = CallRecord(
        key=key(number), request_id=f"r{number}", provider="anthropic", protocol="http", method="POST",
        path="/v1/messages", started_us=NOON_US + number * SECOND_US, duration_us=2_000_000, status=200, bytes_in=10,
        bytes_out=20, frames_in=None, frames_out=None, first_byte_us=50_000, error=None, phase=None, close_side=None,
        close_code=None, close_reason=None, close_clean=None, upstream_request_id="u", session="session-one",
        session_source="stated", agent="claude-code", agent_version="2.0", sub_agent=None, working_directory=None,
        degraded=None,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def content(number: int, body: bytes, *, place: int = 0, at_us: int | None = None) -> ContentRecord:
    """A body of the call of this number."""
    at = NOON_US + number * SECOND_US if at_us is None else at_us
    return ContentRecord(key(number), place, "request_body", at, [body[:3], body[3:]], len(body))


class StoreCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.file = self.directory / FILE
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.threads: set[int] = set()

    def tell(self, event: str, level: str, **keys: object) -> None:
        self.told.append((event, level, keys))
        self.threads.add(get_ident())

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.told]

    def writer(
        self,
        pace: Pace = QUICK,
        *,
        days: float = 0,
        megabytes: float = 0,
        now_us: int = NOON_US,
        start: bool = True,
    ) -> Writer:
        """A writer, which runs until the test is over."""
        writer = Writer(
            self.directory,
            clean=lambda data: data.replace(b"secret", b"******"),
            told=self.tell,
            days=days,
            megabytes=megabytes,
            wall=lambda: now_us / SECOND_US,
            pace=pace,
        )
        if start:
            writer.start()
        self.addCleanup(writer.stop, SOON)
        return writer

    def write(self, records: Iterable[Record]) -> None:
        """Have a writer of their own write these, and close the file."""
        writer = self.writer()
        for record in records:
            put(writer, record)
        self.assertTrue(writer.flush(SOON))
        writer.stop(SOON)
        self.assertEqual(writer.lost, 0)

    def flushed(self, writer: Writer, *numbers: int) -> None:
        """Hand over these turns, each when the one before is written or lost."""
        for number in numbers:
            writer.turn(turn(number))
            self.assertTrue(writer.flush(SOON))

    def settled(self, writer: Writer) -> Writer:
        """The writer, when it has looked at what is too old for the first time."""
        while writer._sweep is not None or not writer._sweep_at:
            self.assertTrue(writer.flush(SOON))
        return writer

    def look(self, sql: str, file: Path | None = None) -> list[tuple[object, ...]]:
        """What a statement says, by a connection of its own."""
        with closing(sqlite3.connect(file or self.file)) as link:
            return link.execute(sql).fetchall()

    def keys(self, table: str = "turns") -> list[str]:
        return [str(row[0]) for row in self.look(f"SELECT key FROM {table} ORDER BY key")]


class QueryCase(StoreCase):
    def store(self, *records: Record) -> Store:
        """A store with these records in it."""
        self.write(records)
        store = Store(self.file)
        self.addCleanup(store.close)
        return store


def put(writer: Writer, record: Record) -> None:
    if isinstance(record, TurnRecord):
        writer.turn(record)
    elif isinstance(record, CallRecord):
        writer.call(record)
    else:
        writer.content(record)
