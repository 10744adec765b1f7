"""Where the records are and what may be wrong with them; the commands as processes."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.command import Console
from agentproxy.cli.main import main
from agentproxy.cli.records import FILE, all_rows
from agentproxy.records import schema
from agentproxy.records.paging import Page
from agentproxy.records.queries import Filter, turn_json
from tests.cli import fakes
from tests.cli.stored import SESSION, RecordsCase, turn_record, write


class ShapeTests(RecordsCase):
    def test_file(self) -> None:
        """The file's name is the one that the store gives it."""
        self.assertEqual(FILE, schema.FILE)

    def test_fakes(self) -> None:
        """The rows that the other tests make up are a store's."""
        self.assertEqual(list(fakes.turn()), list(turn_json(turn_record())))
        self.assertEqual(list(fakes.session()), list(self.stored(lambda store: store.session(SESSION))))
        [day, *_] = self.stored(lambda store: store.usage("day", Filter())).rows
        self.assertEqual(["day", *fakes.usage()], list(day))
        self.assertEqual(set(fakes.call()), set(self.stored(lambda store: store.call("0" * 16))))
        [piece, *_] = self.stored(lambda store: store.content("0" * 16))
        self.assertEqual(set(fakes.content("request_body", b"")), set(piece))


class PagesTests(SynchronousTestCase):
    def test_all(self) -> None:
        """As many pages as it takes, and no more rows than are asked for."""
        for count, limit, most, expected in (
            (0, 0, [500], (0, False)),
            (1200, 0, [500, 500, 500], (1200, False)),
            (1000, 0, [500, 500], (1000, False)),
            (1200, 700, [500, 200], (700, True)),
            (700, 700, [500, 200], (700, False)),
            (5, 50, [50], (5, False)),
        ):
            asked: list[int] = []

            def page(limit: int, after: str | None, count: int = count, asked: list[int] = asked) -> Page:
                asked.append(limit)
                end = min(int(after or 0) + limit, count)
                return Page([{"n": n} for n in range(int(after or 0), end)], str(end) if end < count else None)

            with self.subTest((count, limit)):
                rows, more = all_rows(page, limit)
                self.assertEqual((len(rows), more), expected)
                self.assertEqual([row["n"] for row in rows], list(range(len(rows))))
                self.assertEqual(asked, most)


class PlaceTests(RecordsCase):
    def test_none(self) -> None:
        """No records: one line that says where they would be, and what to do."""
        folder = Path(self.mktemp())
        for arguments in (("sessions",), ("session", "a"), ("usage",), ("export",), ("sessions", "--json")):
            line = self.finding(*arguments, folder=folder)
            self.assertEqual(line.count("\n"), 1)
            self.assertIn(f"no records at {folder / FILE}: the service writes them once it runs with [record]", line)

    def test_not_a_store(self) -> None:
        """What is no record store is told as such, in one line."""
        for content in (b"", b"not a database, and long enough to be looked at" * 20):
            folder = Path(self.mktemp())
            folder.mkdir()
            (folder / FILE).write_bytes(content)
            self.assertEqual(self.finding("sessions", folder=folder).count("\n"), 1)

    def test_newer(self) -> None:
        """A newer version's records are told as such."""
        folder = Path(self.mktemp())
        shutil.copytree(self.folder, folder)
        with sqlite3.connect(folder / FILE) as connection:
            connection.execute("PRAGMA user_version = 9999")
        connection.close()
        self.assertEqual(self.finding("sessions", folder=folder).count("\n"), 1)

    def test_damaged(self) -> None:
        """Damage that shows while the records are read is a line, too."""
        folder = Path(self.mktemp())
        shutil.copytree(self.folder, folder)
        data = bytearray((folder / FILE).read_bytes())
        data[8192:] = b"\xa5" * len(data[8192:])
        (folder / FILE).write_bytes(data)
        line = self.finding("sessions", folder=folder)
        self.assertEqual(line.count("\n"), 1)
        self.assertNotIn("SELECT", line)

    def test_empty(self) -> None:
        """Without a record there is a sentence, or an empty list."""
        folder = Path(self.mktemp())
        write(folder)
        for arguments, out in (
            (("sessions",), "no sessions in the records, or none that is asked for\n"),
            (("usage",), "no turns in the records, or none that is asked for\n"),
            (("export",), ""),
        ):
            self.assertEqual(self.run_command(*arguments, folder=folder), (0, out, ""))
        _, out, _ = self.run_command("sessions", "--json", folder=folder)
        self.assertEqual(json.loads(out), {"sessions": []})
        _, out, _ = self.run_command("usage", "--json", folder=folder)
        found = json.loads(out)
        self.assertEqual((found["usage"], found["total"]["turns"], found["total"]["cost_micro_usd"]), ([], 0, 0))
        _, out, _ = self.run_command("export", "--format", "har", folder=folder)
        self.assertEqual(json.loads(out)["log"]["entries"], [])
        self.assertIn("no session a in", self.finding("session", "a", folder=folder))

    def test_a_file(self) -> None:
        """A file that was set aside can be named itself."""
        path = Path(self.mktemp())
        shutil.copy(self.folder / FILE, path)
        code, out, _ = self.run_command("sessions", "--json", folder=path)
        self.assertEqual((code, len(json.loads(out)["sessions"])), (0, 3))

    def test_configuration(self) -> None:
        """Without a directory the configuration says where they are; a wrong one is its own line."""
        path = Path(self.mktemp())
        path.write_text(f'[record]\ndirectory = "{self.folder}"\n')
        out, err = io.StringIO(), io.StringIO()
        self.assertEqual(main(["sessions", "--json", "-c", str(path)], Console({}, out, err)), 0)
        self.assertEqual(len(json.loads(out.getvalue())["sessions"]), 3)
        path.write_text("[record]\ndirectory = 1\n")
        self.assertEqual(main(["sessions", "-c", str(path)], Console({}, out, err)), 1)
        self.assertTrue(err.getvalue().startswith(f"agentproxy sessions: {path}: record.directory: "))

    def test_running(self) -> None:
        """Records are read while another process writes them."""
        folder = Path(self.mktemp())
        shutil.copytree(self.folder, folder)
        connection = sqlite3.connect(folder / FILE, isolation_level=None)
        self.addCleanup(connection.close)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM turns")
        code, out, _ = self.run_command("sessions", "--json", folder=folder)
        self.assertEqual((code, len(json.loads(out)["sessions"])), (0, 3))
        connection.execute("ROLLBACK")


