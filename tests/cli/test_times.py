"""How times and durations are shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.times import duration, shown


class ShownTests(SynchronousTestCase):
    def test_time(self) -> None:
        """A time is shown to the second."""
        self.assertEqual(shown("2026-11-21T09:00:00.999999Z"), "2026-11-21 09:00:00")

    def test_duration(self) -> None:
        """Three digits or so; never sixty seconds or minutes, whatever is rounded."""
        for seconds, text in (
            (None, "-"), (0, "0.00s"), (0.0042, "0.00s"), (0.4213, "0.42s"), (9.99, "9.99s"), (9.996, "10.0s"),
            (12.34, "12.3s"), (59.94, "59.9s"), (59.96, "1m00s"), (185, "3m05s"), (3599.4, "59m59s"),
            (3599.6, "1h00m"), (3600, "1h00m"), (7325, "2h02m"), (360000, "100h00m"),
        ):  # fmt: skip
            with self.subTest(seconds):
                self.assertEqual(duration(seconds), text)
