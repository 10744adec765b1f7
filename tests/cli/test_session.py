"""`agentproxy session ID`: its table, and the command on a real record store."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.session import table
from agentproxy.cli.tables import plain
from agentproxy.records.queries import Filter
from tests.cli.fakes import session, turn
from tests.cli.stored import OTHER, SESSION, RecordsCase


class SessionTableTests(SynchronousTestCase):
    def test_golden(self) -> None:
        """The session's facts, then its turns; what is estimated is marked."""
        turns = [
            turn(),
            turn(
                response_model=None,
                sub_agent="explore",
                source="estimated",
                status="unsettled",
                stop_reason=None,
                tools=[],
                first_token_s=None,
                duration_s=185.0,
                reasoning_tokens=None,
                cost_micro_usd=12345,
            ),
            turn(
                response_model="\x1b]0;x\x07",
                source="missing",
                input_tokens=None,
                cache_read_tokens=None,
                output_tokens=None,
                reasoning_tokens=None,
                cost_micro_usd=None,
                status="completed",
                stop_reason="completed",
                tools=["a", "b", "c", "d"],
            ),
        ]
        summary = session(
            session_source="inferred", turns=3, unsettled=2, unpriced_turns=1, cost_micro_usd=24645, agent_version=None
        )
        self.assertEqual(
            plain(table(summary, turns)),
            "session    5e55-10n-one (inferred: the agent did not name one)\n"
            "agent      codex\n"
            "directory  /repo/me/project\n"
            "models     m-large-2026\n"
            "providers  openai\n"
            "seen       2026-11-21 08:00:00 to 2026-11-21 09:00:12 UTC\n"
            "turns      3 (2 estimated, refused or not known)\n"
            "input      123,456 tokens, 80,000 of them cached, 100 written to the cache\n"
            "output     6,789 tokens, 900 of them reasoning\n"
            "cost       >= $0.024645 (and more: the price of some turns is not known)\n"
            "cache hit  64.8%\n"
            "\n"
            "time (UTC)           model         operation  sub-agent    input  cached  output  reasoning"
            "        cost  first token  duration  status            tools\n"
            "2026-11-21 09:00:00  m-large-2026  chat       -           12,345   8,000     678         90"
            "   $0.012300        0.42s     12.3s  completed (stop)  shell, apply_patch\n"
            "2026-11-21 09:00:00  m-large       chat       explore    12,345?  8,000?    678?          ?"
            "  $0.012345?            -     3m05s  unsettled         -\n"
            "2026-11-21 09:00:00  \\x1b]0;x\\x07  chat       -                ?       ?       ?          ?"
            "           ?        0.42s     12.3s  completed         a, b, c, d\n"
            "\n"
            "?  not known; after a number: estimated, since the turn ended without the provider's word on usage\n",
        )

    def test_plain_sailing(self) -> None:
        """Without marks there is no legend, and nothing in brackets; a version is behind its agent."""
        shown = table(session(), [turn()])
        self.assertEqual(shown.notes, [])
        facts = dict(shown.facts)
        self.assertEqual((facts["session"], facts["turns"]), ("5e55-10n-one", "12"))
        self.assertEqual((facts["agent"], facts["cost"]), ("codex 1.2.3", "$0.1234"))

    def test_nothing_known(self) -> None:
        """What is not known is a dash, or a question mark where it is money."""
        facts = dict(
            table(
                session(
                    agent=None, agent_version=None, working_directory=None, models=[], providers=[], cache_hit=None,
                    cost_micro_usd=None, unpriced_turns=12,
                ),
                [],
            ).facts
        )  # fmt: skip
        self.assertEqual([facts[name] for name in ("agent", "directory", "models", "cache hit")], ["-"] * 4)
        self.assertEqual(facts["cost"], "?")


class SessionTests(RecordsCase):
    def test_table(self) -> None:
        """Its facts and its turns in order."""
        text = self.output("session", OTHER)
        self.assertTrue(text.startswith(f"session    {OTHER}\n"))
        rows = [line for line in text.splitlines() if line.startswith("2026-")]
        self.assertEqual([line[:19] for line in rows], ["2026-11-21 09:00:02", "2026-11-21 09:00:03"])
        self.assertIn("1,000?", rows[0])
        self.assertTrue(rows[1].endswith("a, b"))

    def test_json(self) -> None:
        """As JSON: what the store says."""
        found = self.json("session", OTHER)
        self.assertEqual(found["session"], self.stored(lambda store: store.session(OTHER)))
        self.assertEqual(found["turns"], self.stored(lambda store: list(store.each_turn(Filter(session=OTHER)))))
        self.assertEqual(len(found["turns"]), 2)

    def test_beginning(self) -> None:
        """The beginning of an id is enough where there is one such; the tables' mark before it does no harm."""
        for asked in ("0198-0000-o", f"~{OTHER}", "~0198-0000-o"):
            self.assertEqual(self.json("session", asked)["session"]["session"], OTHER)

    def test_ambiguous(self) -> None:
        """Where there are several, they are listed."""
        for asked in ("0198-0000", "~0198-0000"):
            self.assertEqual(
                self.finding("session", asked),
                f"agentproxy session: 2 sessions begin with {asked}, the latest first:\n  {OTHER}\n  {SESSION}\n",
            )

    def test_unknown(self) -> None:
        """An id that is none: one line that says where they are, and obeys nothing."""
        self.assertEqual(
            self.finding("session", "\x1b[2Jnone"),
            "agentproxy session: no session \\x1b[2Jnone in the records: the whole id is wanted, "
            "or its first 6 characters or more; `agentproxy sessions --limit 0` lists them all\n",
        )
