"""The picture: what its bars say, and that it is drawn where it can be."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.picture import NoPicture, draw, heights
from tests.bench.made import results_of, rows_of

PEERS = ["agentproxy", "node", "tcp"]


class PictureTests(SynchronousTestCase):
    def test_heights(self) -> None:
        """Up is better: figures of which less is good are turned over."""
        results = results_of(
            *rows_of("plain", "post", "per_s", agentproxy=[30], node=[10]),
            *rows_of("plain", "sse-paced", "p99_ms", agentproxy=[2], node=[4], tcp=[8]),
            *rows_of("plain", "sse", "per_s", agentproxy=[2]),
        )
        found = [(workload.name, values) for workload, values in heights(results, "plain", PEERS)]
        self.assertEqual(found, [("post", [3.0, 1.0, None]), ("sse-paced", [2.0, 1.0, 0.5])])

    def test_not_above_nothing(self) -> None:
        """What a logarithm can't show is left out."""
        results = results_of(*rows_of("plain", "post-1", "p50_ms", agentproxy=[1], node=[1], direct=[1]))
        self.assertEqual(heights(results, "plain", PEERS), [])

    def test_nothing(self) -> None:
        """Without Node's figures there is no picture, and a reason."""
        with self.assertRaises(NoPicture) as caught:
            draw(results_of(*rows_of("plain", "post", "per_s", agentproxy=[30])), Path(self.mktemp()))
        self.assertIn("node", str(caught.exception))

    def test_draw(self) -> None:
        """Both files are there; or matplotlib is not, which is said."""
        folder = Path(self.mktemp())
        folder.mkdir()
        rows = [
            row for route in ("plain", "squid") for row in rows_of(route, "post", "per_s", agentproxy=[3], node=[1])
        ]
        try:
            paths = draw(results_of(*rows), folder)
        except NoPicture as why:
            self.assertIn("matplotlib is not installed", str(why))
        else:
            self.assertEqual([path.suffix for path in paths], [".png", ".svg"])
            self.assertTrue(all(path.stat().st_size > 1_000 for path in paths))
