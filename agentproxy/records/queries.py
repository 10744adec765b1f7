"""
Reads a record store, beside whoever writes it: by a connection of its own, which can't write.

Each statement sees the file as it was when it began. Lists come in pages, each as fresh as when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, func, select, tuple_
from sqlalchemy.exc import DBAPIError

from agentproxy.records.content import unpack
from agentproxy.records.database import is_damage, open_to_read
from agentproxy.records.errors import AmbiguousSession, BadCursor, NoRecords, NotOurs
from agentproxy.records.migrations import check_ours, newest
from agentproxy.records.paging import By, Filter, Key, Page, cursor, number_of, read_cursor, text_of
from agentproxy.records.schema import DIGEST_BYTES, blobs, calls, content, turns
from agentproxy.records.shapes import Shape, call_row, moment, turn_json, turn_row
from agentproxy.records.summaries import (
    session_keys,
    session_shape,
    sessions_of,
    sights_of,
    usage_keys,
    usage_of,
    usage_shape,
    usage_types,
    wanted_rows,
    wanted_turns,
)

__all__ = [
    "AmbiguousSession", "BadCursor", "By", "Filter", "NoRecords", "Page", "Store", "moment", "turn_json",
]  # fmt: skip

SHORTEST_PREFIX = 6
"""Characters of a session's id that may stand for it."""
_BUSY_S = 2.0
"""Seconds; readers wait only for the short time in which a log is repaired or put away."""
_STEP_ROWS = 1000
"""Rows that are read at once where there may be very many; between these, checkpoints are not held up."""

_CLOSES = (calls.c.close_side, calls.c.close_code, calls.c.close_reason, calls.c.close_clean)
_TURNS = select(turns, *_CLOSES).select_from(turns.outerjoin(calls, calls.c.key == turns.c.call_key))
_COUNT = select(func.count()).where(turns.c.call_key == calls.c.key).correlate(calls).scalar_subquery()
_CALLS = select(calls, _COUNT.label("turns"))
_CONTENT = select(content).order_by(content.c.number)


