"""What is made of wrk's own counters."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from bench.load.loop import Loop
from bench.load.post import judge
from bench.load.run import Run, WrongAnswer
from bench.load.wrk import Summary, script, summary_of

LINE = (
    '{"requests":10,"us":2000000,"bytes":5000,"p50_us":80.5,"p99_us":100.0,'
    '"errors":{"connect":0,"read":0,"write":0,"timeout":0,"status":%d}}'
)


def summary(requests: int, size: int, **errors: int) -> Summary:
    return Summary(requests, 1.0, size, 0.1, 0.2, errors)


class WrkTests(SynchronousTestCase):
    def test_summary(self) -> None:
        """Its last line, in our units; errors that are 0 are none."""
        found = summary_of("Running 1s test\n...\n\n" + LINE % 0 + "\n")
        self.assertEqual(found, Summary(10, 2.0, 5000, 0.0805, 0.1, {}))
        self.assertEqual(summary_of(LINE % 3).errors, {"status": 3})
        self.assertRaises(RuntimeError, summary_of, "unable to connect")
        self.assertRaises(RuntimeError, summary_of, "")

    def test_judge(self) -> None:
        """Its bytes have to be those of as many answers; those under way at its end may be cut off."""
        judge(summary(1000, 500_000), 500, 500, 16)
        judge(summary(1000, 503_000), 500, 500, 16)
        judge(summary(1000, 499_995), 500, 500, 16)
        for wrong in (
            summary(1000, 490_000), summary(1000, 520_000), summary(0, 0), summary(1000, 500_000, read=1),
        ):  # fmt: skip
            self.assertRaises(WrongAnswer, judge, wrong, 500, 500, 16)

    def test_script(self) -> None:
        """wrk's script has the body and the header fields, and of those that wrk writes itself only a given host."""
        run = Run(Loop(0.0), "127.0.0.1", 1, socket.socket(), 1.0, headers=[("Authorization", "Bearer x")])
        self.addCleanup(run.listener.close)
        self.addCleanup(run.loop.close)
        text = script(run, b'{"a":1}')
        self.assertIn('wrk.body = [==[\n{"a":1}]==]', text)
        self.assertIn("wrk.headers[ [==[\nAuthorization]==] ] = [==[\nBearer x]==]", text)
        for field in ("content-length", "host", "Host", "no-key"):
            self.assertNotIn(field, text)
        run.headers = [("host", "a.example")]
        self.assertIn("wrk.headers[ [==[\nHost]==] ] = [==[\na.example]==]", script(run, b""))
