"""Micro-dollars as dollars: exact, by integer arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterable

UNKNOWN = "?"


def places(amounts: Iterable[int | None]) -> int:
    """Decimals with which all of these are exact: four, or six where one of them needs it."""
    return 4 if all((amount or 0) % 100 == 0 for amount in amounts) else 6


def money(micro_usd: int | None, decimals: int | None = None, *, partly: bool = False) -> str:
    """
    An amount for a reader: ``$0.0123``, ``$1,234.000005``.

    :param micro_usd: millionths of a US dollar; ``None``: not known.
    :param decimals: as `places` says of the whole column; of this amount alone where not given.
    :param partly: there is more whose price is not known: ``>= $0.0123``.
    """
    if micro_usd is None:
        return UNKNOWN
    dollars, rest = divmod(abs(micro_usd), 1_000_000)
    fraction = f"{rest:06}"[: places([micro_usd]) if decimals is None else decimals]
    return f"{'>= ' if partly else ''}{'-' if micro_usd < 0 else ''}${dollars:,}.{fraction}"
