"""What a store says of turns added up: sessions and usage."""

from __future__ import annotations

from agentproxy.records.errors import AmbiguousSession
from agentproxy.records.paging import Filter
from tests.records.store_case import NOON_US, SECOND_US, QueryCase, turn

DAY_S = 86_400
SUMS = [
    "turns",
    "unsettled",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_micro_usd",
    "unpriced_turns",
    "cache_hit",
]


class Sessions(QueryCase):
    def test_summary(self) -> None:
        """A session is its turns added up, and what it was seen as last."""
        store = self.store(
            turn(1, agent_version="1.9", working_directory="/old"),
            turn(2, response_model=None, request_model="haiku", cost_micro_usd=None, provider="other", input_tokens=500,
                 cache_read_tokens=None, source="missing", status="unsettled", duration_us=60_000_000),
            turn(3, agent=None, agent_version=None, working_directory=None, source="estimated"),
            turn(4, session=None),
        )  # fmt: skip
        [row] = store.sessions(Filter()).rows
        wanted = {
            "session": "session-one",
            "session_source": "stated",
            "agent": "claude-code",
            "agent_version": "2.0",
            "models": ["sonnet-1", "haiku"],
            "providers": ["anthropic", "other"],
            "working_directory": "/repo/me",
            "turns": 3,
            "unsettled": 2,
            "input_tokens": 2500,
            "output_tokens": 300,
            "cache_read_tokens": 1600,
            "cache_write_tokens": 150,
            "reasoning_tokens": 30,
            "cost_micro_usd": 10_000,
            "unpriced_turns": 1,
            "cache_hit": 0.64,
            "first_seen": "2026-01-02T03:04:06.000000Z",
            "last_seen": "2026-01-02T03:05:07.000000Z",
        }
        self.assertEqual(row, wanted)
        self.assertEqual(list(row), list(wanted))
        self.assertEqual(store.session("session-one"), row)

    def test_nothing_known(self) -> None:
        """Where nothing is known, money is null, not nothing, and so is what can't be divided."""
        unknown = "input_tokens output_tokens cache_read_tokens cost_micro_usd response_model request_model"
        nothing = dict.fromkeys(unknown.split())
        [row] = self.store(turn(1, **nothing)).sessions(Filter()).rows
        self.assertEqual((row["cost_micro_usd"], row["unpriced_turns"]), (None, 1))
        self.assertEqual((row["input_tokens"], row["cache_hit"], row["models"]), (0, None, []))

    def test_money(self) -> None:
        """Money is added up as whole numbers, however large."""
        store = self.store(*(turn(number, cost_micro_usd=2**53 + 1) for number in range(3)))
        self.assertEqual(store.sessions(Filter()).rows[0]["cost_micro_usd"], 3 * (2**53 + 1))
        self.assertEqual(store.usage("model", Filter()).rows[0]["cost_micro_usd"], 3 * (2**53 + 1))

    def test_models(self) -> None:
        """Models come by their last use, and not too many."""
        store = self.store(*(turn(number, response_model=f"m{number % 30}") for number in range(45)))
        models = store.session("session-one")["models"]
        self.assertEqual(models[:16], [f"m{number % 30}" for number in range(44, 28, -1)])
        self.assertEqual(len(models), 20)

    def test_order(self) -> None:
        """The session seen last comes first, by the end of its turns; filters hold for what is added up."""
        store = self.store(
            turn(1, session="aaaaaa", duration_us=SECOND_US),
            turn(2, session="bbbbbb", duration_us=100 * SECOND_US),
            turn(3, session="cccccc", duration_us=None),
            turn(4, session="aaaaaa", status="failed", duration_us=SECOND_US),
        )
        self.assertEqual([row["session"] for row in store.sessions(Filter()).rows], ["bbbbbb", "aaaaaa", "cccccc"])
        [row] = store.sessions(Filter(status="failed")).rows
        self.assertEqual((row["session"], row["turns"]), ("aaaaaa", 1))
        self.assertEqual(store.sessions(Filter(agent="none")).rows, [])

    def test_prefix(self) -> None:
        """A session is found by a beginning of six characters that no other has; an id itself comes before."""
        names = ["abcdef", "abcdef12", "abcdef34", "xyz%_f-1", "xyz%_f", "short", "ünïcødé-1"]
        store = self.store(*(turn(number, session=name) for number, name in enumerate(names)))

        def found(name: str) -> object:
            row = store.session(name)
            return row and row["session"]

        for name in names:
            self.assertEqual(found(name), name)
        self.assertEqual(found("abcdef1"), "abcdef12")
        self.assertEqual(found("ünïcød"), "ünïcødé-1")
        self.assertIsNone(found("shor"))
        self.assertIsNone(found("abcde"))
        self.assertIsNone(found("xyz__f-"))
        self.assertIsNone(found(""))
        self.assertIsNone(found("nothing-such"))
        self.assertIsNone(found("\ud800" * 6))
        with self.assertRaises(AmbiguousSession) as caught:
            self.store(turn(10, session="abcdex1"), turn(11, session="abcdex2")).session("abcdex")
        self.assertIn("abcdex", str(caught.exception))


