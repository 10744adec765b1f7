"""The pool of idle connections: who is used next, who is not used any more, and for how long one is kept."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import Clock

from agentproxy.errors import UpstreamUnreachable
from agentproxy.upstream.connection import Connection
from agentproxy.upstream.pool import IDLE_SECONDS, MAX_IDLE
from tests.fakes import timers
from tests.upstream.harness import Dialler, Reader, UpstreamCase, outbound, pool

PLAIN = b"HTTP/1.1 204 No Content\r\n\r\n"


class PoolCase(UpstreamCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dialler = Dialler()
        self.pool = pool(self.clock, self.dialler)

    def fresh(self) -> Connection:
        connection: Connection = self.successResultOf(self.pool.fresh())
        return connection

    def use(self, connection: Connection, answer: bytes = PLAIN) -> None:
        """A request and its answer, after which the connection is free."""
        waiting = connection.request(outbound(), None)
        connection.dataReceived(answer)
        self.successResultOf(waiting).deliverBody(Reader())

    def idle(self, count: int = 1) -> list[Connection]:
        """So many idle connections, in the order in which they became so."""
        connections = [self.fresh() for _ in range(count)]
        for connection in connections:
            self.use(connection)
        return connections


class ReuseTests(PoolCase):
    def test_empty(self) -> None:
        """At first there is none, and a fresh one is the caller's alone."""
        self.assertIsNone(self.pool.idle())
        self.fresh()
        self.assertIsNone(self.pool.idle())

    def test_unreached(self) -> None:
        """A fresh one fails as the connector does."""
        self.dialler.error = UpstreamUnreachable("No.", phase="connect")
        self.failed(self.pool.fresh(), "connect")

    def test_last_first(self) -> None:
        """The one used last is used next, and nobody gets one that another has."""
        one, two, three = self.idle(3)
        self.assertIs(self.pool.idle(), three)
        self.assertIs(self.pool.idle(), two)
        self.use(three)
        self.assertIs(self.pool.idle(), three)
        self.assertIs(self.pool.idle(), one)
        self.assertIsNone(self.pool.idle())

    def test_not_reusable(self) -> None:
        """One whose answer ended it does not come back."""
        self.use(self.fresh(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.assertIsNone(self.pool.idle())
        self.assertEqual(timers(self.clock), [])

    def test_lost(self) -> None:
        """One that upstream has closed, or spoken on unasked, is not used."""
        one, two, three = self.idle(3)
        three.transport.lost()
        two.dataReceived(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertTrue(two.transport.aborted)
        self.assertIs(self.pool.idle(), one)
        self.assertIsNone(self.pool.idle())

    def test_many(self) -> None:
        """No more than the limit are kept idle; what is over it is dropped at once."""
        connections = self.idle(MAX_IDLE + 2)
        dropped = [connection.transport.aborted for connection in connections]
        self.assertEqual(dropped, [False] * MAX_IDLE + [True] * 2)
        self.assertIs(self.pool.idle(), connections[MAX_IDLE - 1])


class StaleTests(PoolCase):
    def with_socket(self) -> tuple[Connection, socket.socket]:
        """An idle connection over a real socket, and upstream's end of it."""
        connection = self.fresh()
        self.use(connection)
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        connection.transport.socket = ours
        return connection, theirs

    def test_alive(self) -> None:
        """One on whose socket nothing has happened is used."""
        connection, _ = self.with_socket()
        self.assertFalse(connection.stale())
        self.assertIs(self.pool.idle(), connection)

    def test_closed(self) -> None:
        """One that upstream has closed is dropped, though the reactor has not seen it yet."""
        connection, theirs = self.with_socket()
        theirs.close()
        self.assertTrue(connection.stale())
        self.assertIsNone(self.pool.idle())
        self.assertTrue(connection.transport.aborted)

    def test_spoken(self) -> None:
        """So is one that has said something, which is left where it is."""
        connection, theirs = self.with_socket()
        theirs.send(b"HTTP/1.1 408 ")
        self.assertTrue(connection.stale())
        self.assertEqual(connection.transport.socket.recv(99), b"HTTP/1.1 408 ")

    def test_broken(self) -> None:
        """So is one whose socket can't be asked."""
        connection, _ = self.with_socket()
        connection.transport.socket.close()
        self.assertIsNone(self.pool.idle())

    def test_under_tls(self) -> None:
        """The socket is found below any layers of TLS."""
        connection, theirs = self.with_socket()
        tcp = connection.transport

        class Layer:
            def __init__(self, transport: Any) -> None:
                self.transport = transport

            def abortConnection(self) -> None:
                self.transport.abortConnection()

        connection.transport = Layer(Layer(tcp))
        self.assertFalse(connection.stale())
        theirs.close()
        self.assertTrue(connection.stale())

    def test_ending(self) -> None:
        """One that is being closed, as TLS does behind the peer's last record, is not used."""
        (connection,) = self.idle()
        connection.transport.loseConnection()
        self.assertIsNone(self.pool.idle())

    def test_the_next(self) -> None:
        """Behind a stale one the next is looked at."""
        good, _ = self.with_socket()
        _, gone = self.with_socket()
        gone.close()
        self.assertIs(self.pool.idle(), good)


class ExpiryTests(PoolCase):
    def test_expires(self) -> None:
        """One that has been idle for its time is dropped, each by its own, and then no timer is left."""
        (one,) = self.idle()
        self.clock.advance(20)
        two, three = self.fresh(), self.fresh()
        self.use(two)
        self.clock.advance(IDLE_SECONDS - 20.5)
        self.assertFalse(one.transport.aborted)
        self.clock.advance(0.5)
        self.assertTrue(one.transport.aborted)
        self.assertFalse(two.transport.aborted)
        self.clock.advance(20)
        self.assertTrue(two.transport.aborted)
        self.assertEqual(timers(self.clock), [])
        # The busy one is nobody's business.
        self.assertFalse(three.transport.aborted)

    def test_used_again(self) -> None:
        """Its time begins anew with each use."""
        (connection,) = self.idle()
        for _ in range(3):
            self.clock.advance(IDLE_SECONDS - 5)
            self.assertIs(self.pool.idle(), connection)
            self.use(connection)
        self.clock.advance(IDLE_SECONDS - 1)
        self.assertFalse(connection.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(connection.transport.aborted)

    def test_busy(self) -> None:
        """A request longer than that is left alone."""
        (connection,) = self.idle()
        self.pool.idle()
        waiting = connection.request(outbound(), None)
        connection.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        self.successResultOf(waiting).deliverBody(Reader())
        self.clock.pump([IDLE_SECONDS] * 3)
        self.assertFalse(connection.transport.aborted)
        self.assertEqual(timers(self.clock), [])


class CloseTests(PoolCase):
    def test_close(self) -> None:
        """Closing drops the idle ones and their timer."""
        connections = self.idle(3)
        self.pool.close()
        self.assertTrue(all(connection.transport.aborted for connection in connections))
        self.assertIsNone(self.pool.idle())
        self.assertEqual(timers(self.clock), [])

    def test_running(self) -> None:
        """A request that is running goes on, and its connection is dropped behind it."""
        connection = self.fresh()
        waiting = connection.request(outbound(), None)
        self.pool.close()
        self.assertFalse(connection.transport.aborted)
        connection.dataReceived(PLAIN)
        self.assertEqual(self.successResultOf(waiting).code, 204)
        self.assertTrue(connection.transport.aborted)
        self.assertIsNone(self.pool.idle())
        self.assertEqual(timers(self.clock), [])
