"""Times that records are asked for by: a date, a date and a time, or how long ago. UTC, unless they say otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WANTED = "a date (2026-11-21), a date and time (2026-11-21T10:00:00Z) or how long ago (15m, 24h, 7d, 2w)"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
# RFC 3339, 5.6, of which the zone may be missing, as may the time and its seconds.
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:[Zz]|([+-])(\d\d):(\d\d))?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class When:
    """
    A moment as it was asked for: one of the two.

    :ivar at_us: microseconds since 1970.
    :ivar ago_us: microseconds before now.
    """

    at_us: int | None = None
    ago_us: int | None = None

    def microseconds(self, now_s: float) -> int:
        """Since 1970. :param now_s: seconds since 1970."""
        return self.at_us if self.at_us is not None else round(now_s * 1_000_000) - (self.ago_us or 0)


def when(text: str) -> When:
    """
    What a user means by this: a date is its midnight, a time without a zone is UTC.

    :raises ValueError: with a sentence that says what is wanted.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return When(ago_us=int(ago[1]) * _SECONDS[ago[2]] * 1_000_000)
    date = _DATE.fullmatch(text)
    try:
        return When(at_us=_microseconds(date)) if date else _refuse(text)
    except (ValueError, OverflowError):
        return _refuse(text)


def _refuse(text: str) -> When:
    raise ValueError(f"want {WANTED}, got {text!r}")


def _microseconds(date: re.Match[str]) -> int:
    year, month, day, hour, minute, second = (int(part or 0) for part in date.groups()[:6])
    # RFC 3339 writes leap seconds, which this calendar does not have: it is the second behind 59.
    leap = second == 60
    moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    offset = timedelta()
    if date[8]:
        if int(date[9]) > 23 or int(date[10]) > 59:
            raise ValueError("no such zone")
        offset = timedelta(hours=int(date[9]), minutes=int(date[10])) * (1 if date[8] == "+" else -1)
    fraction = int(((date[7] or "") + "000000")[:6])
    # Before the year 1, and behind 9999, there is no calendar: that overflows.
    since = moment - offset + timedelta(seconds=leap) - _EPOCH
    return since // timedelta(microseconds=1) + fraction
