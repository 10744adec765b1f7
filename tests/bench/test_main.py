"""The command line, and one run of everything for real, in smoke size."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.__main__ import contenders, main, parser
from bench.machine import find
from bench.results import PEER, load
from bench.workloads import ROUTES, WORKLOADS
from tests.bench.made import FakePeer

ROOT = Path(__file__).resolve().parents[2]
PEERS = "agentproxy,node"
SOME = ("post", "ws-64", "download")
"""A few of all; `bench/run --smoke`, which is part of CI, has every peer and every workload."""


class CommandLineTests(SynchronousTestCase):
    def assert_refused(self, why: str, *arguments: str) -> None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as caught:
            main(arguments)
        self.assertEqual(caught.exception.code, 2)
        self.assertIn(why, said.getvalue())

    def test_refused(self) -> None:
        """What is not understood ends in a sentence before anything runs."""
        self.assert_refused("no workload is called 'wss'", "--workloads", "wss")
        self.assert_refused("no peer is called 'envoy'", "--peers", "agentproxy,envoy")
        self.assert_refused("routes are plain, squid", "--routes", "tor")
        self.assert_refused("invalid _count value", "--rounds", "0")
        self.assert_refused("invalid _seconds value", "--seconds", "nan")
        self.assert_refused("No such file", "--against", "/nonexistent/results.json")

    def test_words(self) -> None:
        """Lists stand between commas."""
        options = parser().parse_args(["--routes", "plain, squid", "--workloads", "ws-,post"])
        self.assertEqual((options.routes, options.workloads), (["plain", "squid"], ["ws-", "post"]))

    def test_contenders(self) -> None:
        """`direct` is always there, since figures are held against it."""
        every = [FakePeer(name) for name in ("agentproxy", "node", "direct")]
        self.assertEqual([peer.name for peer in contenders(every, ["agentproxy"])], ["agentproxy", "direct"])
        self.assertEqual(contenders(every, []), every)


class SmokeTests(SynchronousTestCase):
    def test_smoke(self) -> None:
        """Workloads run on every route, all answers of agentproxy are right, and the report is written."""
        folder = Path(self.mktemp()).absolute()
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "bench", "--smoke", "--peers", PEERS, "--workloads", ",".join(SOME)]
        command += ["--out", str(folder)]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=170, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        results = load(folder / "results.json")
        routes = [route for route in ROUTES if route == "plain" or find("squid")]
        ours = {(row.route, row.workload): (row.state, row.why) for row in results.rows if row.peer == PEER}
        chosen = [each for each in WORKLOADS if each.name in SOME]
        wanted = {(route, each.name): ("ok", None) for route in routes for each in chosen}
        self.assertEqual({key: ours[key] for key in wanted}, wanted)
        text = (folder / "report.md").read_text()
        for route in routes:
            self.assertIn(f"## Route {route}", text)
        for metric in (metric for each in chosen for metric in each.metrics):
            self.assertIn(f"| {metric.title} (", text)
        self.assertTrue(json.loads((folder / "results.json").read_text())["targets"])
