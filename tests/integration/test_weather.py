"""Bad weather: what fails, how it is named, and that nothing is left behind."""

from __future__ import annotations

import json

from twisted.internet.task import deferLater

from agentproxy.simulator import Script
from tests.integration.chain import SECRETS, ChainCase, reactor
from tests.integration.raw import Raw, request, upgrade

SHORT = (
    "[timeouts]\nconnect = 0.5\nfirst_byte = 0.5\nidle_http = 0.5\nrequest_head = 0.5\n[limits]\nbody_bytes = 1000000"
)


class WeatherCase(ChainCase):
    """Asks for errors and looks at them as an agent would."""

    async def ask(self, data: bytes, provider: str = "openai") -> tuple[int, str, str, Raw]:
        """Send a request: the status, the code and the message of the proxy's own error."""
        client = await self.connect(provider)
        client.send(data)
        head, body = await client.response()
        while head.status < 200:
            head, body = await client.response()
        error = json.loads(body)["error"]
        self.assertEqual(head.first(b"x-agentproxy-error"), error["code"].encode())
        self.assertTrue(error["message"].startswith(f"[{error['code']}] "))
        return head.status, error["code"], error["message"], client

    async def refused(self, data: bytes, status: int, code: str, *words: str) -> None:
        """An error of this kind comes, its message has these words, and nothing is left of the call."""
        before = self.service.descriptors()
        got_status, got_code, message, client = await self.ask(data)
        self.assertEqual((got_status, got_code), (status, code), message)
        for word in words:
            self.assertIn(word, message)
        client.drop()
        await self.settled(before)


class ConnectWeatherTests(WeatherCase):
    """What happens on the way to upstream, for HTTP and for WebSocket alike."""

    async def both(self, status: int, code: str, *words: str) -> None:
        """The same error whichever protocol is asked for."""
        await self.refused(request("/models"), status, code, *words)
        await self.refused(upgrade("/responses"), status, code, *words)

    async def test_proxy_down(self) -> None:
        """A proxy that isn't there: 502, the hop and the phase named."""
        await self.build(egress="http://127.0.0.1:1", tables=SHORT)
        await self.both(502, "upstream_unreachable", "127.0.0.1:1", "refused")

    async def test_proxy_wants_credentials(self) -> None:
        """A 407 is 502 and says where the password goes; it is never passed off as upstream's."""
        self.serve()
        await self.build(egress=self.listen_proxy(credentials="u:p"), tables=SHORT)
        await self.both(502, "upstream_unreachable", "CONNECT to 127.0.0.1:", "was refused: 407", "egress.proxy")

    async def test_proxy_credentials_are_sent(self) -> None:
        """With the password in the URL the tunnel opens, and no word of it is anywhere."""
        self.serve()
        url = self.listen_proxy(credentials=f"user:{SECRETS['PROXY_PASSWORD']}")
        await self.build(egress=url.replace("//", f"//user:{SECRETS['PROXY_PASSWORD']}@"), tables=SHORT)
        client = await self.connect()
        client.send(request("/models"))
        self.assertEqual((await client.response())[0].status, 200)

    async def test_proxy_refuses(self) -> None:
        """A CONNECT refused by 403 is a 502 that says so."""
        self.serve()
        await self.build(egress=self.listen_proxy(refuse=403), tables=SHORT)
        await self.both(502, "upstream_unreachable", "was refused: 403")

    async def test_proxy_silent(self) -> None:
        """A CONNECT never answered is 504, phase tunnel."""
        self.serve()
        await self.build(egress=self.listen_proxy(stall=True), tables=SHORT)
        await self.both(504, "upstream_timeout", "CONNECT", "0.5 s")
        self.assertEqual({event["phase"] for event in await self.service.ends(2)}, {"tunnel"})

    async def test_proxy_answers_in_pieces(self) -> None:
        """An answer byte by byte opens the tunnel all the same."""
        self.serve()
        await self.build(egress=self.listen_proxy(pieces=True))
        client = await self.connect()
        client.send(request("/models"))
        self.assertEqual((await client.response())[0].status, 200)

    async def test_unknown_name(self) -> None:
        """A name that does not exist: 502, phase connect."""
        await self.build(egress="direct", upstream_host="no-such-host.invalid", tables=SHORT)
        await self.both(502, "upstream_unreachable", "no-such-host.invalid", "not found")

    async def test_certificate_for_another_name(self) -> None:
        """A certificate that is not upstream's: 502, phase tls, and no request is sent."""
        await self.build(upstream_host="wrong.example.com", tables=SHORT)
        await self.both(502, "upstream_unreachable", "TLS", "certificate")
        self.assertEqual(self.simulator.requests, [])

    async def test_tls_silent(self) -> None:
        """A TLS handshake that is never answered is 504, phase tls."""
        self.serve()
        self.simulator.script = Script(silence="tls")
        await self.build(tables=SHORT)
        await self.both(504, "upstream_timeout", "TLS handshake")

    async def test_client_resets_while_connect_is_pending(self) -> None:
        """A client that resets in mid-CONNECT takes nothing with it but its own call."""
        self.serve()
        await self.build(egress=self.listen_proxy(stall=True))
        before = self.service.descriptors()
        for data in (request("/models"), upgrade("/responses")):
            tunnels = len(self.proxy.connects)
            client = await self.connect()
            client.send(data)
            while len(self.proxy.connects) == tunnels:
                await deferLater(reactor, 0.01)
            client.drop()
            await self.settled(before)
        self.assertEqual([event["error"] for event in await self.service.ends(2)], ["client_gone"] * 2)


