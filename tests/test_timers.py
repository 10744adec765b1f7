"""`IdleTimer`: it comes after so long a quiet, once, and not a moment sooner."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.timers import IdleTimer


class IdleTimerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.fired: list[float] = []

    def timer(self, seconds: float) -> IdleTimer:
        return IdleTimer(self.clock, seconds, lambda: self.fired.append(self.clock.seconds()))

    def test_fires_once(self) -> None:
        """Without a touch it comes after its time, and then never again."""
        self.timer(10)
        self.clock.advance(9.5)
        self.assertEqual(self.fired, [])
        self.clock.advance(0.5)
        self.assertEqual(self.fired, [10])
        self.clock.pump([10] * 5)
        self.assertEqual(self.fired, [10])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_touch(self) -> None:
        """Its time counts from the last touch, the first and later ones."""
        timer = self.timer(10)
        self.clock.advance(4)
        timer.touch()
        self.clock.advance(5)
        timer.touch()
        self.clock.advance(9)
        self.assertEqual(self.fired, [])
        self.clock.advance(1)
        self.assertEqual(self.fired, [19])

    def test_touch_costs_no_call(self) -> None:
        """A touch schedules nothing: one call waits, however many there were."""
        timer = self.timer(10)
        for _ in range(100):
            self.clock.advance(1)
            timer.touch()
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_never(self) -> None:
        """0 seconds never come, and touching and cancelling are harmless."""
        timer = self.timer(0)
        timer.touch()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(1e9)
        timer.cancel()
        self.assertEqual(self.fired, [])

    def test_cancel(self) -> None:
        """A cancelled timer leaves nothing behind; twice is harmless, and a late touch revives nothing."""
        timer = self.timer(10)
        self.clock.advance(9)
        timer.cancel()
        timer.cancel()
        timer.touch()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(self.fired, [])

    def test_cancel_after_rescheduling(self) -> None:
        """What waits anew after a touch is cancelled too."""
        timer = self.timer(10)
        self.clock.advance(5)
        timer.touch()
        self.clock.advance(5)
        timer.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel_when_fired(self) -> None:
        """It may be cancelled after it came, and while it does."""
        timers: list[IdleTimer] = []

        def fire() -> None:
            self.fired.append(self.clock.seconds())
            timers[0].cancel()

        timers.append(IdleTimer(self.clock, 1, fire))
        self.clock.advance(1)
        timers[0].cancel()
        self.assertEqual(self.fired, [1])

    @settings(derandomize=True, deadline=None, database=None)
    @given(st.lists(st.floats(0.01, 9.9), max_size=20), st.floats(10, 20))
    def test_any_touches(self, waits: list[float], seconds: float) -> None:
        """Whenever it is touched in time, it comes a whole time after the last one."""
        self.setUp()
        timer = self.timer(seconds)
        for wait in waits:
            self.clock.advance(wait)
            timer.touch()
        last = self.clock.seconds()
        self.assertEqual(self.fired, [])
        self.clock.advance(seconds - 0.001)
        self.assertEqual(self.fired, [])
        self.clock.advance(0.002)
        self.assertEqual(len(self.fired), 1)
        self.assertTrue(abs(self.fired[0] - last - seconds) < 0.01)
