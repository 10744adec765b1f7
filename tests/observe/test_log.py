"""The event log: what a line looks like, when it is written, what happens when it can't be."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.call import Secret
from agentproxy.observe.log import FLUSH_CHARACTERS, FLUSH_SECONDS, EventLog, json_line, text_line

NOON = 1767323045.678  # 2026-01-02T03:04:05.678Z
STAMP = "2026-01-02T03:04:05.678Z"


class Broken:
    """A file that fails until it is mended."""

    def __init__(self) -> None:
        self.error: Exception | None = BrokenPipeError(32, "Broken pipe")
        self.text = ""

    def write(self, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.text += text


class EventLogTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.now = NOON
        self.written = []

    def log(self, **options):
        return EventLog(self.written.append, clock=self.clock, wall=lambda: self.now, **options)

    def lines(self):
        return [json.loads(line) for line in "".join(self.written).splitlines()]

    def test_line(self):
        """A line is one JSON object: time, level, event, then the keys in their order."""
        log = self.log()
        log.emit("call.end", id="a", status=200, close=None, duration_s=0.25)
        log.flush()
        self.assertEqual(
            self.written,
            [
                f'{{"time":"{STAMP}","level":"info","event":"call.end",'
                '"id":"a","status":200,"close":null,"duration_s":0.25}\n'
            ],
        )

    def test_no_keys(self):
        """An event without keys is a whole object too."""
        log = self.log()
        log.emit("service.stop", "warn")
        log.flush()
        self.assertEqual(self.lines(), [{"time": STAMP, "level": "warn", "event": "service.stop"}])

    def test_time(self):
        """Milliseconds are rounded, carried into the second, and always three digits."""
        log = self.log()
        for now in (NOON, 1767323045.9996, 1767323046.0004, 1767323046.0074, 0.0):
            self.now = now
            log.emit("x")
        log.flush()
        self.assertEqual(
            [line["time"] for line in self.lines()],
            [
                STAMP,
                "2026-01-02T03:04:06.000Z",
                "2026-01-02T03:04:06.000Z",
                "2026-01-02T03:04:06.007Z",
                "1970-01-01T00:00:00.000Z",
            ],
        )

    def test_buffered(self):
        """Lines wait for one timer and are written together, in order; then the next line sets the next timer."""
        log = self.log()
        log.emit("one")
        self.clock.advance(FLUSH_SECONDS / 2)
        log.emit("two")
        self.assertEqual(self.written, [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(FLUSH_SECONDS / 2)
        self.assertEqual(len(self.written), 1)
        self.assertEqual([line["event"] for line in self.lines()], ["one", "two"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        log.emit("three")
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(len(self.written), 2)

    def test_full(self):
        """Much text is written before its timer, which then finds nothing to do."""
        log = self.log()
        log.emit("x", text="y" * FLUSH_CHARACTERS)
        log.emit("x", text="y" * FLUSH_CHARACTERS)
        self.assertEqual(len(self.written), 2)
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(len(self.written), 2)

    def test_flush(self):
        """A flush writes at once and leaves no timer behind; with nothing waiting it writes nothing."""
        log = self.log()
        log.emit("x")
        log.flush()
        log.flush()
        self.assertEqual(len(self.written), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed(self):
        """After the close every line is written at once, for no timer will come any more."""
        log = self.log()
        log.emit("one")
        log.close()
        log.emit("two")
        self.assertEqual(len(self.written), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_levels(self):
        """What is below the level is not written, and sets no timer."""
        log = self.log(level="warn")
        log.emit("a", "debug")
        log.emit("b")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        log.emit("c", "warn")
        log.emit("d", "error")
        log.flush()
        self.assertEqual([line["event"] for line in self.lines()], ["c", "d"])
        self.assertEqual(
            [log.enabled(level) for level in ("debug", "info", "warn", "error")], [False, False, True, True]
        )

    def test_write_fails(self):
        """A write that fails is counted by its lines and not raised; a later one goes through."""
        file = Broken()
        log = EventLog(file.write, clock=self.clock, wall=lambda: NOON)
        log.emit("one")
        log.emit("two")
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(log.lost, 2)
        file.error = OSError(28, "No space left on device")
        log.emit("three")
        log.flush()
        self.assertEqual(log.lost, 3)
        file.error = None
        log.emit("four")
        log.flush()
        self.assertEqual(json.loads(file.text)["event"], "four")
        self.assertEqual(log.lost, 3)

    def test_odd_clock(self):
        """A time that can't be written loses the line, and raises nothing."""
        log = EventLog(self.written.append, clock=self.clock, wall=lambda: float("inf"))
        log.emit("x")
        self.assertEqual(log.lost, 1)

    def test_odd_values(self):
        """What JSON can't hold is replaced, not raised, and no object shows more than its type."""
        cycle = {}
        cycle["self"] = cycle
        log = self.log()
        log.emit(
            "x", secret=Secret("hunter2hunter2"), raw=b"a\xff\n", many={1, 2}, inf=float("inf"), keys={(1,): 2, 3: 4}
        )
        log.emit("y", cycle=cycle)
        log.flush()
        self.assertEqual(log.lost, 0)
        first, second = self.lines()
        self.assertEqual(first["secret"], "<Secret>")
        self.assertEqual(first["raw"], "a\\xff\n")
        self.assertEqual(first["many"], "<set>")
        self.assertIsNone(first["inf"])
        self.assertEqual(first["keys"], {"<tuple>": 2, "3": 4})
        self.assertIn("self", second["cycle"])
        self.assertNotIn("hunter2", "".join(self.written))

    def test_text(self):
        """The text format quotes what is not plain, and what would read as another type."""
        log = self.log(format="text")
        log.emit(
            "call.end", id="a-1", path="/v1/x", reason="a b", empty="", none=None, word="null", close={"code": 1000}
        )
        log.flush()
        self.assertEqual(
            self.written,
            [
                f'{STAMP} info call.end id=a-1 path=/v1/x reason="a b" empty="" none=null word="null" '
                'close={"code":1000}\n'
            ],
        )

    def test_text_injection(self):
        """A value can't forge a line or a key of the text format."""
        log = self.log(format="text")
        log.emit("x", path='/a\n2026 info call.end id=forged "quoted" \x1b[31m\x7f\x85\u2028')
        log.flush()
        self.assertEqual(
            self.written[0],
            f'{STAMP} info x path="/a\\n2026 info call.end id=forged \\"quoted\\" \\u001b[31m\\u007f\\u0085\\u2028"\n',
        )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class LinePropertyTests(SynchronousTestCase):
    @settings(max_examples=200)
    @given(st.text(), st.dictionaries(st.text().filter(lambda key: key not in ("time", "level", "event")), VALUES))
    def test_json(self, event, keys):
        """Whatever the values, a line is printable ASCII but for its end, and gives them back."""
        line = json_line(STAMP, "info", event, keys)
        self.assertTrue(line[:-1].isascii() and line[:-1].isprintable() and line.endswith("\n"))
        self.assertEqual(json.loads(line), {"time": STAMP, "level": "info", "event": event, **keys})

    @settings(max_examples=200)
    @given(st.text(), st.dictionaries(st.text(), VALUES))
    def test_text(self, event, keys):
        """Whatever the values, a line of text is printable ASCII but for its end."""
        line = text_line(STAMP, "info", event, keys)
        self.assertTrue(line[:-1].isascii() and line[:-1].isprintable() and line.endswith("\n"))
