"""`agentproxy usage`: its table, its total, and the command on a real record store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.tables import plain
from agentproxy.cli.usage import table, total
from tests.cli.fakes import usage
from tests.cli.stored import HOSTILE, INFERRED, OTHER, SESSION, RecordsCase


class UsageTableTests(SynchronousTestCase):
    def test_golden(self) -> None:
        """A row each, and the total of all; what is not known is marked."""
        rows = [
            usage(day="2026-11-20"),
            usage(day="2026-11-21", cost_micro_usd=None, unpriced_turns=2, input_tokens=0, cache_read_tokens=0,
                  cache_hit=None, unsettled=1),
        ]  # fmt: skip
        self.assertEqual(
            plain(table("day", rows)),
            "day (UTC)    turns  input  output  cached  cache written  reasoning        cost  cache hit\n"
            "2026-11-20       2  1,000      50     250              0          0     $0.0015      25.0%\n"
            "2026-11-21  2 (1?)      0      50       0              0          0           ?          -\n"
            "total       4 (1?)  1,000     100     250              0          0  >= $0.0015      25.0%\n"
            "\n"
            "(n?)  so many of them ended without the provider's word on usage: estimated, refused, or not known\n"
            "?  the price is not known\n"
            ">=  and more: the price of some turns is not known\n",
        )

    def test_no_value(self) -> None:
        """Turns without an agent have a row, too."""
        self.assertEqual(table("agent", [usage(agent=None)]).rows[0][0], "-")


class TotalTests(SynchronousTestCase):
    def test_of_nothing(self) -> None:
        """No turns cost nothing."""
        found = total([])
        self.assertEqual((found["turns"], found["cost_micro_usd"], found["cache_hit"]), (0, 0, None))

    def test_cache_hit(self) -> None:
        """Of all input what came from a cache, and never more than that, whatever upstream has counted."""
        for whole, read, expected in ((400, 100, 0.25), (10, 12, 1.0), (0, 0, None)):
            rows = [usage(input_tokens=whole, cache_read_tokens=read)] * 2
            self.assertEqual(total(rows)["cache_hit"], expected)

    def test_keys(self) -> None:
        """The total has what a row has."""
        self.assertEqual(list(total([usage()])), list(usage()))

    def test_unknown(self) -> None:
        """What no row knows is not known."""
        self.assertIsNone(total([usage(cost_micro_usd=None), usage(cost_micro_usd=None)])["cost_micro_usd"])

    @given(st.lists(st.none() | st.integers(0, 2**62), max_size=5))
    def test_exact(self, amounts: list[int | None]) -> None:
        """Money is summed exactly, of what is known."""
        found = total([usage(cost_micro_usd=amount) for amount in amounts])["cost_micro_usd"]
        self.assertEqual(found or 0, sum(amount or 0 for amount in amounts))


class UsageTests(RecordsCase):
    def test_by(self) -> None:
        """By each of what there is, and in all."""
        for by, values in (
            ("day", ["2026-11-21", "2026-11-22"]),
            ("model", ["m-large-2026"]),
            ("provider", ["gemini", "openai"]),
            ("session", [None, SESSION, OTHER, INFERRED]),
            ("agent", [None, HOSTILE, "claude", "codex"]),
        ):
            with self.subTest(by):
                found = self.json("usage", "--by", by)
                self.assertEqual(sorted(map(str, (row[by] for row in found["usage"]))), sorted(map(str, values)))
                total = found["total"]
                self.assertEqual((total["turns"], total["input_tokens"], total["cost_micro_usd"]), (5, 5000, 6000))
                self.assertEqual((total["unpriced_turns"], total["cache_hit"]), (1, 0.25))
                self.assertEqual([by, *total], list(found["usage"][0]))

    def test_filters(self) -> None:
        """Only of what is asked for; a session by the beginning of its id."""
        for arguments, turns in (
            (("--session", "0198-0000-o"), 2),
            (("--status", "unsettled"), 1),
            (("--agent", "claude"), 1),
            (("--provider", "gemini"), 1),
            (("--since", "2026-11-22"), 2),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.json("usage", *arguments)["total"]["turns"], turns)
        self.assertIn("no session nobody's", self.finding("usage", "--session", "nobody's"))

    def test_table(self) -> None:
        """Days in order, then the total."""
        lines = self.output("usage", "--by", "day").splitlines()
        self.assertEqual([line.split()[0] for line in lines[:4]], ["day", "2026-11-21", "2026-11-22", "total"])
