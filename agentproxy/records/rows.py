"""
Records as rows, and rows into the file: many in one statement, and where one of them can't be kept, the others still.

SQLAlchemy makes the statements, once; what runs for each batch is the driver's. A statement takes many rows because
the driver gives up the interpreter's lock in each, and a busy reactor is slow to give it back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, StatementError

from agentproxy.records import schema
from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord

if TYPE_CHECKING:
    from agentproxy.records.content import Packed

Row = tuple[Any, ...]
Record = CallRecord | TurnRecord | ContentRecord
Pack = Callable[[ContentRecord], "Packed"]

_DIALECT = sqlite.dialect(paramstyle="qmark")
_AT_ONCE = (50, 10, 1)
"""Rows a statement: each length is a statement of its own, and SQLite wants fewer than 32,766 values in one."""


class Insert:
    """``INSERT`` of rows, each in the order of the table's columns; a row whose key is there already is left out."""

    def __init__(self, table: Table, otherwise: str = "NOTHING") -> None:
        """:param otherwise: what is done with a row already there instead, as SQL."""
        statement = sqlite.insert(table).values([{column.name: 0 for column in table.c}])
        text = str(statement.compile(dialect=_DIALECT))
        one = "(" + ", ".join("?" * len(table.c)) + ")"
        if not text.endswith(one):
            raise ValueError(text)
        keys = ", ".join(column.name for column in table.primary_key)
        self.columns = tuple(column.name for column in table.c)
        self._texts = {
            rows: f"{text.removesuffix(one)}{', '.join([one] * rows)} ON CONFLICT ({keys}) DO {otherwise}"
            for rows in _AT_ONCE
        }

    def run(self, connection: Connection, rows: Sequence[Row]) -> list[str]:
        """
        Insert them, within the transaction that runs.

        :returns: for each row that can't be kept, why.
        :raises DBAPIError: what the file or the disk does.
        """
        refused: list[str] = []
        start = 0
        for length in _AT_ONCE:
            while len(rows) - start >= length:
                part = rows[start : start + length]
                start += length
                try:
                    connection.exec_driver_sql(self._texts[length], tuple(chain.from_iterable(part)))
                except Exception as error:
                    if not is_bad_value(error):
                        raise
                    refused.extend(filter(None, (self._careful(connection, row) for row in part)))
        return refused

    def _careful(self, connection: Connection, row: Row) -> str | None:
        """One row; what in it SQLite does not take is mended."""
        why = None
        for values in (row, tuple(map(_mended, row))):
            try:
                connection.exec_driver_sql(self._texts[1], values)
            except Exception as error:
                if not is_bad_value(error):
                    raise
                why = reason(error)
            else:
                return None
        return why


CALLS = Insert(schema.calls)
TURNS = Insert(schema.turns)
CONTENT = Insert(schema.content)
BLOBS = Insert(schema.blobs)
BLOB_USES = Insert(
    schema.blob_uses,
    f"UPDATE SET used_us = excluded.used_us WHERE excluded.used_us > used_us + {schema.USE_US}",
)

_call_row = attrgetter(*CALLS.columns)
_turn_row = attrgetter(*(name for name in TURNS.columns if name != "tools"))
if [field.name for field in fields(TurnRecord)][-1] != "tools":
    raise TypeError("tools, the one column that is made, is to be the last")


def _mended(value: object) -> object:
    """What SQLite takes instead: half a surrogate pair as ``?``; ``None`` for what has no place in a column."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value if value is None or isinstance(value, int | bytes) else None


def is_bad_value(error: Exception) -> bool:
    """Whether the fault is a record's, and not the file's or the disk's."""
    cause = error.orig if isinstance(error, StatementError) else error
    if isinstance(cause, sqlite3.Error):
        return isinstance(
            cause, sqlite3.InterfaceError | sqlite3.ProgrammingError | sqlite3.IntegrityError | sqlite3.DataError
        )
    return not isinstance(cause, OSError | MemoryError | DBAPIError)


def reason(error: BaseException) -> str:
    """What an error says, on one line, without a statement and its values."""
    cause = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    return " ".join(f"{type(cause).__name__}: {cause}".split())[:200]


@dataclass(slots=True)
class Batch:
    """
    Rows of one transaction.

    :ivar refused: of the records that no rows could be made of, why.
    """

    calls: list[Row] = field(default_factory=list)
    turns: list[Row] = field(default_factory=list)
    content: list[Packed] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Records, the refused included."""
        return len(self.calls) + len(self.turns) + len(self.content) + len(self.refused)

    @property
    def bytes(self) -> int:
        """About what the file grows by, if no content is in it yet."""
        blobs = sum(len(data) for piece in self.content for _, data in piece.blobs)
        texts = sum(len(value) for row in (*self.calls, *self.turns) for value in row if type(value) is str)
        return 300 * (len(self.calls) + len(self.turns)) + 2 * texts + 150 * len(self.content) + blobs

    @classmethod
    def of(cls, records: Iterable[CallRecord | TurnRecord]) -> Batch:
        """Calls and turns as rows; it never raises for what is in one."""
        batch = cls()
        for record in records:
            try:
                if type(record) is TurnRecord:
                    tools = record.tools
                    batch.turns.append((*_turn_row(record), json.dumps(tools) if tools else None))
                else:
                    batch.calls.append(_call_row(record))
            except Exception as error:
                batch.refused.append(reason(error))
        return batch

    def add_content(self, record: ContentRecord, pack: Pack) -> None:
        """One piece of content; it never raises for what is in it."""
        try:
            self.content.append(pack(record))
        except Exception as error:
            self.refused.append(reason(error))

    def insert(self, connection: Connection) -> list[str]:
        """
        Insert all, within the transaction that runs.

        :returns: for each record that was not kept, why.
        :raises DBAPIError: what the file or the disk does.
        """
        refused = self.refused + CALLS.run(connection, self.calls) + TURNS.run(connection, self.turns)
        for piece in self.content:
            refused += _insert_content(connection, piece)
        return refused


def _insert_content(connection: Connection, piece: Packed) -> list[str]:
    digests = [digest for digest, _ in piece.blobs]
    row = (
        piece.call_key, piece.number, piece.part, piece.at_us, piece.size, piece.kept, piece.note, piece.is_text,
        b"".join(digests),
    )  # fmt: skip
    refused = CONTENT.run(connection, [row])
    if not refused:
        BLOBS.run(connection, [(digest, data, len(data)) for digest, data in piece.blobs])
        BLOB_USES.run(connection, [(digest, piece.at_us) for digest in dict.fromkeys(digests)])
    return refused