class ProcessTests(RecordsCase):
    def start(self, *arguments: str, out: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        code = "import sys; from agentproxy.cli.main import main; sys.exit(main())"
        # With a buffer, whatever these tests run in: it is what is left in that which the interpreter complains of.
        paths = os.pathsep.join(path for path in sys.path if path)
        environ = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": ""}
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=out, stderr=subprocess.PIPE, text=True, env=environ
        )

    def test_reader_has_enough(self) -> None:
        """A pipe whose reader goes away ends the command without a word."""
        folder = Path(self.mktemp()).absolute()
        write(folder, *(turn_record(number, note="n" * 1000) for number in range(200)))
        process = self.start("export", "--records", str(folder))
        assert process.stdout is not None
        assert process.stderr is not None
        self.assertTrue(process.stdout.readline().startswith('{"id": "0'))
        process.stdout.close()
        self.assertEqual((process.stderr.read(), process.wait(60)), ("", 0))
        process.stderr.close()

    def test_full_disk(self) -> None:
        """An output that takes no more is one line."""
        # The one fails while it is written, the other at the end, with all of it in the buffer.
        for command in ("export", "sessions"):
            with open("/dev/full", "w") as full:
                process = self.start(command, "--records", str(self.folder), out=full)
            _, err = process.communicate(timeout=60)
            self.assertEqual((err, process.returncode), (f"agentproxy {command}: No space left on device\n", 1))

    def test_reader_is_gone(self) -> None:
        """So does one whose reader was never there."""
        read, write = os.pipe()
        os.close(read)
        with open(write, "w") as pipe:
            process = self.start("sessions", "--records", str(self.folder), out=pipe)
        _, err = process.communicate(timeout=60)
        self.assertEqual((err, process.returncode), ("", 0))

    def test_imports(self) -> None:
        """A command without records does without the libraries that only they need."""
        code = (
            "import sys; from agentproxy.cli.main import main; main(['check']); "
            "print([name for name in ('sqlalchemy', 'rich', 'twisted') if name in sys.modules], file=sys.stderr)"
        )
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
        self.assertEqual(done.stderr, "[]\n")


class InterruptTests(SynchronousTestCase):
    def test_interrupt(self) -> None:
        """Ctrl-C ends a command with the shell's code for it, and no traceback."""

        class Interrupted(io.StringIO):
            def write(self, text: str) -> int:
                raise KeyboardInterrupt

        self.assertEqual(main(["check"], Console({}, Interrupted(), io.StringIO())), 130)
