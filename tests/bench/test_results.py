"""Figures of a round, medians and spread, ratios, and the JSON that keeps them."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.results import DIRECT, Figure, Measured, Row, figures_of, load, metric_of
from bench.targets import TARGETS, Target
from tests.bench.made import results_of, rows_of


class FiguresTests(SynchronousTestCase):
    def test_figures_of(self) -> None:
        """Rates, CPU and growth follow from what was measured; the load's own figures stand beside them."""
        figures = figures_of(Measured(1_000, 2.0, 1_000, {"p50_ms": 3.0, "sessions": 100}, 0.05, 2_000_000, 60_000_000))
        self.assertEqual(
            figures,
            {
                "p50_ms": 3.0,
                "sessions": 100,
                "per_s": 500.0,
                "cpu_us": 50.0,
                "peer_busy": 0.025,
                "growth_mb": 2.0,
                "resident_mb": 60.0,
                "session_kb": 20.0,
            },
        )

    def test_no_sessions(self) -> None:
        """There is no figure for a session where there is none."""
        self.assertNotIn("session_kb", figures_of(Measured(1, 1.0, 1, {}, 0.0, 0, 0)))


class ResultsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rate = metric_of("post", "per_s")
        self.added = metric_of("post-1", "p50_ms")

    def test_median(self) -> None:
        """The median, and the spread beside it."""
        results = results_of(*rows_of("plain", "post", "per_s", agentproxy=[10, 50, 20]))
        self.assertEqual(results.figure("plain", "post", "agentproxy", self.rate), Figure(20, 10, 50))

    def test_not_ok(self) -> None:
        """A row that is not ok has no figure, whatever its rounds say."""
        for state in ("failed", "skipped"):
            results = results_of(Row("plain", "post", "agentproxy", state, "why", [{"per_s": 1.0}]))
            self.assertIsNone(results.figure("plain", "post", "agentproxy", self.rate))

    def test_incomplete(self) -> None:
        """A figure that some round has not is none."""
        results = results_of(Row("plain", "post", "agentproxy", rounds=[{"per_s": 1.0}, {}]))
        self.assertIsNone(results.figure("plain", "post", "agentproxy", self.rate))

    def test_added(self) -> None:
        """What a peer adds is its figure less that of `direct` in the same round; `direct` has its own."""
        results = results_of(
            *rows_of("plain", "post-1", "p50_ms", agentproxy=[1.25, 3.25, 2.25], direct=[1.0, 1.0, 2.0])
        )
        results.rows[1].rounds[0]["cpu_us"] = 0.0
        self.assertEqual(results.figure("plain", "post-1", "agentproxy", self.added), Figure(0.25, 0.25, 2.25))
        self.assertEqual(results.figure("plain", "post-1", DIRECT, self.added), Figure(1.0, 1.0, 2.0))
        self.assertIsNone(results.figure("plain", "post-1", DIRECT, metric_of("post-1", "cpu_us")))

    def test_added_to_nothing(self) -> None:
        """Without `direct` nobody knows what is added."""
        rows = rows_of("plain", "post-1", "p50_ms", agentproxy=[1.0], direct=[0.5])
        rows[1].fail("broken")
        self.assertIsNone(results_of(*rows).figure("plain", "post-1", "agentproxy", self.added))
        self.assertIsNone(results_of(rows[0]).figure("plain", "post-1", "agentproxy", self.added))

    def test_ratio(self) -> None:
        """agentproxy's median by the peer's; none to 0."""
        results = results_of(*rows_of("plain", "post", "per_s", agentproxy=[30], node=[20], nginx=[0]))
        self.assertEqual(results.ratio("plain", "post", self.rate, "node"), 1.5)
        self.assertIsNone(results.ratio("plain", "post", self.rate, "nginx"))
        self.assertIsNone(results.ratio("plain", "post", self.rate, "mitmproxy"))

    def test_peers(self) -> None:
        """agentproxy stands first and `direct` last."""
        results = results_of(*rows_of("plain", "post", "per_s", node=[1], direct=[1], agentproxy=[1], tcp=[1]))
        self.assertEqual(results.peers(), ["agentproxy", "node", "tcp", "direct"])

    def test_target(self) -> None:
        """A target is held against the ratio, or against the figure."""
        results = results_of(*rows_of("plain", "post", "per_s", agentproxy=[30], node=[20]))
        self.assertEqual(results.measured(Target("plain", "post", "per_s", ">=", 1, "node")), 1.5)
        self.assertEqual(results.measured(Target("plain", "post", "per_s", ">=", 1)), 30)
        self.assertIsNone(results.measured(Target("squid", "post", "per_s", ">=", 1)))

    def test_json(self) -> None:
        """What is written is read again, and says medians, spread and targets beside each round's figures."""
        rows = rows_of("plain", "post", "per_s", agentproxy=[10, 50, 20], node=[10, 10, 10])
        results = results_of(*rows, Row("plain", "sse", "agentproxy", "failed", "byte 3"))
        path = Path(self.mktemp())
        path.write_text(json.dumps(results.to_json(TARGETS)))
        kept = json.loads(path.read_text())
        self.assertEqual(kept["rows"][0]["figures"], {"per_s": {"median": 20, "min": 10, "max": 50}})
        self.assertEqual(kept["rows"][2]["figures"], {})
        first = kept["targets"][0]
        self.assertEqual((first["workload"], first["measured"], first["met"]), ("post", 2.0, True))
        self.assertEqual(kept["targets"][-1]["met"], None)
        self.assertEqual(load(path), results)

    def test_not_ours(self) -> None:
        """Another file is refused in a sentence."""
        for text in ("{}", "[]", "no", '{"format": 99}', '{"format": 1}', '{"format": 1, "rows": [1]}'):
            path = Path(self.mktemp())
            path.write_text(text)
            with self.assertRaises(ValueError):
                load(path)
