"""The lean poll loop: what it dispatches, what it says to whom, and when it lets the main loop have its turn."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from agentproxy.engine.reactor import ROUND, ROUNDS, LeanReactor, install
from agentproxy.engine.transport import DirectClient, turn
from tests.engine.wires import Remembering, Wire

CLASSES = (EPollReactor, LeanReactor)


def nothing() -> None:
    """What a reader or a writer does unless told otherwise."""


class Selectable:
    """
    Does what it is told at each event, and remembers what it was told.

    :param end: of a pipe, a socket; it stays the caller's.
    :ivar told: the names of the calls, and with an end the type of its reason.
    """

    def __init__(self, end: Any, read: Callable[[], Any] = nothing, write: Callable[[], Any] = nothing) -> None:
        self.fd = end.fileno()
        self.told: list[Any] = []
        self.read = read
        self.write = write
        self.ended: Callable[[], Any] = nothing

    def fileno(self) -> int:
        return self.fd

    def logPrefix(self) -> str:
        return "selectable"

    def doRead(self) -> Any:
        self.told.append("read")
        return self.read()

    def doWrite(self) -> Any:
        self.told.append("write")
        return self.write()

    def readConnectionLost(self, reason: Failure) -> None:
        self.told.append(("read lost", reason.type))

    def writeConnectionLost(self, reason: Failure) -> None:
        self.told.append(("write lost", reason.type))

    def connectionLost(self, reason: Failure) -> None:
        self.told.append(("lost", reason.type))
        self.ended()


class Script:
    """
    A poller that reports given events, once, and passes on what else is asked of it.

    :ivar waits: how long it was to wait each time, in seconds.
    """

    def __init__(self, poller: Any, events: list[tuple[int, int]]) -> None:
        self._poller = poller
        self._events = events
        self.waits: list[float] = []

    def poll(self, timeout: float, *_: Any) -> list[tuple[int, int]]:
        self.waits.append(timeout)
        events, self._events = self._events, []
        return events

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)


class ReactorCase(SynchronousTestCase):
    def reactor(self, made: Callable[[], Any] = LeanReactor) -> Any:
        """One that is never run, and leaves nothing open."""
        reactor: Any = made()
        self.addCleanup(reactor.waker.connectionLost, None)
        self.addCleanup(reactor._poller.close)
        return reactor

    def pipe(self) -> tuple[Any, Any]:
        """Its reader's end and its writer's."""
        ours, theirs = os.pipe()
        ends = os.fdopen(ours, "rb", 0), os.fdopen(theirs, "wb", 0)
        for end in ends:
            self.addCleanup(end.close)
        return ends

    def readable(self) -> Any:
        """An end that has something to read until it is read."""
        ours, theirs = self.pipe()
        theirs.write(b"x")
        return ours

    def reading(
        self, reactor: Any, count: int, then: Callable[[Selectable], Any] = lambda reader: None
    ) -> list[Selectable]:
        """Readers, each of which has one thing to read, and returns what ``then`` makes of it."""

        def read(reader: Selectable) -> Any:
            os.read(reader.fd, 9)
            return then(reader)

        readers = [Selectable(self.readable()) for _ in range(count)]
        for reader in readers:
            reader.read = partial(read, reader)
            reactor.addReader(reader)
        return readers


class DispatchTests(ReactorCase):
    def test_read(self) -> None:
        """Something to read is read, once; then there is nothing to do."""
        reactor = self.reactor()
        (reader,) = self.reading(reactor, 1)
        reactor.doPoll(None)
        reactor.doPoll(0)
        self.assertEqual(reader.told, ["read"])

    def test_one_send(self) -> None:
        """What the readers of a round write leaves when it is over, in one send a transport."""
        reactor = self.reactor()
        wires = [Wire(reactor) for _ in range(3)]
        early: list[int] = []

        def answer(data: bytes) -> None:
            for wire in wires:
                wire.transport.write(data)
                wire.transport.write(b".")
                early.extend(wire.socket.sends)

        for wire in wires:
            self.addCleanup(wire.close)
            wire.protocol.answer = answer
            wire.transport.startReading()
            wire.peer.send(b"abc")
        reactor.doPoll(0)
        self.assertEqual(early, [])
        self.assertEqual([wire.socket.sends for wire in wires], [[12]] * 3)
        self.assertEqual([wire.taken() for wire in wires], [b"abc." * 3] * 3)
        self.assertFalse(turn.open)

    def test_reader_raises(self) -> None:
        """A reader that raises is logged once and ended with that; the others of the round are served."""
        reactor = self.reactor()
        readers = self.reading(reactor, 3, lambda reader: 1 // 0 if reader is readers[1] else None)
        reactor.doPoll(0)
        self.assertEqual(
            [reader.told for reader in readers], [["read"], ["read", ("lost", ZeroDivisionError)], ["read"]]
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual({*reactor.getReaders()} & {*readers}, {readers[0], readers[2]})

    def test_end_raises(self) -> None:
        """So is one that raises when told of its end; the turn is over behind it."""
        reactor, wire = self.reactor(), Wire()
        self.addCleanup(wire.close)
        readers = self.reading(reactor, 3, lambda reader: CONNECTION_LOST if reader is readers[1] else None)
        readers[1].ended = lambda: 1 // 0
        reactor.doPoll(0)
        self.assertEqual([reader.told[-1] for reader in readers], ["read", ("lost", CONNECTION_LOST.__class__), "read"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertNotIn(readers[1], reactor.getReaders())
        wire.transport.write(b"at once")
        self.assertEqual(wire.taken(), b"at once")

    def test_removed(self) -> None:
        """Who is removed by an earlier event of the round is not touched."""
        reactor = self.reactor()

        def remove(reader: Selectable) -> None:
            for other in {*readers} - {reader}:
                reactor.removeReader(other)

        readers = self.reading(reactor, 3, remove)
        reactor.doPoll(0)
        self.assertEqual(sorted(reader.told for reader in readers), [[], [], ["read"]])

    def test_writers_between(self) -> None:
        """A round serves readers, writers and ends alike, in the order of the events."""
        reactor, order = self.reactor(), []
        readers = self.reading(reactor, 3, lambda reader: order.append(reader))
        writer = Selectable(self.pipe()[1], write=lambda: order.append(writer))
        gone = Selectable(self.readable())
        gone.ended = lambda: order.append(gone)
        reactor.addWriter(writer)
        reactor.addReader(gone)
        events = [(readers[0], EPOLLIN), (writer, EPOLLOUT), (readers[1], EPOLLIN), (gone, EPOLLHUP)]
        events.append((readers[2], EPOLLIN))
        reactor._poller = Script(reactor._poller, [(each.fd, event) for each, event in events])
        reactor.doPoll(0)
        self.assertEqual(order, [each for each, _ in events])
        self.assertEqual((writer.told, gone.told), (["write"], [("lost", ConnectionDone)]))


class StockTests(ReactorCase):
    """The same happens to `EPollReactor` and to ours, and the selectable is told the same."""

    def told(self, made: Any, prepare: Callable[[Any], Selectable]) -> tuple[Any, ...]:
        """What a selectable was told by a reactor of this class, how many errors were logged, and what it is then."""
        reactor = self.reactor(made)
        selectable = prepare(reactor)
        for _ in range(3):
            reactor.doPoll(0)
        states = (selectable in reactor.getReaders(), selectable in reactor.getWriters())
        return selectable.told, len(self.flushLoggedErrors(ZeroDivisionError)), states

    def check(self, prepare: Callable[[Any], Selectable], *wanted: Any) -> None:
        stock, ours = (self.told(made, prepare) for made in CLASSES)
        self.assertEqual(ours, stock)
        if wanted:
            self.assertEqual(ours[0], list(wanted))

    def test_any_event(self) -> None:
        """Any event, whoever it was asked for, and whatever the selectable makes of it."""
        flags, outcomes = (EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR), (nothing, *self.outcomes())
        events = [sum(each) for count in range(1, 5) for each in itertools.combinations(flags, count)]
        end = self.readable()
        reactors = [self.reactor(made) for made in CLASSES]
        pollers = [reactor._poller for reactor in reactors]
        asked = ((True, False), (False, True), (True, True))
        for event, who, half, read, write in itertools.product(events, asked, (True, False), outcomes, outcomes):
            found = []
            for reactor, poller in zip(reactors, pollers, strict=True):
                reactor._poller = poller
                selectable = Selectable(end, read, write)
                if half:
                    directlyProvides(selectable, IHalfCloseableDescriptor)
                if who[0]:
                    reactor.addReader(selectable)
                if who[1]:
                    reactor.addWriter(selectable)
                reactor._poller = Script(poller, [(end.fileno(), event)])
                reactor.doPoll(0)
                states = (selectable in reactor.getReaders(), selectable in reactor.getWriters())
                found.append((selectable.told, len(self.flushLoggedErrors(ZeroDivisionError)), states))
                reactor.removeReader(selectable)
                reactor.removeWriter(selectable)
            self.assertEqual(*found, (event, who, half, read, write))

    def outcomes(self) -> Iterator[Callable[[], Any]]:
        for end in (CONNECTION_DONE, CONNECTION_LOST):
            yield lambda end=end: end
        yield lambda: 1 // 0

    def test_write(self) -> None:
        """There is room to write."""

        def prepare(reactor: Any) -> Selectable:
            writer = Selectable(self.pipe()[1], write=lambda: reactor.removeWriter(writer))
            reactor.addWriter(writer)
            return writer

        self.check(prepare, "write")

    def test_both(self) -> None:
        """There is something to read, and room to write."""

        def prepare(reactor: Any) -> Selectable:
            ours, theirs = self.pair()
            theirs.send(b"x")
            both = Selectable(ours, lambda: ours.recv(9) and None, lambda: reactor.removeWriter(both))
            reactor.addReader(both)
            reactor.addWriter(both)
            return both

        self.check(prepare, "read", "write")

    def test_hang_up(self) -> None:
        """The other end has gone: without anything to read, and behind something to read."""

        def prepare(reactor: Any, left: bytes = b"", half: bool = False) -> Selectable:
            ours, theirs = self.pipe()
            theirs.write(left)
            theirs.close()
            reader = Selectable(ours, lambda: ours.read(9) and None)
            if half:
                directlyProvides(reader, IHalfCloseableDescriptor)
            reactor.addReader(reader)
            return reader

        self.check(prepare, ("lost", ConnectionDone))
        self.check(lambda reactor: prepare(reactor, b"x"), "read", ("lost", ConnectionDone))
        self.check(lambda reactor: prepare(reactor, b"", True), ("read lost", ConnectionDone))

    def test_nobody_reads(self) -> None:
        """A writer's other end has gone."""

        def prepare(reactor: Any) -> Selectable:
            ours, theirs = self.pipe()
            ours.close()
            writer = Selectable(theirs)
            reactor.addWriter(writer)
            return writer

        self.check(prepare, ("lost", CONNECTION_LOST.__class__))

    def test_reset(self) -> None:
        """A connection was dropped."""

        def prepare(reactor: Any) -> Selectable:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                theirs = socket.create_connection(listener.getsockname())
                ours = listener.accept()[0]
            self.addCleanup(ours.close)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            reader = Selectable(ours, lambda: CONNECTION_LOST)
            reactor.addReader(reader)
            return reader

        self.check(prepare, "read", ("lost", CONNECTION_LOST.__class__))

    def pair(self) -> tuple[socket.socket, socket.socket]:
        ends = socket.socketpair()
        for end in ends:
            self.addCleanup(end.close)
        return ends


