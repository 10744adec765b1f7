"""`Waits`: each comes after so long a quiet, once, and not a moment sooner; all share one scheduled call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.timers import Wait, Waits


class WaitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.fired: list[float] = []

    def timer(self, seconds: float) -> Wait:
        self.waits = Waits(self.clock, seconds)
        return self.waits.begin(lambda: self.fired.append(self.clock.seconds()))

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
        self.assertEqual(self.waits.running, 0)
        self.clock.advance(100)
        self.assertEqual(self.fired, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel_after_rescheduling(self) -> None:
        """What waits anew after a touch is cancelled too."""
        timer = self.timer(10)
        self.clock.advance(5)
        timer.touch()
        self.clock.advance(5)
        timer.cancel()
        self.clock.advance(100)
        self.assertEqual((self.fired, self.clock.getDelayedCalls()), ([], []))

    def test_cancel_when_fired(self) -> None:
        """It may be cancelled after it came, and while it does."""
        timers: list[Wait] = []

        def fire() -> None:
            self.fired.append(self.clock.seconds())
            timers[0].cancel()

        timers.append(Waits(self.clock, 1).begin(fire))
        self.clock.advance(1)
        timers[0].cancel()
        self.assertEqual(self.fired, [1])

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

    def test_share_a_call(self) -> None:
        """Many timers are one scheduled call, and each comes in its own time, the touched one later."""
        waits, names = Waits(self.clock, 10), []
        for name in "abc":
            waits.begin(lambda name=name: names.append((name, self.clock.seconds())))
            self.clock.advance(1)
        last = waits.begin(lambda: names.append(("d", self.clock.seconds())))
        self.clock.advance(2)
        last.touch()
        for _ in range(40):
            self.assertEqual(len(self.clock.getDelayedCalls()), 1 if waits.running else 0)
            self.clock.advance(0.5)
        self.assertEqual(names, [("a", 10), ("b", 11), ("c", 12), ("d", 15)])

    def test_one_raises(self) -> None:
        """One that raises keeps no other from coming."""
        waits = Waits(self.clock, 10)

        def wrong() -> None:
            raise ValueError

        waits.begin(wrong)
        waits.begin(lambda: self.fired.append(self.clock.seconds()))
        with self.assertRaises(ValueError):
            self.clock.advance(10)
        self.clock.advance(0)
        self.assertEqual(self.fired, [10])

    def test_begun_anew(self) -> None:
        """One that begins another as it comes, or ends its neighbour, does no harm."""
        waits = Waits(self.clock, 10)

        def again() -> None:
            self.fired.append(self.clock.seconds())
            neighbour.cancel()
            if len(self.fired) < 3:
                waits.begin(again)

        waits.begin(again)
        neighbour = waits.begin(lambda: self.fired.append(-1))
        self.clock.pump([10] * 5)
        self.assertEqual((self.fired, waits.running, self.clock.getDelayedCalls()), ([10, 20, 30], 0, []))

    def test_close(self) -> None:
        """Closed, none comes and nothing is scheduled."""
        self.timer(10)
        self.waits.close()
        self.assertEqual((self.waits.running, self.clock.getDelayedCalls()), (0, []))
        self.clock.advance(20)
        self.assertEqual(self.fired, [])

    def test_begun_while_another_waits(self) -> None:
        """One that begins another as it comes keeps none that is due before it from coming in time."""
        waits = Waits(self.clock, 10)
        waits.begin(lambda: waits.begin(lambda: self.fired.append(self.clock.seconds())))
        self.clock.advance(1)
        waits.begin(lambda: self.fired.append(self.clock.seconds()))
        self.clock.pump([0.5] * 60)
        self.assertEqual(self.fired, [11, 20])
