"""
From an older schema to today's. A new file begins with today's (`schema`); an older one goes up step by step.

`PRAGMA user_version` is the schema's number, from 1. All steps of a file are one transaction: it is at one version or
at the other.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from agentproxy.records.errors import NotOurs
from agentproxy.records.schema import APPLICATION, metadata

Step = Callable[[Connection], object]

STEPS: tuple[Step, ...] = ()
"""From version 1 to 2, from 2 to 3, ..."""


def newest() -> int:
    """The version that `schema` is."""
    return len(STEPS) + 1


def pragma(connection: Connection, name: str) -> int:
    """The number that a pragma has."""
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def check_ours(connection: Connection) -> int:
    """
    The file's version; 0: nothing is in it yet.

    :raises NotOurs: it is something else's, or newer than this version of agentproxy.
    """
    version = pragma(connection, "user_version")
    if pragma(connection, "application_id") != APPLICATION:
        if version or connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
            raise NotOurs("it is a database, but not a record store of agentproxy")
        return 0
    if version > newest():
        raise NotOurs(f"a newer agentproxy wrote it (schema {version}; this one knows {newest()})")
    return version


def migrate(connection: Connection) -> None:
    """
    Bring the file to today's schema: to be called in a transaction.

    :raises NotOurs: as `check_ours`.
    """
    version = check_ours(connection)
    if version == 0:
        metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")
    else:
        for step in STEPS[version - 1 :]:
            step(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {newest()}")
