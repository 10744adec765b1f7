"""The options that choose records, the same for all commands that have them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from agentproxy.cli.command import USAGE, Console
from agentproxy.cli.records import Finding, Records, session_id
from agentproxy.records.paging import Filter
from agentproxy.records.times import When, when

_HELP = {
    "session": ("ID", "of this session only: its id, or the beginning of it"),
    "agent": ("NAME", "of this agent only"),
    "provider": ("NAME", "of this provider only"),
    "model": ("NAME", "of this model only, asked for or answering"),
    "status": ("STATUS", "of this status only: a turn's such as completed, or a call's such as 200"),
}


def add_filters(parser: ArgumentParser, *names: str) -> None:
    """``--since``, ``--until``, and those of `session`, `agent`, `provider`, `model` and `status` that are named."""
    parser.add_argument("--since", metavar="T", type=_when, help="from then on: 2026-11-21, 2026-11-21T10:00Z, 24h, 7d")
    parser.add_argument("--until", metavar="T", type=_when, help="before then")
    for name in names:
        metavar, text = _HELP[name]
        parser.add_argument(f"--{name}", metavar=metavar, help=text)


def _when(text: str) -> When:
    try:
        return when(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def number(text: str) -> int:
    """An argument that is a number from 0 on."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ArgumentTypeError(f"want a number from 0 to 999999999, got {text!r}")
    return int(text)


def chosen(arguments: Namespace, console: Console, records: Records) -> Filter:
    """
    The filter that the options ask for.

    :raises Finding: the time ends before it begins, or there is no such session.
    """
    now = console.wall()
    since, until = (
        None if moment is None else moment.microseconds(now) for moment in (arguments.since, arguments.until)
    )
    if since is not None and until is not None and since >= until:
        raise Finding("--since is not before --until", USAGE)
    session = getattr(arguments, "session", None)
    return Filter(
        since_us=since,
        until_us=until,
        session=None if session is None else session_id(records, session),
        **{name: getattr(arguments, name, None) for name in ("agent", "provider", "model", "status")},
    )
