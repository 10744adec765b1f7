"""What leaves the store by age and by size, and that the file shrinks."""

from __future__ import annotations

import os
import random

from agentproxy.records import retention
from agentproxy.records.database import open_to_write
from agentproxy.records.retention import Bounds, sweep, used_bytes
from agentproxy.records.schema import USE_US
from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord
from agentproxy.records.writer import Pace, Writer
from tests.records import store_case
from tests.records.store_case import DAY_US, NOON_US, SOON, StoreCase, key

STEP_US = 2 * USE_US


def at(number: int) -> int:
    return NOON_US + number * STEP_US


def call(number: int, started_us: int | None = None) -> CallRecord:
    return store_case.call(number, started_us=at(number) if started_us is None else started_us)


def turn(number: int, started_us: int | None = None, **changes: object) -> TurnRecord:
    return store_case.turn(number, started_us=at(number) if started_us is None else started_us, **changes)


def content(number: int, body: bytes, *, place: int = 0, at_us: int | None = None) -> ContentRecord:
    return store_case.content(number, body, place=place, at_us=at(number) if at_us is None else at_us)


class RetentionTests(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(retention, "SLICE_ROWS", 7)
        self.patch(retention, "SLICE_BLOBS", 3)
        self.patch(retention, "SLICE_PAGES", 5)
        self.random = random.Random(1)

    def sweep(self, before_us: int | None = None, most_bytes: int | None = None) -> int:
        """Sweep to the end; how many slices it took."""
        connection = open_to_write(self.file, SOON)
        try:
            slices = sum(1 for _ in sweep(connection, Bounds(before_us, most_bytes)))
            self.used = used_bytes(connection)
        finally:
            connection.close()
        self.assertEqual(self.look("PRAGMA integrity_check"), [("ok",)])
        return slices

    def noise(self) -> bytes:
        """Content that does not get smaller, and is one blob: there is no paragraph in it."""
        return self.random.randbytes(6000).replace(b"\n", b" ")

    def nobodys(self) -> int:
        """Blobs that no content refers to."""
        digests = {bytes(row[0]) for row in self.look("SELECT digest FROM blobs")}
        for (joined,) in self.look("SELECT digests FROM content"):
            digests -= {joined[start : start + 32] for start in range(0, len(joined), 32)}
        self.assertEqual(self.look("SELECT count(*) FROM blobs"), self.look("SELECT count(*) FROM blob_uses"))
        return len(digests)

    def test_no_bounds(self) -> None:
        """Without bounds nothing goes."""
        self.write([turn(1, started_us=0), call(1, started_us=0), content(1, b"x", at_us=0)])
        self.sweep()
        self.assertEqual((self.keys(), self.keys("calls")), ([key(1)], [key(1)]))
        self.assertEqual(self.look("SELECT count(*) FROM blobs"), [(1,)])

    def test_age(self) -> None:
        """What began before the bound goes, to the microsecond; what did not stays."""
        self.write(record for number in range(50) for record in (turn(number), call(number)))
        slices = self.sweep(before_us=at(40))
        kept = [key(number) for number in range(40, 50)]
        self.assertEqual((self.keys(), self.keys("calls")), (kept, kept))
        self.assertGreater(slices, 5)

    def test_content_with_its_call(self) -> None:
        """A call's content goes with it, and content of a call that never came by its own time."""
        bound = at(10)
        self.write(
            [
                call(1), content(1, self.noise(), at_us=bound + 1), content(1, self.noise(), place=1),
                call(11), content(11, self.noise()),
                content(2, self.noise(), at_us=bound - 1), content(3, self.noise(), at_us=bound),
            ]
        )  # fmt: skip
        self.sweep(before_us=bound)
        self.assertEqual(self.look("SELECT call_key FROM content ORDER BY 1"), [(key(3),), (key(11),)])

    def test_long_call(self) -> None:
        """A turn goes by when it began itself: a call of days does not take its newest turns with it."""
        self.write([call(0), turn(0, call_key=key(0)), turn(1, call_key=key(0), started_us=at(1))])
        self.sweep(before_us=at(1))
        self.assertEqual((self.keys(), self.keys("calls")), ([key(1)], []))

    def test_shared_blob(self) -> None:
        """A blob stays as long as any content refers to it, whichever came first."""
        for order in ((0, 5, 9), (9, 5, 0)):
            self.write(content(number, b"the same", place=order[0]) for number in order)
            self.write(content(number, b"of %d" % number, place=order[0] + 1) for number in order)
            self.sweep(before_us=at(6))
            self.assertEqual(self.nobodys(), 0)
            self.assertEqual(self.look("SELECT count(*) FROM blobs"), [(2,)])
        self.sweep(before_us=at(100))
        self.assertEqual(self.look("SELECT count(*) FROM blobs"), [(0,)])

    def test_use(self) -> None:
        """That a blob is used is not written each time, but soon enough: none goes that content refers to."""
        last = at(1) + USE_US
        for at_us, used_us in ((at(1), at(1)), (last, at(1)), (at(1) - 1, at(1)), (last + 1, last + 1)):
            self.write([content(1, b"the same", place=at_us - at(0), at_us=at_us)])
            self.assertEqual(self.look("SELECT used_us FROM blob_uses"), [(used_us,)])
            self.sweep(before_us=at_us)
            self.assertEqual(self.look("SELECT count(*) FROM blobs"), [(1,)])

    def test_size(self) -> None:
        """The oldest go until no more than the bound is in use, and the file is no longer than that."""
        self.write(
            record for number in range(200) for record in (call(number), turn(number), content(number, self.noise()))
        )
        before = os.stat(self.file).st_size
        self.assertGreater(before, 1_200_000)
        self.sweep(most_bytes=600_000)
        self.assertLessEqual(self.used, 600_000)
        self.assertGreater(self.used, 500_000)
        self.assertLessEqual(os.stat(self.file).st_size, 600_000)
        calls, turns = self.keys("calls"), self.keys()
        self.assertEqual(calls, [key(number) for number in range(200 - len(calls), 200)])
        self.assertEqual(turns, calls)
        self.assertEqual([row[0] for row in self.look("SELECT call_key FROM content ORDER BY 1")], calls)
        self.assertEqual(self.nobodys(), 0)

    def test_size_unreachable(self) -> None:
        """A bound that an empty store is over empties it, and ends."""
        self.write(record for number in range(20) for record in (call(number), turn(number), content(number, b"x")))
        self.sweep(most_bytes=1)
        for table in ("calls", "turns", "content", "blobs", "blob_uses"):
            self.assertEqual(self.look(f"SELECT count(*) FROM {table}"), [(0,)])

    def test_size_of_turns_alone(self) -> None:
        """Turns without calls count too."""
        self.write(turn(number) for number in range(2000))
        self.sweep(most_bytes=400_000)
        self.assertLessEqual(self.used, 400_000)
        keys = self.keys()
        self.assertGreater(len(keys), 200)
        self.assertEqual(keys[-1], key(1999))

    def test_writer(self) -> None:
        """A writer looks at what is too old and too much when it starts."""
        self.write([turn(1), turn(2, started_us=at(2)), *(content(n, self.noise()) for n in range(100))])
        writer = self.writer(days=1, now_us=DAY_US + at(2))
        self.wait(writer, "SELECT (SELECT count(*) FROM turns), (SELECT count(*) FROM blobs)", (1, 98))
        writer.stop(SOON)
        writer = self.writer(megabytes=0.2)
        self.wait(writer, "SELECT page_count * 4096 <= 200000 FROM pragma_page_count", (1,))
        self.assertEqual((writer.lost, self.told), (0, []))

    def test_growth(self) -> None:
        """A writer that is handed much content does not wait for its time to look."""
        writer = self.writer(Pace(batch_s=0.001, sweep_s=10_000), megabytes=1)
        self.assertTrue(writer.flush(SOON))
        for number in range(400):
            writer.content(content(number, self.noise()))
        self.wait(writer, "SELECT page_count * 4096 <= 1100000 FROM pragma_page_count", (1,))
        self.assertIn((key(399),), self.look("SELECT call_key FROM content"))

    def test_sweep_fails(self) -> None:
        """A sweep that can't be is told, and costs no records."""

        def fail(*_: object) -> None:
            raise ZeroDivisionError("unforeseen")

        self.patch(retention, "_nobodys", fail)
        writer = self.writer()
        for number in range(3):
            writer.turn(turn(number))
            self.assertTrue(writer.flush(SOON))
        self.assertEqual(self.told, [("record.unswept", "warn", {"why": "ZeroDivisionError: unforeseen"})])
        self.assertEqual((len(self.keys()), writer.lost), (3, 0))

    def wait(self, writer: Writer, sql: str, wanted: tuple[object, ...]) -> None:
        """Each flush is a round of the writer's, which goes on with its sweep in each."""
        for _ in range(2000):
            self.assertTrue(writer.flush(SOON))
            if self.look(sql) == [wanted]:
                return
        self.fail(f"{self.look(sql)} is not {wanted}")
