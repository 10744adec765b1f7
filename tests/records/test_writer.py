"""The writer's thread: what it is handed is in the file, in batches; what there is no room for is counted."""

from __future__ import annotations

import os
import stat
import threading
from functools import partial

from agentproxy.records import inbox
from agentproxy.records import writer as writing
from agentproxy.records.content import pack, unpack
from agentproxy.records.writer import Pace, Writer
from tests.records.store_case import QUICK, SOON, StoreCase, call, content, key, put, turn

LONG = Pace(batch_s=1000.0, sweep_s=1000.0)
"""A writer that does nothing by itself for longer than any test."""


class WriterTests(StoreCase):
    def test_written(self) -> None:
        """Calls, turns and content are in the file once they are flushed, each field in its column."""
        writer = self.writer()
        writer.call(call(1, close_clean=True, status=101))
        writer.turn(turn(1, tools=[]))
        writer.turn(turn(2))
        writer.content(content(1, b"a secret body"))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(self.look("SELECT key, status, close_clean, bytes_out FROM calls"), [(key(1), 101, 1, 20)])
        self.assertEqual(
            self.look("SELECT key, call_key, input_tokens, cost_micro_usd, tools FROM turns ORDER BY key"),
            [(key(1), key(1), 1000, 5000, None), (key(2), key(2), 1000, 5000, '["Bash", "Read"]')],
        )
        [(call_key, number, part, size, digests)] = self.look(
            "SELECT call_key, number, part, size, digests FROM content"
        )
        self.assertEqual((call_key, number, part, size), (key(1), 0, "request_body", 13))
        [(digest, data)] = self.look("SELECT digest, data FROM blobs")
        self.assertEqual(digests, digest)
        self.assertEqual(unpack([data]), b"a ****** body")
        self.assertEqual((writer.lost, self.told), (0, []))

    def test_once(self) -> None:
        """The same content is stored once, however often it comes."""
        writer = self.writer()
        for number in range(20):
            writer.content(content(number, b"a system prompt" * 100))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(self.look("SELECT count(*), (SELECT count(*) FROM blobs) FROM content"), [(20, 1)])

    def test_same_key(self) -> None:
        """A key that is there already leaves the record out, and nothing else."""
        writer = self.writer()
        for number in (1, 1, 2):
            writer.turn(turn(number))
            writer.flush(SOON)
        writer.content(content(1, b"first"))
        writer.content(content(1, b"second"))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(self.keys(), [key(1), key(2)])
        self.assertEqual(self.look("SELECT size FROM content"), [(5,)])
        self.assertEqual(writer.lost, 0)

    def test_stop_writes(self) -> None:
        """What was handed over before the stop is written, without waiting for a batch; what comes later is lost."""
        writer = self.writer(LONG)
        for number in range(5):
            writer.turn(turn(number))
        writer.stop(SOON)
        self.assertEqual(len(self.keys()), 5)
        writer.turn(turn(6))
        self.assertEqual(writer.lost, 1)
        self.assertFalse(writer.flush(SOON))
        self.assertEqual([thread for thread in threading.enumerate() if thread.name == "records"], [])

    def test_stop_closes(self) -> None:
        """Behind a stop there is one file: the log is in it."""
        self.write([turn(1)])
        self.assertEqual(os.listdir(self.directory), ["records.sqlite"])

    def test_never_started(self) -> None:
        """A writer that never ran stops at once, and what it was handed is lost."""
        writer = self.writer(start=False)
        writer.turn(turn(1))
        writer.stop(SOON)
        self.assertEqual(writer.lost, 1)

    def test_no_thread(self) -> None:
        """Where no thread can be had, starting does not raise, and all is lost."""

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        self.patch(threading.Thread, "start", refuse)
        writer = self.writer()
        writer.turn(turn(1))
        self.assertEqual((writer.lost, self.events), (1, ["record.lost"]))

    def test_batch(self) -> None:
        """As many as make a batch are written at once; fewer wait for their time."""
        writer = self.writer(Pace(batch_s=1000.0, batch_rows=10))
        done = self.when_done(writer, 10)
        for number in range(10):
            writer.turn(turn(number))
        self.assertTrue(done.wait(SOON))
        self.assertEqual(len(self.keys()), 10)

    def test_content_waits(self) -> None:
        """Content that takes long to make ready does not hold up turns: they are written first, and in between."""
        self.patch(writing, "_CONTENT_S", 0.0)
        found: list[int] = []
        writer = self.writer(start=False)

        def clean(data: bytes) -> bytes:
            # The writer's thread looks at what is written when it comes to each piece, and then one more turn comes.
            found.append(len(self.keys()))
            writer.turn(turn(100 + len(found)))
            return data

        writer._pack = partial(pack, clean=clean)
        for number in range(4):
            writer.content(content(number, b"body %d" % number))
            writer.turn(turn(number))
        writer.start()
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(found, [4, 5, 6, 7])
        self.assertEqual(self.look("SELECT count(*) FROM content"), [(4,)])

    def test_time(self) -> None:
        """A single record is written when its time is over, without anybody's asking."""
        writer = self.writer(QUICK)
        done = self.when_done(writer, 1)
        writer.turn(turn(1))
        self.assertTrue(done.wait(SOON))
        self.assertEqual(self.keys(), [key(1)])

    def test_sleeps(self) -> None:
        """Without records the thread asks for nothing but to sleep until the next look at what is too old."""
        asked: list[float] = []
        asleep = threading.Event()

        class Watched(inbox.Inbox):
            def wait(self, first_s: float, more_s: float) -> None:
                asked.append(first_s)
                if first_s > 0:
                    asleep.set()
                super().wait(first_s, more_s)

        self.patch(writing, "Inbox", Watched)
        self.writer(LONG)
        self.assertTrue(asleep.wait(SOON))
        self.assertEqual(len(asked), 2)
        self.assertGreater(asked[-1], 900)

    def test_most_records(self) -> None:
        """The queue is bounded: what comes beyond is lost, counted and told once."""
        writer = self.writer(start=False)
        for number in range(inbox.MOST_RECORDS + 7):
            writer.turn(turn(1))
        self.assertEqual(writer.lost, 7)
        writer.start()
        self.assertTrue(writer.flush(SOON))
        writer.turn(turn(2))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(writer.lost, 7)
        self.assertEqual(
            self.told,
            [
                ("record.lost", "error", {"why": "more records came than could be written", "count": 7}),
                ("record.back", "info", {"lost": 7}),
            ],
        )

    def test_most_content(self) -> None:
        """Content that waits is bounded in bytes; what was written makes room."""
        self.patch(inbox, "MOST_CONTENT_BYTES", 10)
        writer = self.writer(start=False)
        writer.content(content(1, b"123456"))
        writer.content(content(2, b"12345"))
        writer.content(content(3, b"1234"))
        self.assertEqual(writer.lost, 1)
        writer.start()
        self.assertTrue(writer.flush(SOON))
        writer.content(content(4, b"0123456789"))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(self.look("SELECT call_key FROM content"), [(key(1),), (key(3),), (key(4),)])
        self.assertEqual(writer.lost, 1)

    def test_most_pieces(self) -> None:
        """And in number: an empty piece takes room, too."""
        self.patch(inbox, "MOST_RECORDS", 2)
        writer = self.writer(start=False)
        for number in range(3):
            writer.content(content(number, b""))
        self.assertEqual(writer.lost, 1)

    def test_thread(self) -> None:
        """Nothing is told but by the writer's own thread."""
        self.directory.write_bytes(b"a file in its place")
        writer = self.writer()
        writer.turn(turn(1))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(len(self.threads), 1)
        self.assertNotIn(threading.get_ident(), self.threads)

    def test_who_is_told_fails(self) -> None:
        """A fault in who is told loses nothing."""
        self.patch(self, "tell", lambda *_, **__: 1 / 0)
        self.directory.mkdir()
        self.file.write_bytes(b"garbage" * 1000)
        writer = self.writer()
        writer.turn(turn(1))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual((self.keys(), writer.lost), ([key(1)], 0))

    def test_modes(self) -> None:
        """Directory and files are their owner's alone, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        writer = self.writer()
        writer.turn(turn(1))
        self.assertTrue(writer.flush(SOON))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [self.directory, *self.directory.iterdir()]}
        self.assertEqual(modes.pop(self.directory.name), 0o700)
        self.assertEqual(set(modes.values()), {0o600})
        self.assertIn("records.sqlite-wal", modes)

    def test_two_writers(self) -> None:
        """Two writers of one file lose none of each other's records."""
        patient = Pace(batch_s=0.001, busy_s=SOON)
        one, other = self.writer(patient), self.writer(patient)
        for number in range(0, 400, 2):
            put(one, turn(number))
            put(other, turn(number + 1))
            put(other, content(number, b"the same"))
        self.assertTrue(one.flush(SOON))
        self.assertTrue(other.flush(SOON))
        self.assertEqual(self.keys(), [key(number) for number in range(400)])
        self.assertEqual((one.lost, other.lost), (0, 0))

    def when_done(self, writer: writing.Writer, count: int) -> threading.Event:
        """Set when so many records are done with."""
        done = threading.Event()
        box, known = writer._inbox, writer._inbox.done

        def watched(rows: int) -> None:
            known(rows)
            if box._rows.done >= count:
                done.set()

        self.patch(box, "done", watched)
        return done

    def test_meanwhile(self) -> None:
        """While a large body is made ready, turns that have come are written."""
        seen: list[int] = []

        def clean(data: bytes) -> bytes:
            writer.turn(turn(7))
            writer.meanwhile()
            seen.append(len(self.keys()))
            return data

        writer = Writer(self.directory, clean=clean, told=self.tell, days=0, megabytes=0, pace=QUICK)
        self.addCleanup(writer.stop, SOON)
        writer.start()
        writer.turn(turn(1))
        writer.content(content(1, b"a large body"))
        self.assertTrue(writer.flush(SOON))
        self.assertEqual(seen, [2])
