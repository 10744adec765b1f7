"""The rounds: whose turn it is, how long a peer's process lives, and what a mistake does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from bench.peers import PeerFailed
from bench.results import Row
from bench.rounds import Place, Plan, rotated, run
from bench.workloads import P50, Metric, Workload
from tests.bench.made import FakePeer, FakePlace

STEADY = Workload("post", "", (P50,))
FRESH = Workload("upload", "", (P50,), fresh=True)
ADDED = Workload("post-1", "", (Metric("p50_ms", "added", "lower", added=True),))


def by_peer(rows: list[Row]) -> dict[str, tuple[str, str | None]]:
    return {row.peer: (row.state, row.why) for row in rows}


class RoundsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.place = FakePlace()

    def run_rounds(self, workload: Workload, *peers: FakePeer, rounds: int = 3, keep: bool = False) -> list[Row]:
        return list(run(Plan(["plain"], [workload], rounds, keep), peers, self.place, self.said.append))

    def test_rotated(self) -> None:
        """Each peer is first in turn."""
        peers = [FakePeer(name) for name in "abc"]
        orders = ["".join(peer.name for peer in rotated(peers, number)) for number in range(4)]
        self.assertEqual(orders, ["abc", "bca", "cab", "abc"])
        self.assertEqual(rotated([], 2), [])

    def test_interleaved(self) -> None:
        """All peers start first, each runs once a round, and lives through all of them."""
        rows = self.run_rounds(STEADY, FakePeer("a"), FakePeer("b"), rounds=2)
        self.assertEqual(
            self.place.journal,
            ["route plain", "start a", "start b", "a 1", "b 1", "b 2", "a 2", "stop b", "stop a", "end plain"],
        )
        self.assertEqual([len(row.rounds) for row in rows], [2, 2])

    def test_fresh(self) -> None:
        """Where memory counts each round has a process of its own."""
        self.run_rounds(FRESH, FakePeer("a"), rounds=2)
        self.assertEqual(
            self.place.journal,
            ["route plain", "start a", "a 1", "stop a", "start a", "a 2", "stop a", "end plain"],
        )

    def test_keep(self) -> None:
        """In smoke size a process lives through the whole route."""
        list(run(Plan(["plain", "squid"], [STEADY, FRESH], 1, True), [FakePeer("a")], self.place, self.said.append))
        each = ["start a", "a 1", "a 2", "stop a"]
        self.assertEqual([step for step in self.place.journal if "plain" not in step][: len(each)], each)
        self.assertEqual(self.place.journal.count("start a"), 2)

    def test_wrong(self) -> None:
        """A wrong answer fails the row for good and ends the peer's process; the others go on."""
        self.place = FakePlace({"a 2": "byte 3 differs"})
        rows = self.run_rounds(STEADY, FakePeer("a"), FakePeer("b"))
        self.assertEqual(by_peer(rows), {"a": ("failed", "byte 3 differs"), "b": ("ok", None)})
        self.assertNotIn("a 3", self.place.journal)
        self.assertIn("b 3", self.place.journal)
        self.assertEqual(self.place.journal.count("stop a"), 1)
        self.assertIn("plain post 2/3 a: FAILED: byte 3 differs", self.said)

    def test_does_not_start(self) -> None:
        """A peer that does not start has failed rows."""
        rows = self.run_rounds(STEADY, FakePeer("a", broken="ended with 1"), FakePeer("b"))
        self.assertEqual(by_peer(rows), {"a": ("failed", "ended with 1"), "b": ("ok", None)})

    def test_skipped(self) -> None:
        """What is not installed, and what makes no sense, is skipped with its reason, and never started."""
        rows = self.run_rounds(STEADY, FakePeer("a", missing="apt-get"), FakePeer("b", lacks="no CONNECT"))
        self.assertEqual(by_peer(rows), {"a": ("skipped", "apt-get"), "b": ("skipped", "no CONNECT")})
        self.assertEqual(self.place.journal, ["route plain", "end plain"])

    def test_direct(self) -> None:
        """`direct` runs where a figure is held against it, and has no rows elsewhere."""
        peers = [FakePeer("a"), FakePeer("direct", lacks="elsewhere")]
        self.assertEqual([row.peer for row in self.run_rounds(STEADY, *peers)], ["a"])
        self.assertEqual(by_peer(self.run_rounds(ADDED, *peers))["direct"], ("ok", None))

    def test_no_place(self) -> None:
        """A route that does not stand is skipped, and the next one runs."""

        @contextlib.contextmanager
        def places(route: str) -> Iterator[Place]:
            if route == "squid":
                raise PeerFailed("Squid is not installed")
            yield self.place

        rows = list(run(Plan(["squid", "plain"], [STEADY], 1), [FakePeer("a")], places, self.said.append))
        self.assertEqual(
            [(row.route, row.state, row.why) for row in rows],
            [("squid", "skipped", "Squid is not installed"), ("plain", "ok", None)],
        )
        self.assertIn("squid: SKIPPED: Squid is not installed", self.said)

    def test_interrupted(self) -> None:
        """An interrupt stops every peer before it goes on its way."""
        self.place.interrupt_at = "b 1"
        with self.assertRaises(KeyboardInterrupt):
            self.run_rounds(STEADY, FakePeer("a"), FakePeer("b"))
        self.assertEqual(self.place.journal[-3:], ["stop b", "stop a", "end plain"])

    def test_kept_when_interrupted(self) -> None:
        """The rows of workloads that were done are there by then; closing it stops the peers."""
        self.place.interrupt_at = "a 2"
        rows = run(Plan(["plain"], [STEADY, FRESH], 1), [FakePeer("a")], self.place, self.said.append)
        self.assertEqual(next(rows).workload, "post")
        with self.assertRaises(KeyboardInterrupt):
            next(rows)
        rows = run(Plan(["plain"], [STEADY], 1, True), [FakePeer("b")], self.place, self.said.append)
        next(rows)
        rows.close()
        self.assertEqual(self.place.journal[-2:], ["stop b", "end plain"])

    def test_routes(self) -> None:
        """A workload of one route has no rows on another."""
        only = Workload("post", "", (P50,), routes=("squid",))
        self.assertEqual(list(run(Plan(["plain"], [only], 1), [FakePeer("a")], self.place, self.said.append)), [])

    def test_figures(self) -> None:
        """Each round's figures come with the row; what the load remarks comes once."""
        (row,) = self.run_rounds(STEADY, FakePeer("a"), rounds=2)
        self.assertEqual([each["per_s"] for each in row.rounds], [50.0, 100.0])
        self.assertEqual(row.rounds[0]["p50_ms"], 1.0)
        self.assertEqual(row.notes, ["generator: own"])
