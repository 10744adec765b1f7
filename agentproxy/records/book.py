"""
The file that is written: opened when it is needed, opened anew when it is no longer the file of that name, set aside
when it is damaged. It belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from agentproxy.records.database import (
    Identity,
    identity,
    is_damage,
    left_open,
    log_of,
    open_to_write,
    set_aside,
    transaction,
)
from agentproxy.records.retention import Bounds, sweep
from agentproxy.records.rows import Batch, reason

Told = Callable[..., object]
"""Told an event, its level and its keys."""
T = TypeVar("T")


class Book:
    """
    :param busy_s: seconds that a statement waits for another process's lock.
    :param wall: seconds since 1970.
    """

    def __init__(self, file: Path, told: Told, wall: Callable[[], float], busy_s: float) -> None:
        self._file = file
        self._told = told
        self._wall = wall
        self._busy_s = busy_s
        self._connection: Connection | None = None
        self._identity: Identity | None = None
        self._log: Identity | None = None

    def ready(self) -> Connection:
        """
        The connection to the file that has its name now.

        :raises Exception: as `open_to_write`.
        """
        if self._connection is not None:
            if identity(self._file) == self._identity:
                return self._connection
            # Deleted, renamed or replaced.
            self._leave(self._connection)
            self._told("record.moved", "warn", file=self._file.name)
        # Later it is our own log that was left, by a close that failed.
        unclean = self._identity is None and left_open(self._file)
        self._connection = open_to_write(self._file, self._busy_s)
        self._identity, self._log = identity(self._file), identity(log_of(self._file))
        if unclean:
            self._told("record.repaired", "info", file=self._file.name)
        return self._connection

    def open(self) -> None:
        """
        Be ready, with a new file if this one is damaged.

        :raises Exception: as `open_to_write`.
        """
        self._mending(self.ready)

    def write(self, batch: Batch) -> list[str]:
        """
        Write it as one transaction, into a new file if this one is damaged.

        :returns: for each record that can't be kept, why.
        :raises Exception: nothing was written; the file is closed, and opened anew the next time.
        """
        return self._mending(lambda: self._insert(batch))

    def sweeping(self, bounds: Bounds) -> Iterator[None]:
        """
        `sweep`: a slice each time it is asked for the next.

        :raises Exception: the sweep is over; the file is closed, and opened anew the next time.
        """
        connection = self._mending(self.ready)
        slices = sweep(connection, bounds)
        over = object()
        # A batch in between may have opened another file.
        while self._connection is connection:
            if self._mending(lambda: next(slices, over)) is over:
                return
            yield

    def close(self) -> None:
        """Close the file, if it is open; the last one who does so puts its log away."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _leave(self, connection: Connection) -> None:
        """
        Close a file that has no longer its name. Its log still has: what is in there goes into the file, wherever that
        is, since SQLite would take it for the log of the file that has the name now.
        """
        with suppress(Exception):
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
        self.close()
        if left_open(self._file) and identity(log_of(self._file)) == self._log:
            with suppress(OSError):
                log_of(self._file).unlink()

    def _insert(self, batch: Batch) -> list[str]:
        connection = self.ready()
        with transaction(connection):
            return batch.insert(connection)

    def _mending(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except Exception as error:
            self.close()
            if not is_damage(error):
                raise
            name = set_aside(self._file, self._wall())
            self._told("record.damaged", "error", file=name, why=reason(error))
        try:
            return act()
        except Exception:
            self.close()
            raise
