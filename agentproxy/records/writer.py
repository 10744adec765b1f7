"""
Writes a record store: records come from the reactor's thread, and go to the file in batches, by a thread of its own.

To hand one over costs about a microsecond, never waits and never raises. What can't be written is lost, counted and
told, and the thread goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread

from agentproxy.records.book import Book, Told
from agentproxy.records.content import pack
from agentproxy.records.inbox import MOST_RECORDS, Inbox
from agentproxy.records.retention import Bounds
from agentproxy.records.rows import Batch, Record, reason
from agentproxy.records.schema import FILE
from agentproxy.records.troubles import Troubles
from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord

_MEGABYTE = 1_000_000
_DAY_S = 86_400
_GROWTH = 0.1
"""Of the bound in size: after so much more, what is too much is looked for before its time."""
_CONTENT_S = 0.1
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Pace:
    """
    Seconds and rows that a `Writer` goes by.

    :ivar batch_s: how long a record waits for others to be written with it; ``batch_rows`` do not wait.
    :ivar busy_s: how long another process's lock is waited for at a time.
    :ivar patience_s: how long a batch is tried again, each ``retry_s``, before it is given up. Later batches are tried
        once, until one is written.
    :ivar sweep_s: from one look at what is too old or too much to the next.
    """

    batch_s: float = 0.25
    batch_rows: int = 1000
    busy_s: float = 1.0
    patience_s: float = 10.0
    retry_s: float = 0.5
    sweep_s: float = 600.0


class Writer:
    """
    All of it is one thread's to call, the reactor's.

    :param directory: where the file is, or is made.
    :param clean: takes credentials out of content. Called by the writer's thread.
    :param told: told what an operator must know: an event, its level and its keys. Called by the writer's thread.
    :param days: older records are deleted; 0: none.
    :param megabytes: the oldest records are deleted while more than so many million bytes are in use; 0: none.
    :param wall: seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clean: Callable[[bytes], bytes],
        told: Told,
        days: float,
        megabytes: float,
        wall: Callable[[], float] = time.time,
        pace: Pace | None = None,
    ) -> None:
        self._pack = partial(pack, clean=clean)
        self._tell = told
        self._days = days
        self._most_bytes = int(megabytes * _MEGABYTE) or None
        self._wall = wall
        self._pace = pace = pace or Pace()
        self._inbox = Inbox(pace.batch_rows)
        self._troubles = Troubles(self._told)
        self._book = Book(directory / FILE, self._told, wall, pace.busy_s)
        self._thread = Thread(target=self._run, name="records", daemon=True)
        self._left = 0
        # The writer's thread's own.
        self._dropped = 0
        self._sweep: Iterator[None] | None = None
        self._sweep_at = 0.0
        self._grown = 0
        self._meanwhile_at = 0.0
        self._behind = False

    @property
    def lost(self) -> int:
        """Records that were not written, whatever the cause."""
        return self._inbox.dropped + self._troubles.lost + self._left

    def start(self) -> None:
        """The thread begins. It never raises for what the disk does."""
        try:
            self._thread.start()
        except RuntimeError as error:
            # No more threads on this machine: everything is lost from here on.
            self._inbox.end()
            self._told("record.lost", "error", why=reason(error), count=0)

    def call(self, record: CallRecord) -> None:
        """Hand over a call that has ended."""
        self._inbox.put(record)

    def turn(self, record: TurnRecord) -> None:
        """Hand over a turn that has ended."""
        self._inbox.put(record)

    def content(self, record: ContentRecord) -> None:
        """Hand over a piece of content."""
        self._inbox.put_content(record)

    def flush(self, timeout: float) -> bool:
        """Wait until all that was handed over is written, or lost; whether it is, after ``timeout`` seconds."""
        return self._thread.is_alive() and self._inbox.flush(timeout)

    def stop(self, timeout: float) -> None:
        """Write what was handed over and end the thread; what is not done after ``timeout`` seconds counts as lost."""
        self._inbox.end()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._left = self._inbox.waiting

    # The writer's thread, from here on.

    def _run(self) -> None:
        try:
            self._book.open()
        except Exception as error:
            # The first batch tries again.
            self._troubles.lose(reason(error), 0)
        while True:
            try:
                self._round()
            except Exception as error:
                # Nothing known comes here, either; the thread is not to end by what is not known.
                self._troubles.lose(reason(error), 0)
            if self._inbox.ending.is_set() and not self._inbox.waiting:
                self._book.close()
                return

    def _round(self) -> None:
        inbox, pace = self._inbox, self._pace
        sleep = 0.0 if self._sweep is not None else max(0.0, self._sweep_at - time.monotonic())
        inbox.wait(sleep, 0.0 if self._sweep is not None or self._behind else pace.batch_s)
        rows = inbox.take(MOST_RECORDS if self._troubles.given_up or inbox.ending.is_set() else pace.batch_rows)
        with self._counted(rows):
            if rows:
                self._save(Batch.of(rows))
        inbox.done(len(rows))
        content: list[ContentRecord] = []
        with self._counted(content):
            self._save_content(content)
        inbox.done_content(content)
        self._behind = inbox.content_left
        if not inbox.ending.is_set():
            self._tidy()

    @contextmanager
    def _counted(self, records: Sequence[Record]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # Nothing known comes here.
            self._troubles.lose(reason(error), len(records))

    def meanwhile(self) -> None:
        """For what takes the thread's time: calls and turns that have come are written, lest they wait for it."""
        now = time.monotonic()
        if now < self._meanwhile_at or not self._inbox.rows_wait:
            return
        self._meanwhile_at = now + self._pace.batch_s
        rows = self._inbox.take(self._pace.batch_rows)
        with self._counted(rows):
            self._save(Batch.of(rows))
        self._inbox.done(len(rows))

    def _save_content(self, taken: list[ContentRecord]) -> None:
        """As much of the content as can be made ready in a short time: turns may have come meanwhile."""
        until = time.monotonic() + _CONTENT_S
        batch = Batch()
        while (record := self._inbox.take_content()) is not None:
            taken.append(record)
            batch.add_content(record, self._pack)
            if time.monotonic() >= until or len(taken) >= self._pace.batch_rows:
                break
        if taken:
            self._save(batch)

    def _save(self, batch: Batch) -> None:
        until = time.monotonic() + (0.0 if self._troubles.given_up else self._pace.patience_s)
        while True:
            try:
                refused = self._book.write(batch)
                break
            except Exception as error:
                if self._inbox.ending.is_set() or time.monotonic() >= until:
                    self._troubles.lose(reason(error), len(batch))
                    return
            self._inbox.ending.wait(self._pace.retry_s)
        self._grown += batch.bytes
        for why in refused:
            self._troubles.refuse(why)
        dropped, self._dropped = self._inbox.dropped - self._dropped, self._inbox.dropped
        self._troubles.over(dropped)

    def _tidy(self) -> None:
        """Go on deleting what is too old or too much, until records wait."""
        until = time.monotonic() + self._pace.batch_s
        if self._sweep is None:
            if self._most_bytes is not None and self._grown > self._most_bytes * _GROWTH:
                self._sweep_at = 0.0
            if until - self._pace.batch_s < self._sweep_at:
                return
            before = int((self._wall() - self._days * _DAY_S) * 1_000_000) if self._days else None
            self._sweep, self._grown = self._book.sweeping(Bounds(before, self._most_bytes)), 0
        over = object()
        try:
            while next(self._sweep, over) is not over:
                if self._inbox.urgent or time.monotonic() > until:
                    return
        except Exception as error:
            if not self._troubles.known:
                self._told("record.unswept", "warn", why=reason(error))
        self._sweep, self._sweep_at = None, time.monotonic() + self._pace.sweep_s

    def _told(self, event: str, level: str, **keys: object) -> None:
        # Who is told may fail; that is no reason to lose records.
        with suppress(Exception):
            self._tell(event, level, **keys)
