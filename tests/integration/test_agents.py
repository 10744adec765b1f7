"""The real agents, through agentproxy and a real Squid, answered from behind TLS."""

from __future__ import annotations

import json

from tests.integration import agents, squid
from tests.integration.chain import ChainCase
from tests.integration.raw import request, upgrade

ANSWER = "Hello from the simulator"


class SquidCase(ChainCase):
    """Puts a real Squid into the chain."""

    def setUp(self) -> None:
        if squid.find() is None:
            self.skipTest("Squid is not installed; on Debian: apt-get install squid")

    async def build_through_squid(self, **options: str) -> None:
        """As `build`, with Squid as the way out."""
        self.serve()
        through = await squid.start(self.served.tls_port)
        self.addCleanup(through.stop)
        await self.build(egress=f"http://127.0.0.1:{through.port}", **options)

    def url(self, provider: str) -> str:
        """A provider port's URL."""
        return f"http://127.0.0.1:{self.service.ports[provider]}"


class SquidTests(SquidCase):
    """What Squid sees."""

    async def test_http_and_websocket(self) -> None:
        """Calls share one tunnel, a WebSocket has its own, and upstream sees SNI and the name."""
        await self.build_through_squid()
        client = await self.connect()
        for _ in range(5):
            client.send(request("/models"))
            self.assertEqual((await client.response())[0].status, 200)
        self.assertEqual(self.simulator.accepted, 1)
        client.send(upgrade("/simulator/ws/echo"))
        self.assertEqual((await client.head()).status, 101)
        self.assertEqual(self.simulator.accepted, 2)
        self.assertEqual({seen.server_name for seen in self.simulator.requests}, {"api.openai.com"})

    async def test_squid_refuses(self) -> None:
        """A port that Squid's rules forbid is a 502 that names Squid's 403."""
        self.serve()
        through = await squid.start(1)
        self.addCleanup(through.stop)
        await self.build(egress=f"http://127.0.0.1:{through.port}")
        client = await self.connect()
        client.send(request("/models"))
        head, body = await client.response()
        self.assertEqual(head.status, 502)
        self.assertIn(f"CONNECT to 127.0.0.1:{through.port} was refused: 403", body.decode())


class AgentCase(SquidCase):
    """Has homes for clients."""

    timeout = 200

    def home(self, name: str) -> agents.Home:
        """A home for a client, which has to be installed."""
        if agents.find(name) is None:
            self.skipTest(f"{name} is {agents.HOW}")
        home = agents.Home()
        self.addCleanup(home.remove)
        return home


class AgentTests(AgentCase):
    """Conversations."""

    async def test_codex_over_websocket(self) -> None:
        """``codex exec`` streams over a WebSocket and has its answer."""
        home = self.home("codex")
        await self.build_through_squid()
        ran = await agents.codex(home, self.url("openai"), "exec", "--skip-git-repo-check", "Say hello.")
        self.assertIn(ANSWER, ran.out, ran.err)
        self.assertEqual({event["protocol"] for event in await self.service.ends(1)}, {"websocket"})
        self.assertTrue(self.simulator.websockets[0].deflate)

    async def test_codex_runs_a_tool(self) -> None:
        """A tool call and its follow-up travel over the same socket."""
        home = self.home("codex")
        await self.build_through_squid()
        ran = await agents.codex(home, self.url("openai"), "exec", "--skip-git-repo-check", "TOOLCALL please.")
        self.assertIn(ANSWER, ran.out, ran.err)
        self.assertEqual(len(self.simulator.websockets), 1)
        sent = [json.loads(message) for message in self.simulator.websockets[0].messages]
        outputs = [item for message in sent for item in message["input"] if item["type"] == "function_call_output"]
        self.assertEqual(len(outputs), 1)

    async def test_codex_falls_back_to_http(self) -> None:
        """With ``websocket = false`` Codex gets 426 once and goes on over HTTP at once."""
        home = self.home("codex")
        await self.build_through_squid(provider_keys="websocket = false")
        ran = await agents.codex(home, self.url("openai"), "exec", "--skip-git-repo-check", "Say hello.")
        self.assertIn(ANSWER, ran.out, ran.err)
        calls = [(event["protocol"], event["status"]) for event in await self.service.ends(2)]
        self.assertEqual(calls, [("websocket", 426), ("http", 200)])

    async def test_codex_doctor(self) -> None:
        """``codex doctor`` finds the WebSocket handshake good."""
        home = self.home("codex")
        await self.build_through_squid()
        ran = await agents.codex(home, self.url("openai"), "doctor", "--json")
        checks = json.loads(ran.out)["checks"]
        states = {name: check["status"] for name, check in checks.items() if "websocket" in name}
        self.assertTrue(states, list(checks))
        self.assertEqual(set(states.values()), {"ok"}, ran.out)

    async def test_claude_over_sse(self) -> None:
        """``claude -p`` has its answer."""
        home = self.home("claude")
        await self.build_through_squid()
        ran = await agents.claude(home, self.url("anthropic"), "Say hello.")
        self.assertIn(ANSWER, ran.out, ran.err)
        self.assertIn("/v1/messages", {event["path"] for event in await self.service.ends(2)})
