"""Every peer for real: what it relays, on each route that it has, comes through byte for byte; it leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from bench import machine
from bench.peers import Peer, Route, Running, certificates, find_program, peers, squid
from tests.bench.ends import BODY, EVENTS, HOST, Client, Upstream
from tests.bench.test_process import gone

SIZES = (1, 64, 125, 126, 1_000, 65_535, 65_536, 1_048_576)


class Peers(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.proxy_core, self.load_core = machine.cores()

    def peer(self, name: str) -> Peer:
        """:raises SkipTest: it is missing."""
        peer = next(peer for peer in peers() if peer.name == name)
        missing = peer.missing()
        if missing:
            raise SkipTest(missing)
        return peer

    @contextmanager
    def running(self, peer: Peer, route: Route, folder: str) -> Iterator[Running]:
        (self.folder / folder).mkdir()
        running = peer.start(route, self.folder / folder, self.proxy_core)
        pids = running.pids
        try:
            yield running
        finally:
            running.stop()
        self.assertEqual([pid for pid in pids if not gone(pid)], [])

    def check(self, running: Running, upstream: Upstream) -> None:
        """All three protocols."""
        for pid in running.pids:
            self.assertEqual(os.sched_getaffinity(pid), {self.proxy_core})
        client = Client(running.host, running.port, running.prefix, running.headers)
        for _ in range(3):
            self.assertEqual(client.post(), (200, BODY))
        self.assertEqual(upstream.connections, 1, "connections to upstream are kept")
        self.assertEqual(client.events(), (200, b"".join(EVENTS)))
        client.close()
        client = Client(running.host, running.port, running.prefix, running.headers)
        self.assertEqual(client.upgrade(), 101)
        for size in SIZES:
            payload = os.urandom(size)
            self.assertEqual(client.echo(payload), (0x82, payload), f"a message of {size} B")
        self.assertEqual(client.echo(b'{"type": "ping"}', text=True), (0x81, b'{"type": "ping"}'))
        client.close()
        for head in upstream.heads:
            self.assertEqual(head.split()[1].partition(b"/resp_")[0], b"/v1/responses", "the prefix is gone")

    def plain(self, name: str) -> None:
        peer = self.peer(name)
        self.assertIsNone(peer.lacks("post", "plain"))
        upstream = Upstream()
        self.addCleanup(upstream.close)
        with self.running(peer, Route("plain", HOST, upstream.port), "plain") as running:
            self.check(running, upstream)

    def squid(self, name: str) -> None:
        peer = self.peer(name)
        self.assertIsNone(peer.lacks("post", "squid"))
        if squid.missing():
            raise SkipTest(str(squid.missing()))
        good, other = self.folder / "good", self.folder / "other"
        good.mkdir()
        other.mkdir()
        files, ca_file = certificates.issue(good), certificates.issue(other).ca_file
        upstream = Upstream(files.cert_file, files.key_file)
        self.addCleanup(upstream.close)
        proxy = squid.start(self.load_core)
        self.addCleanup(proxy.stop)

        route = Route("squid", certificates.NAME, upstream.port, True, files.ca_file, proxy.port)
        with self.running(peer, route, "trusting") as running:
            self.check(running, upstream)
            proxy.stop()
            client = Client(running.host, running.port, running.prefix, running.headers)
            self.assertGreaterEqual(client.post()[0], 500, "it went by the proxy, which is gone")
            client.close()

        proxy = squid.start(self.load_core)
        self.addCleanup(proxy.stop)
        answered = len(upstream.heads)
        route = Route("squid", certificates.NAME, upstream.port, True, ca_file, proxy.port)
        with self.running(peer, route, "distrusting") as running:
            client = Client(running.host, running.port, running.prefix, running.headers)
            self.assertGreaterEqual(client.post()[0], 500, "it verifies upstream")
            client.close()
        self.assertEqual(len(upstream.heads), answered)

    def test_agentproxy_plain(self) -> None:
        """agentproxy, to upstream by TCP."""
        self.plain("agentproxy")

    def test_agentproxy_squid(self) -> None:
        """agentproxy, through Squid over verified TLS."""
        self.squid("agentproxy")

    def test_nginx_plain(self) -> None:
        """nginx, to upstream by TCP."""
        self.plain("nginx")

    def test_node_plain(self) -> None:
        """The pipe in Node, to upstream by TCP."""
        self.plain("node")

    def test_node_squid(self) -> None:
        """The pipe in Node, through Squid over verified TLS."""
        self.squid("node")

    def test_mitmproxy_plain(self) -> None:
        """mitmproxy, to upstream by TCP."""
        self.plain("mitmproxy")

    def test_mitmproxy_squid(self) -> None:
        """mitmproxy, through Squid over verified TLS."""
        self.squid("mitmproxy")

    def test_litellm_squid(self) -> None:
        """LiteLLM, through Squid over verified TLS; it starts too slowly to be looked at twice."""
        self.squid("litellm")

    def test_tcp_plain(self) -> None:
        """The raw relay."""
        self.plain("tcp")

    def test_direct(self) -> None:
        """No proxy: upstream itself."""
        upstream = Upstream()
        self.addCleanup(upstream.close)
        with self.running(self.peer("direct"), Route("plain", HOST, upstream.port), "direct") as running:
            self.assertEqual(running.pids, [])
            self.check(running, upstream)

    def test_lacks(self) -> None:
        """What makes no sense is said: who knows no CONNECT proxy, and what LiteLLM does not pass on."""
        lacking = {peer.name for peer in peers() if peer.lacks("post-1", "squid")}
        self.assertEqual(lacking, {"nginx", "tcp", "direct"})
        for workload in ("upload", "ws-64-deflate"):
            self.assertEqual({peer.name for peer in peers() if peer.lacks(workload, "plain")}, {"litellm", "direct"})

    def test_missing(self) -> None:
        """A program that is not there is missing, with what brings it."""
        nowhere = Path("/nowhere/program")
        missing = {peer.name: peer.missing() for peer in peers(nowhere, nowhere, nowhere)}
        for name in ("agentproxy", "mitmproxy", "litellm"):
            self.assertTrue(missing[name], name)
        self.assertIsNone(find_program("no-such-program", ".venv-none"))
