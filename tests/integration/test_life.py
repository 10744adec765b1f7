"""Starting and stopping: what an operator sees of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
from pathlib import Path

from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from agentproxy.wire.masking import whole_frame
from agentproxy.wire.messages import TEXT
from tests.integration.chain import ChainCase, reactor
from tests.integration.process import ROOT, Service, Watched, agentproxy, spawn, twistd
from tests.integration.raw import connect, request, upgrade

MASK = b"\x01\x02\x03\x04"
CREATE = b'{"type":"response.create","model":"gpt-5.5","input":[]}'


class DrainTests(ChainCase):
    """SIGTERM."""

    async def stopping(self) -> Watched:
        """Send SIGTERM and wait until the drain has begun."""
        watched = self.service.watched
        self.service.signal("TERM")
        await watched.until(lambda: "service.drain" in watched.out or "service.stop" in watched.out)
        return watched

    async def test_idle(self) -> None:
        """Idle connections close, and the exit is 0 and quick."""
        await self.build()
        client = await self.connect()
        client.send(request("/models"))
        await client.response()
        watched = await self.stopping()
        self.assertEqual(await client.end(), b"")
        await watched.ended(5)
        self.assertEqual(watched.code, 0)

    async def test_a_running_response_goes_on(self) -> None:
        """A stream that runs comes to its end; meanwhile ``/ready`` is 503 and new calls get 503 ``draining``."""
        await self.build()
        running, other = await self.connect(), await self.connect()
        running.send(request("/simulator/sse?events=10&pace=0.1"))
        await running.until(lambda: b"data" in running.data)
        # The other connection is kept from being idle by the beginning of a head.
        other.send(b"GET /models HTTP/1.1\r\n")
        await deferLater(reactor, 0.1)
        watched = await self.stopping()
        admin = await connect(self.service.ports["admin"])
        admin.send(request("/ready"))
        self.assertEqual((await admin.response())[0].status, 503)
        admin.drop()
        other.send(b"Host: a\r\n\r\n")
        head, _ = await other.response()
        self.assertEqual((head.status, head.first(b"x-agentproxy-error")), (503, b"draining"))
        head, body = await running.response()
        self.assertEqual((head.status, body.count(b"data")), (200, 10))
        await watched.ended(5)
        self.assertEqual(watched.code, 0)

    async def test_a_websocket_waits_for_its_response(self) -> None:
        """A socket lives until its running response has ended, then it gets 1001."""
        await self.build()
        client = await self.connect()
        client.send(upgrade("/simulator/with/events=5&pace=0.15/responses"))
        self.assertEqual((await client.head()).status, 101)
        client.send(whole_frame(TEXT, CREATE, MASK))
        await client.until(lambda: b"response.output_text.delta" in client.data)
        watched = await self.stopping()
        await client.until(lambda: b"\x88" in client.data[-20:] or client.closed)
        self.assertIn(b"response.completed", client.data)
        self.assertIn((1001).to_bytes(2, "big") + b"going away", client.data)
        await watched.ended(5)
        self.assertEqual(watched.code, 0)

    async def test_time_runs_out(self) -> None:
        """What is left after ``timeouts.drain`` is closed, with 1001 where there is a socket, and the exit is 0."""
        await self.build(tables="[timeouts]\ndrain = 0.5")
        stuck, socket_ = await self.connect(), await self.connect()
        stuck.send(request("/simulator/fail?at=silent"))
        socket_.send(upgrade("/simulator/with/events=1000&pace=0.05/responses"))
        self.assertEqual((await socket_.head()).status, 101)
        socket_.send(whole_frame(TEXT, CREATE, MASK))
        await socket_.until(lambda: b"delta" in socket_.data)
        watched = await self.stopping()
        self.assertIn((1001).to_bytes(2, "big") + b"going away", await socket_.end())
        await stuck.end()
        await watched.ended(5)
        self.assertEqual(watched.code, 0)

    async def test_second_signal(self) -> None:
        """A second signal ends it at once."""
        await self.build(tables="[timeouts]\ndrain = 60")
        client = await self.connect()
        client.send(request("/simulator/fail?at=silent"))
        await deferLater(reactor, 0.2)
        watched = await self.stopping()
        self.service.signal("TERM")
        await watched.ended(4)
        self.assertEqual(watched.code, 0)


class StartTests(TestCase):
    """What can go wrong at the start, and the demo."""

    timeout = 120

    async def run_to_end(self, *arguments: str, **environ: str) -> Watched:
        """Run ``twistd agentproxy`` until it gives up."""
        watched = spawn(twistd(*arguments), environ, self.folder())
        await watched.ended()
        return watched

    def folder(self) -> str:
        """A folder of this test's own."""
        folder = self.mktemp()
        os.makedirs(folder)
        return os.path.abspath(folder)

    def file(self, text: str) -> str:
        """A configuration file."""
        path = Path(self.folder(), "my.toml")
        path.write_text(text)
        return str(path)

    async def test_a_mistake(self) -> None:
        """A mistake in the configuration: exit 1 and one line that names file, key, wanted and found."""
        path = self.file('[timeouts]\nconnect = "soon"\n')
        watched = await self.run_to_end("--config", path)
        self.assertEqual((watched.code, watched.out), (1, ""))
        (line,) = watched.err.splitlines()
        self.assertTrue(line.startswith(f"{path}: timeouts.connect: want "), line)
        self.assertIn('got "soon"', line)

    async def test_wrong_prices(self) -> None:
        """So is one in the file of one's own prices."""
        prices = self.file('[models."gpt-5"]\ninput = -1\noutput = 1\n')
        path = self.file(f'[record]\nprices = "{prices}"\n')
        for more in ([], ["--demo"]):
            watched = await self.run_to_end("--config", path, *more)
            self.assertEqual((watched.code, watched.out), (1, ""))
            (line,) = watched.err.splitlines()
            self.assertIn("input: want an integer", line)

    async def test_no_such_file(self) -> None:
        """A configuration that isn't there: one line too."""
        watched = await self.run_to_end("--config", "missing.toml")
        self.assertEqual((watched.code, len(watched.err.splitlines())), (1, 1))
        self.assertIn("missing.toml", watched.err)

    async def test_port_taken(self) -> None:
        """A port that another holds: exit 1 and one line that says which."""
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            provider = f'[providers.p]\nkind = "openai"\nport = {port}\nupstream = "https://api.openai.com"\n'
            path, folder = self.file(f"[admin]\nport = 0\n{provider}"), self.folder()
            for arguments in (["--config", path], ["--demo", "--config", path]):
                watched = await self.run_to_end(*arguments, TMPDIR=folder)
                self.assertEqual(watched.code, 1)
                (line,) = watched.err.splitlines()
                self.assertIn(f"127.0.0.1:{port}", line)
                self.assertIn("in use", line)
        # The demo's throw-away CA went with it.
        self.assertEqual(os.listdir(folder), [])

    async def test_log_file(self) -> None:
        """``twistd --logfile`` has its way: the log's lines go there."""
        provider = '[providers.p]\nkind = "openai"\nport = 0\nupstream = "https://api.openai.com"\n'
        path = self.file(f"[admin]\nport = 0\n{provider}")
        folder = self.folder()
        command = [*twistd()[:3], "-n", "--pidfile=", "--logfile=x.log", "agentproxy", "--config", path]
        watched = spawn(command, {}, folder)
        log = Path(folder, "x.log")
        for _ in range(200):
            if watched.code is not None or (log.exists() and "service.ready" in log.read_text()):
                break
            await deferLater(reactor, 0.05)
        self.assertIn("service.ready", log.read_text())
        watched.transport.signalProcess("TERM")
        await watched.ended()
        self.assertEqual((watched.code, watched.out, watched.err), (0, "", ""))
        self.assertIn("service.stop", log.read_text())

    async def test_demo(self) -> None:
        """Each ``curl`` line that the demo prints, pasted, is answered by the simulator through the whole chain."""
        ports = "".join(
            f'[providers.{name}]\nkind = "{kind}"\nport = 0\nupstream = "{upstream}"\n'
            for name, kind, upstream in (
                ("openai", "openai", "https://api.openai.com/v1"),
                ("anthropic", "anthropic", "https://api.anthropic.com"),
                ("copilot", "copilot", "https://api.githubcopilot.com"),
                ("gemini", "gemini", "https://generativelanguage.googleapis.com"),
                ("opencode", "anthropic", "https://api.anthropic.com"),
                ("chatgpt", "chatgpt", "https://chatgpt.com/backend-api/codex"),
            )
        )
        path = self.file(f"[admin]\nport = 0\n{ports}")
        # Whatever the environment says of proxies and keys, the demo needs none of it.
        environ = {"HTTPS_PROXY": "socks5://nowhere:1", "OPENAI_API_KEY": ""}
        watched = spawn(twistd("--demo", "--config", path), environ, self.folder())
        await watched.until(lambda: "/metrics" in watched.err or watched.code is not None)
        self.assertIsNone(watched.code, watched.err)
        service = Service(watched)
        curls = [line.strip() for line in watched.err.splitlines() if line.strip().startswith("curl ")]
        self.assertEqual(len(curls), 7)
        for line in curls[:-1]:
            words = shlex.split(line)
            url = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", words[2])
            assert url is not None
            client = await connect(int(url[1]))
            client.send(request(url[2], words[4], method="POST", body=words[6].encode()))
            head, body = await client.response()
            client.drop()
            self.assertEqual(head.status, 200, body)
            self.assertIn(b"Hello from the simulator", body)
        self.assertEqual(len(await service.ends(6)), 6)
        await service.stop()
        # And what it cost, by the line that is printed for it.
        (line,) = [line for line in watched.err.splitlines() if " sessions --records " in line]
        ran = agentproxy([*shlex.split(line)[1:], "--json"], self.folder())
        await ran.ended()
        self.assertEqual((ran.code, ran.err), (0, ""))
        sessions = json.loads(ran.out)["sessions"]
        self.assertEqual(sum(session["turns"] for session in sessions), 6)
        self.assertEqual(sum(session["unsettled"] for session in sessions), 0)

    async def test_help_lists_it(self) -> None:
        """``twistd --help`` lists agentproxy, and ``twistd agentproxy --help`` its options."""
        watched = spawn([*twistd()[:3], "--help"], {}, self.folder())
        await watched.ended()
        self.assertRegex(watched.out, r"agentproxy +Relay AI agents")
        watched = spawn([*twistd()[:3], "agentproxy", "--help"], {}, self.folder())
        await watched.ended()
        self.assertIn("--config=", watched.out)
        self.assertIn("--demo", watched.out)

    async def test_check_command(self) -> None:
        """``agentproxy check`` prints what was understood, a secret only as set or missing."""
        arguments = [
            sys.executable,
            "-c",
            "import sys; from agentproxy.cli.main import main; sys.exit(main())",
            "check",
        ]
        watched = spawn(arguments, {"OPENAI_API_KEY": "sk-Zq7LmXo93KpV"}, self.folder())
        await watched.ended()
        self.assertEqual((watched.code, watched.err), (0, ""))
        self.assertIn("set", watched.out)
        self.assertNotIn("Zq7LmXo9", watched.out)

    def test_the_readme_names_real_scripts(self) -> None:
        """The commands that the README gives are there, and can be run."""
        text = (ROOT / "README.md").read_text()
        scripts = set(re.findall(r"^\s*(scripts/\w+)", text, re.MULTILINE))
        self.assertTrue({"scripts/serve", "scripts/test"} <= scripts, scripts)
        for script in scripts:
            self.assertTrue(os.access(ROOT / script, os.X_OK), script)
