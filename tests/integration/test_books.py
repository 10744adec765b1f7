"""What is recorded of real agents' conversations, and what is left of it when the service is killed."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from agentproxy.records.queries import Filter, Store
from agentproxy.wire.masking import whole_frame
from agentproxy.wire.messages import TEXT
from tests.integration import agents, process
from tests.integration.chain import CLIENT_SECRET, SECRETS, ChainCase
from tests.integration.process import Watched
from tests.integration.raw import Raw, request, upgrade
from tests.integration.test_agents import ANSWER, AgentCase

Row = dict[str, Any]

LOST_SECONDS = 1.0
"""A turn that ended so long before a kill is in the records."""


class BooksCase(ChainCase):
    """Looks at the records of the service's run."""

    @property
    def records(self) -> Path:
        """The record store's folder: the default one below the service's home."""
        return Path(self.service.folder, ".local", "state", "agentproxy")

    async def agentproxy(self, *arguments: str) -> Watched:
        """Run a command of the console script on the service's records."""
        ran = process.agentproxy([*arguments, "--records", str(self.records)], self.service.folder)
        await ran.ended()
        return ran

    async def read(self, *arguments: str) -> Any:
        """What such a command says as JSON."""
        ran = await self.agentproxy(*arguments, "--json")
        self.assertEqual((ran.code, ran.err), (0, ""), arguments)
        return json.loads(ran.out)

    def reported(self) -> dict[str, Row]:
        """What upstream said that its responses used, by their ids."""
        return {identity: dict(usage) for identity, usage in self.simulator.memory.reported}

    async def drained(self) -> None:
        """Stop the service: all is written then."""
        await self.service.stop()


class AgentBooksTests(BooksCase, AgentCase):
    """Conversations of the real agents, to the token."""

    async def test_codex(self) -> None:
        """A tool call and its follow-up over one WebSocket are two turns of one session, as upstream reported them."""
        home = self.home("codex")
        await self.build_through_squid()
        ran = await agents.codex(home, self.url("openai"), "exec", "--skip-git-repo-check", "TOOLCALL please.")
        self.assertIn(ANSWER, ran.out, ran.err)
        self.assertTrue(self.simulator.websockets[0].deflate)
        await self.drained()
        (session,) = (await self.read("sessions"))["sessions"]
        self.assertEqual((session["agent"], session["session_source"]), ("codex", "stated"))
        shown = await self.read("session", session["session"])
        reported = self.reported()
        turns = [turn for turn in shown["turns"] if turn["response_id"] in reported]
        self.assertEqual(len(turns), len(shown["turns"]))
        self.assertEqual({turn["response_id"] for turn in turns}, set(reported))
        self.assertEqual((len(turns), session["turns"]), (2, 2))
        for turn in turns:
            said = reported[turn["response_id"]]
            self.assertEqual(
                (turn["input_tokens"], turn["output_tokens"], turn["cache_read_tokens"], turn["reasoning_tokens"]),
                (
                    said["input_tokens"],
                    said["output_tokens"],
                    said["input_tokens_details"]["cached_tokens"],
                    said["output_tokens_details"]["reasoning_tokens"],
                ),
            )
            self.assertEqual((turn["source"], turn["status"], turn["protocol"]), ("reported", "completed", "websocket"))
            self.assertEqual((turn["request_model"], turn["response_model"]), ("gpt-5.5", "gpt-5.5"))
            self.assertIsNone(turn["degraded"])
        self.assertEqual([len(turn["tools"]) for turn in turns], [1, 0])
        self.assertEqual(session["input_tokens"], sum(said["input_tokens"] for said in reported.values()))
        for name in ("sessions", "session"):
            table = await self.agentproxy(name, *([session["session"]] if name == "session" else []))
            self.assertEqual((table.code, table.err), (0, ""))
            self.assertIn("codex", table.out)

    async def test_claude(self) -> None:
        """``claude -p`` over SSE is one session, as upstream reported it."""
        home = self.home("claude")
        await self.build_through_squid()
        ran = await agents.claude(home, self.url("anthropic"), "Say hello.")
        self.assertIn(ANSWER, ran.out, ran.err)
        await self.drained()
        (session,) = (await self.read("sessions"))["sessions"]
        self.assertEqual((session["agent"], session["session_source"]), ("claude-code", "stated"))
        turns = (await self.read("session", session["session"]))["turns"]
        reported = self.reported()
        self.assertEqual({turn["response_id"] for turn in turns}, set(reported))
        for turn in turns:
            said = reported[turn["response_id"]]
            read, written = said["cache_read_input_tokens"], said["cache_creation_input_tokens"]
            self.assertEqual(
                (turn["input_tokens"], turn["output_tokens"], turn["cache_read_tokens"], turn["cache_write_tokens"]),
                (said["input_tokens"] + read + written, said["output_tokens"], read, written),
            )
            self.assertEqual((turn["source"], turn["protocol"], turn["operation"]), ("reported", "http", "messages"))
            self.assertGreater(turn["cost_micro_usd"], 0)


