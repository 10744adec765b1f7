"""Bad weather: a full disk, a lock, a file that is gone, damaged, or not ours; a process that is killed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Event

from agentproxy.records import database, rows, schema
from agentproxy.records.queries import Filter, Store
from agentproxy.records.writer import Pace
from tests.records.store_case import SOON, StoreCase, call, content, key, turn

PATIENT = Pace(batch_s=0.001, busy_s=0.001, patience_s=SOON, retry_s=0.001)
ROOT = Path(__file__).resolve().parent.parent.parent


class Tried(Event):
    """An end that has not come: tells that it is waited for, which is so between two tries."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.tried.set()
        return super().wait(timeout)


class FullDisk(StoreCase):
    def test_full(self) -> None:
        """A full disk costs records, counted and told once; with room again, writing goes on."""
        room = database.PRAGMAS
        self.patch(database, "PRAGMAS", (*room, "max_page_count = 40"))
        writer = self.writer()
        written = 0
        while not writer.lost:
            self.flushed(writer, *range(written, written + 50))
            written += 50
        self.flushed(writer, 100_001, 100_002)
        lost = writer.lost
        self.assertEqual([(event, level) for event, level, _ in self.told], [("record.lost", "error")])
        self.assertIn("full", str(self.told[0][2]["why"]))
        self.patch(database, "PRAGMAS", room)
        self.flushed(writer, 100_003)
        self.assertEqual(self.told[1:], [("record.back", "info", {"lost": lost})])
        self.assertEqual(writer.lost, lost)
        self.assertEqual(len(self.keys()), written + 3 - lost)
        self.assertIn(key(100_003), self.keys())
        self.assertEqual(self.look("PRAGMA integrity_check"), [("ok",)])

    def test_no_size(self) -> None:
        """A file that may not grow, by the process's own limit, is no more than a full disk."""
        code = (
            "import resource, sys; from pathlib import Path; from agentproxy.records.writer import Writer\n"
            "from tests.records.store_case import *\n"
            "told = []\n"
            "writer = Writer(Path(sys.argv[1]), clean=bytes, told=lambda event, *_, **__: told.append(event), days=0,"
            " megabytes=0, pace=QUICK)\n"
            "writer.start(); writer.turn(turn(1)); assert writer.flush(SOON)\n"
            "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))\n"
            "[writer.turn(turn(number)) for number in range(2, 900)]; assert writer.flush(SOON)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
            "writer.turn(turn(1000)); assert writer.flush(SOON); writer.stop(SOON)\n"
            "print(writer.lost, *told)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(self.directory.absolute())], cwd=ROOT, capture_output=True, text=True
        )
        self.assertEqual((done.stderr, done.stdout), ("", "898 record.lost record.back\n"))
        self.assertEqual(self.keys(), [key(1), key(1000)])


