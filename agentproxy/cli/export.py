"""`agentproxy export`: turns as lines of JSON or CSV, calls as an HTTP Archive. One record at a time is in memory."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from agentproxy.cli.command import Command, Console
from agentproxy.cli.filters import add_filters, chosen
from agentproxy.cli.lines import csv_head, csv_line, json_line
from agentproxy.cli.output import output
from agentproxy.cli.records import Records, add_place, reading
from agentproxy.cli.texts import encodable
from agentproxy.cli.words import as_json
from agentproxy.records import har
from agentproxy.records.paging import Filter


def _arguments(parser: ArgumentParser) -> None:
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--format",
        choices=("jsonl", "har", "csv"),
        default="jsonl",
        help="turns as jsonl (default) or csv, or calls as har, with what was said where that is recorded",
    )
    kind.add_argument("--json", action="store_const", const="jsonl", dest="format", help="as --format jsonl")
    add_filters(parser, "session", "agent", "provider", "model", "status")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, once it is whole; else to standard output")
    add_place(parser)


def _run(arguments: Namespace, console: Console) -> int:
    return reading(arguments, console, _export)


def _export(records: Records, arguments: Namespace, console: Console) -> None:
    pieces = {"jsonl": _jsonl, "csv": _csv, "har": _har}[arguments.format](records, chosen(arguments, console, records))
    with output(arguments.output, console) as file:
        for piece in pieces:
            file.write(encodable(piece, file.encoding))


def _jsonl(records: Records, wanted: Filter) -> Iterator[str]:
    return (json_line(turn) for turn in records.each_turn(wanted))


def _csv(records: Records, wanted: Filter) -> Iterator[str]:
    yield csv_head()
    for turn in records.each_turn(wanted):
        yield csv_line(turn)


def _har(records: Records, wanted: Filter) -> Iterator[str]:
    return har.document((har.entry(call, records.content(call["id"])) for call in records.each_call(wanted)), as_json)


EXPORT = Command("export", "Write turns as JSON lines or CSV, or calls as an HTTP Archive.", _arguments, _run)
