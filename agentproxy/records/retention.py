"""
What leaves the store: what is too old, and the oldest when there is too much. In slices, each a short transaction.

A call goes by when it began, with its content; a turn by when it began; content without a call by when it passed. A
call that lasts for days thus loses its oldest turns first, not its newest with it. Blobs go when nobody refers to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Delete, Select, Table, delete, func, select

from agentproxy.records.database import transaction
from agentproxy.records.migrations import pragma
from agentproxy.records.schema import USE_US, blob_uses, blobs, calls, content, turns

SLICE_ROWS = 500
SLICE_BLOBS = 200
SLICE_PAGES = 500
"""A slice takes some 10 ms, and other writers wait for it."""

_TIMES = (calls.c.started_us, turns.c.started_us, content.c.at_us)


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    :ivar before_us: what is older goes, microseconds since 1970; ``None``: no age is too old.
    :ivar most_bytes: of the file's pages in use; ``None``: no bound.
    """

    before_us: int | None
    most_bytes: int | None


def used_bytes(connection: Connection) -> int:
    """What the file's pages in use come to."""
    pages = pragma(connection, "page_count") - pragma(connection, "freelist_count")
    return pages * pragma(connection, "page_size")


def sweep(connection: Connection, bounds: Bounds) -> Iterator[None]:
    """
    One slice each time it is asked for the next, until the bounds are kept and the file has shrunk.

    :raises DBAPIError: whatever SQLite says; nothing is half done.
    """
    if bounds.before_us is not None:
        while _slice(connection, bounds.before_us):
            yield
    while _nobodys(connection):
        yield
    if bounds.most_bytes is not None:
        while used_bytes(connection) > bounds.most_bytes:
            until = _oldest(connection)
            if until is None:
                break
            while _slice(connection, until + 1):
                yield
            while _nobodys(connection):
                yield
    free = 0
    while (left := pragma(connection, "freelist_count")) and left != free:
        free = left
        _shrink(connection)
        yield
    if free:
        # The file itself is cut only when the log comes into it.
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()


def _shrink(connection: Connection) -> None:
    """Cut some free pages off the file."""
    driver = connection.connection.driver_connection
    if driver is not None:
        # As a statement, sqlite3 would run it for a single page: it stops where a row would come that has no columns.
        driver.executescript(f"PRAGMA incremental_vacuum({SLICE_PAGES})")


def _oldest(connection: Connection) -> int | None:
    """The time until which a slice's rows reach; ``None`` where nothing is left."""
    times, last = [], []
    for time in _TIMES:
        at = connection.scalar(select(time).order_by(time).limit(1).offset(SLICE_ROWS - 1))
        if at is not None:
            times.append(at)
        elif (at := connection.scalar(select(func.max(time)))) is not None:
            last.append(at)
    if times:
        return int(min(times))
    return int(max(last)) if last else None


def _slice(connection: Connection, before_us: int) -> bool:
    """Delete some of what is older; whether there was any."""
    with transaction(connection):
        keys = _some(calls, calls.c.key, calls.c.started_us, before_us)
        gone = connection.execute(delete(content).where(content.c.call_key.in_(keys))).rowcount
        for table, key, time in ((calls, calls.c.key, calls.c.started_us), (turns, turns.c.key, turns.c.started_us)):
            gone += connection.execute(delete(table).where(key.in_(_some(table, key, time, before_us)))).rowcount
        gone += connection.execute(_some_content(before_us)).rowcount
    return gone > 0


def _some(table: Table, key: Column[str], time: Column[int], before_us: int) -> Select[str]:
    return select(key).select_from(table).where(time < before_us).order_by(time, key).limit(SLICE_ROWS)


def _some_content(before_us: int) -> Delete:
    at = select(content.c.at_us).where(content.c.at_us < before_us).order_by(content.c.at_us).limit(1)
    newest = at.offset(SLICE_ROWS - 1).scalar_subquery()
    return delete(content).where(content.c.at_us < before_us, content.c.at_us <= func.coalesce(newest, before_us))


def _nobodys(connection: Connection) -> bool:
    """Delete some of the blobs that no content refers to; whether there were any."""
    oldest = select(func.min(content.c.at_us)).scalar_subquery()
    # Where there is no content, there is no time before which a blob must have been used.
    unused = select(blob_uses.c.digest).where(blob_uses.c.used_us < func.coalesce(oldest - USE_US, 2**63 - 1))
    with transaction(connection):
        digests = [row.digest for row in connection.execute(unused.limit(SLICE_BLOBS))]
        if digests:
            connection.execute(delete(blobs).where(blobs.c.digest.in_(digests)))
            connection.execute(delete(blob_uses).where(blob_uses.c.digest.in_(digests)))
    return bool(digests)
