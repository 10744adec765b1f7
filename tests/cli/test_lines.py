"""Turns as lines of JSON and CSV."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.lines import COLUMNS, csv_head, csv_line, harmless, json_line
from tests.cli.fakes import Row, turn


def read(*lines: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join([csv_head(), *lines]), newline="")))


class JsonTests(SynchronousTestCase):
    def test_line(self) -> None:
        """A turn is one line, in printable ASCII, and the same when it is read again."""
        row = turn(tools=["a b", "\x7f\x1b[31m\u202e\ud800"], note="a\nb")
        line = json_line(row)
        self.assertEqual(json.loads(line), row)
        self.assertTrue(line.endswith("}\n"))
        self.assertTrue(line[:-1].isascii() and line[:-1].isprintable())


class CsvTests(SynchronousTestCase):
    def test_columns(self) -> None:
        """Each key of a turn has its column."""
        self.assertEqual(COLUMNS, tuple(turn()))

    def test_line(self) -> None:
        """Read back by the csv module, each cell is what the turn has; of a close there is the code."""
        close = {"side": "upstream", "code": 1011, "reason": "no", "clean": True}
        row = turn(close=close, working_directory='/a "b", c')
        [found] = read(csv_line(row))
        self.assertEqual(list(found), [name if name != "close" else "close_code" for name in row])
        expected: Row = {name: "" if value is None else str(value) for name, value in row.items() if name != "close"}
        self.assertEqual(found, {**expected, "tools": "shell apply_patch", "close_code": "1011"})
        self.assertEqual(read(csv_line(turn()))[0]["close_code"], "")

    def test_formulas(self) -> None:
        """What a spreadsheet would compute gets an apostrophe before it; all else stays."""
        for text, expected in (
            ('=HYPERLINK("http://x")', "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"), ("-1", "'-1"), ("@SUM(1)", "'@SUM(1)"), ("\t=1", "'\\x09=1"), ("\tplain", "'\\x09plain"),
            ("\r\n=1", "'\\x0d\\x0a=1"), ("  =1", "'  =1"), ("\uff1d1", "'\uff1d1"), ("a=1", "a=1"), ("", ""),
            ("it's", "it's"), ("a\nb", "a\\x0ab"), ("\x1b[2J", "\\x1b[2J"),
        ):  # fmt: skip
            with self.subTest(expected):
                self.assertEqual(harmless(text), expected)

    def test_all_texts(self) -> None:
        """Every text of a turn is made harmless, the tools' too; numbers are not texts."""
        row = {name: "=1" if isinstance(value, str) or value is None else value for name, value in turn().items()}
        [found] = read(csv_line({**row, "close": None, "tools": ["=1", "b"], "duration_s": -0.5}))
        self.assertEqual([name for name, value in found.items() if value[:1] in ("=", "+", "@")], [])
        self.assertEqual((found["tools"], found["agent"], found["duration_s"]), ("'=1 b", "'=1", "-0.5"))

    @given(st.text(max_size=20), st.text(max_size=20))
    def test_any_text(self, agent: str, note: str) -> None:
        """Whatever is in it, a turn is one line of as many cells."""
        line = csv_line(turn(agent=agent, note=note))
        self.assertEqual(line.count("\n"), 1)
        self.assertEqual(len(next(csv.reader([line]))), len(COLUMNS))
        self.assertNotIn(read(line)[0]["agent"][:1], ("=", "+", "-", "@"))
