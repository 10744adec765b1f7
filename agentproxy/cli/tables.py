"""
Rows as a table: drawn by rich in a terminal, as aligned words where the output goes elsewhere. Fetches nothing.

All of a table's texts are made printable here, wherever they come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agentproxy.cli.command import Console
from agentproxy.cli.texts import encodable, printable, width

_WORD, _PIECE = 10, 8
"""In a terminal a word of so many characters, such as a date, stays whole; of a longer one so many stand in a line."""
_BETWEEN = 2


@dataclass(frozen=True, slots=True)
class Column:
    """:ivar right: its texts end, not begin, at the same place."""

    title: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """
    What is to be seen.

    :ivar facts: name and value each, above the table.
    :ivar total: a last row of another kind.
    :ivar notes: lines below it, such as a legend.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    facts: Sequence[tuple[str, str]] = ()
    total: Sequence[str] | None = None
    notes: Sequence[str] = field(default=())


def show(table: Table, console: Console) -> None:
    """Write a table to the console's output: with colours only for a terminal that does not refuse them."""
    if console.out.isatty() and console.environ.get("TERM") != "dumb":
        _rich(table, console)
    else:
        console.out.write(encodable(plain(table), console.out.encoding))


def plain(table: Table) -> str:
    """Columns two blanks apart and as wide as their widest text, whatever the width of the terminal."""
    parts = []
    if table.facts:
        parts.append(_aligned([Column(""), Column("")], table.facts))
    if table.rows:
        rows = [[column.title for column in table.columns], *table.rows, *([table.total] if table.total else [])]
        parts.append(_aligned(table.columns, rows))
    if table.notes:
        parts.append("".join(f"{printable(note)}\n" for note in table.notes))
    return "\n".join(parts)


def _aligned(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(width(row[place]) for row in cells) for place in range(len(columns))]
    return "".join(_line(columns, widths, row) for row in cells)


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    padded = []
    for column, wide, cell in zip(columns, widths, row, strict=True):
        blanks = " " * (wide - width(cell))
        padded.append(blanks + cell if column.right else cell + blanks)
    return "  ".join(padded).rstrip() + "\n"


def _rich(table: Table, console: Console) -> None:
    # Not needed where the output is a pipe, and slow to import.
    from rich import box
    from rich.console import Console as RichConsole
    from rich.table import Table as RichTable
    from rich.text import Text

    def text(value: str, style: str = "") -> Text:
        # A `Text`: in a plain string rich would take what stands in brackets for its own markup.
        return Text(encodable(value, console.out.encoding), style)

    def facts(pairs: Iterable[Sequence[str]]) -> RichTable:
        grid = RichTable.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            grid.add_row(text(name, "bold"), text(printable(value)))
        return grid

    screen = RichConsole(
        file=console.out,
        force_terminal=True,
        no_color=bool(console.environ.get("NO_COLOR")),
        _environ=console.environ,
    )
    parts: list[RichTable | Text] = [facts(table.facts)] if table.facts else []
    rows = [[printable(cell) for cell in row] for row in [*table.rows, *([table.total] if table.total else [])]]
    widths = fitted(table.columns, rows, screen.width)
    if widths is None:
        parts += (facts(zip((column.title for column in table.columns), row, strict=True)) for row in rows)
    elif table.rows:
        grid = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), show_footer=bool(table.total))
        for column, wide, total in zip(table.columns, widths, rows[-1], strict=True):
            title = text(_title(column))
            justify: Literal["left", "right"] = "right" if column.right else "left"
            # An id that is cut off is none: what is too long goes on in the next line.
            grid.add_column(title, text(total), justify=justify, width=wide, overflow="fold")
        for row in rows[: len(table.rows)]:
            grid.add_row(*(text(cell) for cell in row))
        parts.append(grid)
    if table.notes:
        parts.append(text("\n".join(printable(note) for note in table.notes), "dim"))
    for place, part in enumerate(parts):
        if place:
            screen.print()
        screen.print(part)


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """
    How wide the columns can be: numbers and short words whole, the first texts rather than the last.

    :param rows: printable.
    :param room: columns of the terminal.
    :returns: ``None`` where there is not even room for the beginnings of the texts.
    """
    texts = [[*_title(column).split("\n"), *(row[place] for row in rows)] for place, column in enumerate(columns)]
    wanted = [max(map(width, cells)) for cells in texts]
    words = [max(width(word) for cell in cells for word in cell.split(" ")) for cells in texts]
    widths = [word if column.right or word <= _WORD else _PIECE for column, word in zip(columns, words, strict=True)]
    room -= sum(widths) + _BETWEEN * (len(columns) - 1)
    if room < 0:
        return None
    for place, wide in enumerate(wanted):
        more = min(room, wide - widths[place])
        widths[place] += more
        room -= more
    return widths


def _title(column: Column) -> str:
    return column.title.replace(" ", "\n") if column.right else column.title