class TurnTests(ReactorCase):
    """When the main loop has its turn."""

    def busy(self, reactor: Any, read: Callable[[], Any] = nothing) -> Selectable:
        """A reader that always has something to read."""
        reader = Selectable(self.readable(), read)
        reactor.addReader(reader)
        return reader

    def test_rounds(self) -> None:
        """While there is something to read it goes on, yet only so long."""
        reactor = self.reactor()
        reader = self.busy(reactor)
        reactor.callLater(3600, nothing)
        reactor.timeout()
        reactor.doPoll(0)
        self.assertEqual(len(reader.told), ROUNDS)

    def test_waits(self) -> None:
        """It waits for the first events only, as long as it is told to; ``None`` is for ever."""
        for timeout, wait in ((None, -1), (5, 5), (0, 0), (False, 0)):
            reactor = self.reactor()
            (reader,) = self.reading(reactor, 1)
            reactor._poller = script = Script(reactor._poller, [(reader.fd, EPOLLIN)])
            reactor.doPoll(timeout)
            self.assertEqual((reader.told, script.waits), (["read"], [wait, 0]))

    def test_nothing(self) -> None:
        """With nothing to read it returns when its time is over."""
        reactor = self.reactor()
        for timeout in (0, 0.001, False):
            reactor.doPoll(timeout)

    def test_new_call(self) -> None:
        """A call that was scheduled in a round is the main loop's affair, whenever it is due."""
        reactor = self.reactor()
        reader = self.busy(reactor, lambda: reactor.callLater(3600, nothing) and None)
        reactor.doPoll(0)
        self.assertEqual(len(reader.told), 1)

    def test_due_call(self) -> None:
        """It returns as soon as a call is due, not before."""
        reactor, now = self.reactor(), [100.0]
        reactor.seconds = lambda: now[0]
        reactor.callLater(3, nothing)
        reactor.timeout()
        reader = self.busy(reactor, lambda: now.append(now.pop() + 1))
        reactor.doPoll(0)
        self.assertEqual((len(reader.told), now), (3, [103.0]))

    def test_thread_call(self) -> None:
        """A thread's call is not kept waiting."""
        reactor = self.reactor()
        reader = self.busy(reactor, lambda: reactor.callFromThread(nothing))
        reactor.doPoll(0)
        self.assertEqual(len(reader.told), 1)

    def test_signal(self) -> None:
        """A signal that comes while it waits is harmless: it waits on."""
        reactor, (ours, theirs) = self.reactor(), self.pipe()
        signals = iter([nothing, lambda: theirs.write(b"x")])

        def read() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            ours.read(9)

        reader = Selectable(ours, read)
        reactor.addReader(reader)
        self.addCleanup(
            signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, lambda *_: next(signals, nothing)())
        )
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        reactor.doPoll(10)
        self.assertEqual((reader.told, list(signals)), (["read"], []))

    def test_fair(self) -> None:
        """However many always have something to read, all are served."""
        reactor, end = self.reactor(), self.readable()
        for count in (ROUND, ROUND + 1, ROUNDS * ROUND, (ROUNDS + 1) * ROUND):
            readers = []
            for _ in range(count):
                same = os.fdopen(os.dup(end.fileno()), "rb", 0)
                self.addCleanup(same.close)
                readers.append(Selectable(same))
                reactor.addReader(readers[-1])
            for _ in range(4):
                reactor.doPoll(0)
            served = [len(reader.told) for reader in readers]
            for reader in readers:
                reactor.removeReader(reader)
            self.assertGreater(min(served), 0, count)
            self.assertLessEqual(max(served) - min(served), ROUNDS, count)


