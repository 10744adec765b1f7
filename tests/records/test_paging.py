"""Pages of a store's lists, and the places between them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.records.errors import BadCursor
from agentproxy.records.paging import Filter, cursor, read_cursor
from agentproxy.records.queries import moment
from tests.records.store_case import NOON_US, SECOND_US, QueryCase, call, key, turn


class Pages(QueryCase):
    def test_pages(self) -> None:
        """Pages of any length come to the whole list, each row once, while new rows come in front."""
        moments = [NOON_US + number // 3 * SECOND_US for number in range(23)]
        store = self.store(
            *(turn(number, started_us=at, session=f"session-{number % 7}") for number, at in enumerate(moments)),
            *(call(number, started_us=at) for number, at in enumerate(moments)),
        )
        lists = {
            "turns": store.turns,
            "oldest turns": lambda *a, **k: store.turns(*a, newest_first=False, **k),
            "calls": store.calls,
            "sessions": store.sessions,
            **{by: lambda *a, by=by, **k: store.usage(by, *a, **k) for by in ("day", "model", "session")},
        }
        for name, ask in lists.items():
            whole = ask(Filter(), limit=1000)
            self.assertIsNone(whole.next)
            for limit in (1, 3, 22, 23, 24):
                rows, after = [], None
                while True:
                    page = ask(Filter(), limit=limit, after=after)
                    self.assertLessEqual(len(page.rows), limit)
                    rows += page.rows
                    if (after := page.next) is None:
                        break
                    self.assertRegex(after, r"\A[A-Za-z0-9_-]+\Z")
                self.assertEqual(rows, whole.rows, (name, limit))
        first = store.turns(Filter(), limit=10)
        self.write([turn(100)])
        rest = store.turns(Filter(), limit=100, after=first.next)
        self.assertEqual(len({row["id"] for row in first.rows + rest.rows}), 23)

    def test_limits(self) -> None:
        """A page has at least a row, and no limit is too large."""
        store = self.store(*map(turn, range(3)))
        self.assertEqual(len(store.turns(Filter(), limit=0).rows), 1)
        self.assertEqual(len(store.turns(Filter(), limit=-5).rows), 1)
        self.assertEqual(len(store.turns(Filter(), limit=2**70).rows), 3)

    def test_bad_cursor(self) -> None:
        """What no page told is refused, and so is what another list's page did."""
        store = self.store(*map(turn, range(3)))
        days = cursor("2026-01-01")
        for after in (
            "",
            "x",
            "!",
            "é",
            "W10",
            cursor(),
            cursor(1),
            cursor("a", 1),
            cursor(True, "a"),
            days,
            "A" * 10_000,
        ):
            with self.assertRaises(BadCursor):
                store.turns(Filter(), after=after)
            with self.assertRaises(BadCursor):
                store.usage("model", Filter(), after=after)
        with self.assertRaises(BadCursor):
            store.usage("day", Filter(), after=store.turns(Filter(), limit=1).next)

    def test_odd_cursor(self) -> None:
        """One that only looks right is a place like any other."""
        store = self.store(*map(turn, range(3)))
        self.assertEqual(store.turns(Filter(), after=cursor(2**90, "\ud800")).rows[0]["id"], key(2))
        self.assertEqual(store.sessions(Filter(), after=cursor(-(2**90), "")).rows, [])


class Cursors(SynchronousTestCase):
    @given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=200))
    def test_round(self, number: int, text: str) -> None:
        """A cursor is read as what it was made of."""
        self.assertEqual(read_cursor(cursor(number, text), int, str), (number, text))

    @given(st.text(max_size=50))
    def test_any(self, given: str) -> None:
        """Whatever is given, it is read, or refused as it should be."""
        try:
            read_cursor(given, int, str)
        except BadCursor as error:
            self.assertNotIn("Error", str(error))

    @given(st.integers())
    def test_moment(self, us: int) -> None:
        """Any time has a text of the same form."""
        self.assertRegex(moment(us), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
