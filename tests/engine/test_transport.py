"""Transports that write at once: the same bytes in the same order as Twisted's, and the same ends."""

from __future__ import annotations

import socket
import struct
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.engine.transport import MOST_READ_BYTES, READ_BYTES, TURN_BYTES, Turn
from tests.engine.wires import OpenTurn, Producer, Wire

BIG = bytes(range(256)) * 4096  # 1 MiB


class TransportCase(SynchronousTestCase):
    def wire(self, **options: Any) -> Wire:
        wire = Wire(**options)
        self.addCleanup(wire.close)
        return wire


class WriteTests(TransportCase):
    def test_at_once(self) -> None:
        """Outside a turn a write has left when it returns; the reactor is not asked."""
        wire = self.wire()
        wire.transport.write(b"hello")
        self.assertEqual((wire.taken(), wire.writes, wire.socket.sends), (b"hello", False, [5]))

    def test_one_send_a_turn(self) -> None:
        """What a turn writes leaves when it ends, in one send a transport, in order."""
        one, other = self.wire(), self.wire()
        with OpenTurn():
            one.transport.write(b"a")
            other.transport.writeSequence([b"x", b"y"])
            one.transport.write(b"bc")
            self.assertEqual((one.taken(), other.taken()), (b"", b""))
        self.assertEqual((one.taken(), other.taken()), (b"abc", b"xy"))
        self.assertEqual((one.socket.sends, other.socket.sends), ([3], [2]))
        with OpenTurn():
            pass
        self.assertEqual(one.socket.sends, [3])

    def test_a_read_is_a_turn(self) -> None:
        """Under a reactor that opens none, each read is a turn of its own."""
        wire = self.wire()
        wire.protocol.answer = lambda data: [wire.transport.write(piece) for piece in (b"a", b"b")]
        wire.peer.send(b"?")
        self.assertIsNone(wire.transport.doRead())
        self.assertEqual((wire.taken(), wire.socket.sends), (b"ab", [2]))

    def test_reader_raises(self) -> None:
        """What was written before a reader raised leaves all the same, and the turn is over."""
        wire = self.wire()

        def fail(data: bytes) -> None:
            wire.transport.write(b"last")
            raise ValueError

        wire.protocol.answer = fail
        wire.peer.send(b"?")
        self.assertRaises(ValueError, wire.transport.doRead)
        self.assertEqual(wire.taken(), b"last")
        wire.transport.write(b"more")
        self.assertEqual(wire.taken(), b"more")

    def test_much_in_a_turn(self) -> None:
        """A turn holds only so much back."""
        wire = self.wire(buffer_bytes=1 << 20)
        with OpenTurn():
            wire.transport.write(b"a" * (TURN_BYTES - 1))
            self.assertEqual(wire.socket.sends, [])
            wire.transport.write(b"b")
            self.assertEqual(wire.socket.sends, [TURN_BYTES])
        self.assertEqual(len(wire.taken()), TURN_BYTES)

    def test_partial(self) -> None:
        """What the system does not take waits for the reactor, with what is written behind it."""
        wire = self.wire()
        wire.transport.write(BIG)
        self.assertTrue(wire.writes)
        wire.transport.write(b"behind")
        with OpenTurn():
            wire.transport.write(b" it")
        self.assertEqual(wire.drained(), BIG + b"behind it")
        self.assertFalse(wire.writes)
        wire.transport.write(b"then")
        self.assertEqual((wire.taken(), wire.writes), (b"then", False))

    def test_taken_over(self) -> None:
        """What the reactor takes over of a turn's bytes goes before what is written next."""
        wire = self.wire()
        with OpenTurn():
            wire.transport.write(BIG[:60000])
            wire.transport.startWriting()
            self.assertIsNone(wire.transport.doWrite())
            wire.transport.write(b"next")
        wire.transport.write(b"last")
        self.assertEqual(wire.drained(), BIG[:60000] + b"nextlast")

    def test_paused(self) -> None:
        """A producer is paused while more than its buffer waits, and resumed once when nothing does."""
        wire, producer = self.wire(), Producer()
        wire.transport.bufferSize = 1000
        wire.transport.registerProducer(producer, True)
        wire.transport.write(b"small")
        self.assertEqual(producer.calls, [])
        wire.transport.write(BIG)
        self.assertEqual(producer.calls, ["pause"])
        self.assertEqual(wire.drained(), b"small" + BIG)
        self.assertEqual(producer.calls, ["pause", "resume"])
        wire.transport.unregisterProducer()

    def test_big_and_taken(self) -> None:
        """A write over the buffer's size that the system takes whole pauses nobody."""
        wire, producer = self.wire(buffer_bytes=1 << 20), Producer()
        wire.transport.bufferSize = 1000
        wire.transport.registerProducer(producer, True)
        wire.transport.write(b"a" * 50000)
        self.assertEqual((producer.calls, wire.writes), ([], False))
        wire.transport.unregisterProducer()

    def test_pull_producer(self) -> None:
        """One that writes when asked is asked by the reactor, each time all has gone, and never from inside a write."""
        wire, pieces = self.wire(), [b"a", BIG, b"c"]

        class Pull(Producer):
            def resumeProducing(self) -> None:
                super().resumeProducing()
                if pieces:
                    wire.transport.write(pieces.pop(0))
                else:
                    wire.transport.unregisterProducer()

        producer = Pull()
        wire.transport.registerProducer(producer, False)
        self.assertEqual((producer.calls, len(pieces)), (["resume"], 2))
        self.assertEqual(wire.drained(), b"a" + BIG + b"c")
        self.assertEqual((producer.calls, wire.writes), (["resume"] * 4, False))

    def test_pause_raises(self) -> None:
        """A producer that raises when told to pause keeps nobody else's bytes back."""
        wire, other = self.wire(), self.wire()

        class Wrong(Producer):
            def pauseProducing(self) -> None:
                raise ValueError

        wire.transport.bufferSize = 1000
        wire.transport.registerProducer(Wrong(), True)
        with OpenTurn():
            wire.transport.write(b"a" * (TURN_BYTES - 1))
            other.transport.write(b"other")
        self.assertEqual(other.taken(), b"other")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(wire.drained()), TURN_BYTES - 1)
        wire.transport.unregisterProducer()

    @settings(max_examples=60)
    @given(st.lists(st.tuples(st.sampled_from(["write", "turn", "drain", "take"]), st.integers(0, 90000)), max_size=25))
    def test_any_order(self, steps: list[tuple[str, int]]) -> None:
        """Whatever is written when, and whenever the peer reads, it gets all of it, in order."""
        wire = Wire()
        try:
            wanted, got = b"", b""
            for at, (step, size) in enumerate(steps):
                data = bytes([at]) * size
                if step == "write":
                    wire.transport.write(data)
                    wanted += data
                elif step == "turn":
                    with OpenTurn():
                        wire.transport.write(data)
                        wire.transport.write(b"+")
                    wanted += data + b"+"
                elif step == "take":
                    got += wire.taken()
                elif wire.writes:
                    self.assertIsNone(wire.transport.doWrite())
            self.assertEqual(got + wire.drained(), wanted)
            self.assertEqual((wire.writes, wire.transport.waits), (False, False))
        finally:
            wire.close()


