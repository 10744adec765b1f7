"""Tables: aligned words in a pipe, drawn in a terminal, and no control character in either."""

from __future__ import annotations

import io
import re

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.command import Console
from agentproxy.cli.tables import Column, Table, fitted, plain, show
from tests.cli.fakes import Latin, Terminal

COLUMNS = (Column("name"), Column("number", right=True), Column("end"))
TABLE = Table(
    COLUMNS,
    [["a", "1", "x"], ["日本語", "1,000", "y" * 120]],
    facts=[("session", "s-1"), ("agent", "codex")],
    total=["total", "1,001", "-"],
    notes=["~  a mark", "another"],
)
HOSTILE = Table(COLUMNS, [["\x1b[31mred\x1b]0;t\x07", "[bold]1[/bold]", ":smile:"]], notes=["\x9bm"])


def shown(table: Table, out: io.StringIO, **environ: str) -> str:
    show(table, Console({"COLUMNS": "200", "TERM": "xterm-256color", **environ}, out, io.StringIO()))
    return out.getvalue()


class PlainTests(SynchronousTestCase):
    def test_golden(self) -> None:
        """Facts, rows, the total and the notes; columns aligned, not cut, without blanks at the ends of lines."""
        self.assertEqual(
            plain(TABLE),
            "session  s-1\n"
            "agent    codex\n"
            "\n"
            "name    number  end\n"
            "a            1  x\n"
            "日本語   1,000  " + "y" * 120 + "\n"
            "total    1,001  -\n"
            "\n"
            "~  a mark\n"
            "another\n",
        )

    def test_piped(self) -> None:
        """Where the output is no terminal, it is plain text; so it is in a terminal that can do nothing."""
        self.assertEqual(shown(TABLE, io.StringIO()), plain(TABLE))
        self.assertEqual(shown(TABLE, Terminal(), TERM="dumb"), plain(TABLE))

    def test_hostile(self) -> None:
        """A recorded text is shown, not obeyed."""
        self.assertEqual(
            plain(HOSTILE),
            "name                             number  end\n"
            "\\x1b[31mred\\x1b]0;t\\x07  [bold]1[/bold]  :smile:\n"
            "\n"
            "\\x9bm\n",
        )

    def test_encoding(self) -> None:
        """An output of few letters gets escapes."""
        self.assertIn("\\u65e5\\u672c", shown(TABLE, Latin()))


class TerminalTests(SynchronousTestCase):
    def test_content(self) -> None:
        """All of it is there, with lines and styles."""
        text = shown(TABLE, Terminal())
        bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
        for word in ("session", "s-1", "codex", "name", "日本語", "1,000", "y" * 120, "1,001", "a mark"):
            self.assertIn(word, bare)
        self.assertIn("─", text)
        self.assertIn("\x1b[", text)

    def test_narrow(self) -> None:
        """In a narrow terminal a text goes on in the next line: none of it is lost."""
        text = shown(TABLE, Terminal(), COLUMNS="40")
        self.assertEqual(text.count("y"), 120)
        self.assertLessEqual(max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in text.splitlines()), 40)

    def test_too_narrow(self) -> None:
        """Where there is no room for columns, each row is a list of its values."""
        text = re.sub(r"\x1b\[[0-9;]*m", "", shown(TABLE, Terminal(), COLUMNS="20"))
        lines = [line.rstrip() for line in text.splitlines()]
        self.assertEqual(lines[3:7], ["name    a", "number  1", "end     x", ""])
        self.assertEqual(text.count("y"), 120)
        self.assertEqual(lines[-6:], ["name    total", "number  1,001", "end     -", "", "~  a mark", "another"])

    def test_widths(self) -> None:
        """Numbers and dates are never broken; who is to get room gets it from the left."""
        columns = (Column("id"), Column("some number", right=True), Column("day"), Column("tools"))
        rows = [["x" * 36, ">= $1.50", "2026-11-21 09:00:12", "a, bb, ccc"]]
        for room, expected in (
            (200, [36, 8, 19, 10]),
            (79, [36, 8, 19, 10]),
            (78, [36, 8, 19, 9]),
            (70, [36, 8, 15, 5]),
            (36, [9, 6, 10, 5]),
            (35, [8, 6, 10, 5]),
            (34, None),
        ):
            with self.subTest(room):
                self.assertEqual(fitted(columns, rows, room), expected)

    def test_no_color(self) -> None:
        """NO_COLOR is obeyed: no colour in it, whatever else there is."""
        for sequence in re.findall(r"\x1b\[([0-9;]*)m", shown(TABLE, Terminal(), NO_COLOR="1")):
            self.assertNotIn("3", sequence.replace("23", ""))
            self.assertNotIn("4", sequence.replace("24", ""))

    def test_hostile(self) -> None:
        """A recorded text is neither a control sequence nor markup nor an emoji."""
        text = shown(HOSTILE, Terminal(), NO_COLOR="1")
        self.assertIn("\\x1b[31mred\\x1b]0;t\\x07", text)
        self.assertIn("[bold]1[/bold]", text)
        self.assertIn(":smile:", text)
        self.assertNotIn("\x1b[31m", text)
        self.assertNotIn("\x1b]", text)
        self.assertNotIn("\x9b", text)