class ConnectTests(ReactorCase):
    def setUp(self) -> None:
        self.lean = self.reactor()
        self.protocol = Remembering()
        self.factory = ClientFactory.forProtocol(lambda: self.protocol)
        self.factory.noisy = False

    def drive(self, done: Callable[[], Any]) -> None:
        """Do what the main loop does until ``done``."""
        for _ in range(1000):
            if done():
                return
            self.lean.runUntilCurrent()
            self.lean.doPoll(0.01)
        self.fail("It never came to that.")

    def accepted(self, listener: socket.socket) -> socket.socket:
        peer = listener.accept()[0]
        self.addCleanup(peer.close)
        peer.settimeout(10)
        return peer

    def test_connect(self) -> None:
        """A client's transport is ours; bytes go both ways, and its end is told to it."""
        self.protocol.connectionMade = lambda: self.protocol.transport.write(b"hello")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            connector = self.lean.connectTCP(*address, self.factory)
            self.drive(lambda: self.protocol.transport)
            peer = self.accepted(listener)
        transport = self.protocol.transport
        self.assertIsInstance(transport, DirectClient)
        self.assertEqual((transport.getPeer(), connector.state), (IPv4Address("TCP", *address), "connected"))
        self.assertEqual(peer.recv(9), b"hello")
        self.protocol.answer = lambda data: transport.write(data.upper())
        peer.send(b"question")
        self.drive(lambda: self.protocol.data)
        self.assertEqual((self.protocol.data, peer.recv(9)), (b"question", b"QUESTION"))
        peer.close()
        self.drive(lambda: self.protocol.ended)
        assert self.protocol.ended is not None
        self.assertIs(self.protocol.ended.type, ConnectionDone)
        self.assertNotIn(transport, self.lean.getReaders() + self.lean.getWriters())
        self.assertEqual((connector.state, self.lean.getDelayedCalls()), ("disconnected", []))

    def test_our_end(self) -> None:
        """We end it behind what we wrote."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.lean.connectTCP(*listener.getsockname(), self.factory)
            self.drive(lambda: self.protocol.transport)
            peer = self.accepted(listener)
        self.protocol.transport.write(b"bye")
        self.protocol.transport.loseConnection()
        self.drive(lambda: self.protocol.ended)
        self.assertEqual((peer.recv(9), peer.recv(9)), (b"bye", b""))

    def test_refused(self) -> None:
        """Where nobody listens the factory is told."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
        failed: list[Any] = []
        self.factory.clientConnectionFailed = lambda _, reason: failed.append(reason.type)
        self.lean.connectTCP(*address, self.factory)
        self.drive(lambda: failed)
        self.assertEqual(failed, [ConnectionRefusedError])
        self.assertEqual(self.lean.getDelayedCalls(), [])


class InstallTests(SynchronousTestCase):
    def test_installed_already(self) -> None:
        """A reactor that is installed already stays."""
        from twisted.internet import reactor

        install()
        self.assertIs(sys.modules["twisted.internet.reactor"], reactor)
        self.assertNotIsInstance(reactor, LeanReactor)