class EndTests(TransportCase):
    def reset(self, wire: Wire) -> None:
        """The peer drops the connection."""
        wire.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.peer.close()

    def test_broken(self) -> None:
        """A write that fails raises nothing; the reactor's own attempt ends the connection."""
        wire = self.wire()
        self.reset(wire)
        wire.transport.write(b"lost")
        self.assertTrue(wire.writes)
        self.assertIs(wire.transport.doWrite(), CONNECTION_LOST)

    def test_broken_while_waiting(self) -> None:
        """So does one that breaks with bytes waiting."""
        wire = self.wire()
        wire.transport.write(BIG)
        self.reset(wire)
        wire.transport.write(b"more")
        self.assertIs(wire.transport.doWrite(), CONNECTION_LOST)

    def test_close_behind(self) -> None:
        """A close waits for what was written, whether it waits itself or a turn holds it."""
        for size in (5, len(BIG)):
            wire = self.wire()
            with OpenTurn():
                wire.transport.write(BIG[:size])
                wire.transport.loseConnection()
            self.assertEqual(wire.drained(), BIG[:size])
            assert wire.protocol.ended is not None
            self.assertIs(wire.protocol.ended.value, CONNECTION_DONE)

    def test_half_close_behind(self) -> None:
        """So does closing our half; the peer's is still read."""
        wire = self.wire()
        wire.transport.write(BIG)
        wire.transport.loseWriteConnection()
        self.assertEqual(wire.drained(), BIG)
        self.assertEqual(wire.peer.recv(1), b"")
        wire.transport.write(b"too late")
        wire.peer.send(b"still")
        self.assertIsNone(wire.transport.doRead())
        self.assertEqual(wire.protocol.data, b"still")

    def test_abort(self) -> None:
        """An abort drops what a turn holds, and what waits."""
        wire = self.wire()
        with OpenTurn():
            wire.transport.write(b"not this")
            wire.transport.abortConnection()
        self.assertEqual((wire.socket.sends, wire.writes), ([], False))
        wire.reactor.advance(0)
        assert wire.protocol.ended is not None
        self.assertFalse(wire.transport.connected)

    def test_lost_in_a_turn(self) -> None:
        """A connection that is lost before its turn ends is written to no more."""
        wire, other = self.wire(), self.wire()
        with OpenTurn():
            wire.transport.write(b"x")
            other.transport.write(b"y")
            wire.close()
        self.assertEqual((other.taken(), wire.socket.sends), (b"y", []))
        wire.transport.write(b"z")

    def test_read_ends(self) -> None:
        """Nothing there is no end; the peer's close and its reset are."""
        wire = self.wire()
        self.assertIsNone(wire.transport.doRead())
        wire.peer.close()
        self.assertIs(wire.transport.doRead(), CONNECTION_DONE)
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        wire = self.wire()
        wire.peer.close()
        wire.peer = socket.create_connection(listener.getsockname())
        wire.socket._inner.close()
        wire.socket._inner = listener.accept()[0]
        wire.socket._inner.setblocking(False)
        self.reset(wire)
        self.assertIs(wire.transport.doRead(), CONNECTION_LOST)


