"""
A record store's file: opened for writing, checked, brought to today's schema; opened for reading; set aside.

A write-ahead log with ``synchronous=NORMAL``: what was committed outlives the process, however it ends. A power cut may
lose the commits since the last checkpoint, but leaves the file whole.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from agentproxy.records.errors import Damaged
from agentproxy.records.migrations import check_ours, migrate, newest

CHECK_BYTES = 200_000_000
"""A larger file is checked at start-up only where its last writer did not close it."""
CHECK_BYTES_UNCLEAN = 2_000_000_000
"""A still larger one never: it would take minutes, and damage shows when it is met, too."""

PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    # The log is cut to this after a checkpoint, should a long reader have made it grow.
    "journal_size_limit = 16777216",
)
PRAGMA_OF_NEW = "auto_vacuum = INCREMENTAL"
"""So that the file can give space back (retention.py); it must be said before anything is in it."""
LOOK_UP = 50_000
"""Steps of SQLite's machine, about a millisecond's worth, after which a reader looks whether somebody still waits."""
BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a file."""

Identity = tuple[int, int]


def identity(file: Path) -> Identity | None:
    """Device and inode: the file itself, whatever its name; ``None`` where there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def log_of(file: Path) -> Path:
    """Where SQLite keeps the file's write-ahead log."""
    return file.with_name(f"{file.name}-wal")


def left_open(file: Path) -> bool:
    """Whether the last writer went without closing the file, or another has it open: its log is there."""
    try:
        return os.stat(log_of(file)).st_size > 0
    except OSError:
        return False


def _connection(connect: Callable[[], sqlite3.Connection]) -> Connection:
    # Autocommit: transactions are begun and ended here (`transaction`), neither by SQLAlchemy nor by sqlite3, which
    # would begin them at the first change only, when it may be too late for the lock.
    return create_engine("sqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All of it or nothing. It has the file's write lock from its beginning on."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        # Some errors have ended it already.
        with suppress(DBAPIError):
            connection.exec_driver_sql("ROLLBACK")
        raise


def open_to_write(file: Path, busy_s: float) -> Connection:
    """
    The file, made where there is none, of today's schema.

    :param busy_s: seconds that a statement waits for another process's lock.
    :raises Damaged: it is broken.
    :raises NotOurs: it is something else's.
    :raises OSError: the directory or the file can't be made; `DBAPIError`: whatever else SQLite says.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite would make it as readable as the umask lets it; what it keeps beside the file gets the file's own mode.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    check = _to_check(file)
    connection = _connection(
        lambda: sqlite3.connect(file, timeout=busy_s, isolation_level=None, check_same_thread=False)
    )
    try:
        # First of all, as the rest writes.
        version = check_ours(connection)
        for text in PRAGMAS if version else (PRAGMA_OF_NEW, *PRAGMAS):
            connection.exec_driver_sql(f"PRAGMA {text}")
        if check:
            _check(connection)
        if version != newest():
            with transaction(connection):
                migrate(connection)
    except DBAPIError as error:
        connection.close()
        if is_damage(error):
            raise Damaged(str(error.orig)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _to_check(file: Path) -> bool:
    size = os.stat(file).st_size
    return size <= CHECK_BYTES or (size <= CHECK_BYTES_UNCLEAN and left_open(file))


def _check(connection: Connection) -> None:
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    if found != "ok":
        raise Damaged(" ".join(found.split()))


def open_to_read(file: Path, busy_s: float, stopped: Callable[[], bool]) -> Connection:
    """
    The file as it is, beside whoever writes it.

    :param stopped: whether what is asked of it is to end, with an error; called while it is looked for.
    :raises DBAPIError: SQLite can't.
    """

    def connect(options: str = "") -> sqlite3.Connection:
        uri = f"file:{quote(str(file.absolute()))}?mode=ro{options}"
        link = sqlite3.connect(uri, uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False)
        link.set_progress_handler(stopped, LOOK_UP)
        try:
            link.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            link.close()
            raise
        return link

    def either() -> sqlite3.Connection:
        try:
            return connect()
        except sqlite3.OperationalError:
            # Where nothing may be made beside the file, it can be read while nobody writes it.
            if left_open(file):
                raise
            return connect("&immutable=1")

    return _connection(either)


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is broken inside."""
    if isinstance(error, Damaged):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def set_aside(file: Path, seconds: float) -> str:
    """
    Give a damaged file, and what is beside it, another name.

    :param seconds: the time, since 1970.
    :returns: the name it has now.
    :raises OSError: it can't be renamed.
    """
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")
    name, number = f"{file.name}.damaged-{stamp}", 1
    while os.path.lexists(file.with_name(name)):
        number += 1
        name = f"{file.name}.damaged-{stamp}-{number}"
    os.rename(file, file.with_name(name))
    for end in BESIDE:
        try:
            os.rename(f"{file}{end}", file.with_name(name + end))
        except FileNotFoundError:
            continue
    return name
