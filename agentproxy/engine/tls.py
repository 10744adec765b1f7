"""
Client TLS over a transport that gathers small writes itself, with as few calls into OpenSSL as records need.

Twisted's own asks OpenSSL for more after each record until it refuses, and for something to send after each read: two
exceptions a read, which cost more than the record. Here records are counted as they come in. Its other half, the
delay of small writes to the reactor's next round, is what `engine.transport` does already.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

RECORD_BYTES = 16384
"""Plain bytes that a record can hold (RFC 8446, 5.1)."""
RESUMED_SECONDS = 3600.0
"""How long sessions are resumed, one from the other, until a certificate has to be shown and checked again."""
_HEADER = 5
_MOST_RECORD = RECORD_BYTES + 2048
"""Bytes of a record behind its header, in any version (RFC 5246, 6.2.3, allows the most)."""
_MORE = 512
"""What the records of one ``send`` have besides its plain bytes, and room to spare."""


class NoRecord(Exception):
    """Bytes that can't be the header of a record."""


class Records:
    """Counts the records of a stream of TLS (RFC 8446, 5.1), whatever is in them."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        # Of the record that the bytes so far end in: what is still to come, or the part of its header that is here.
        self._left = 0
        self._head = b""

    def whole(self, data: bytes) -> int:
        """
        How many records end in these bytes.

        :raises NoRecord: one of them is none.
        """
        if self._head:
            data = self._head + data
            self._head = b""
        at, size = self._left, len(data)
        if at > size:
            self._left = at - size
            return 0
        count = 1 if at else 0
        while at + _HEADER <= size:
            size_of = (data[at + 3] << 8) + data[at + 4]
            if not 20 <= data[at] <= 24 or size_of > _MOST_RECORD:
                raise NoRecord
            at += _HEADER + size_of
            if at > size:
                self._left = at - size
                return count
            count += 1
        self._left = 0
        self._head = data[at:]
        return count


class DirectTLS(TLSMemoryBIOProtocol):
    """A client's TLS transport."""

    factory: DirectTLSFactory
    transport: Any

    def __init__(self, factory: DirectTLSFactory, wrapped: IProtocol, _connectWrapped: bool = True) -> None:
        super().__init__(factory, wrapped, _connectWrapped)
        self._records = Records()
        self._kept = False

    def makeConnection(self, transport: Any) -> None:
        """
        Called once there is a transport. Twisted's own also claims each interface of the transport for itself, which
        costs a tenth of a handshake, and which nobody here asks for.
        """
        self._tlsConnection = self.factory._creatorCallable(self)
        self._appSendBuffer: list[bytes] = []
        Protocol.makeConnection(self, transport)
        self.factory.registerProtocol(self)
        self.wrappedProtocol.makeConnection(self)
        self._checkHandshakeStatus()

    def dataReceived(self, data: bytes) -> None:
        """Called by the transport."""
        if self._aborted:
            return
        try:
            records = self._records.whole(data)
        except NoRecord:
            # OpenSSL says what it is, and the connection is over.
            super().dataReceived(data)
            return
        if not self._handshakeDone or self._appSendBuffer or self._lostTLSConnection:
            super().dataReceived(data)
            return
        tls: Any = self._tlsConnection
        tls.bio_write(data)
        # A record of data is one `recv`. Where one is something else there is an exception in the end, and perhaps
        # something that OpenSSL wants to answer.
        for _ in range(records):
            try:
                plain = tls.recv(RECORD_BYTES)
            except SSL.WantReadError:
                self._flushReceiveBIO()
                return
            except SSL.ZeroReturnError:
                self._shutdownTLS()
                self._tlsShutdownFinished(None)
                return
            except SSL.Error:
                self._tlsShutdownFinished(Failure())
                return
            if not self._kept:
                # By now the tickets of TLS 1.3 have come, which follow the handshake.
                self._kept = True
                self.factory.sessions.keep(tls)
            self.wrappedProtocol.dataReceived(plain)
            if self.disconnecting or self._lostTLSConnection:
                return

    def _write(self, data: bytes) -> None:
        size = len(data)
        if not data:
            return
        if size > RECORD_BYTES or not self._handshakeDone or self._appSendBuffer or self._lostTLSConnection:
            super()._write(data)
            return
        tls: Any = self._tlsConnection
        try:
            tls.send(data)
        except SSL.WantReadError:
            self._bufferedWrite(data)
            return
        except SSL.Error:
            self._tlsShutdownFinished(Failure())
            return
        coded = tls.bio_read(size + _MORE)
        self.transport.write(coded)
        if len(coded) == size + _MORE:
            self._flushSendBIO()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Called by the transport."""
        tls: Any = self._tlsConnection
        super().connectionLost(reason)
        if self._kept and tls is not None:
            # Now that it has been told how it ended: OpenSSL spoils the session of a connection that is let go of
            # without a last word, and a peer that just went is no reason not to resume it.
            tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)


@implementer(IOpenSSLClientConnectionCreator)
class Sessions:
    """
    Makes TLS connections that resume the last one's session, which spares both ends the certificate and its check.

    A session is kept only of a connection that has been verified and used, and is of use only to the same creator,
    and so for the same host and the same roots.

    :param creator: makes the connections.
    :param clock: an `IReactorTime`.
    """

    def __init__(self, creator: IOpenSSLClientConnectionCreator, clock: Any) -> None:
        self._creator = creator
        self._clock = clock
        self._session: SSL.Session | None = None
        # When the peer's certificate was last asked for.
        self._since = 0.0

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """Called by Twisted for each connection."""
        connection: Any = self._creator.clientConnectionForTLS(tlsProtocol)
        now = self._clock.seconds()
        if self._session is not None and now - self._since < RESUMED_SECONDS:
            connection.set_session(self._session)
        else:
            self._since = now
        return connection

    def keep(self, connection: Any) -> None:
        """The connection is good: the next may go on from its session."""
        self._session = connection.get_session()

    def forget(self) -> None:
        """The last attempt failed: the next begins anew."""
        self._session = None


class DirectTLSFactory(TLSMemoryBIOFactory):
    """Wraps a connection in `DirectTLS`."""

    protocol = DirectTLS

    def __init__(self, sessions: Sessions, wrapped: IProtocolFactory, clock: Any) -> None:
        super().__init__(sessions, True, wrapped, clock)
        self.sessions = sessions


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """
    TLS over what another endpoint connects.

    :param clock: an `IReactorTime`.
    """

    def __init__(self, sessions: Sessions, inner: IStreamClientEndpoint, clock: Any) -> None:
        self._sessions = sessions
        self._inner = inner
        self._clock = clock

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """The Deferred fires, once there is TCP, with the factory's protocol, which is told of the handshake's end."""
        connecting: Deferred[Any] = self._inner.connect(DirectTLSFactory(self._sessions, factory, self._clock))
        return connecting.addCallback(lambda tls: tls.wrappedProtocol)