class Usage(QueryCase):
    def test_days(self) -> None:
        """Days are UTC's, the first one first."""
        midnight = NOON_US // (DAY_S * SECOND_US) * DAY_S * SECOND_US
        store = self.store(
            turn(1, started_us=midnight), turn(2, started_us=midnight - 1), turn(3, started_us=midnight + 5)
        )
        rows = store.usage("day", Filter()).rows
        self.assertEqual([(row["day"], row["turns"]) for row in rows], [("2026-01-01", 1), ("2026-01-02", 2)])
        self.assertEqual(list(rows[0]), ["day", *SUMS])

    def test_dearest(self) -> None:
        """Else the dearest comes first, then what used most; of unknown price last, and what has no name too."""
        store = self.store(
            turn(1, session="cheap", cost_micro_usd=1),
            turn(2, session="dear", cost_micro_usd=9),
            turn(3, session=None, cost_micro_usd=1),
            turn(4, session="much", cost_micro_usd=1, output_tokens=10**6),
            turn(5, session="free", cost_micro_usd=0),
            turn(6, session="unknown", cost_micro_usd=None, output_tokens=10**9),
            turn(7, session="cheaper", cost_micro_usd=1),
        )
        wanted = ["dear", "much", "cheap", "cheaper", None, "free", "unknown"]
        self.assertEqual([row["session"] for row in store.usage("session", Filter()).rows], wanted)
        found, after = [], None
        while True:
            page = store.usage("session", Filter(), limit=1, after=after)
            found += [row["session"] for row in page.rows]
            if (after := page.next) is None:
                break
        self.assertEqual(found, wanted)

    def test_by(self) -> None:
        """By each of what can be asked for, with sums that come to the same."""
        store = self.store(
            turn(1, agent="codex", provider="openai", response_model=None), turn(2), turn(3, agent=None, session=None)
        )
        for by, wanted in {
            "day": ["2026-01-02"],
            "model": ["sonnet-1", "sonnet"],
            "agent": ["claude-code", "codex", None],
            "session": ["session-one", None],
            "provider": ["anthropic", "openai"],
        }.items():
            rows = store.usage(by, Filter()).rows
            self.assertEqual([row[by] for row in rows], wanted)
            self.assertEqual(sum(row["turns"] for row in rows), 3)
            self.assertEqual(sum(row["cost_micro_usd"] for row in rows), 15_000)
            self.assertEqual({row["cache_hit"] for row in rows}, {0.8})
        self.assertEqual(len(store.usage("agent", Filter(provider="openai")).rows), 1)

    def test_empty(self) -> None:
        """Of nothing there is nothing."""
        store = self.store()
        for by in ("day", "model", "agent", "session", "provider"):
            self.assertEqual(store.usage(by, Filter()).rows, [])
