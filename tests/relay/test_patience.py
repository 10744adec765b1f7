"""Waiting for peers: what they have yet to take, and whether they are still there, on real sockets and a clock."""

from __future__ import annotations

import socket
import struct

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.relay.patience import LOOK, STALLED, Patience, Watch
from agentproxy.sockets import hung_up, unsent
from tests.fakes import FakeTransport


class SocketCase(SynchronousTestCase):
    def pair(self) -> tuple[FakeTransport, socket.socket]:
        """A transport on a connected TCP socket, and the peer's end of it."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            peer = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
        self.addCleanup(ours.close)
        self.addCleanup(peer.close)
        transport = FakeTransport()
        transport.socket = ours
        return transport, peer

    def fill(self, transport: FakeTransport) -> int:
        """Write until the peer's system takes no more; how much of it waits here."""
        transport.socket.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                transport.socket.send(bytes(65536))
        return unsent(transport)


class PatienceTests(SocketCase):
    def test_nothing_to_take(self) -> None:
        """With nothing on its way it is one moment."""
        clock, acted, transport = Clock(), list[int](), self.pair()[0]
        Patience(clock, transport, 2, lambda: acted.append(1))
        clock.advance(1.9)
        self.assertEqual(acted, [])
        clock.advance(0.1)
        self.assertEqual(acted, [1])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_taking(self) -> None:
        """A peer that takes some is waited for, and has a moment more once it has taken all."""
        clock, acted = Clock(), list[int]()
        transport, peer = self.pair()
        self.assertGreater(self.fill(transport), 0)
        Patience(clock, transport, 2, lambda: acted.append(1))
        peer.settimeout(5)
        for _ in range(1000):
            if not unsent(transport):
                break
            peer.recv(1 << 20)
            clock.advance(2)
        self.assertEqual(acted, [])
        clock.pump([2, 2])
        self.assertEqual(acted, [1])

    def test_stalled(self) -> None:
        """One that takes nothing is given up."""
        clock, acted = Clock(), list[int]()
        transport, _ = self.pair()
        self.fill(transport)
        Patience(clock, transport, 2, lambda: acted.append(1))
        clock.pump([2] * int(STALLED / 2 - 1))
        self.assertEqual(acted, [])
        clock.pump([2, 2])
        self.assertEqual(acted, [1])

    def test_cancelled(self) -> None:
        """Cancelled, it does not act, and may be cancelled again."""
        clock, transport = Clock(), FakeTransport()
        patience = Patience(clock, transport, 2, lambda: self.fail("it acted"))
        patience.cancel()
        patience.cancel()
        clock.advance(100)


class WatchTests(SocketCase):
    def reset(self, peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

    def test_hung_up(self) -> None:
        """A peer's end and its reset are told apart, with unread bytes before them or without."""
        for unread in (b"", b"unread"):
            transport, peer = self.pair()
            peer.sendall(unread)
            self.assertIsNone(hung_up(transport))
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(hung_up(transport), "end")
            self.reset(peer)
            self.assertEqual(hung_up(transport), "reset")
        self.assertIsNone(hung_up(FakeTransport()))

    def test_gone(self) -> None:
        """Whose end ends everything is dropped at the next look, and one that is there is not."""
        for leave in (self.reset, lambda peer: peer.shutdown(socket.SHUT_WR)):
            clock = Clock()
            transport, peer = self.pair()
            Watch(clock).begin(transport)
            clock.pump([LOOK] * 10)
            self.assertFalse(transport.aborted)
            leave(peer)
            clock.advance(LOOK)
            self.assertTrue(transport.aborted)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_bytes_on_their_way(self) -> None:
        """An orderly end waits for what goes onward, until that takes nothing any more; a reset does not."""
        clock = Clock()
        transport, peer = self.pair()
        onward, _ = self.pair()
        self.fill(onward)
        Watch(clock).begin(transport, onward)
        peer.shutdown(socket.SHUT_WR)
        clock.pump([LOOK] * int(STALLED / LOOK))
        self.assertFalse(transport.aborted)
        clock.pump([LOOK, LOOK])
        self.assertTrue(transport.aborted)
        transport, peer = self.pair()
        Watch(clock).begin(transport, onward)
        self.reset(peer)
        clock.advance(LOOK)
        self.assertTrue(transport.aborted)

    def test_read_again(self) -> None:
        """Cancelled, it looks no more."""
        clock = Clock()
        transport, peer = self.pair()
        watch = Watch(clock)
        watch.begin(transport)
        watch.cancel()
        self.reset(peer)
        clock.advance(100)
        self.assertFalse(transport.aborted)
