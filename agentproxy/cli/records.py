"""Where the records are, and how a command reads them: what is wrong with them is a sentence and an exit code."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from agentproxy import config
from agentproxy.cli.command import FINDING, OK, Console
from agentproxy.cli.texts import printable
from agentproxy.records.errors import AmbiguousSession, NoRecords
from agentproxy.records.paging import Filter, Page

FILE = "records.sqlite"
_AT_ONCE = 500
_LISTED = 10

Row = dict[str, Any]


class Records(Protocol):
    """What the commands need of `agentproxy.records.queries.Store`."""

    def sessions(self, filter: Filter, *, limit: int = ..., after: str | None = ...) -> Page: ...
    def session(self, session: str) -> Row | None: ...
    def usage(self, by: Any, filter: Filter, *, limit: int = ..., after: str | None = ...) -> Page: ...
    def calls(self, filter: Filter, *, limit: int = ..., after: str | None = ...) -> Page: ...
    def each_turn(self, filter: Filter) -> Iterator[Row]: ...
    def each_call(self, filter: Filter) -> Iterator[Row]: ...
    def content(self, call_key: str) -> list[Row]: ...
    def close(self) -> None: ...


class Finding(Exception):
    """:ivar code: what to exit with; its text is the line that says why, or several."""

    def __init__(self, text: str, code: int = FINDING) -> None:
        super().__init__(text)
        self.code = code


def add_place(parser: ArgumentParser) -> None:
    """The options that say where the records are."""
    parser.add_argument("-c", "--config", metavar="FILE", help="configuration of the service whose records these are")
    parser.add_argument("--records", metavar="DIR", help="the records' directory, instead of the configuration's")


def records_file(arguments: Namespace, console: Console) -> Path:
    """
    The file of the records.

    :raises Finding: the configuration is wrong.
    """
    if arguments.records is not None:
        given = Path(arguments.records)
        # One that was set aside has another name.
        return given if given.is_file() else given / FILE
    try:
        settings = config.load(arguments.config, console.environ)
    except config.ConfigError as error:
        raise Finding(str(error)) from None
    return Path(settings.record.directory) / FILE


def reading(arguments: Namespace, console: Console, use: Callable[[Records, Namespace, Console], None]) -> int:
    """
    Open the records, have them used, close them.

    :returns: the exit code; what went wrong is on the console's ``err`` by then.
    """
    try:
        _read(records_file(arguments, console), arguments, console, use)
    except Finding as finding:
        for line in f"agentproxy {arguments.command.name}: {finding}".split("\n"):
            print(printable(line), file=console.err)
        return finding.code
    return OK


def _read(
    file: Path, arguments: Namespace, console: Console, use: Callable[[Records, Namespace, Console], None]
) -> None:
    if not file.exists():
        raise Finding(
            f'no records at {file}: the service writes them once it runs with [record] content = "metadata" or "full"; '
            "-c FILE names its configuration, --records DIR their directory"
        )
    # Brings SQLAlchemy, which commands that read no records do without.
    from agentproxy.records.queries import Store

    try:
        store = Store(file)
        try:
            use(store, arguments, console)
        finally:
            store.close()
    except NoRecords as error:
        raise Finding(str(error)) from None


def all_rows(page_of: Callable[[int, str | None], Page], limit: int) -> tuple[list[Row], bool]:
    """
    The rows of as many pages as it takes.

    :param page_of: a page from its limit and its cursor.
    :param limit: rows at most; 0: all.
    :returns: them, and whether there are more.
    """
    rows: list[Row] = []
    after: str | None = None
    while True:
        page = page_of(min(limit - len(rows), _AT_ONCE) if limit else _AT_ONCE, after)
        rows += page.rows
        after = page.next
        if after is None or (limit and len(rows) >= limit):
            return rows, after is not None


def session_of(records: Records, asked: str) -> Row:
    """
    The summary of the session that this is the id, or the unique beginning, of.

    :param asked: perhaps with the mark that the tables put before an inferred one.
    :raises Finding: there is none, or there are several.
    """
    found = _session(records, asked)
    if found is None:
        raise _unknown(asked)
    return found


def session_id(records: Records, asked: str) -> str:
    """
    The id of the same session, or of one that had calls without a turn.

    :raises Finding: as `session_of`.
    """
    found = _session(records, asked)
    if found is not None:
        return str(found["session"])
    if records.calls(Filter(session=asked), limit=1).rows:
        return asked
    raise _unknown(asked)


def _session(records: Records, asked: str) -> Row | None:
    try:
        found = records.session(asked)
        if found is None and asked.startswith("~"):
            found = records.session(asked[1:])
        return found
    except AmbiguousSession:
        raise Finding(_which(records, asked)) from None


def _unknown(asked: str) -> Finding:
    return Finding(
        f"no session {asked} in the records: the whole id is wanted, or its first 6 characters or more; "
        "`agentproxy sessions --limit 0` lists them all"
    )


def _which(records: Records, asked: str) -> str:
    rows, _ = all_rows(lambda limit, after: records.sessions(Filter(), limit=limit, after=after), 0)
    ids = [str(row["session"]) for row in rows if str(row["session"]).startswith(asked.removeprefix("~"))]
    more = [f"  and {len(ids) - _LISTED} more"] if len(ids) > _LISTED else []
    return "\n".join(
        [f"{len(ids)} sessions begin with {asked}, the latest first:", *(f"  {id}" for id in ids[:_LISTED]), *more]
    )
