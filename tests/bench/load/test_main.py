"""`python -m bench.load` as the benchmark starts it: a process, a listening socket, lines of JSON."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench.load.__main__ import arguments
from bench.load.catalogue import WORKLOADS

ROOT = Path(__file__).resolve().parents[3]
NAMES = [
    "post", "post-1", "sse-paced", "sse", "ws-64", "ws-1k", "ws-64k", "ws-1m", "ws-64-deflate", "ws-1k-deflate",
    "ws-64k-deflate", "ws-1m-deflate", "ws-handshake", "ws-idle", "ws-200", "upload", "download", "slow",
]  # fmt: skip


def load(
    *words: str, environ: dict[str, str] | None = None
) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[str]]:
    """Run it against its own upstream."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "bench.load", words[0], "--upstream-fd", str(listener.fileno())]
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        done = subprocess.run(
            [*command, "--target", target, *words[1:]],
            pass_fds=[listener.fileno()],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            timeout=60,
        )
    return [json.loads(line) for line in done.stdout.splitlines()], done


class MainTests(SynchronousTestCase):
    def test_names(self) -> None:
        """The workloads have the names by which the benchmark asks for them."""
        self.assertEqual(sorted(WORKLOADS), sorted(NAMES))

    def test_lines(self) -> None:
        """begin, end and result, on a line each, and exit 0."""
        words = ("--seconds", "0.1", "--set", "connections=2", "--prefix", "/p", "--header", "X-Extra: 1")
        lines, done = load("ws-64", *words)
        self.assertEqual([line["event"] for line in lines], ["begin", "end", "result"], done.stderr)
        result = lines[2]
        self.assertEqual(set(result), {"event", "operations", "seconds", "checked", "wrong", "why", "values"})
        self.assertEqual((result["wrong"], result["why"], done.returncode), (0, None, 0))

    def test_stale(self) -> None:
        """Connections that were made to the listener before are no business of this load."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stale = socket.create_connection(listener.getsockname())
            stale.sendall(b"GARBAGE\r\n\r\n")
            with stale:
                command = [sys.executable, "-m", "bench.load", "post-1", "--upstream-fd", str(listener.fileno())]
                done = subprocess.run(
                    [*command, "--target", f"127.0.0.1:{listener.getsockname()[1]}", "--seconds", "0.1"],
                    pass_fds=[listener.fileno()],
                    capture_output=True,
                    text=True,
                    cwd=ROOT,
                    timeout=60,
                )
                with contextlib.suppress(ConnectionResetError):
                    self.assertEqual(stale.recv(10), b"")
        self.assertEqual(json.loads(done.stdout.splitlines()[-1])["why"], None)

    def test_wrk(self) -> None:
        """The small POSTs come from wrk where it is there."""
        if not shutil.which("wrk"):
            raise SkipTest("wrk is not installed")
        lines, done = load("post", "--seconds", "1", "--prefix", "/p", "--header", "Authorization: Bearer other")
        self.assertEqual([line["event"] for line in lines], ["begin", "end", "result"], done.stderr)
        self.assertEqual((lines[2]["why"], lines[2]["values"]["generator"]), (None, "wrk"))
        self.assertGreater(lines[2]["checked"], lines[2]["operations"])

    def test_without_wrk(self) -> None:
        """Where wrk is missing the load asks by itself, and says so."""
        with tempfile.TemporaryDirectory() as nothing:
            lines, done = load("post", "--seconds", "0.1", environ={"PATH": nothing})
        self.assertEqual(lines[-1]["why"], None, done.stderr)
        self.assertIn("own: wrk is not installed", lines[-1]["values"]["generator"])

    def test_wrong_target(self) -> None:
        """Nobody at the target is a wrong answer, not a failure of the load."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
        lines, done = load("post-1", "--seconds", "0.1", "--target", f"127.0.0.1:{port}")
        self.assertEqual((lines[-1]["wrong"], done.returncode), (1, 0), done.stderr)
        self.assertIn("refused", lines[-1]["why"])

    def test_usage(self) -> None:
        """A parameter that the workload does not know, and what is no number, end with 2."""
        base = ["post-1", "--target", "127.0.0.1:1", "--upstream-fd", "0"]
        for more in (["--set", "size=1"], ["--set", "connections=a"], ["--header", "x"], ["--target", "a"]):
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(self.assertRaises(SystemExit, arguments, base + more).code, 2)
        found = arguments([*base, "--set", "connections=3", "--header", "a: b: c"])
        self.assertEqual((found.parameters, found.headers), ({"connections": 3.0}, [("a", "b: c")]))
