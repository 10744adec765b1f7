"""The metrics: their names and labels, and what each call moves."""

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.call import Call, Close
from agentproxy.observe.metrics import MOST_CODES, MOST_MODELS, Metrics

PROMISED = {
    "agentproxy_build_info": ("gauge", {"version"}),
    "agentproxy_requests_total": ("counter", {"provider", "protocol", "status"}),
    "agentproxy_active_calls": ("gauge", {"provider", "protocol"}),
    "agentproxy_request_duration_seconds": ("histogram", {"provider", "protocol"}),
    "agentproxy_time_to_first_byte_seconds": ("histogram", {"provider"}),
    "agentproxy_bytes_total": ("counter", {"provider", "direction"}),
    "agentproxy_websocket_frames_total": ("counter", {"provider", "direction"}),
    "agentproxy_websocket_closes_total": ("counter", {"provider", "side", "code"}),
    "agentproxy_denials_total": ("counter", {"provider", "code"}),
    "agentproxy_upstream_connect_seconds": ("histogram", {"provider", "phase"}),
    "agentproxy_upstream_errors_total": ("counter", {"provider", "phase"}),
    "agentproxy_tokens_total": ("counter", {"provider", "model", "type"}),
    "agentproxy_cost_usd_total": ("counter", {"provider", "model"}),
    "agentproxy_records_lost_total": ("counter", set()),
}


def a_call(protocol="http", provider="openai"):
    return Call("id-1", provider, protocol, "POST", "/v1/responses", started=10.0)


