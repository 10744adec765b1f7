"""`agentproxy sessions`: which sessions there were, the latest first, and what each took."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from agentproxy.cli.command import Command, Console
from agentproxy.cli.filters import add_filters, chosen, number
from agentproxy.cli.money import places
from agentproxy.cli.records import Records, Row, add_place, all_rows, reading
from agentproxy.cli.sums import cost, marks, turns
from agentproxy.cli.tables import Column, Table, show
from agentproxy.cli.texts import count, joined, percent, text
from agentproxy.cli.times import shown
from agentproxy.cli.words import INFERRED, write_json

_COLUMNS = (
    Column("session"),
    Column("agent"),
    Column("model"),
    Column("turns", right=True),
    Column("input", right=True),
    Column("output", right=True),
    Column("cost", right=True),
    Column("cache hit", right=True),
    Column("last seen (UTC)"),
)


def _arguments(parser: ArgumentParser) -> None:
    add_filters(parser, "agent", "provider", "model")
    parser.add_argument("--limit", metavar="N", type=number, default=50, help="at most so many (50); 0: all")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_place(parser)


def _run(arguments: Namespace, console: Console) -> int:
    return reading(arguments, console, _sessions)


def _sessions(records: Records, arguments: Namespace, console: Console) -> None:
    wanted = chosen(arguments, console, records)
    rows, more = all_rows(lambda limit, after: records.sessions(wanted, limit=limit, after=after), arguments.limit)
    if arguments.json:
        write_json({"sessions": rows}, console)
    elif not rows:
        print("no sessions in the records, or none that is asked for", file=console.out)
    else:
        show(table(rows, more), console)


def table(rows: Sequence[Row], more: bool = False) -> Table:
    """:param rows: summaries of sessions; ``more``: whether there are more than these."""
    decimals = places(row["cost_micro_usd"] for row in rows)
    notes = [f"~  {INFERRED}"] if any(_inferred(row) for row in rows) else []
    notes += marks(rows)
    notes += [f"{len(rows)} shown, there are more: --limit 0 shows all"] if more else []
    return Table(_COLUMNS, [_cells(row, decimals) for row in rows], notes=notes)


def _inferred(row: Row) -> bool:
    return bool(row["session_source"] == "inferred")


def _cells(row: Row, decimals: int) -> list[str]:
    return [
        ("~" if _inferred(row) else "") + text(row["session"]),
        text(row["agent"]),
        joined(row["models"]),
        turns(row),
        count(row["input_tokens"]),
        count(row["output_tokens"]),
        cost(row, decimals),
        percent(row["cache_hit"]),
        shown(row["last_seen"]),
    ]


SESSIONS = Command("sessions", "List the sessions of the records, the latest first.", _arguments, _run)