class Store:
    """
    A record store, for one thread at a time.

    :raises NoRecords: by each method, where the file can't be read; `BadCursor`: where ``after`` is no page's ``next``.
    """

    def __init__(self, file: Path, stopped: Callable[[], bool] = lambda: False) -> None:
        """
        :param file: ``records.sqlite`` of a ``[record] directory``.
        :param stopped: whether nobody waits for the answer any more: then a query ends with `NoRecords`, soon.
        :raises NoRecords: there is none, or none that can be read.
        """
        self._file = file
        if not file.is_file():
            raise NoRecords(f"There are no records yet: no file {file}.")
        try:
            self._connection = open_to_read(file, _BUSY_S, stopped)
        except DBAPIError as error:
            raise self._unreadable(error) from error
        try:
            version = check_ours(self._connection)
        except NotOurs as error:
            self.close()
            raise NoRecords(f"{file} can't be read: {error}.") from error
        except DBAPIError as error:
            self.close()
            raise self._unreadable(error) from error
        if version < newest():
            self.close()
            older = "has nothing in it yet" if version == 0 else "is an older agentproxy's; it is brought up to date"
            raise NoRecords(f"{file} {older}: start the service with it once.")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def sessions(self, filter: Filter, *, limit: int = 100, after: str | None = None) -> Page:
        """Sessions by what of their turns is wanted, the one seen last first."""
        statement = sessions_of(filter, read_cursor(after, int, str))
        rows, then = self._page(statement, limit, session_keys)
        return Page(self._session_shapes(rows, filter), then)

    def session(self, session: str) -> Shape | None:
        """
        The same of one, by its id or a beginning of it that no other has; ``None``: there is none.

        :raises AmbiguousSession: several begin so.
        """
        name = self._named(text_of(session))
        if name is None:
            return None
        filter = Filter(session=name)
        shapes = self._session_shapes(self._all(sessions_of(filter, None)), filter)
        return shapes[0] if shapes else None

    def turns(self, filter: Filter, *, limit: int = 100, after: str | None = None, newest_first: bool = True) -> Page:
        """Turns by when they began."""
        place = read_cursor(after, int, str)
        statement = _in_time(_TURNS.where(*wanted_turns(filter)), turns, place, newest_first)
        rows, then = self._page(statement, limit, _time_keys)
        return Page([turn_row(row) for row in rows], then)

    def turns_after(self, key: str, until: str | None, limit: int) -> list[Shape]:
        """Turns in the order in which they ended: those behind the one of this key, up to and with ``until``."""
        statement = _TURNS.where(turns.c.key > text_of(key))
        if until is not None:
            statement = statement.where(turns.c.key <= text_of(until))
        return [turn_row(row) for row in self._all(statement.order_by(turns.c.key).limit(max(0, limit)))]

    def usage(self, by: By, filter: Filter, *, limit: int = 1000, after: str | None = None) -> Page:
        """Sums of the wanted turns: by day in UTC from the first on, else the dearest first."""
        statement = usage_of(by, filter, read_cursor(after, *usage_types(by)))
        rows, then = self._page(statement, limit, lambda row: usage_keys(by, row))
        return Page([usage_shape(by, row) for row in rows], then)

    def calls(self, filter: Filter, *, limit: int = 100, after: str | None = None) -> Page:
        """Calls by when they began, the newest first."""
        statement = _in_time(_CALLS.where(*_wanted_calls(filter)), calls, read_cursor(after, int, str), True)
        rows, then = self._page(statement, limit, _time_keys)
        return Page([call_row(row) for row in rows], then)

    def call(self, key: str) -> Shape | None:
        """One call; ``None``: there is none."""
        rows = self._all(_CALLS.where(calls.c.key == text_of(key)))
        return call_row(rows[0]) if rows else None

    def each_turn(self, filter: Filter) -> Iterator[Shape]:
        """All wanted turns by when they began, in bounded memory."""
        return map(turn_row, self._each(_TURNS.where(*wanted_turns(filter)), turns))

    def each_call(self, filter: Filter) -> Iterator[Shape]:
        """All wanted calls by when they began, in bounded memory."""
        return map(call_row, self._each(_CALLS.where(*_wanted_calls(filter)), calls))

    def content(self, call_key: str) -> list[Shape]:
        """What was kept of a call, in order. What can't be unpacked has an empty ``body`` and a ``note``."""
        return [self._content_shape(row) for row in self._all(_CONTENT.where(content.c.call_key == text_of(call_key)))]

    def _content_shape(self, row: Row[Any]) -> Shape:
        note = row.note
        try:
            body = unpack(self._blobs(row.digests))
        except LookupError as error:
            body, note = b"", str(error)
        except NoRecords:
            raise
        except Exception as error:
            body, note = b"", f"damaged: {error}"
        return {
            "part": row.part,
            "number": row.number,
            "at": moment(row.at_us),
            "size": row.size,
            "kept": row.kept,
            "note": note,
            "is_text": bool(row.is_text),
            "body": body,
        }

    def _blobs(self, digests: bytes) -> list[bytes]:
        found = []
        for start in range(0, len(digests), DIGEST_BYTES):
            rows = self._all(select(blobs.c.data).where(blobs.c.digest == digests[start : start + DIGEST_BYTES]))
            if not rows:
                raise LookupError("deleted meanwhile")
            found.append(rows[0].data)
        return found

    def _named(self, session: str) -> str | None:
        """The one session of this name or with this beginning."""
        names = select(turns.c.session).distinct().order_by(turns.c.session)
        if self._all(names.where(turns.c.session == session).limit(1)):
            return session
        if len(session) < SHORTEST_PREFIX:
            return None
        # The last character that there is: behind it nothing begins so.
        rows = self._all(names.where(turns.c.session > session, turns.c.session < session + "\U0010ffff").limit(2))
        if len(rows) > 1:
            raise AmbiguousSession(f"More than one session begins with {session}.")
        return rows[0].session if rows else None

    def _session_shapes(self, rows: Sequence[Row[Any]], filter: Filter) -> list[Shape]:
        sights: dict[str, list[Row[Any]]] = {row.session: [] for row in rows}
        names = list(sights)
        for start in range(0, len(names), _STEP_ROWS):
            for sight in self._all(sights_of(names[start : start + _STEP_ROWS], filter)):
                sights[sight.session].append(sight)
        return [session_shape(row, sights[row.session]) for row in rows]

    def _each(self, statement: Select[Any], table: Table) -> Iterator[Row[Any]]:
        place: tuple[Key, ...] | None = None
        while True:
            rows = self._all(_in_time(statement, table, place, False).limit(_STEP_ROWS))
            yield from rows
            if len(rows) < _STEP_ROWS:
                return
            place = _time_keys(rows[-1])

    def _page(
        self, statement: Select[Any], limit: int, keys: Callable[[Row[Any]], tuple[Key, ...]]
    ) -> tuple[Sequence[Row[Any]], str | None]:
        limit = max(1, number_of(limit))
        rows = self._all(statement.limit(min(limit + 1, 2**63 - 1)))
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], cursor(*keys(rows[limit - 1]))

    def _all(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        try:
            return self._connection.execute(statement).all()
        except DBAPIError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: DBAPIError) -> NoRecords:
        why = "it is damaged, or no record store" if is_damage(error) else str(error.orig)
        return NoRecords(f"{self._file} can't be read: {why}.")


def _in_time(statement: Select[Any], table: Table, place: tuple[Key, ...] | None, newest_first: bool) -> Select[Any]:
    keys = table.c.started_us, table.c.key
    if place is not None:
        here, there = tuple_(*keys), tuple_(*place)
        statement = statement.where(here < there if newest_first else here > there)
    return statement.order_by(*(key.desc() if newest_first else key for key in keys))


def _time_keys(row: Row[Any]) -> tuple[Key, ...]:
    return row.started_us, row.key


def _wanted_calls(filter: Filter) -> list[ColumnElement[bool]]:
    """What a call must be: what names a turn's own names a call that has such a turn."""
    wanted = wanted_rows(calls, filter)
    if filter.status is not None:
        status = text_of(filter.status)
        is_number = status.isascii() and status.isdigit()
        wanted.append(calls.c.status == number_of(int(status[:19])) if is_number else calls.c.error == status)
    if filter.model is not None:
        asked = select(turns.c.key).where(turns.c.call_key == calls.c.key, *wanted_turns(Filter(model=filter.model)))
        wanted.append(asked.correlate(calls).exists())
    return wanted
