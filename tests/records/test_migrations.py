"""A file of any version becomes one of today's, or is left as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from agentproxy.records import migrations
from agentproxy.records.database import open_to_write
from agentproxy.records.queries import Filter, NoRecords, Store
from tests.records.store_case import SOON, StoreCase, key, turn

FIRST = Path(__file__).with_name("schema_1.sql")
"""What the first schema was, for ever."""

SCHEMA = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2"


def add_column(connection: Connection) -> None:
    """A second version, which there is not."""
    connection.exec_driver_sql("ALTER TABLE turns ADD COLUMN mood TEXT")
    connection.exec_driver_sql("UPDATE turns SET mood = 'good'")


def fail(connection: Connection) -> None:
    add_column(connection)
    raise ZeroDivisionError("unforeseen")


class MigrationTests(StoreCase):
    def first(self) -> None:
        """A file of the first schema, with a turn in it."""
        self.directory.mkdir(mode=0o700)
        with closing(sqlite3.connect(self.file, isolation_level=None)) as link:
            link.executescript(FIRST.read_text("utf-8"))
            link.execute(
                "INSERT INTO turns (key, call_key, request_id, provider, protocol, operation, started_us, source,"
                " status) VALUES ('old', 'c', 'r', 'anthropic', 'http', 'messages', 1, 'reported', 'completed')"
            )

    def columns(self) -> dict[str, list[tuple[object, ...]]]:
        tables = [row[0] for row in self.look("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {str(table): self.look(f"PRAGMA table_info({table})") for table in tables}

    def test_from_first(self) -> None:
        """From the first schema on, each step leads to what a new file begins with; what was recorded is there."""
        self.first()
        open_to_write(self.file, SOON).close()
        found = self.look(SCHEMA), self.columns(), self.look("PRAGMA user_version")
        self.assertEqual(self.keys(), ["old"])
        self.file.unlink()
        open_to_write(self.file, SOON).close()
        self.assertEqual((self.look(SCHEMA), self.columns(), self.look("PRAGMA user_version")), found)

    def test_step(self) -> None:
        """A step is taken once, with what is in the file."""
        self.write([turn(1), turn(2)])
        self.patch(migrations, "STEPS", (add_column,))
        self.write([turn(3)])
        self.write([turn(4)])
        self.assertEqual(self.look("PRAGMA user_version"), [(2,)])
        self.assertEqual(
            self.look("SELECT key, mood FROM turns ORDER BY key"),
            [(key(1), "good"), (key(2), "good"), (key(3), None), (key(4), None)],
        )

    def test_step_fails(self) -> None:
        """A step that fails leaves the file as it was, at its version; records are lost, and that is told."""
        self.write([turn(1)])
        before = self.columns()
        self.patch(migrations, "STEPS", (add_column, fail))
        writer = self.writer()
        writer.turn(turn(2))
        self.assertTrue(writer.flush(SOON))
        writer.stop(SOON)
        self.assertEqual((writer.lost, self.events), (1, ["record.lost"]))
        self.assertEqual((self.columns(), self.look("PRAGMA user_version")), (before, [(1,)]))
        self.assertEqual(self.keys(), [key(1)])

    def test_reader_of_older(self) -> None:
        """A reader does not change a file: it says what brings an older one up to date."""
        self.first()
        with closing(Store(self.file)) as store:
            self.assertEqual([row["id"] for row in store.turns(Filter()).rows], ["old"])
        self.patch(migrations, "STEPS", (add_column,))
        with self.assertRaises(NoRecords) as caught:
            Store(self.file)
        self.assertIn("older", str(caught.exception))

    def test_new_file(self) -> None:
        """A new file can give space back, has a log, and says whose it is."""
        connection = open_to_write(self.file, SOON)
        self.addCleanup(connection.close)
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in (
            "auto_vacuum", "journal_mode", "synchronous", "application_id", "user_version"
        )}  # fmt: skip
        self.assertEqual(
            pragmas,
            {
                "auto_vacuum": 2,
                "journal_mode": "wal",
                "synchronous": 1,
                "application_id": 0x61677078,
                "user_version": 1,
            },
        )
