"""`agentproxy sessions`: its table, and the command on a real record store."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.main import main
from agentproxy.cli.sessions import table
from agentproxy.cli.tables import plain
from agentproxy.records.queries import Filter
from tests.cli.fakes import Terminal, session
from tests.cli.stored import INFERRED, OTHER, SESSION, RecordsCase


class SessionsTableTests(SynchronousTestCase):
    def test_golden(self) -> None:
        """Each session is a row; what is inferred, estimated or not known is marked, and the marks are told."""
        rows = [
            session(),
            session(
                session="inferred-1",
                session_source="inferred",
                agent=None,
                models=["m-small", "m-large", "m-a", "m-b"],
                unsettled=1,
                turns=1200,
                cost_micro_usd=1_234_567_800,
                unpriced_turns=3,
            ),
            session(
                session="none-known",
                agent="claude\x1b[2J",
                models=[],
                input_tokens=0,
                output_tokens=None,
                cost_micro_usd=None,
                unpriced_turns=12,
                cache_hit=None,
            ),
        ]
        self.assertEqual(
            plain(table(rows)),
            "session       agent          model                           turns    input  output            cost"
            "  cache hit  last seen (UTC)\n"
            "5e55-10n-one  codex          m-large-2026                       12  123,456   6,789         $0.1234"
            "      64.8%  2026-11-21 09:00:12\n"
            "~inferred-1   -              m-small, m-large, m-a, +1  1,200 (1?)  123,456   6,789  >= $1,234.5678"
            "      64.8%  2026-11-21 09:00:12\n"
            "none-known    claude\\x1b[2J  -                                  12        0       -               ?"
            "          -  2026-11-21 09:00:12\n"
            "\n"
            "~  the session is inferred: the agent did not name one\n"
            "(n?)  so many of them ended without the provider's word on usage: estimated, refused, or not known\n"
            "?  the price is not known\n"
            ">=  and more: the price of some turns is not known\n",
        )

    def test_plain_sailing(self) -> None:
        """Without marks there is no legend; where there are more sessions, that is said."""
        self.assertEqual(table([session()]).notes, [])
        self.assertEqual(table([session()], more=True).notes, ["1 shown, there are more: --limit 0 shows all"])


class SessionsTests(RecordsCase):
    def test_table(self) -> None:
        """The latest first; nothing in it that a terminal would obey."""
        lines = self.output("sessions").splitlines()
        self.assertEqual([line.split()[0] for line in lines[:4]], ["session", f"~{INFERRED}", OTHER, SESSION])
        self.assertIn("\\x1b]0;owned\\x07\\u202e=1+1", lines[1])
        self.assertIn("2 (1?)", lines[2])
        self.assertIn(">= $0.0015", lines[2])
        self.assertTrue(lines[3].endswith("2026-11-21 09:00:01"), lines[3])

    def test_terminal(self) -> None:
        """So it is in a terminal."""
        self.out = Terminal()
        text = self.output("sessions", TERM="xterm", COLUMNS="200", NO_COLOR="1")
        self.assertIn("─", text)
        self.assertIn(SESSION, text)
        self.assertNotIn("\x1b]", text)
        self.assertNotIn("\u202e", text)

    def test_json(self) -> None:
        """As JSON: what the store says."""
        found = self.json("sessions")
        self.assertEqual(list(found), ["sessions"])
        self.assertEqual(found["sessions"], self.stored(lambda store: store.sessions(Filter())).rows)

    def test_filters(self) -> None:
        """Only what is asked for; the end of the time is outside of it."""
        for arguments, expected in (
            (("--agent", "claude"), [OTHER]),
            (("--provider", "gemini"), [INFERRED]),
            (("--model", "m-large"), [INFERRED, OTHER, SESSION]),
            (("--model", "m-small"), []),
            (("--since", "2026-11-21T09:00:01Z"), [INFERRED, OTHER]),
            (("--until", "2026-11-21T09:00:02Z"), [SESSION]),
            (("--since", "1h", "--until", "1m"), [OTHER, SESSION]),
            (("--since", "59m"), [INFERRED]),
            (("--limit", "1"), [INFERRED]),
            (("--limit", "0"), [INFERRED, OTHER, SESSION]),
        ):
            with self.subTest(arguments):
                self.assertEqual([row["session"] for row in self.json("sessions", *arguments)["sessions"]], expected)

    def test_more(self) -> None:
        """Where there are more, the table says so."""
        self.assertIn("2 shown, there are more: --limit 0 shows all\n", self.output("sessions", "--limit", "2"))
        self.assertNotIn("there are more", self.output("sessions", "--limit", "3"))

    def test_wrong(self) -> None:
        """A wrong time or number is wrong usage, in a sentence."""
        for arguments, sentence in (
            (("--since", "yesterday"), "argument --since: want a date (2026-11-21), a date and time"),
            (("--until", "-"), "argument --until: want a date"),
            (("--limit", "-1"), "argument --limit: "),
            (("--limit", "many"), "argument --limit: want a number from 0 to 999999999, got 'many'"),
        ):
            err = io.StringIO()
            with self.subTest(arguments), redirect_stderr(err):
                self.assertEqual(self.assertRaises(SystemExit, main, ["sessions", *arguments]).code, 2)
                self.assertIn(sentence, err.getvalue())
        self.assertIn(
            "--since is not before --until", self.finding("sessions", "--since", "1h", "--until", "2h", code=2)
        )
