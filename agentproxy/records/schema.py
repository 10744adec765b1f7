"""
The store's tables, as they are today. The columns of `calls` and `turns` are the fields of `values`, by name and type.

Who changes a table, or a field there, adds a step to `migrations`: a test compares what the first schema becomes.
"""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

from agentproxy.records.values import CallRecord, TurnRecord

FILE = "records.sqlite"
APPLICATION = 0x6167_7078
"""`PRAGMA application_id` of a record store: a database without it is something else's."""

metadata = MetaData()


def _columns(record: type[CallRecord] | type[TurnRecord]) -> list[Column[object]]:
    """A column for each field: numbers and truth are integers, all else is text; lists are JSON."""
    hints = get_type_hints(record)
    columns = []
    for field in fields(record):
        hint = hints[field.name]
        types = set(getattr(hint, "__args__", (hint,)))
        kind = Integer if types & {int, bool} else Text
        optional = type(None) in types or field.name == "tools"
        columns.append(Column(field.name, kind, primary_key=field.name == "key", nullable=optional))
    return columns


calls = Table("calls", metadata, *_columns(CallRecord))
turns = Table("turns", metadata, *_columns(TurnRecord))
Index("calls_started", calls.c.started_us, calls.c.key)
Index("turns_started", turns.c.started_us, turns.c.key)
Index("turns_session", turns.c.session, turns.c.started_us, turns.c.key)
Index("turns_call", turns.c.call_key)

content = Table(
    "content",
    metadata,
    Column("call_key", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("part", Text, nullable=False),
    Column("at_us", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("kept", Integer, nullable=False),
    Column("note", Text),
    Column("is_text", Integer, nullable=False),
    Column("digests", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""`digests`: of the blobs that make it up, in order, 32 bytes each; all else as in `content.Packed`."""
Index("content_at", content.c.at_us)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
)
"""Pieces of content, compressed; ``size``: bytes of ``data``."""

blob_uses = Table(
    "blob_uses",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("used_us", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""
When content that refers to a blob passed last, or up to `USE_US` before that. A blob whose last use lies that much
before all content that is left is nobody's: so much is known without a row for each reference. It is a table of its
own because a changed row is written anew, data and all.
"""
USE_US = 300_000_000
"""An agent sends all that was said with each request: its blobs are not to be written to each time."""
Index("blob_uses_used", blob_uses.c.used_us)

DIGEST_BYTES = 32
