"""HTTP and SSE through the whole chain, with the embedded CONNECT proxy and TLS."""

from __future__ import annotations

import hashlib
import json

from tests.integration.chain import CLIENT_SECRET, KEYS, ChainCase
from tests.integration.raw import request


class HttpTests(ChainCase):
    """What an agent sees of a call that goes well."""

    async def test_five_calls_one_tunnel(self) -> None:
        """Five calls on one provider make one CONNECT; each carries the true credential and none of the client's."""
        await self.build()
        client = await self.connect()
        for number in range(5):
            body = json.dumps({"model": "gpt-5.5", "input": f"call {number}"}).encode()
            client.send(request("/responses", f"Authorization: Bearer {CLIENT_SECRET}", method="POST", body=body))
            head, answer = await client.response()
            self.assertEqual(head.status, 200, answer)
        self.assertEqual(len(self.proxy.connects), 1)
        self.assertEqual(len(self.simulator.requests), 5)
        for seen in self.simulator.requests:
            values = [value for name, value in seen.headers if name.lower() == b"authorization"]
            self.assertEqual(values, [b"Bearer " + KEYS["openai"].encode()])
            self.assertEqual(seen.target, b"/v1/responses")

    async def test_sse_events_leave_as_they_arrive(self) -> None:
        """A paced stream's first event is here long before its last."""
        await self.build()
        client = await self.connect()
        client.send(request("/simulator/sse?events=3&pace=0.4"))
        head = await client.head()
        self.assertEqual(head.status, 200)
        await client.until(lambda: b"data" in client.data)
        self.assertFalse(b"0\r\n\r\n" in client.data)
        await client.until(lambda: client.data.endswith(b"0\r\n\r\n"))

    async def test_ten_thousand_events(self) -> None:
        """10,000 events arrive whole and in order."""
        await self.build()
        client = await self.connect()
        client.send(request("/simulator/sse?events=10000&pace=0&bytes=100"))
        head, body = await client.response()
        self.assertEqual(head.status, 200)
        direct = await self.direct("/simulator/sse?events=10000&pace=0&bytes=100")
        self.assertEqual(body, direct)

    async def direct(self, target: str) -> bytes:
        """The same without agentproxy between."""
        from tests.integration import raw

        client = await raw.connect(self.served.port)
        client.send(request(target))
        _, body = await client.response()
        client.drop()
        return body

    async def test_twenty_megabytes_both_ways(self) -> None:
        """A 20 MB body goes up and comes back byte for byte."""
        await self.build()
        body = b"0123456789abcdef" * 1_310_720
        client = await self.connect()
        client.send(request("/simulator/sink", method="POST", body=body))
        _, answer = await client.response()
        self.assertEqual(json.loads(answer)["sha256"], hashlib.sha256(body).hexdigest())
        client.send(request("/simulator/bytes?n=20971520&chunked=1"))
        _, down = await client.response()
        self.assertEqual(len(down), 20971520)

    async def test_encoded_bodies_pass(self) -> None:
        """A gzip body comes as it was sent, still encoded, and says so."""
        await self.build()
        client = await self.connect()
        client.send(request("/simulator/gzip", "Accept-Encoding: gzip"))
        head, body = await client.response()
        self.assertEqual(head.first(b"content-encoding"), b"gzip")
        self.assertTrue(body.startswith(b"\x1f\x8b"))
        self.assertEqual(self.simulator.requests[-1].header(b"accept-encoding"), b"gzip")

    async def test_expect_continue(self) -> None:
        """The 100 that the client waits for is upstream's."""
        await self.build()
        client = await self.connect()
        fields = ("Expect: 100-continue", "Content-Length: 5")
        client.send(request("/simulator/echo", *fields, method="POST"))
        interim = await client.head()
        self.assertEqual(interim.status, 100)
        client.send(b"hello")
        head, body = await client.response()
        self.assertEqual((head.status, body), (200, b"hello"))

    async def test_interim_responses_pass(self) -> None:
        """A 103 reaches the client before the 200."""
        await self.build()
        client = await self.connect()
        client.send(request("/simulator/interim?n=1"))
        self.assertEqual((await client.head()).status, 103)
        self.assertEqual((await client.response())[0].status, 200)

    async def test_plain_upstream(self) -> None:
        """An ``http://`` upstream is reached by CONNECT too."""
        await self.build(scheme="http")
        client = await self.connect()
        client.send(request("/models"))
        self.assertEqual((await client.response())[0].status, 200)
        self.assertEqual(len(self.proxy.connects), 1)

    async def test_direct(self) -> None:
        """Without a proxy the upstream is reached directly, its name checked all the same."""
        await self.build(egress="direct", upstream_host="localhost")
        client = await self.connect()
        client.send(request("/models"))
        self.assertEqual((await client.response())[0].status, 200)

    async def test_log_and_metrics(self) -> None:
        """A call's end is logged and counted, with the request id that the client sent."""
        await self.build()
        client = await self.connect()
        client.send(request("/models?token=abc", "x-request-id: from-the-client"))
        head, body = await client.response()
        self.assertEqual(head.first(b"x-agentproxy-request-id"), b"from-the-client")
        (end,) = await self.service.ends(1)
        self.assertEqual(
            [end[key] for key in ("id", "provider", "protocol", "method", "path", "status", "bytes_out", "error")],
            ["from-the-client", "openai", "http", "GET", "/models", 200, len(body), None],
        )
        metrics = await self.admin("/metrics")
        self.assertIn('agentproxy_requests_total{protocol="http",provider="openai",status="200"} 1.0', metrics)
        self.assertIn('agentproxy_upstream_connect_seconds_count{phase="tls",provider="openai"} 1.0', metrics)
