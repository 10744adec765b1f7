"""The table of workloads fits the load that runs them, and the targets fit the table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.load import catalogue
from bench.results import metric_of
from bench.targets import TARGETS
from bench.workloads import NAMES, P50, ROUTES, WORKLOADS, Workload, chosen


class WorkloadsTests(SynchronousTestCase):
    def test_known_to_the_load(self) -> None:
        """Both name the same workloads, and the load knows each parameter that it is given."""
        self.assertEqual(set(NAMES), set(catalogue.WORKLOADS))
        for workload in WORKLOADS:
            known = catalogue.WORKLOADS[workload.name].parameters
            self.assertLessEqual(workload.parameters(smoke=True).keys(), known.keys(), workload.name)

    def test_smoke(self) -> None:
        """Parameters in smoke size stand over those in full."""
        workload = Workload("post", "", (P50,), full={"a": 1, "b": 2}, smoke={"b": 3})
        self.assertEqual(workload.parameters(False), {"a": 1, "b": 2})
        self.assertEqual(workload.parameters(True), {"a": 1, "b": 3})

    def test_targets(self) -> None:
        """Each target names a route, and a metric that its workload has."""
        for target in TARGETS:
            self.assertIn(target.route, ROUTES)
            metric_of(target.workload, target.metric)

    def test_chosen(self) -> None:
        """A whole name means itself, a prefix all that begin with it, nothing everything; the order stays."""
        self.assertEqual([each.name for each in chosen(["ws-64", "post"])], ["post", "ws-64"])
        self.assertEqual([each.name for each in chosen(["ws-1"])], ["ws-1k", "ws-1m", "ws-1k-deflate", "ws-1m-deflate"])
        self.assertEqual(chosen([]), list(WORKLOADS))
        with self.assertRaises(ValueError):
            chosen(["ws-64", "wss"])
