"""What the service says of itself."""

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.admin.health import ProviderStatus, Status


def broken():
    raise OSError("no credential file at /run/secrets/x")


def a_provider(name="openai", upstream="https://user:pa55word@api.openai.com/v1", **changes):
    values = {
        "kind": "openai",
        "port": 10000,
        "base_url": "http://127.0.0.1:10000",
        "configured": lambda: True,
        "websocket": True,
    }
    return ProviderStatus(name=name, upstream=upstream, **(values | changes))


class StatusTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.clock.advance(50)
        self.active = {}

    def status(self, *providers):
        return Status("1.2.3", providers, {"buffer_bytes": 1048576}, clock=self.clock, active=self.active)

    def test_health(self):
        """Health names the version, the time since the start, and whether each provider is configured now."""
        there = []
        status = self.status(a_provider(configured=lambda: bool(there)), a_provider("broken", configured=broken))
        self.clock.advance(12.5)
        expected = {
            "status": "ok",
            "version": "1.2.3",
            "uptime_s": 12.5,
            "providers": {"openai": {"configured": False}, "broken": {"configured": False}},
        }
        self.assertEqual(json.loads(status.health_body()), expected)
        there.append("a credential")
        self.assertIs(json.loads(status.health_body())["providers"]["openai"]["configured"], True)

    def test_ready(self):
        """The service is ready only between its start and its drain."""
        status = self.status()
        seen = []
        for state in ("starting", "ready", "draining"):
            status.state = state
            seen.append((status.ready, json.loads(status.ready_body())["status"]))
        self.assertEqual(seen, [(False, "starting"), (True, "ready"), (False, "draining")])
        self.assertEqual(self.status().state, "starting")

    def test_reflect(self):
        """Reflection names every provider as it is now, and the limits."""
        self.active["openai", "websocket"] = 2
        known = []
        status = self.status(a_provider(models=lambda: known or None))
        self.assertEqual(
            json.loads(status.reflect_body()),
            {
                "providers": [
                    {
                        "name": "openai",
                        "kind": "openai",
                        "port": 10000,
                        "base_url": "http://127.0.0.1:10000",
                        "upstream": "api.openai.com",
                        "configured": True,
                        "websocket": True,
                        "models": None,
                        "active": {"http": 0, "websocket": 2},
                    }
                ],
                "limits": {"buffer_bytes": 1048576},
            },
        )
        known.append("gpt-5")
        self.assertEqual(json.loads(status.reflect_body())["providers"][0]["models"], ["gpt-5"])

    def test_upstream_host(self):
        """Of an upstream's URL only host and port are told."""
        for url, host in (
            ("https://a.example/v1?key=x", "a.example"),
            ("http://u:p@127.0.0.1:8080/", "127.0.0.1:8080"),
            ("https://u:p%40@[::1]:8443", "[::1]:8443"),
        ):
            self.assertEqual(a_provider(upstream=url).upstream_host, host)
