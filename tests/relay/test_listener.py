"""A listening port when file descriptors run out, and when a client can't be served."""

import errno
import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.relay.listener import PAUSE, PausingPort


class Reactor(Clock):
    """A clock that notes who wants to read."""

    def __init__(self):
        super().__init__()
        self.readers = []

    def addReader(self, reader):
        if reader not in self.readers:
            self.readers.append(reader)

    def removeReader(self, reader):
        if reader in self.readers:
            self.readers.remove(reader)

    removeWriter = removeReader


class ListeningSocket:
    """What the port listens on: the test puts clients, or errors, into its queue."""

    def __init__(self):
        self.queue = []
        self.closed = False

    def accept(self):
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "nobody there")
        if isinstance(self.queue[0], OSError):
            # A shortage lasts until the test ends it.
            raise self.queue[0]
        return self.queue.pop(0)

    def getsockname(self):
        return ("127.0.0.1", 10000)

    def fileno(self):
        return 99

    def shutdown(self, how):
        """Nobody to tell."""

    def close(self):
        self.closed = True


class Accepted:
    """An accepted client's socket."""

    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


class Transport:
    """What the port makes of one."""

    def __init__(self, connection, protocol, peer, server, number, reactor):
        self.connection = connection
        self.peer = peer
        self.number = number
        self.aborted = False

    def abortConnection(self):
        self.aborted = True


class Factory(ServerFactory):
    """Notes who came; refuses or breaks as told."""

    noisy = False

    def __init__(self):
        self.addresses = []
        self.protocols = []
        self.refuse = False
        self.broken = False

    def buildProtocol(self, addr):
        self.addresses.append(addr)
        if self.refuse:
            return None
        protocol = BrokenProtocol() if self.broken else Protocol()
        self.protocols.append(protocol)
        return protocol


class BrokenProtocol(Protocol):
    def connectionMade(self):
        raise ZeroDivisionError


PEER = ("127.0.0.1", 5555)


class PausingPortTests(SynchronousTestCase):
    def setUp(self):
        self.reactor, self.socket, self.factory, self.told = Reactor(), ListeningSocket(), Factory(), []
        self.port = PausingPort(10000, self.factory, "127.0.0.1", self.reactor, lambda: self.told.append(1))
        self.port.transport = Transport
        self.port._preexistingSocket = self.socket
        self.port.startListening()

    def come(self, number=1, peer=PEER):
        """So many clients are in the queue, and the reactor says so."""
        clients = [Accepted() for _ in range(number)]
        self.socket.queue += [(client, peer) for client in clients]
        if self.port in self.reactor.readers:
            self.port.doRead()
        return clients

    def test_accepts(self):
        """Clients are served as they come, each with its address and a number."""
        self.come(3)
        self.come(1, ("::1", 5555, 0, 0))
        self.assertEqual(self.factory.addresses, [IPv4Address("TCP", *PEER)] * 3 + [IPv6Address("TCP", "::1", 5555)])
        transports = [protocol.transport for protocol in self.factory.protocols]
        self.assertEqual(len({transport.number for transport in transports}), 4)

    def test_bounded(self):
        """A flood is taken in turns, so that running calls have theirs."""
        self.come(200)
        first = len(self.factory.protocols)
        self.assertTrue(0 < first < 200)
        while self.socket.queue:
            self.port.doRead()
        self.assertEqual(len(self.factory.protocols), 200)

    def test_shortage(self):
        """Out of descriptors it stops reading, tries again, says so once, and goes on by itself when there are some."""
        for code in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.setUp()
            self.come()
            self.socket.queue.append(OSError(code, "short"))
            self.port.doRead()
            self.assertEqual((self.reactor.readers, self.told), ([], [1]))
            for _ in range(5):
                self.reactor.advance(PAUSE)
                self.assertEqual(self.reactor.readers, [self.port])
                self.port.doRead()
                self.assertEqual(self.reactor.readers, [])
            self.assertEqual(self.told, [1])
            self.socket.queue.clear()
            self.reactor.advance(PAUSE)
            self.come(2)
            self.assertEqual(len(self.factory.protocols), 3)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_next_shortage(self):
        """A later shortage is told anew."""
        for count in (1, 2):
            self.socket.queue.append(OSError(errno.EMFILE, "short"))
            self.port.doRead()
            self.socket.queue.clear()
            self.reactor.advance(PAUSE)
            self.come()
            self.assertEqual(len(self.told), count)

    def test_other_errors(self):
        """A client that has gone before it was accepted is no shortage."""
        for code in (errno.EAGAIN, errno.ECONNABORTED, errno.EPERM):
            self.socket.queue.append(OSError(code, "gone"))
            self.port.doRead()
            self.assertEqual((self.reactor.readers, self.told), ([self.port], []))
            self.socket.queue.clear()

    def test_closed_while_it_waits(self):
        """A port that is closed during a shortage neither listens again nor leaves a timer."""
        self.socket.queue.append(OSError(errno.EMFILE, "short"))
        self.port.doRead()
        closed = self.port.stopListening()
        self.reactor.advance(0)
        self.successResultOf(closed)
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([], []))
        self.assertTrue(self.socket.closed)

    def test_refused(self):
        """A client for whom there is no protocol is closed."""
        self.factory.refuse = True
        [client] = self.come()
        self.assertTrue(client.closed)

    def test_broken_client(self):
        """One for whom the protocol fails is dropped, told in the log, and the port goes on."""
        self.factory.broken = True
        self.come()
        self.assertTrue(self.factory.protocols[0].transport.aborted)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.factory.broken = False
        self.come()
        self.assertEqual(len(self.factory.protocols), 2)


class SocketTests(SynchronousTestCase):
    def test_true_socket(self):
        """On a true socket it listens, and lets go of it."""
        reactor = Reactor()
        port = PausingPort(0, Factory(), "127.0.0.1", reactor, lambda: None)
        port.startListening()
        number = port.getHost().port
        with socket.create_connection(("127.0.0.1", number)):
            closed = port.stopListening()
            reactor.advance(0)
        self.successResultOf(closed)
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", number))
