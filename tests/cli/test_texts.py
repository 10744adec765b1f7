"""Recorded texts on a terminal: nothing that it would obey, and the right number of columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.texts import count, encodable, joined, percent, printable, text, width


class TextTests(SynchronousTestCase):
    def test_escapes(self) -> None:
        """Controls, line breaks, surrogates and what turns the writing around become escapes; all else stays."""
        for given_text, expected in (
            ("plain [bold] ü 日本", "plain [bold] ü 日本"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("a\nb\tc\rd\x7f", "a\\x0ab\\x09c\\x0dd\\x7f"),
            ("\x9b2J", "\\x9b2J"),
            ("abc\u202edef", "abc\\u202edef"),
            ("\u2028\u200b\ud800", "\\u2028\\u200b\\ud800"),
            ("\U000e0041", "\\U000e0041"),
        ):
            with self.subTest(expected):
                self.assertEqual(printable(given_text), expected)

    @given(st.text())
    def test_always_printable(self, value: str) -> None:
        """Whatever a text is, what is shown of it is printable, and shown again it is the same."""
        self.assertTrue(printable(value).isprintable())
        self.assertEqual(printable(printable(value)), printable(value))

    def test_encodable(self) -> None:
        """What an output's encoding lacks becomes an escape; an output without one is taken for UTF-8."""
        self.assertEqual(encodable("ü日", "latin-1"), "ü\\u65e5")
        self.assertEqual(encodable("ü日", None), "ü日")

    def test_width(self) -> None:
        """East Asian letters take two columns, combining marks none."""
        self.assertEqual([width(value) for value in ("abc", "ü", "日本", "e\u0301", "")], [3, 1, 4, 1, 0])

    def test_values(self) -> None:
        """What is not known is a dash."""
        self.assertEqual([text(None), text(""), text("a"), count(None), count(0), count(1234567)],
                         ["-", "-", "a", "-", "0", "1,234,567"])  # fmt: skip
        self.assertEqual([percent(None), percent(0.0), percent(0.6481), percent(1)], ["-", "0.0%", "64.8%", "100.0%"])
        self.assertEqual([joined([]), joined(["a", None, "b"]), joined("abcde")], ["-", "a, b", "a, b, c, +2"])