class Locked(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.write([turn(0)])
        self.other = sqlite3.connect(self.file, isolation_level=None)
        self.addCleanup(self.other.close)

    def test_long(self) -> None:
        """A lock that outlasts the writer's patience costs what came meanwhile; later records are tried once each."""
        writer = self.settled(self.writer())
        self.flushed(writer, 1)
        self.other.execute("BEGIN EXCLUSIVE")
        self.flushed(writer, 2, 3)
        self.assertEqual(writer.lost, 2)
        self.other.execute("ROLLBACK")
        self.flushed(writer, 4)
        self.assertEqual(self.keys(), [key(0), key(1), key(4)])
        self.assertEqual(
            self.told,
            [
                ("record.lost", "error", {"why": "OperationalError: database is locked", "count": 1}),
                ("record.back", "info", {"lost": 2}),
            ],
        )

    def test_short(self) -> None:
        """A lock that ends in time costs nothing, and nothing is told."""
        writer = self.settled(self.writer(PATIENT))
        self.flushed(writer, 1)
        writer._inbox.ending = ending = Tried()
        self.other.execute("BEGIN EXCLUSIVE")
        writer.turn(turn(2))
        self.assertTrue(ending.tried.wait(SOON))
        self.other.execute("ROLLBACK")
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(self.keys(), [key(0), key(1), key(2)])
        self.assertEqual((writer.lost, self.told), (0, []))

    def test_stop(self) -> None:
        """A lock does not hold up the stop: what can't be written is lost."""
        writer = self.settled(self.writer(PATIENT))
        self.flushed(writer, 1)
        self.other.execute("BEGIN EXCLUSIVE")
        writer.turn(turn(2))
        writer.stop(SOON)
        self.assertEqual(writer.lost, 1)
        self.assertFalse(writer._thread.is_alive())


class Elsewhere(StoreCase):
    def test_no_directory(self) -> None:
        """A directory that can't be made costs records; once it can, writing goes on."""
        self.directory.write_bytes(b"a file in its place")
        writer = self.writer()
        self.flushed(writer, 1, 2)
        self.assertEqual((writer.lost, self.events), (2, ["record.lost"]))
        self.directory.unlink()
        self.flushed(writer, 3)
        self.assertEqual((self.keys(), self.events), ([key(3)], ["record.lost", "record.back"]))

    def test_deep_directory(self) -> None:
        """What is missing above the directory is made, too."""
        self.directory = self.directory / "a" / "b"
        self.file = self.directory / schema.FILE
        self.write([turn(1)])
        self.assertEqual(self.keys(), [key(1)])

    def test_deleted(self) -> None:
        """A file that is deleted while it is written is made anew, and that is told."""
        writer = self.writer()
        self.flushed(writer, 1)
        shutil.rmtree(self.directory)
        self.flushed(writer, 2)
        self.assertEqual(self.keys(), [key(2)])
        self.assertEqual((self.told, writer.lost), ([("record.moved", "warn", {"file": "records.sqlite"})], 0))

    def test_only_file_deleted(self) -> None:
        """So is one whose log is left: what is in that is not taken for the new file's."""
        writer = self.writer()
        self.flushed(writer, 1)
        self.file.unlink()
        self.flushed(writer, 2)
        self.assertEqual((self.keys(), writer.lost), ([key(2)], 0))
        self.assertEqual(self.look("PRAGMA integrity_check"), [("ok",)])

    def test_replaced(self) -> None:
        """What comes goes into the file that has the name now, and the other one is as it was."""
        self.write([turn(1)])
        aside = self.file.with_name("aside")
        shutil.copy(self.file, aside)
        writer = self.writer()
        self.flushed(writer, 2)
        aside.replace(self.file)
        self.flushed(writer, 3)
        writer.stop(SOON)
        self.assertEqual(self.keys(), [key(1), key(3)])
        self.assertEqual(self.look("PRAGMA integrity_check"), [("ok",)])

    def test_replaced_beside_a_reader(self) -> None:
        """So it is while somebody reads the other one, whose log can't be put away then."""
        self.write([turn(1)])
        aside = self.file.with_name("aside")
        shutil.copy(self.file, aside)
        writer = self.writer()
        self.flushed(writer, 2)
        with closing(sqlite3.connect(self.file, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT key FROM turns").fetchall()
            self.flushed(writer, *range(100, 200))
            aside.replace(self.file)
            self.flushed(writer, 3)
            writer.stop(SOON)
            self.assertEqual(self.keys(), [key(1), key(3)])
            self.assertEqual(self.look("PRAGMA integrity_check"), [("ok",)])

    def test_renamed(self) -> None:
        """One that is put somewhere else keeps what was written to it, its log's part too."""
        writer = self.writer()
        self.flushed(writer, 1)
        kept = self.directory.parent / f"{self.directory.name}-kept.sqlite"
        self.addCleanup(kept.unlink)
        self.file.rename(kept)
        self.flushed(writer, 2)
        self.assertEqual(self.keys(), [key(2)])
        with closing(sqlite3.connect(kept)) as link:
            self.assertEqual(link.execute("SELECT key FROM turns").fetchall(), [(key(1),)])


class BadRecords(StoreCase):
    def test_mended(self) -> None:
        """What SQLite does not take of a record is mended, and the others of its batch are whole."""
        writer = self.writer(start=False)
        for number in range(120):
            writer.turn(turn(number))
        writer.turn(turn(120, note="half \ud800 a pair"))
        writer.turn(turn(121, cost_micro_usd=2**63))
        writer.turn(turn(122, agent=["a", "list"]))
        writer.start()
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(len(self.keys()), 123)
        self.assertEqual(
            self.look(f"SELECT note, cost_micro_usd, agent FROM turns WHERE key >= '{key(120)}'"),
            [("half ? a pair", 5000, "claude-code"), (None, None, "claude-code"), (None, 5000, None)],
        )
        self.assertEqual((writer.lost, self.told), (0, []))

    def test_refused(self) -> None:
        """What can't be mended is lost alone; a reason is told once, however often it comes."""
        writer = self.writer(start=False)
        for number in range(60):
            writer.turn(turn(number))
        for number in (60, 61):
            writer.turn(turn(number, started_us=2**80))
        writer.turn("no record at all")  # type: ignore[arg-type]
        writer.call(call(1, path=None))
        writer.content(content(1, b"body"))
        writer.start()
        self.assertTrue(writer.flush(SOON))
        self.assertEqual((len(self.keys()), len(self.keys("calls")), writer.lost), (60, 0, 4))
        self.assertEqual(self.look("SELECT count(*) FROM content"), [(1,)])
        self.assertEqual(self.events, ["record.lost"] * 3)

    def test_unforeseen(self) -> None:
        """An error that nobody thought of costs its batch; the thread goes on."""
        writer = self.writer()
        self.flushed(writer, 1)
        with self.broken(rows.Batch, "insert"):
            self.flushed(writer, 2)
        with self.broken(rows.Batch, "of"):
            self.flushed(writer, 3)
        self.flushed(writer, 4)
        self.assertEqual(self.keys(), [key(1), key(4)])
        self.assertEqual(writer.lost, 2)

    def broken(self, owner: type, name: str):
        def fail(*_: object) -> None:
            raise ZeroDivisionError("unforeseen")

        test = self

        class Broken:
            def __enter__(self) -> None:
                self.patch = test.patch(owner, name, fail)

            def __exit__(self, *_: object) -> None:
                self.patch.restore()

        return Broken()


class Killed(StoreCase):
    def test_killed(self) -> None:
        """A process killed while it writes loses nothing that was written; the file is whole, and writing goes on."""
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.records.child", str(self.directory.absolute())],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            last = [int(child.stdout.readline()) for _ in range(4)][-1]
        finally:
            child.kill()
            child.wait()
        last = int((child.stdout.read().split() or [last])[-1])
        child.stdout.close()
        writer = self.writer()
        self.flushed(writer, 10**9)
        self.assertEqual((self.told, writer.lost), ([("record.repaired", "info", {"file": "records.sqlite"})], 0))
        self.assertEqual(self.look("PRAGMA integrity_check"), [("ok",)])
        turns, calls = self.keys()[:-1], self.keys("calls")
        self.assertEqual(turns[:last], [key(number + 1) for number in range(last)])
        # Of what was being written when it was killed, there is all of a batch or nothing: calls and turns alike.
        self.assertEqual(turns, [key(number + 1) for number in range(len(turns))])
        self.assertIn(len(turns) - len(calls), (0, 1))
        with closing(Store(self.file)) as store:
            self.assertEqual(store.turns(Filter(), limit=1).rows[0]["id"], key(10**9))
