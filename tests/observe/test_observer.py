"""The observer: the events it writes, what it counts, and that it never stands in a call's way."""

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.call import Call, Close
from agentproxy.errors import InternalError, RateLimited
from agentproxy.observe.log import EventLog
from agentproxy.observe.metrics import Metrics
from agentproxy.observe.observer import Observer
from agentproxy.observe.redact import MARK, Redactor

END_KEYS = [
    "time", "level", "event", "id", "provider", "protocol", "method", "path", "status", "bytes_in", "bytes_out",
    "frames_in", "frames_out", "duration_s", "close", "error", "phase",
]  # fmt: skip


class BrokenMetrics(Metrics):
    """Metrics of which nothing works."""

    def _fail(self, *args):
        raise RuntimeError("metrics are broken: sk-ant-api03-secret")

    call_started = call_ended = progress = denied = connect_phase = upstream_error = _fail


class BrokenLog(EventLog):
    """A log that raises."""

    def emit_parts(self, event, level="info", **keys):
        raise RuntimeError("no log")


class ObserverTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.clock.advance(100)
        self.written = []
        self.log = EventLog(self.written.append, clock=self.clock, wall=lambda: 0.0)
        self.metrics = Metrics("1")
        self.redactor = Redactor()
        self.observer = Observer(self.log, self.metrics, self.clock, redactor=self.redactor)

    def lines(self):
        self.log.flush()
        return [json.loads(line) for line in "".join(self.written).splitlines()]

    def a_call(self, protocol="http", path="/v1/responses"):
        return Call("id-1", "openai", protocol, "POST", path, self.clock.seconds())

    def test_start(self):
        """A call's start says what is known of it by then."""
        self.observer.call_started(self.a_call())
        [line] = self.lines()
        del line["time"]
        self.assertEqual(
            line,
            {
                "level": "info",
                "event": "call.start",
                "id": "id-1",
                "provider": "openai",
                "protocol": "http",
                "method": "POST",
                "path": "/v1/responses",
            },
        )

    def test_http_end(self):
        """An HTTP call's end has every key; frames, close, error and phase are null."""
        call = self.a_call()
        self.observer.call_started(call)
        self.clock.advance(1.5)
        call.status, call.bytes_in, call.bytes_out = 200, 7, 9
        self.observer.call_ended(call)
        line = self.lines()[-1]
        self.assertEqual(list(line), END_KEYS)
        self.assertEqual((line["event"], line["status"], line["duration_s"]), ("call.end", 200, 1.5))
        self.assertEqual((line["bytes_in"], line["bytes_out"]), (7, 9))
        for key in ("frames_in", "frames_out", "close", "error", "phase"):
            self.assertIsNone(line[key])

    def test_websocket_end(self):
        """A WebSocket's end has its frames and its close, whose reason is cleaned as the path is."""
        self.redactor.add("hunter2hunter2")
        call = self.a_call("websocket", "/v1/hunter2hunter2")
        self.observer.call_started(call)
        call.frames_in, call.frames_out = 3, 4
        call.error, call.phase = "upstream_timeout", "idle"
        call.close = Close("upstream", 1008, "bad key hunter2hunter2", clean=True)
        self.observer.call_ended(call)
        line = self.lines()[-1]
        self.assertEqual(list(line), END_KEYS)
        self.assertEqual((line["frames_in"], line["frames_out"]), (3, 4))
        self.assertEqual((line["error"], line["phase"]), ("upstream_timeout", "idle"))
        self.assertEqual(line["close"], {"side": "upstream", "code": 1008, "reason": f"bad key {MARK}", "clean": True})
        self.assertNotIn("hunter2", "".join(self.written))

    def test_active(self):
        """Running calls are counted by provider and protocol, each once."""
        first, second = self.a_call(), self.a_call("websocket")
        for call in (first, second, second):
            self.observer.call_started(call)
        self.assertEqual(self.observer.active, {("openai", "http"): 1, ("openai", "websocket"): 1})
        for call in (first, first, self.a_call()):
            self.observer.call_ended(call)
        self.assertEqual(self.observer.active, {("openai", "http"): 0, ("openai", "websocket"): 1})
        self.assertEqual([line["event"] for line in self.lines()], ["call.start", "call.start", "call.end"])

    def test_denied(self):
        """A denial names the call, the status and the code, and is counted; it doesn't end the call."""
        call = self.a_call()
        self.observer.call_started(call)
        self.observer.denied(call, RateLimited("slow down"))
        line = self.lines()[-1]
        del line["time"]
        self.assertEqual(
            line,
            {
                "level": "warn",
                "event": "call.denied",
                "id": "id-1",
                "provider": "openai",
                "protocol": "http",
                "method": "POST",
                "path": "/v1/responses",
                "status": 429,
                "code": "rate_limited",
            },
        )
        self.assertIn(b'agentproxy_denials_total{code="rate_limited",provider="openai"} 1.0', self.metrics.render()[0])
        self.assertEqual(self.observer.active[("openai", "http")], 1)

    def test_denied_without_call(self):
        """Where no head could be read the denial names the provider alone."""
        self.observer.denied("openai", InternalError("oh"))
        [line] = self.lines()
        self.assertEqual(list(line), ["time", "level", "event", "provider", "status", "code"])

    def test_passed_on(self):
        """Phases, failures and progress reach the metrics; other events the log."""
        call = self.a_call("websocket")
        self.observer.call_started(call)
        call.bytes_in = 5
        self.observer.progress(call)
        self.observer.connect_phase("openai", "tls", 0.2)
        self.observer.upstream_error("openai", "tls")
        self.observer.event("service.ready", port=10000)
        text = self.metrics.render()[0]
        for series in (
            b'agentproxy_bytes_total{direction="to_upstream",provider="openai"} 5.0',
            b'agentproxy_upstream_connect_seconds_sum{phase="tls",provider="openai"} 0.2',
            b'agentproxy_upstream_errors_total{phase="tls",provider="openai"} 1.0',
        ):
            self.assertIn(series, text)
        self.assertEqual((self.lines()[-1]["event"], self.lines()[-1]["port"]), ("service.ready", 10000))
        self.assertEqual(self.observer.faults, 0)

    def test_long_paths_are_not_kept(self):
        """What is kept of calls that are over has a bound, whatever methods and paths clients make up."""
        for number in range(1200):
            for path in (f"/{number}", f"/{number}" + "x" * 10000):
                call = Call("id", "openai", "http", "GET", path, 10.0)
                self.observer.call_started(call)
                self.observer.call_ended(call)
        kept = self.observer._parts
        self.assertLessEqual(len(kept), 1024)
        self.assertLess(max(len(part) for part in kept.values()), 1000)

    def test_broken_metrics(self):
        """With broken metrics calls are logged all the same; the fault is told once, without the secret in it."""
        self.observer = Observer(self.log, BrokenMetrics("1"), self.clock)
        call = self.a_call()
        self.observer.call_started(call)
        self.observer.progress(call)
        self.observer.denied(call, RateLimited("slow down"))
        self.observer.connect_phase("openai", "tls", 0.2)
        self.observer.upstream_error("openai", "tls")
        self.observer.call_ended(call)
        self.assertEqual(self.observer.faults, 6)
        lines = self.lines()
        self.assertEqual([line["event"] for line in lines], ["observe.fault", "call.start", "call.denied", "call.end"])
        self.assertEqual(lines[0]["message"], f"metrics are broken: {MARK}")

    def test_broken_log(self):
        """With a broken log calls are counted all the same, and nothing is raised."""
        log = BrokenLog(self.written.append, clock=self.clock, wall=lambda: 0.0)
        self.observer = Observer(log, self.metrics, self.clock)
        call = self.a_call()
        self.observer.call_started(call)
        self.observer.event("x")
        self.observer.denied(call, RateLimited("slow down"))
        self.observer.call_ended(call)
        self.assertEqual((self.observer.faults, log.lost), (3, 2))
        self.assertEqual(self.observer.active, {("openai", "http"): 0})
        self.assertIn(
            b'agentproxy_requests_total{protocol="http",provider="openai",status="0"} 1.0', self.metrics.render()[0]
        )
