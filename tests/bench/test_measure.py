"""One round: what is made of the load's lines, and what the peer used meanwhile."""

from __future__ import annotations

import json
import os
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench.measure import Wrong, judged, measure
from bench.results import Measured

GOOD = {
    "event": "result",
    "operations": 10,
    "seconds": 0.5,
    "checked": 10,
    "wrong": 0,
    "why": None,
    "values": {"p50_ms": 1, "generator": "wrk"},
}
BEGIN = 'print(\'{"event": "begin"}\', flush=True)'
END = 'print(\'{"event": "end"}\', flush=True)'
RESULT = f"print({json.dumps(GOOD)!r})"


class MeasureTests(SynchronousTestCase):
    def run_load(self, *lines: str) -> Measured:
        """Measure this process under a load that is these lines of Python."""
        return measure([sys.executable, "-c", "\n".join(lines)], [], lambda: [os.getpid()], 1, os.getcwd())

    def assert_wrong(self, why: str, *lines: str) -> None:
        with self.assertRaises(Wrong) as caught:
            self.run_load(*lines)
        self.assertIn(why, str(caught.exception))

    def test_result(self) -> None:
        """The load's figures, with the peer's CPU and growth between begin and end."""
        measured = self.run_load(BEGIN, "import time; time.sleep(0.1)", END, RESULT)
        self.assertEqual((measured.operations, measured.seconds, measured.checked), (10, 0.5, 10))
        self.assertEqual(measured.values, {"p50_ms": 1.0})
        self.assertEqual(measured.notes, ("generator: wrk",))
        self.assertGreater(measured.cpu_seconds, 0)
        self.assertLess(measured.cpu_seconds, 0.1)

    def test_broken(self) -> None:
        """A load that breaks fails the round with what it said last."""
        self.assert_wrong("ended with 1: ", BEGIN, "raise SystemExit('no port left')")
        self.assert_wrong("no port left", BEGIN, "raise SystemExit('no port left')")

    def test_silent(self) -> None:
        """No result, no window, no JSON: no figures."""
        self.assert_wrong("the load gave no result", BEGIN, END)
        self.assert_wrong("did not say when it began", RESULT)
        self.assert_wrong("the load said b'hello'", "print('hello')")
        self.assert_wrong("the load said b'[1]'", "print([1])")

    def test_wrong(self) -> None:
        """A wrong answer fails, with the first reason; so does having answered nothing."""
        used = (0.1, 0, 0)
        for change, why in (
            ({"wrong": 1, "why": "byte 3"}, "byte 3"),
            ({"wrong": 2, "why": None}, "2 wrong answers"),
            ({"checked": 0}, "nothing was answered"),
            ({"operations": 0}, "nothing was answered"),
            ({"seconds": 0}, "nothing was answered"),
        ):
            with self.assertRaises(Wrong) as caught:
                judged({**GOOD, **change}, used)
            self.assertEqual(str(caught.exception), why)
        self.assertEqual(judged(dict(GOOD), used).cpu_seconds, 0.1)

    def test_growth(self) -> None:
        """Growth is that at the peak, also where all is given back before the end."""
        script = f"""
import sys, time
{BEGIN}
time.sleep(0.1)
held = bytearray(b"x") * 30_000_000
time.sleep(0.15)
del held
time.sleep(0.05)
{END}
{RESULT}
"""
        pid: list[int] = []

        def pids() -> list[int]:
            # The load itself stands in for a peer: it is our only child.
            from bench.machine import descendants

            pid[:] = descendants(os.getpid())
            return pid

        measured = measure([sys.executable, "-c", script], [], pids, 1, os.getcwd())
        self.assertGreater(measured.growth_bytes, 25_000_000)
        self.assertLess(measured.growth_bytes, 60_000_000)
        self.assertGreater(measured.resident_bytes, measured.growth_bytes + 1_000_000)
