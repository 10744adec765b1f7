"""The Markdown: tables, reasons, targets, before and after."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.report import cell, markdown, table
from bench.results import Row, number
from tests.bench.made import results_of, rows_of


def line_with(text: str, *words: str) -> list[str]:
    """The cells of the one table line that has all these words."""
    (line,) = [line for line in text.splitlines() if line.startswith("|") and all(word in line for word in words)]
    return [part.strip() for part in line.strip("|").split(" | ")]


class PiecesTests(SynchronousTestCase):
    def test_number(self) -> None:
        """People see what counts."""
        figures = [0, 0.1234, 1.234, 12.34, 123.4, 12345.6, -0.5]
        self.assertEqual([number(one) for one in figures], ["0", "0.123", "1.23", "12.3", "123", "12,346", "-0.500"])

    def test_cell(self) -> None:
        """A reason of several lines with a bar in it stays in its cell."""
        self.assertEqual(cell("a|b\nc  d"), "a\\|b c d")

    def test_table(self) -> None:
        """Figures stand on the right."""
        self.assertEqual(table(["a", "b", "c"], [["1", "2", "3"]])[1:], ["| --- | --- | ---: |", "| 1 | 2 | 3 |"])


class MarkdownTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rows = rows_of("plain", "post", "per_s", agentproxy=[30_000], nginx=[50_000], node=[10_000])

    def test_ratio(self) -> None:
        """A peer's figure has agentproxy's ratio behind it; the metric says which way is good."""
        line = line_with(markdown(results_of(*self.rows)), "post", "requests/s (higher is better)", "50,000")
        self.assertEqual(line[2:], ["30,000", "50,000 (0.60)", "10,000 (3.00)"])
        lower = markdown(results_of(*rows_of("plain", "post", "p99_ms", agentproxy=[2.0], node=[4.0])))
        self.assertEqual(line_with(lower, "p99 ms (lower is better)", "2.00")[2:], ["2.00", "4.00 (0.50)"])
        self.assertIn("where lower is better a ratio below 1 is", lower)

    def test_failed(self) -> None:
        """A failed row shows why, and no figure in any of its cells; the whole reason stands below."""
        why = "byte 3 of 500: " + "x" * 200
        self.rows[0].fail(why)
        text = markdown(results_of(*self.rows))
        line = line_with(text.partition("## Targets")[0], "requests/s")
        self.assertTrue(line[2].startswith("failed: byte 3"), line)
        self.assertEqual(line[3], "50,000")
        self.assertEqual(line_with(text.partition("## Targets")[0], "p99 ms")[2], "failed")
        self.assertNotIn("30,000", text)
        self.assertIn(f"- **failed**: post, agentproxy: {why}", text)

    def test_skipped(self) -> None:
        """A skipped row has a dash, and its reason once below."""
        self.rows += [Row("plain", name, "litellm", "skipped", "no WebSocket") for name in ("post", "ws-64")]
        text = markdown(results_of(*self.rows))
        self.assertEqual(line_with(text.partition("## Targets")[0], "requests/s")[-1], "-")
        self.assertIn("- litellm has no row: no WebSocket", text)
        text = markdown(results_of(*self.rows, *rows_of("plain", "sse", "per_s", agentproxy=[1])))
        self.assertIn("- litellm has no post, ws-64: no WebSocket", text)

    def test_load_at_its_limit(self) -> None:
        """Where the peer had time left, its rate is the load's and not its own, which is said."""
        for row, busy in zip(self.rows, (0.99, 0.5, 0.9), strict=True):
            row.rounds[0]["peer_busy"] = busy
        text = markdown(results_of(*self.rows))
        self.assertIn("CPU per operation says more: post of nginx (50% busy)\n", text)

    def test_machine(self) -> None:
        """It says what it was measured on, and what was not there."""
        text = markdown(results_of(*self.rows))
        self.assertIn("- cpu: a", text)
        self.assertIn("- not here: node", text)
        self.assertIn("- post: small JSON POST", text)

    def test_targets(self) -> None:
        """A target is met, missed, or not measured; those of workloads that did not run are left out."""
        self.rows += rows_of("plain", "ws-64", "per_s", agentproxy=[6_000], nginx=[10_000])
        text = markdown(results_of(*self.rows)).partition("## Targets")[2]
        self.assertEqual(line_with(text, ">= 1 x node", "plain post")[2:], [">= 1 x node", "3.00 x node", "yes"])
        self.assertEqual(line_with(text, ">= 8 x mitmproxy")[3:], ["-", "not measured"])
        self.assertEqual(line_with(text, ">= 0.7 x nginx")[3:], ["0.600 x nginx", "**no**"])
        self.assertNotIn("upload", text)

    def test_against(self) -> None:
        """Before and after, with the change of a peer beside it, which is the machine's."""
        before = results_of(*rows_of("plain", "post", "per_s", agentproxy=[20_000], nginx=[40_000], tcp=[1]))
        text = markdown(results_of(*self.rows), before).partition("## Against the run of 2026-01-02")[2]
        self.assertEqual(line_with(text, "workload")[2:], ["before", "after", "after / before", "nginx"])
        self.assertEqual(line_with(text, "requests/s")[2:], ["20,000", "30,000", "1.50", "1.25"])

    def test_against_unknown(self) -> None:
        """What an earlier run did not measure has no change."""
        before = results_of(*rows_of("squid", "post", "per_s", agentproxy=[20_000]))
        text = markdown(results_of(*self.rows), before).partition("## Against")[2]
        self.assertEqual(line_with(text, "requests/s")[2:], ["-", "30,000", "-"])

    def test_empty(self) -> None:
        """Nothing measured is said as nothing."""
        self.assertNotIn("## ", markdown(results_of()))