class ReadTests(TransportCase):
    def test_sizes(self) -> None:
        """Full reads make the next ones larger; a small one makes them small again."""
        wire = self.wire(buffer_bytes=1 << 20)
        for sent, read in ((READ_BYTES + 100000, READ_BYTES), (100000, 200000), (10, 10), (READ_BYTES * 2, READ_BYTES)):
            wire.peer.send(b"x" * sent)
            wire.transport.doRead()
            self.assertEqual(wire.protocol.sizes[-1], read)
            if sent != READ_BYTES + 100000:
                wire.transport.doRead()
        self.assertGreater(MOST_READ_BYTES, 200000)


class LaterTests(SynchronousTestCase):
    """What is put off until the bytes are on their way."""

    def test_order(self) -> None:
        """It is done behind the turn, in order, what it puts off itself too; without a turn at once."""
        turn = Turn()
        done: list[Any] = []
        turn.later(done.append, 1)
        self.assertEqual(done, [1])
        turn.open = True
        turn.later(done.append, 2)
        turn.later(lambda: turn.later(done.append, 4))
        turn.later(done.append, 3)
        self.assertEqual(done, [1])
        turn.end()
        self.assertEqual(done, [1, 2, 3, 4])
        turn.later(done.append, 5)
        self.assertEqual(done, [1, 2, 3, 4, 5])

    def test_behind_the_bytes(self) -> None:
        """What was written is sent first."""
        turn = Turn()
        done: list[Any] = []

        class Written:
            def flush(self) -> None:
                done.append("sent")

        turn.open = True
        turn.later(done.append, "told")
        turn.written.append(cast(Any, Written()))
        turn.end()
        self.assertEqual(done, ["sent", "told"])

    def test_fault(self) -> None:
        """What raises is told, and keeps nothing else from being done."""
        turn = Turn()
        done: list[Any] = []
        turn.open = True
        turn.later(lambda: 1 / 0)
        turn.later(done.append, 1)
        turn.end()
        self.assertEqual(done, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
