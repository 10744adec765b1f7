"""Peers' processes: pinned, apart from the user's environment, and surely ended."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import machine
from bench.peers import process
from bench.peers.process import PeerFailed, Process

_FAMILY = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up 1', flush=True); time.sleep(60)"])
time.sleep(60)
"""
_TELLING = """
import json, os, resource, time
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
print(json.dumps([sorted(os.sched_getaffinity(0)), dict(os.environ), limit]))
print("up 1", flush=True)
time.sleep(60)
"""
_ABANDONED = """
import sys
from pathlib import Path
from bench.peers.process import Process
started = Process("sleeper", ["sleep", "60"], Path(sys.argv[1]), int(sys.argv[2]))
print(started.pids[0], flush=True)
raise SystemExit(3)
"""


def gone(pid: int) -> bool:
    """Whether a process has ended, within some seconds; one whose parent is yet to ask for its end has too."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


class Processes(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.core = machine.cores()[0]

    def run_python(self, code: str, environ: dict[str, str] | None = None) -> Process:
        started = Process("peer", [sys.executable, "-c", code], self.folder, self.core, environ)
        self.addCleanup(started.stop)
        return started

    def test_pinned_and_apart(self) -> None:
        """It may use one core and many descriptors, and sees nothing of the user's environment but what it gets."""
        self.patch(os, "environ", {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "SSL_CERT_FILE": "/nowhere"})
        started = self.run_python(_TELLING, {"KEY": "value"})
        started.says(r"up (\d)")
        cores, environ, files = json.loads(started.text.splitlines()[0])
        self.assertEqual(cores, [self.core])
        self.assertEqual(environ["KEY"], "value")
        self.assertGreaterEqual(files, min(16_384, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self.assertEqual(set(environ) - {"KEY", "PATH", "HOME", "LANG", "LC_CTYPE"}, set())

    def test_stop_ends_all(self) -> None:
        """A process and its child that don't heed SIGTERM are ended all the same, and stopping twice does no harm."""
        self.patch(process, "_PATIENCE", 0.1)
        started = self.run_python(_FAMILY)
        started.says(r"up (\d)")
        pids = started.pids
        self.assertEqual(len(pids), 2)
        started.stop()
        started.stop()
        self.assertEqual([pid for pid in pids if not gone(pid)], [])

    def test_ended_by_itself(self) -> None:
        """Its error quotes what it said, and stopping it does no harm."""
        started = self.run_python("import sys; print('no such option', file=sys.stderr); sys.exit(2)")
        with self.assertRaisesRegex(PeerFailed, "peer ended with 2\nno such option"):
            started.accepts(process.free_port())
        started.stop()

    def test_never_accepts(self) -> None:
        """Waiting ends."""
        started = self.run_python("import time; time.sleep(60)")
        with self.assertRaisesRegex(PeerFailed, "not within"):
            started.accepts(process.free_port(), 0.1)

    def test_abandoned(self) -> None:
        """A benchmark that ends without stopping its peers leaves none behind."""
        done = subprocess.run(
            [sys.executable, "-c", _ABANDONED, str(self.folder), str(self.core)],
            cwd=machine.ROOT, stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 3)
        self.assertTrue(gone(int(done.stdout)))

    def test_port_that_was_taken(self) -> None:
        """Where somebody else took the port meanwhile, another one is tried; any other failure is told at once."""
        tried: list[int] = []

        def start(port: int) -> int:
            tried.append(port)
            if len(tried) == 1:
                raise PeerFailed("peer ended\nbind: Address already in use")
            return port

        self.assertEqual(process.on_free_port(start), tried[1])

        def broken(port: int) -> int:
            tried.append(port)
            raise PeerFailed("peer ended\nno such option")

        with self.assertRaises(PeerFailed):
            process.on_free_port(broken)
        self.assertEqual(len(tried), 3)

    def test_signals_reach_no_other(self) -> None:
        """Stopping one leaves us and other peers alone."""
        one, two = self.run_python("import time; time.sleep(60)"), self.run_python("import time; time.sleep(60)")
        one.stop()
        os.kill(two.pids[0], signal.SIGCONT)
        self.assertEqual(len(two.pids), 1)