class KilledTests(BooksCase):
    """The service is killed."""

    async def test_two_hundred_sessions(self) -> None:
        """kill -9 amid 200 streaming sessions loses no turn that had ended a second before; the rest is whole."""
        await self.build()
        ended: dict[str, float] = {}
        killed: Deferred[None] = Deferred()
        body = json.dumps({"model": "gpt-5.5", "input": "Hi", "stream": True}).encode()
        asked = request(
            "/simulator/with/pace=0.02/v1/responses",
            "content-type: application/json",
            f"content-length: {len(body)}",
            method="POST",
        )

        async def session(client: Raw) -> None:
            while not killed.called:
                client.send(asked + body)
                _, answer = await client.response()
                now = time.monotonic()
                identity = re.findall(rb"resp_[0-9a-f]+", answer)[-1].decode()
                if b"response.completed" in answer:
                    ended[identity] = now
                due = sum(when < now - LOST_SECONDS for when in ended.values())
                if due > 200 and not killed.called:
                    killed.callback(None)

        clients = [await self.connect() for _ in range(200)]
        running = [Deferred.fromCoroutine(session(client)) for client in clients]
        await killed
        at = time.monotonic()
        self.service.signal("KILL")
        await self.service.watched.ended()
        await gatherResults([each.addErrback(lambda _: None) for each in running])
        due = {identity for identity, when in ended.items() if when < at - LOST_SECONDS}
        self.assertGreater(len(due), 200)
        file = self.records / "records.sqlite"
        with sqlite3.connect(file) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            rows = connection.execute("SELECT response_id, source, status, input_tokens FROM turns").fetchall()
        connection.close()
        self.assertEqual(due - {row[0] for row in rows}, set())
        self.assertEqual({row[1:3] for row in rows}, {("reported", "completed")})
        self.assertTrue(all(row[3] > 0 for row in rows))


class ContentTests(BooksCase):
    """What was said is kept."""

    async def test_no_secret_on_the_disk(self) -> None:
        """Bodies, messages and heads are kept and exported, and no credential in any of them, whoever sent it."""
        await self.build(tables='[record]\ncontent = "full"')
        said = "Tell me of otters"
        body = json.dumps(
            {"model": "gpt-5.5", "input": f"{said}, my key is {CLIENT_SECRET}", "api_key": SECRETS["PROXY_PASSWORD"]}
        )
        secret = (f"authorization: Bearer {CLIENT_SECRET}", f"cookie: a={CLIENT_SECRET[-16:]}")
        client = await self.connect()
        asked = request(f"/v1/responses?api-key={CLIENT_SECRET}", *secret, method="POST", body=body.encode())
        client.send(asked)
        self.assertEqual((await client.response())[0].status, 200)
        client.send(upgrade("/simulator/ws/echo", *secret))
        self.assertEqual((await client.head()).status, 101)
        message = f"{said}, by {CLIENT_SECRET} and {SECRETS['OPENAI_API_KEY']}".encode()
        client.send(whole_frame(TEXT, message, b"\x01\x02\x03\x04"))
        await client.read(len(message) + 2)
        client.drop()
        await self.service.ends(2)
        await self.drained()
        ran = await self.agentproxy("export", "--format", "har")
        self.assertEqual((ran.code, ran.err), (0, ""))
        entries = json.loads(ran.out)["log"]["entries"]
        self.assertEqual(len(entries), 2)
        post, socket = entries if entries[0]["request"]["method"] == "POST" else reversed(entries)
        self.assertIn(said, post["request"]["postData"]["text"])
        self.assertIn("Hello from the simulator", post["response"]["content"]["text"])
        self.assertEqual(
            [(each["type"], each["data"].partition(",")[0]) for each in socket["_webSocketMessages"]],
            [("send", said), ("receive", said)],
        )
        store = Store(self.records / "records.sqlite")
        kept = [part["body"] for call in store.each_call(Filter()) for part in store.content(call["id"])]
        store.close()
        self.assertGreaterEqual(len(kept), 8)
        files = [path.read_bytes() for path in self.records.iterdir()]
        texts = [data.decode("latin-1") for data in (*kept, *files)]
        self.hold_no_secret(ran.out, *texts)


class DamagedTests(BooksCase):
    """The records can't be read."""

    async def test_set_aside(self) -> None:
        """The service starts on a damaged file all the same, says so, sets it aside, and records anew."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        (folder / "records.sqlite").write_bytes(b"this is no database" * 1000)
        await self.build(tables=f'[record]\ndirectory = "{folder}"')
        client = await self.connect()
        client.send(request("/models"))
        self.assertEqual((await client.response())[0].status, 200)
        await self.service.ends(1)
        self.assertIn('"sessions":', await self.admin("/api/sessions"))
        await self.drained()
        (event,) = self.service.events("record.damaged")
        self.assertTrue(event["file"].startswith("records.sqlite.damaged-"))
        self.assertTrue((folder / event["file"]).exists())
        with sqlite3.connect(folder / "records.sqlite") as connection:
            self.assertEqual(connection.execute("SELECT count(*) FROM calls").fetchall(), [(1,)])
        connection.close()
