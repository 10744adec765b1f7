"""
Records between two threads: the reactor's puts them in, which never waits, the writer's takes them out, and sleeps
while there are none. Bounded: what comes beyond is dropped and counted.

Content has a queue of its own, as it takes long to write: turns are not to wait for it. Each count here has one thread
that changes it, so that none needs a lock.
"""

from __future__ import annotations

from collections import deque
from threading import Event
from typing import Generic, TypeVar

from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord

MOST_RECORDS = 20_000
MOST_CONTENT_BYTES = 64 * 1024 * 1024

R = TypeVar("R")


class Lane(Generic[R]):
    """A queue; ``came`` and ``done`` count what was put in, and what is written or lost, since the beginning."""

    __slots__ = ("came", "came_bytes", "done", "done_bytes", "queue")

    def __init__(self) -> None:
        self.queue: deque[R] = deque()
        self.came = self.done = 0
        self.came_bytes = self.done_bytes = 0


def _bytes(record: ContentRecord) -> int:
    return sum(map(len, record.pieces))


class Inbox:
    """
    :param full: so many records are taken at once, without waiting for more.
    :ivar dropped: records that came while there was no room, or after the end.
    """

    def __init__(self, full: int) -> None:
        self.dropped = 0
        self.ending = Event()
        self._full = full
        self._rows: Lane[CallRecord | TurnRecord] = Lane()
        self._content: Lane[ContentRecord] = Lane()
        # Set for the thread that waits for a first record; for one that waits for more of them.
        self._some, self._enough = Event(), Event()
        self._asleep = False
        self._flushes: deque[tuple[int, int, Event]] = deque()

    # The reactor's thread.

    def put(self, record: CallRecord | TurnRecord) -> None:
        """Queue it, or drop it."""
        lane = self._rows
        queued = len(lane.queue)
        if queued >= MOST_RECORDS or self.ending.is_set():
            self.dropped += 1
            return
        lane.came += 1
        lane.queue.append(record)
        if self._asleep:
            self._some.set()
        elif queued + 1 >= self._full:
            self._enough.set()

    def put_content(self, record: ContentRecord) -> None:
        """Queue it, or drop it."""
        lane = self._content
        size = _bytes(record)
        queued = len(lane.queue)
        if (
            queued >= MOST_RECORDS
            or lane.came_bytes - lane.done_bytes + size > MOST_CONTENT_BYTES
            or self.ending.is_set()
        ):
            self.dropped += 1
            return
        lane.came += 1
        lane.came_bytes += size
        lane.queue.append(record)
        if self._asleep:
            self._some.set()
        elif queued + 1 >= self._full:
            self._enough.set()

    def flush(self, timeout: float) -> bool:
        """Wait until what was queued before is done with; whether it is, after ``timeout`` seconds."""
        done = Event()
        self._flushes.append((self._rows.came, self._content.came, done))
        self._awake()
        return done.wait(timeout)

    def end(self) -> None:
        """Nothing is queued from here on."""
        self.ending.set()
        self._awake()

    def _awake(self) -> None:
        self._some.set()
        self._enough.set()

    @property
    def waiting(self) -> int:
        """Records that are not done with."""
        return self._rows.came - self._rows.done + self._content.came - self._content.done

    # The writer's thread.

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for what is queued, or there is much of it."""
        full = len(self._rows.queue) >= self._full or len(self._content.queue) >= self._full
        return full or bool(self._flushes) or self.ending.is_set()

    def wait(self, first_s: float, more_s: float) -> None:
        """Sleep until a record comes, at most ``first_s`` seconds; then until enough have, at most ``more_s``."""
        self._some.clear()
        # Set before the queues are looked at, as the other thread looks after it has put something in.
        self._asleep = True
        if not self._any and not self.urgent:
            self._some.wait(first_s)
        self._asleep = False
        self._enough.clear()
        if self._any and not self.urgent:
            self._enough.wait(more_s)

    @property
    def _any(self) -> bool:
        return bool(self._rows.queue or self._content.queue)

    @property
    def rows_wait(self) -> bool:
        """Whether there are calls or turns that were not taken."""
        return bool(self._rows.queue)

    def take(self, most: int) -> list[CallRecord | TurnRecord]:
        """The oldest calls and turns, at most so many."""
        queue = self._rows.queue
        return [queue.popleft() for _ in range(min(most, len(queue)))]

    def take_content(self) -> ContentRecord | None:
        """The oldest piece of content."""
        return self._content.queue.popleft() if self._content.queue else None

    @property
    def content_left(self) -> bool:
        """Whether there is content that was not taken."""
        return bool(self._content.queue)

    def done(self, rows: int) -> None:
        """So many calls and turns are written, or lost."""
        self._rows.done += rows
        self._tell()

    def done_content(self, records: list[ContentRecord]) -> None:
        """These are written, or lost."""
        self._content.done += len(records)
        self._content.done_bytes += sum(map(_bytes, records))
        self._tell()

    def _tell(self) -> None:
        while self._flushes:
            rows, content, done = self._flushes[0]
            if self._rows.done < rows or self._content.done < content:
                return
            self._flushes.popleft()
            done.set()
