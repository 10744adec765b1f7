"""What the benchmark reads of the machine."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import machine

_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
                         stdin=sys.stdin, stdout=sys.stdout)
child.wait()
"""


class Machine(SynchronousTestCase):
    def python(self, code: str) -> subprocess.Popen[str]:
        """A process that has said a line; it ends with the test."""
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(process.communicate)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def test_cores_are_ours(self) -> None:
        """Both cores are some that this process may use, and two where there are two."""
        proxy, load = machine.cores()
        allowed = os.sched_getaffinity(0)
        self.assertLessEqual({proxy, load}, allowed)
        self.assertEqual(proxy == load, len(allowed) == 1)

    def test_lists_of_cores(self) -> None:
        """The kernel's ranges and single numbers."""
        self.assertEqual(machine.parse_cores("0\n"), {0})
        self.assertEqual(machine.parse_cores("0-2,7,9-10\n"), {0, 1, 2, 7, 9, 10})

    def test_descendants(self) -> None:
        """Children's children are found, and a process is not its own."""
        process = self.python(_PARENT)
        below = machine.descendants(process.pid)
        self.assertEqual(len(below), 1)
        self.assertIn(process.pid, machine.descendants(os.getpid()))
        self.assertLessEqual(set(below), set(machine.descendants(os.getpid())))
        self.assertNotIn(os.getpid(), machine.descendants(os.getpid()))

    def test_cpu_seconds(self) -> None:
        """CPU time of another process is as long as it worked, in far less than ticks of 10 ms."""
        process = self.python(
            "import time, sys\nend = time.process_time() + 0.05\nwhile time.process_time() < end: pass\n"
            "print('up', flush=True); sys.stdin.read()"
        )
        first = machine.cpu_seconds([process.pid])
        self.assertGreaterEqual(first, 0.05)
        self.assertLess(first, 5)
        before = machine.cpu_seconds([os.getpid()])
        mark = time.process_time()
        while time.process_time() < mark + 0.003:
            pass
        self.assertGreaterEqual(machine.cpu_seconds([os.getpid()]) - before, 0.003)
        self.assertEqual(
            machine.cpu_seconds([process.pid, process.pid]), 2 * machine.cpu_seconds([process.pid]), "it sleeps"
        )

    def test_resident_bytes(self) -> None:
        """Memory that is written counts."""
        # Pages of our own: an allocator may hand out again what the process holds since an earlier test.
        block = mmap.mmap(-1, 32_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.addCleanup(block.close)
        before = machine.resident_bytes([os.getpid()])
        for at in range(0, len(block), mmap.PAGESIZE):
            block[at] = 1
        self.assertGreater(machine.resident_bytes([os.getpid()]) - before, 25_000_000)

    def test_gone(self) -> None:
        """A process that has ended counts as nothing."""
        process = subprocess.Popen(["true"])
        process.wait()
        self.assertEqual(machine.cpu_seconds([process.pid]), 0.0)
        self.assertEqual(machine.resident_bytes([process.pid]), 0)
        self.assertEqual(machine.descendants(process.pid), [])

    def test_describe(self) -> None:
        """All is told, and what is not there is `None`."""
        told = machine.describe(Path("/nowhere/mitmdump"), None)
        for name in ("cpu", "cores", "memory_bytes", "kernel", "python", "openssl", "agentproxy", "twisted"):
            self.assertTrue(told[name], name)
        for program in ("nginx", "node", "squid", "wrk"):
            if machine.find(program):
                self.assertRegex(str(told[program]), r"^\d+\.\d+", program)
            else:
                self.assertIsNone(told[program])
        self.assertIsNone(told["litellm"])
        self.assertIsNone(told["mitmproxy"])
