"""`agentproxy usage --by WHAT`: tokens and money by day, model, agent, session or provider, and in all."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import get_args

from agentproxy.cli.command import Command, Console
from agentproxy.cli.filters import add_filters, chosen
from agentproxy.cli.money import places
from agentproxy.cli.records import Records, Row, add_place, all_rows, reading
from agentproxy.cli.sums import cost, marks, turns
from agentproxy.cli.tables import Column, Table, show
from agentproxy.cli.texts import count, percent, text
from agentproxy.cli.words import write_json
from agentproxy.records.paging import By
from agentproxy.records.shapes import hit

BY = get_args(By)
_SUMS = (
    "turns",
    "unsettled",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_micro_usd",
    "unpriced_turns",
)
_NUMBERS = ("turns", "input", "output", "cached", "cache written", "reasoning", "cost", "cache hit")


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--by", choices=BY, default="day", help="what to sum by (day, in UTC)")
    add_filters(parser, "session", "agent", "provider", "model", "status")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_place(parser)


def _run(arguments: Namespace, console: Console) -> int:
    return reading(arguments, console, _usage)


def _usage(records: Records, arguments: Namespace, console: Console) -> None:
    wanted = chosen(arguments, console, records)
    rows, _ = all_rows(lambda limit, after: records.usage(arguments.by, wanted, limit=limit, after=after), 0)
    if arguments.json:
        write_json({"usage": rows, "total": total(rows)}, console)
    elif not rows:
        print("no turns in the records, or none that is asked for", file=console.out)
    else:
        show(table(arguments.by, rows), console)


def total(rows: Sequence[Row]) -> Row:
    """The rows in one; what no row knows is ``None``, the cache's share is of all input."""
    sums: Row = {}
    for name in _SUMS:
        known = [row[name] for row in rows if row[name] is not None]
        # Of no turns at all the cost is known, too.
        sums[name] = sum(known) if known or not rows else None
    return {**sums, "cache_hit": hit(sums["cache_read_tokens"], sums["input_tokens"])}


def table(by: str, rows: Sequence[Row]) -> Table:
    """:param by: the name of the rows' first value."""
    every = total(rows)
    decimals = places(row["cost_micro_usd"] for row in [*rows, every])
    return Table(
        [Column("day (UTC)" if by == "day" else by), *(Column(name, right=True) for name in _NUMBERS)],
        [[text(row[by]), *_cells(row, decimals)] for row in rows],
        total=["total", *_cells(every, decimals)],
        notes=marks([*rows, every]),
    )


def _cells(row: Row, decimals: int) -> list[str]:
    return [
        turns(row),
        count(row["input_tokens"]),
        count(row["output_tokens"]),
        count(row["cache_read_tokens"]),
        count(row["cache_write_tokens"]),
        count(row["reasoning_tokens"]),
        cost(row, decimals),
        percent(row["cache_hit"]),
    ]


USAGE_OF = Command("usage", "Sum up tokens and money by day, model, agent, session or provider.", _arguments, _run)