class MetricsTests(SynchronousTestCase):
    def setUp(self):
        self.metrics = Metrics("1.2.3")

    def samples(self):
        """Every sample as {(name, labels): value}."""
        body, _ = self.metrics.render()
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }

    def value(self, name, **labels):
        return self.samples().get((f"agentproxy_{name}", *sorted(labels.items())))

    def everything(self):
        call = a_call("websocket")
        self.metrics.call_started(call)
        call.status, call.first_byte, call.close = 101, 10.5, Close("client", 1000)
        self.metrics.call_ended(call, 2.0)
        self.metrics.denied("openai", "rate_limited")
        self.metrics.connect_phase("openai", "tls", 0.1)
        self.metrics.upstream_error("openai", "first_byte")
        self.metrics.usage("openai", "gpt-5", "input", 10)
        self.metrics.cost("openai", "gpt-5", 1500)

    def test_names_and_labels(self):
        """What is exported is exactly what is promised: names, types, labels, and no series beside."""
        self.everything()
        body, content_type = self.metrics.render()
        self.assertEqual(content_type, "text/plain; version=0.0.4; charset=utf-8")
        types = dict(line.split()[2:] for line in body.decode().splitlines() if line.startswith("# TYPE"))
        self.assertEqual(types, {name: kind for name, (kind, _) in PROMISED.items()})
        found = {name: set() for name in PROMISED}
        for name, *labels in self.samples():
            base = name
            for suffix in ("_bucket", "_sum", "_count"):
                if PROMISED.get(name.removesuffix(suffix), ("",))[0] == "histogram":
                    base = name.removesuffix(suffix)
            found[base] |= {label for label, _ in labels} - {"le"}
        self.assertEqual(found, {name: labels for name, (_, labels) in PROMISED.items()})
        self.assertNotIn(b"_created", body)

    def test_own_registry(self):
        """Two services in one process don't meet."""
        self.metrics.denied("openai", "rate_limited")
        body, _ = Metrics("1.2.3").render()
        self.assertNotIn(b"rate_limited", body)

    def test_build_info(self):
        """The version is a label of a gauge that is 1."""
        self.assertEqual(self.value("build_info", version="1.2.3"), 1)

    def test_known_providers(self):
        """Providers of the configuration have their series from the start."""
        self.metrics = Metrics("1", ["gemini"])
        self.assertEqual(self.value("active_calls", provider="gemini", protocol="websocket"), 0)
        self.assertEqual(self.value("bytes_total", provider="gemini", direction="to_client"), 0)

    def test_http_call(self):
        """An HTTP call moves the gauge up and down, and at its end the count, times and bytes."""
        call = a_call()
        self.metrics.call_started(call)
        self.assertEqual(self.value("active_calls", provider="openai", protocol="http"), 1)
        call.status, call.first_byte, call.bytes_in, call.bytes_out = 200, 10.25, 100, 2000
        self.metrics.call_ended(call, 1.5)
        self.assertEqual(self.value("active_calls", provider="openai", protocol="http"), 0)
        self.assertEqual(self.value("requests_total", provider="openai", protocol="http", status="200"), 1)
        self.assertEqual(self.value("request_duration_seconds_sum", provider="openai", protocol="http"), 1.5)
        self.assertEqual(self.value("time_to_first_byte_seconds_sum", provider="openai"), 0.25)
        self.assertEqual(self.value("bytes_total", provider="openai", direction="to_upstream"), 100)
        self.assertEqual(self.value("bytes_total", provider="openai", direction="to_client"), 2000)
        self.assertIsNone(self.value("websocket_frames_total", provider="openai", direction="to_client"))

    def test_no_answer(self):
        """A call that got no answer has status 0 and no time to its first byte."""
        call = a_call()
        self.metrics.call_started(call)
        self.metrics.call_ended(call, 1.0)
        self.assertEqual(self.value("requests_total", provider="openai", protocol="http", status="0"), 1)
        self.assertIsNone(self.value("time_to_first_byte_seconds_count", provider="openai"))

    def test_progress(self):
        """A long WebSocket's bytes and frames move while it runs, each counted once."""
        call = a_call("websocket")
        self.metrics.call_started(call)
        call.bytes_in, call.frames_in = 10, 1
        self.metrics.progress(call)
        call.bytes_in, call.bytes_out, call.frames_out = 30, 500, 2
        self.assertEqual(self.value("bytes_total", provider="openai", direction="to_upstream"), 30)
        self.assertEqual(self.value("websocket_frames_total", provider="openai", direction="to_upstream"), 1)
        self.assertEqual(self.value("websocket_frames_total", provider="openai", direction="to_client"), 2)
        call.bytes_in, call.frames_in = 35, 4
        self.metrics.call_ended(call, 60.0)
        self.metrics.progress(call)
        self.assertEqual(self.value("bytes_total", provider="openai", direction="to_upstream"), 35)
        self.assertEqual(self.value("bytes_total", provider="openai", direction="to_client"), 500)
        self.assertEqual(self.value("websocket_frames_total", provider="openai", direction="to_upstream"), 4)

    def test_ended_once(self):
        """A call that never began or has ended already is not counted."""
        call = a_call()
        self.metrics.call_ended(call, 1.0)
        self.metrics.call_started(call)
        self.metrics.call_ended(call, 1.0)
        self.metrics.call_ended(call, 1.0)
        self.assertEqual(self.value("requests_total", provider="openai", protocol="http", status="0"), 1)
        self.assertEqual(self.value("active_calls", provider="openai", protocol="http"), 0)

    def test_closes(self):
        """A close counts by its side and code; of codes that peers make up only so many are told apart."""
        for code in range(3000, 3000 + MOST_CODES + 9):
            call = a_call("websocket")
            self.metrics.call_started(call)
            call.close = Close("upstream", code)
            self.metrics.call_ended(call, 1.0)
        self.assertEqual(self.value("websocket_closes_total", provider="openai", side="upstream", code="3000"), 1)
        self.assertEqual(self.value("websocket_closes_total", provider="openai", side="upstream", code="other"), 9)

    def test_models(self):
        """Models are capped in number and in length, and hold no odd characters; the rest is one series."""
        for number in range(MOST_MODELS + 5):
            self.metrics.usage("openai", f"model-{number}", "input", 1)
        self.metrics.usage("openai", "model-0", "input", 1)
        for name in ("x" * 101, 'a"b', "a\nb", ""):
            self.metrics.usage("openai", name, "input", 1)
        self.assertEqual(self.value("tokens_total", provider="openai", model="model-0", type="input"), 2)
        self.assertEqual(self.value("tokens_total", provider="openai", model="other", type="input"), 9)

    def test_cost(self):
        """Cost is summed in whole micro-dollars and told in dollars."""
        for _ in range(1000):
            self.metrics.cost("openai", "gpt-5", 1)
        self.metrics.cost("openai", "gpt-5", 2_000_000)
        self.assertEqual(self.value("cost_usd_total", provider="openai", model="gpt-5"), 2.001)

    def test_odd_label(self):
        """A provider's name can't break the format."""
        self.metrics.denied('a"\n\\b', "policy_denied")
        self.assertEqual(self.value("denials_total", provider='a"\n\\b', code="policy_denied"), 1)

    def test_buckets(self):
        """A second's answer and ten minutes' one fall in buckets of their own."""
        for seconds in (1.0, 600.0, 601.0):
            call = a_call()
            self.metrics.call_started(call)
            self.metrics.call_ended(call, seconds)
        labels = {"provider": "openai", "protocol": "http"}
        self.assertEqual(self.value("request_duration_seconds_bucket", **labels, le="0.5"), 0)
        self.assertEqual(self.value("request_duration_seconds_bucket", **labels, le="1.0"), 1)
        self.assertEqual(self.value("request_duration_seconds_bucket", **labels, le="600.0"), 2)
        self.assertEqual(self.value("request_duration_seconds_bucket", **labels, le="+Inf"), 3)
