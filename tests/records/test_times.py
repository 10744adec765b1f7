"""What a time may be by which records are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.records.times import when
from tests.cli.fakes import NOW

DAY_US = 86_400_000_000
MIDNIGHT_US = round(NOW * 1_000_000) - 10 * 3_600_000_000
"""2026-11-21T00:00:00Z."""


class WhenTests(SynchronousTestCase):
    def test_dates(self) -> None:
        """A date is its midnight, a time without a zone UTC; fractions finer than a microsecond are cut."""
        for text, microseconds in (
            ("1970-01-01", 0),
            ("1969-12-31", -DAY_US),
            ("2026-11-21", MIDNIGHT_US),
            ("2026-11-21T10:00", round(NOW * 1_000_000)),
            ("2026-11-21 10:00:00", round(NOW * 1_000_000)),
            ("2026-11-21t10:00:00z", round(NOW * 1_000_000)),
            ("2026-11-21T10:00:00.5Z", round(NOW * 1_000_000) + 500_000),
            ("2026-11-21T10:00:00.1234569Z", round(NOW * 1_000_000) + 123_456),
            ("2026-11-21T12:30:00+02:30", round(NOW * 1_000_000)),
            ("2026-11-21T09:00:00-01:00", round(NOW * 1_000_000)),
            ("2024-02-29", 1_709_164_800_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ):
            with self.subTest(text):
                self.assertEqual(when(text).microseconds(0), microseconds)

    def test_ago(self) -> None:
        """Seconds, minutes, hours, days and weeks before now."""
        for text, seconds in (("0s", 0), ("30s", 30), ("15m", 900), ("24h", 86400), ("7d", 604800), ("2w", 1209600)):
            with self.subTest(text):
                self.assertEqual(when(text).microseconds(NOW), round((NOW - seconds) * 1_000_000))

    def test_wrong(self) -> None:
        """All else is refused with a sentence that says what is wanted."""
        for text in (
            "", "yesterday", "7", "d", "-7d", "7 d", "1.5h", "7y", "\u0667d", "9999999999d", "2026", "2026-11",
            "2026-13-01", "2026-02-30", "0000-01-01", "2026-11-21T", "2026-11-21T10", "2026-11-21T25:00",
            "2026-11-21T10:61", "2026-11-21T10:00:61Z", "2026-11-21T10:00:00+24:00", "2026-11-21T10:00:00+01:60",
            "2026-11-21T10:00:00+1", "2026-11-21T10:00:00 UTC", "2026-11-21Z", "21.11.2026", "\uff12026-11-21",
            "2026-11-21\n", "15m\n",
        ):  # fmt: skip
            with self.subTest(text):
                error = self.assertRaises(ValueError, when, text)
                self.assertEqual(
                    str(error),
                    "want a date (2026-11-21), a date and time (2026-11-21T10:00:00Z) or how long ago "
                    f"(15m, 24h, 7d, 2w), got {text!r}",
                )

    @given(st.datetimes(timezones=st.just(UTC)), st.integers(-1439, 1439))
    def test_any_date(self, moment: datetime, offset: int) -> None:
        """Any moment of any zone is found again."""
        sign, minutes = "-" if offset < 0 else "+", abs(offset)
        text = moment.replace(tzinfo=None).isoformat() + f"{sign}{minutes // 60:02}:{minutes % 60:02}"
        expected = moment - datetime(1970, 1, 1, tzinfo=UTC)
        self.assertEqual(when(text).microseconds(0), expected // timedelta(microseconds=1) - offset * 60_000_000)
