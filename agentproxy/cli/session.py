"""`agentproxy session ID`: what one session was, and its turns in the order in which they began."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from agentproxy.cli.command import Command, Console
from agentproxy.cli.money import money, places
from agentproxy.cli.records import Records, Row, add_place, reading, session_of
from agentproxy.cli.sums import PARTLY, cost, is_part
from agentproxy.cli.tables import Column, Table, show
from agentproxy.cli.texts import count, joined, percent, text
from agentproxy.cli.times import duration, shown
from agentproxy.cli.words import ESTIMATED, write_json
from agentproxy.records.paging import Filter

_COLUMNS = (
    Column("time (UTC)"),
    Column("model"),
    Column("operation"),
    Column("sub-agent"),
    Column("input", right=True),
    Column("cached", right=True),
    Column("output", right=True),
    Column("reasoning", right=True),
    Column("cost", right=True),
    Column("first token", right=True),
    Column("duration", right=True),
    Column("status"),
    Column("tools"),
)
_ALL = 1_000_000


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the session's id, or the beginning of it")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_place(parser)


def _run(arguments: Namespace, console: Console) -> int:
    return reading(arguments, console, _session)


def _session(records: Records, arguments: Namespace, console: Console) -> None:
    session = session_of(records, arguments.id)
    turns = list(records.each_turn(Filter(session=session["session"])))
    if arguments.json:
        write_json({"session": session, "turns": turns}, console)
    else:
        show(table(session, turns), console)


def table(session: Row, turns: Sequence[Row]) -> Table:
    """:param session: the summary of these turns."""
    decimals = places(turn["cost_micro_usd"] for turn in turns)
    marked = any(turn["source"] != "reported" or turn["cost_micro_usd"] is None for turn in turns)
    return Table(
        _COLUMNS,
        [_cells(turn, decimals) for turn in turns],
        facts=list(_facts(session)),
        notes=[f"?  {ESTIMATED}"] if marked else [],
    )


def _facts(row: Row) -> Sequence[tuple[str, str]]:
    inferred = " (inferred: the agent did not name one)" if row["session_source"] == "inferred" else ""
    unsettled = f" ({row['unsettled']:,} estimated, refused or not known)" if row["unsettled"] else ""
    return (
        ("session", text(row["session"]) + inferred),
        ("agent", " ".join(str(part) for part in (row["agent"], row["agent_version"]) if part) or text(None)),
        ("directory", text(row["working_directory"])),
        ("models", joined(row["models"], most=20)),
        ("providers", joined(row["providers"], most=20)),
        ("seen", f"{shown(row['first_seen'])} to {shown(row['last_seen'])} UTC"),
        ("turns", count(row["turns"]) + unsettled),
        ("input", f"{count(row['input_tokens'])} tokens, {_cache(row)}"),
        ("output", f"{count(row['output_tokens'])} tokens, {count(row['reasoning_tokens'])} of them reasoning"),
        ("cost", cost(row) + (f" ({PARTLY})" if is_part(row) else "")),
        ("cache hit", percent(row["cache_hit"])),
    )


def _cache(row: Row) -> str:
    return f"{count(row['cache_read_tokens'])} of them cached, {count(row['cache_write_tokens'])} written to the cache"


def _cells(turn: Row, decimals: int) -> list[str]:
    mark = "" if turn["source"] == "reported" else "?"
    status, reason = turn["status"], turn["stop_reason"]
    return [
        shown(turn["started"]),
        text(turn["response_model"] or turn["request_model"]),
        text(turn["operation"]),
        text(turn["sub_agent"]),
        _tokens(turn["input_tokens"], mark),
        _tokens(turn["cache_read_tokens"], mark),
        _tokens(turn["output_tokens"], mark),
        _tokens(turn["reasoning_tokens"], mark),
        money(turn["cost_micro_usd"], decimals) + (mark if turn["cost_micro_usd"] is not None else ""),
        duration(turn["first_token_s"]),
        duration(turn["duration_s"]),
        f"{status} ({reason})" if reason and reason != status else text(status),
        joined(turn["tools"], most=_ALL),
    ]


def _tokens(number: int | None, mark: str) -> str:
    return mark or text(None) if number is None else count(number) + mark


SESSION = Command("session", "Show one session of the records and its turns.", _arguments, _run)