class AnswerWeatherTests(WeatherCase):
    """What upstream can do once it has the request."""

    async def test_resets(self) -> None:
        """A reset before or in the head is 502."""
        await self.build(tables=SHORT)
        for at in ("before", "head"):
            await self.refused(request(f"/simulator/fail?at={at}"), 502, "upstream_unreachable", "closed")

    async def test_silence(self) -> None:
        """No answer within first_byte is 504, phase first_byte."""
        await self.build(tables=SHORT)
        await self.refused(request("/simulator/fail?at=silent"), 504, "upstream_timeout", "answer the request")
        self.assertEqual((await self.service.ends(1))[0]["phase"], "first_byte")

    async def test_broken_off(self) -> None:
        """An answer that breaks off is visible as broken, whatever its framing, and so is one that stops."""
        await self.build(tables=SHORT)
        before = self.service.descriptors()
        # By an orderly end, since a reset may take with it what came before.
        for how in (
            "bytes?n=1000&fail=end&after=500",
            "bytes?n=1000&chunked=1&fail=end&after=500",
            "bytes?n=1000&silence=body&after=500",
        ):
            client = await self.connect()
            client.send(request(f"/simulator/{how}"))
            head = await client.head()
            self.assertEqual(head.status, 200)
            rest = await client.end()
            self.assertLess(len(rest), 600)
            self.assertFalse(rest.endswith(b"0\r\n\r\n"))
        await self.settled(before)
        self.assertNotIn(None, [event["error"] for event in await self.service.ends(3)])

    async def test_invalid_responses(self) -> None:
        """What is no response by RFC 9112 is 502, and never reaches the client."""
        await self.build(tables=SHORT)
        for framing in ("both", "lengths", "garbage", "control", "switch"):
            target = f"/simulator/bytes?n=10&framing={framing}"
            await self.refused(request(target), 502, "upstream_unreachable", "invalid response")
        await self.refused(request("/simulator/bytes?n=10&long-head=100000"), 502, "upstream_unreachable", "head")
        await self.refused(request("/simulator/interim?n=17"), 502, "upstream_unreachable", "interim")

    async def test_invalid_handshakes(self) -> None:
        """A 101 that keeps no word of the handshake is 502."""
        await self.build(tables=SHORT)
        for framing in ("accept", "protocol", "extension"):
            target = f"/simulator/ws/echo?framing={framing}"
            await self.refused(upgrade(target), 502, "upstream_unreachable", "WebSocket handshake")

    async def test_wrong_key(self) -> None:
        """Upstream's own 401 passes, body and all."""
        await self.build(environ={"OPENAI_API_KEY": "sk-proj-Ya6VdLp83TmJw1XbCs5"})
        for data in (request("/responses", method="POST", body=b"{}"), upgrade("/responses")):
            client = await self.connect()
            client.send(data)
            head, body = await client.response()
            self.assertEqual(head.status, 401)
            self.assertIsNone(head.first(b"x-agentproxy-error"))
            self.assertIn("error", json.loads(body))

    async def test_no_key(self) -> None:
        """Without a credential: 403, what to set, and upstream hears nothing."""
        await self.build(environ={"OPENAI_API_KEY": ""})
        await self.refused(request("/models"), 403, "provider_not_configured", "OPENAI_API_KEY")
        await self.refused(upgrade("/responses"), 403, "provider_not_configured", "OPENAI_API_KEY")
        self.assertEqual(self.proxy.connects, [])

    async def test_malformed_requests(self) -> None:
        """What is ambiguous gets 400 and a closed connection before upstream hears of it."""
        await self.build(tables=SHORT)
        for data in (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
        ):
            _, code, _, client = await self.ask(data)
            self.assertEqual(code, "bad_request")
            await client.end()
        self.assertEqual(self.proxy.connects, [])

    async def test_slow_head(self) -> None:
        """A head that does not come whole: 408, and the connection is closed."""
        await self.build(tables=SHORT)
        _, code, _, client = await self.ask(b"GET / HTTP/1.1\r\nHost:")
        self.assertEqual(code, "request_timeout")
        await client.end()

    async def test_body_over_the_limit(self) -> None:
        """413 beforehand by Content-Length, and on the way for a chunked body."""
        await self.build(tables=SHORT)
        data = request("/simulator/sink", "Content-Length: 1000001", method="POST")
        await self.refused(data, 413, "body_too_large", "1000000")
        self.assertEqual(self.proxy.connects, [])
        head = request("/simulator/sink", "Transfer-Encoding: chunked", method="POST")
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        await self.refused(head + piece * 17, 413, "body_too_large", "1000000")

    async def test_client_resets_at_each_phase(self) -> None:
        """A client that goes away frees upstream within a second: waiting, receiving, sending, in a WebSocket."""
        await self.build()
        before = self.service.descriptors()
        for data, come in (
            (request("/simulator/fail?at=silent"), 0),
            (request("/simulator/sse?events=1000&pace=0.05"), 1),
            (request("/simulator/sink", "Content-Length: 100000", method="POST") + b"x" * 1000, 0),
            (upgrade("/simulator/ws/silent"), 1),
            (upgrade("/simulator/ws/echo?silence=head"), 0),
        ):
            seen = len(self.simulator.requests)
            client = await self.connect()
            client.send(data)
            while len(self.simulator.requests) == seen:
                await deferLater(reactor, 0.01)
            if come:
                await client.until(lambda client=client: bool(client.data))
            client.drop()
            began = reactor.seconds()
            while self.simulator.connections and reactor.seconds() - began < 1.0:
                await deferLater(reactor, 0.01)
            self.assertEqual(len(self.simulator.connections), 0, data)
        await self.settled(before)

    async def test_a_client_that_goes_while_it_is_not_read(self) -> None:
        """One that upstream's slowness keeps unread is missed too: uploading, upgrading, pipelining."""
        await self.build(tables="[limits]\nbuffer_bytes = 100000")
        before = self.service.descriptors()
        for data in (
            request("/simulator/sink?hold=60", "Content-Length: 100000000", method="POST") + bytes(30_000_000),
            upgrade("/simulator/with/silence=head/simulator/ws/echo") + bytes(30_000_000),
            request("/simulator/fail?at=silent") + request("/models") * 300_000,
        ):
            seen = len(self.simulator.requests)
            client = await self.connect()
            client.send(data)
            while len(self.simulator.requests) == seen:
                await deferLater(reactor, 0.01)
            await deferLater(reactor, 1)
            self.assertGreater(await self.gauge(), 0)
            client.drop()
            await self.settled(before)

    async def test_a_reader_that_stops(self) -> None:
        """A client that does not read costs no memory, and upstream is made to wait."""
        await self.build()
        warm = await self.connect()
        warm.send(request("/simulator/bytes?n=1000000"))
        await warm.response()
        before = self.service.resident()
        client = await self.connect()
        client.transport.pauseProducing()
        client.send(request("/simulator/bytes?n=200000000"))
        last = -1
        for _ in range(40):
            await deferLater(reactor, 0.05)
            if self.service.resident() == last:
                break
            last = self.service.resident()
        self.assertLess(self.service.resident() - before, 16 * 2**20)
        client.drop()
        await self.settled(self.service.descriptors())

    async def test_an_upstream_that_does_not_read(self) -> None:
        """An upload that nobody takes is held at the sender, and ends with a name."""
        await self.build(tables="[timeouts]\nidle_http = 1")
        client = await self.connect()
        before = self.service.resident()
        client.send(request("/simulator/sink?hold=30", "Content-Length: 100000000", method="POST"))
        client.send(b"x" * 100_000_000)
        head, body = await client.response()
        self.assertIn(head.status, (408, 504), body)
        self.assertLess(self.service.resident() - before, 16 * 2**20)
        client.drop()
