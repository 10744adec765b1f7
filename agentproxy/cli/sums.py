"""Sums of turns as cells of a table, and what the marks in them mean."""

from __future__ import annotations

from collections.abc import Sequence

from agentproxy.cli.money import money
from agentproxy.cli.records import Row
from agentproxy.cli.texts import count

UNSETTLED = "so many of them ended without the provider's word on usage: estimated, refused, or not known"
UNPRICED = "the price is not known"
PARTLY = "and more: the price of some turns is not known"


def turns(row: Row) -> str:
    """How many turns, and of how many of them the usage is not the provider's word."""
    return count(row["turns"]) + (f" ({row['unsettled']:,}?)" if row["unsettled"] else "")


def cost(row: Row, decimals: int | None = None) -> str:
    """What they cost, or at least did."""
    return money(row["cost_micro_usd"], decimals, partly=is_part(row))


def marks(rows: Sequence[Row]) -> list[str]:
    """What the marks in these rows mean."""
    notes = [f"(n?)  {UNSETTLED}"] if any(row["unsettled"] for row in rows) else []
    notes += [f"?  {UNPRICED}"] if any(row["cost_micro_usd"] is None for row in rows) else []
    notes += [f">=  {PARTLY}"] if any(map(is_part, rows)) else []
    return notes


def is_part(row: Row) -> bool:
    """Whether the cost is that of some of the turns: the price of others is not known."""
    return bool(row["unpriced_turns"]) and row["cost_micro_usd"] is not None
