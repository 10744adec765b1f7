"""How times and durations are shown on the command line. All are UTC."""

from __future__ import annotations


def shown(moment: object) -> str:
    """A record's time (``2026-11-21T10:00:00.123456Z``) for a table: to the second, without the zone."""
    text = str(moment)
    return f"{text[:10]} {text[11:19]}"


def duration(seconds: float | None) -> str:
    """``0.42s``, ``12.3s``, ``3m05s``, ``1h02m``; ``-`` where it is not known."""
    if seconds is None:
        return "-"
    # Each form ends where rounding would give it a digit too many.
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    minutes = whole // 60
    return f"{minutes // 60}h{minutes % 60:02}m"
