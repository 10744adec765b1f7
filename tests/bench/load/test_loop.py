"""The loop: timers in order, runs that end, and nothing that hangs."""

from __future__ import annotations

import socket
from time import monotonic

from twisted.trial.unittest import SynchronousTestCase

from bench.load.channel import Channel
from bench.load.events import Pacer
from bench.load.loop import Gate, Loop, Stalled


class LoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Loop(monotonic() + 5)
        self.addCleanup(self.loop.close)
        self.said: list[str] = []

    def say(self, word: str) -> None:
        self.said.append(word)

    def test_order(self) -> None:
        """What is due first is called first, and what was asked for soon before that."""
        self.loop.after(0.004, lambda: self.say("c"))
        self.loop.after(0.002, lambda: self.say("b"))
        self.loop.soon(lambda: self.say("a"))
        self.loop.after(0.006, self.loop.stop)
        self.loop.run("waiting")
        self.assertEqual(self.said, ["a", "b", "c"])

    def test_busy(self) -> None:
        """Timers are called while there is always something to do soon."""

        def again() -> None:
            self.loop.soon(again)

        again()
        self.loop.after(0.005, self.loop.stop)
        self.loop.run("being busy")

    def test_seconds(self) -> None:
        """A run for some seconds takes them, to the millisecond or so, whether timers are near or far."""
        for far in (0.01, 60.0):
            self.loop.after(far, lambda: None)
            before = monotonic()
            self.loop.run("waiting", 0.05)
            self.assertGreaterEqual(monotonic() - before, 0.05)

    def test_stopped_before(self) -> None:
        """A stop that came before the run ends it at once, and only that one."""
        self.loop.stop()
        self.loop.run("nothing")
        self.loop.after(0.001, lambda: self.say("a"))
        self.loop.run("waiting", 0.01)
        self.assertEqual(self.said, ["a"])

    def test_stalled(self) -> None:
        """At the deadline it says what was being done."""
        self.loop.deadline = monotonic() + 0.02
        self.assertEqual(str(self.assertRaises(Stalled, self.loop.run, lambda: "this")), "this")
        self.assertEqual(str(self.assertRaises(Stalled, self.loop.run, "that", 9.0)), "that")

    def test_gate(self) -> None:
        """A gate opens once, when all have come."""
        gate = Gate(self.loop, 2)
        self.loop.after(0.001, gate.come)
        self.loop.after(0.002, gate.come)
        self.loop.run("waiting")
        self.assertEqual(gate.missing, 0)

    def test_pacer(self) -> None:
        """Events keep their pace by the clock, and end when they are told."""
        times: list[tuple[int, int]] = []

        def send(sequence: int, now: int) -> bool:
            times.append((sequence, now))
            if sequence == 9:
                self.loop.stop()
            return sequence < 9

        before = monotonic()
        Pacer(self.loop, before + 0.003, 0.003, send)
        self.loop.run("pacing")
        self.assertEqual([sequence for sequence, _ in times], list(range(10)))
        self.assertGreaterEqual(monotonic() - before, 0.03)

    def test_large_write(self) -> None:
        """What the peer does not take yet waits, in order, and its end is told."""
        one, two = socket.socketpair()
        one.setblocking(False)
        two.setblocking(False)
        self.addCleanup(one.close)
        self.addCleanup(two.close)
        writes, reads = Channel(self.loop, one), Channel(self.loop, two)
        got = bytearray()
        reads.received = got.extend
        writes.drained = self.loop.stop
        parts: list[bytes | memoryview] = [b"a" * 400_000, b"", b"b" * 400_000]
        writes.write_parts(parts)
        writes.write(b"c" * 400_000)
        self.assertTrue(writes.busy)
        self.loop.run("writing")
        self.loop.run("reading", 0.05)
        self.assertEqual(bytes(got), b"a" * 400_000 + b"b" * 400_000 + b"c" * 400_000)

    def test_paused(self) -> None:
        """A paused channel hears nothing, not even the end, until it is resumed."""
        one, two = socket.socketpair()
        one.setblocking(False)
        channel = Channel(self.loop, one)
        channel.received = lambda data: self.say(data.decode())
        channel.lost = self.say
        channel.pause()
        two.sendall(b"hello")
        two.close()
        self.loop.run("waiting", 0.02)
        self.assertEqual(self.said, [])
        channel.resume()
        self.loop.run("waiting", 0.02)
        self.assertEqual(self.said, ["hello", "closed by the peer"])
        self.assertTrue(channel.closed)
        channel.write(b"to nobody")
