"""The admin port, spoken to in bytes."""

import json

from twisted.internet.error import ConnectionDone
from twisted.python import log
from twisted.python.failure import Failure
from twisted.web.server import Site

from agentproxy.admin.routes import ROUTES
from agentproxy.admin.site import HEAD_BYTES, IDLE_SECONDS, LONGEST_SECONDS
from agentproxy.call import Secret
from agentproxy.observe.metrics import Metrics
from tests.admin.asking import AdminCase

TOKEN = "s3cret-token"
PAGES = ["/", "/health", "/metrics", "/ready", "/reflect"]
SHOWN = sorted(PAGES + [route.path for route in ROUTES])


class BrokenMetrics(Metrics):
    def render(self):
        raise RuntimeError("no metrics, and the reason is private")


class AdminSiteTests(AdminCase):
    def test_site(self):
        """It is a Site, and sets no timer of its own."""
        self.assertIsInstance(self.site, Site)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pages(self):
        """Every page is there, with its type, never cached, never guessed at, and without the server's name."""
        for path in PAGES:
            response = self.ask(path)
            self.assertEqual(response.status, 200, path)
            expected = "text/plain; version=0.0.4; charset=utf-8" if path == "/metrics" else "application/json"
            self.assertEqual(response.getheader("content-type"), expected)
            self.assertEqual(response.getheader("cache-control"), "no-store")
            self.assertEqual(response.getheader("x-content-type-options"), "nosniff")
            self.assertEqual(int(response.getheader("content-length")), len(response.text))
            self.assertIsNone(response.getheader("server"))
            self.assertNotIn(b"pa55", response.text)

    def test_bodies(self):
        """Pages say what the status and the metrics say; a query changes nothing."""
        self.assertEqual(self.ask("/reflect").text, self.status.reflect_body())
        self.assertEqual(self.ask("/health?x=1").text, self.status.health_body())
        self.assertIn(b'agentproxy_build_info{version="1.2.3"} 1.0', self.ask("/metrics").text)
        self.assertEqual(
            json.loads(self.ask("/").text),
            {"service": "agentproxy", "version": "1.2.3", "endpoints": SHOWN[1:]},
        )

    def test_ready(self):
        """Readiness is 503 while starting or draining; health stays 200."""
        for state, expected in (("starting", 503), ("ready", 200), ("draining", 503)):
            self.status.state = state
            response = self.ask("/ready")
            self.assertEqual((response.status, json.loads(response.text)), (expected, {"status": state}))
            self.assertEqual(self.ask("/health").status, 200)

    def test_head(self):
        """HEAD gives GET's head and no body."""
        for path in PAGES:
            got, asked = self.ask(path), self.ask(path, "HEAD")
            self.assertEqual((asked.status, asked.text), (200, b""))
            self.assertEqual(asked.getheaders(), got.getheaders())

    def test_methods(self):
        """Other methods are 405 and name the two that are not; a body is neither read nor asked for."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"):
            response = self.ask("/health", method)
            self.assertEqual((response.status, response.getheader("allow")), (405, "GET, HEAD"))
        response = self.ask("/health", "POST", "Content-Length: 1000000000", "Expect: 100-continue", body=b"x" * 100)
        self.assertEqual(response.status, 405)
        response = self.ask("/health", "POST", "Transfer-Encoding: chunked")
        self.assertEqual(response.status, 405)

    def test_one_request(self):
        """What follows a request is never taken for the next one."""
        smuggled = b"GET /reflect HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for fields in ((), ("Content-Length: 5",), ("Connection: keep-alive",)):
            channel, transport = self.connect()
            head = "\r\n".join(["GET /ready HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()
            channel.dataReceived(head + smuggled)
            channel.dataReceived(smuggled)
            self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)
            self.assertIn(b"Connection: close", transport.value())

    def test_unknown(self):
        """Another path is 404, names what exists, and is not repeated."""
        for path in ("/nothing-here", "/health/", "//health", "/HEALTH", "/%68ealth", "*", "http://localhost/health"):
            response = self.ask(path)
            self.assertEqual(response.status, 404, path)
            error = json.loads(response.text)["error"]
            self.assertEqual((error["code"], error["paths"]), ("not_found", SHOWN))
            self.assertNotIn(b"nothing-here", response.text)

    def test_guarded(self):
        """A foreign Host or Origin is 403 on every page, known or not."""
        self.make(hosts=("proxy.example",))
        for path in (*PAGES, "/nothing-here"):
            self.assertEqual(self.ask(path, host="evil.example").status, 403)
            self.assertEqual(self.ask(path, "GET", "Origin: http://evil.example").status, 403)
        self.assertEqual(self.ask("/reflect", host="proxy.example:10080").status, 200)

    def test_token(self):
        """With a token set, all but health and readiness ask for it, and don't say what exists before."""
        self.make(token=lambda: Secret(TOKEN))
        for path in (*PAGES, "/nothing-here"):
            without = self.ask(path)
            if path in ("/health", "/ready"):
                self.assertEqual(without.status, 200)
            else:
                self.assertEqual((without.status, without.getheader("www-authenticate")), (401, "Bearer"))
                self.assertNotIn(b"/reflect", without.text)
            shown = self.ask(path, "GET", f"Authorization: Bearer {TOKEN}")
            self.assertEqual(shown.status, 404 if path == "/nothing-here" else 200)

    def test_token_breaks(self):
        """A token source that breaks lets no one in."""

        def source():
            raise OSError("gone")

        self.make(token=source)
        self.assertEqual(self.ask("/reflect", "GET", f"Authorization: Bearer {TOKEN}").status, 500)
        self.assertEqual(self.ask("/health").status, 200)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_page_fails(self):
        """A page that fails is 500 in JSON, says nothing of why, and is logged."""
        self.make(metrics=BrokenMetrics("1"))
        response = self.ask("/metrics")
        self.assertEqual((response.status, json.loads(response.text)["error"]["code"]), (500, "internal_error"))
        self.assertNotIn(b"private", response.text)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_large_head(self):
        """A head over the limit, in one line or in many, is 400 and the end of the connection."""
        for fields in (["X-A: " + "a" * HEAD_BYTES], [f"X-{n}: {'a' * 100}" for n in range(200)], ["X: 1"] * 120):
            channel, transport = self.connect()
            channel.dataReceived("\r\n".join(["GET /health HTTP/1.1", "Host: localhost", *fields, "", ""]).encode())
            self.assertTrue(transport.disconnecting)
            self.assertNotIn(b"200 OK", transport.value())

    def test_silent_client(self):
        """A client that says nothing is dropped."""
        channel, transport = self.connect()
        channel.dataReceived(b"GET /health HTTP/1.1\r\n")
        self.clock.advance(IDLE_SECONDS)
        self.assertTrue(transport.disconnecting)

    def test_slow_client(self):
        """A client that sends a byte now and then is dropped at the deadline."""
        channel, transport = self.connect()
        for _ in range(LONGEST_SECONDS // 5):
            self.assertFalse(transport.disconnected)
            channel.dataReceived(b"G")
            self.clock.advance(5)
        self.assertTrue(transport.disconnected)

    def test_slow_reader(self):
        """A client that never takes its answer is dropped at the deadline."""
        channel, transport = self.connect()
        channel.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.clock.advance(LONGEST_SECONDS)
        self.assertTrue(transport.disconnected)

    def test_timers(self):
        """A connection that is gone leaves no timer behind."""
        channel, _ = self.connect()
        channel.dataReceived(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_access_log(self):
        """A request leaves no line in any log."""
        events = []
        log.addObserver(events.append)
        self.addCleanup(log.removeObserver, events.append)
        for method in ("GET", "HEAD", "POST"):
            self.ask("/health", method)
        self.ask("/nothing-here")
        self.assertEqual(events, [])
