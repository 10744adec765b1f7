"""A file that is damaged is set aside, at the start or later; one that is not ours is left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from agentproxy.records import database
from agentproxy.records.queries import NoRecords, Store
from tests.records.store_case import NOON_US, SECOND_US, SOON, StoreCase, key, turn


class Damage(StoreCase):
    def aside(self) -> Path:
        [path] = [path for path in self.directory.iterdir() if ".damaged-" in path.name]
        return path

    def check_set_aside(self) -> None:
        """The file was set aside, that was told, and a new one has what came since."""
        name = self.aside().name
        self.assertEqual(name, "records.sqlite.damaged-20260102T030405Z")
        [(level, keys)] = [(level, keys) for event, level, keys in self.told if event == "record.damaged"]
        self.assertEqual((level, keys["file"]), ("error", name))
        self.assertTrue(keys["why"])
        self.assertEqual(self.look("PRAGMA integrity_check"), [("ok",)])

    def test_garbage(self) -> None:
        """What is no database at all is set aside at the start, as it is."""
        self.directory.mkdir()
        self.file.write_bytes(b"garbage" * 1000)
        writer = self.writer()
        self.flushed(writer, 1)
        self.check_set_aside()
        self.assertEqual(self.aside().read_bytes(), b"garbage" * 1000)
        self.assertEqual((self.keys(), writer.lost), ([key(1)], 0))

    def test_page(self) -> None:
        """A database that is broken inside is found at the start."""
        self.write(turn(number) for number in range(500))
        data = bytearray(self.file.read_bytes())
        data[8 * 4096 : 30 * 4096] = b"\xa5" * (22 * 4096)
        self.file.write_bytes(data)
        writer = self.writer()
        self.flushed(writer, 1001)
        self.check_set_aside()
        self.assertEqual((self.keys(), writer.lost), ([key(1001)], 0))

    def test_while_running(self) -> None:
        """Damage that shows while it is written is dealt with then, and the batch goes into the new file."""
        writer = self.writer()
        self.flushed(writer, 1)
        with closing(sqlite3.connect(self.file)) as other:
            # What the writer remembers of the file is no longer good, and nothing is in the log.
            other.execute("DELETE FROM turns")
            other.commit()
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(self.file, "r+b") as file:
            file.write(b"\xa5" * self.file.stat().st_size)
        self.flushed(writer, 2, 3)
        self.check_set_aside()
        self.assertEqual((self.keys(), writer.lost), ([key(2), key(3)], 0))

    def test_twice(self) -> None:
        """A second damaged file in the same second gets a name of its own, as its log does; nothing is overwritten."""
        self.directory.mkdir()
        names = []
        for body in (b"one", b"two"):
            self.file.write_bytes(body)
            database.log_of(self.file).write_bytes(b"log of " + body)
            names.append(database.set_aside(self.file, NOON_US / SECOND_US))
        first = "records.sqlite.damaged-20260102T030405Z"
        self.assertEqual(names, [first, f"{first}-2"])
        self.assertEqual(
            {path.name: path.read_bytes() for path in self.directory.iterdir()},
            {first: b"one", f"{first}-wal": b"log of one", f"{first}-2": b"two", f"{first}-2-wal": b"log of two"},
        )

    def test_large(self) -> None:
        """A large file is checked only where its last writer did not close it."""
        self.write(turn(number) for number in range(500))
        self.patch(database, "CHECK_BYTES", 1000)
        self.assertFalse(database._to_check(self.file))
        Path(f"{self.file}-wal").write_bytes(b"left")
        self.assertTrue(database._to_check(self.file))
        self.patch(database, "CHECK_BYTES_UNCLEAN", 1000)
        self.assertFalse(database._to_check(self.file))


class NotToBeTouched(StoreCase):
    def check_left_alone(self, why: str) -> None:
        before = self.file.read_bytes()
        writer = self.writer()
        self.flushed(writer, 1, 2)
        self.assertEqual(writer.lost, 2)
        self.assertEqual(self.events, ["record.lost"])
        self.assertIn(why, str(self.told[0][2]["why"]))
        writer.stop(SOON)
        self.assertEqual(self.file.read_bytes(), before)
        with self.assertRaises(NoRecords) as caught:
            Store(self.file)
        self.assertIn(why, str(caught.exception))

    def test_newer(self) -> None:
        """A newer version's file is left as it is; records are lost, and why is told."""
        self.write([turn(1)])
        with closing(sqlite3.connect(self.file)) as link:
            link.execute("PRAGMA user_version = 99")
        self.check_left_alone("a newer agentproxy wrote it (schema 99; this one knows 1)")

    def test_other(self) -> None:
        """So is a database of something else."""
        self.directory.mkdir()
        with closing(sqlite3.connect(self.file)) as link:
            link.execute("PRAGMA journal_mode = WAL")
            link.execute("CREATE TABLE theirs (a)")
            link.commit()
        self.check_left_alone("not a record store")
