"""
TCP transports that write at once where nothing waits, instead of asking the reactor to come back for it.

Twisted's own register each write with epoll, return to the loop, send, and register back. Here what is written while
reads are dispatched leaves in one ``send`` a transport when they are done, and anything else leaves at once. Only what
the system does not take waits for the reactor, as Twisted's does, with the same producers paused.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger

READ_BYTES = 65536
MOST_READ_BYTES = 262144
"""What one read takes: the first at the start, the second once a read has been full, until one has been small."""
TURN_BYTES = 65536
"""What may wait for the end of a turn; more is sent on the way."""
SEND_BYTES = 262144
"""What one ``send`` of waiting bytes is given."""

_log = Logger()


class Turn:
    """
    The dispatch of a read, or of a round of them. One thread dispatches in a process, so there is one of these.

    :ivar open: whether one is going on.
    :ivar written: transports that have been written to meanwhile and not been flushed.
    """

    __slots__ = ("_after", "_running", "open", "written")

    def __init__(self) -> None:
        self.open = False
        self.written: list[Direct] = []
        self._after: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._running = False

    def later(self, act: Callable[..., object], *args: Any) -> None:
        """
        Call this once what was written has been sent, or now where no turn is going on; in order, whatever calls it.

        For what need not keep a peer waiting. It is to write nothing.
        """
        if self.open or self._running:
            self._after.append((act, args))
        else:
            act(*args)

    def end(self) -> None:
        """It is over: send what was written, then do what was put off."""
        self.open = False
        if self.written:
            self._flush()
        if self._after and not self._running:
            self._do()

    def _do(self) -> None:
        self._running = True
        try:
            while self._after:
                after, self._after = self._after, []
                for act, args in after:
                    try:
                        act(*args)
                    except Exception:
                        _log.failure("What was put off raised.")
        finally:
            self._running = False

    def _flush(self) -> None:
        written, self.written = self.written, []
        for transport in written:
            try:
                transport.flush()
            except Exception:
                # A producer that was told to pause raised. What there is goes on by the reactor's hand.
                _log.failure("A connection's writer raised.")
                transport.startWriting()


turn = Turn()


class Direct(tcp.Connection):
    """
    What `DirectServer` and `DirectClient` share.

    :ivar waits: whether bytes wait for the reactor to say that the system takes more.
    """

    producer: Any
    waits = False
    _read_bytes = READ_BYTES

    def doRead(self) -> Any:
        """Called by the reactor: there is something to read, or an end."""
        try:
            data = self.socket.recv(self._read_bytes)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        size = len(data)
        if size >= READ_BYTES:
            self._read_bytes = MOST_READ_BYTES
        elif not size:
            return CONNECTION_DONE
        elif size < READ_BYTES >> 3:
            self._read_bytes = READ_BYTES
        if turn.open:
            self.protocol.dataReceived(data)
            return None
        turn.open = True
        try:
            self.protocol.dataReceived(data)
        finally:
            turn.end()
        return None

    def write(self, data: bytes) -> None:
        """Send, now or at the end of the turn; what the system does not take waits."""
        if not data or not self.connected or self._writeDisconnected or self.TLS:
            if self.TLS:
                # Only where somebody called startTLS on it, which nobody here does.
                super().write(data)
            return
        before = self._tempDataLen
        self._tempDataBuffer.append(data)
        self._tempDataLen = size = before + len(data)
        if self.waits:
            self._maybePauseProducer()
        elif not turn.open or size >= TURN_BYTES:
            self.flush()
        elif not before:
            turn.written.append(self)

    def writeSequence(self, iovec: Any) -> None:
        """As `write` of them all."""
        self.write(b"".join(iovec))

    def flush(self) -> None:
        """Try to send what was written, unless earlier bytes wait."""
        waiting = self._tempDataBuffer
        if self.waits or not waiting:
            return
        data = waiting[0] if len(waiting) == 1 else b"".join(waiting)
        waiting.clear()
        self._tempDataLen = 0
        if not self.connected or self._aborting:
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            # Full, or broken: the reactor's own attempt finds out which, and ends what is broken in its own time.
            sent = 0
        if sent < len(data):
            self.dataBuffer = data
            self.offset = sent
            self.waits = True
            self.startWriting()
            self._maybePauseProducer()
        elif self.producer is not None and not self.streamingProducer:
            # It is asked for more by the reactor, lest the two call each other ever deeper.
            self.startWriting()

    def doWrite(self) -> Any:
        """Called by the reactor: the system takes more."""
        size = len(self.dataBuffer)
        if self.offset == size:
            self.dataBuffer = b"".join(self._tempDataBuffer)
            self.offset = 0
            self._tempDataBuffer.clear()
            self._tempDataLen = 0
            size = len(self.dataBuffer)
            # What is written from here on comes behind this.
            self.waits = size > 0
        if size:
            try:
                sent = self.socket.send(memoryview(self.dataBuffer)[self.offset : self.offset + SEND_BYTES])
            except BlockingIOError:
                return None
            except OSError as error:
                return None if error.errno == errno.ENOBUFS else CONNECTION_LOST
            self.offset += sent
            if self.offset < size or self._tempDataLen:
                return None
        return self._drained()

    def _drained(self) -> Any:
        """Nothing waits any more: whoever was waiting for that has its turn."""
        self.dataBuffer = b""
        self.offset = 0
        self.waits = False
        self.stopWriting()
        if self.producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            self.producer.resumeProducing()
        elif self.disconnecting:
            return self._postLoseConnection()
        elif self._writeDisconnecting:
            self._writeDisconnected = True
            return self._closeWriteConnection()
        return None


class DirectServer(Direct, tcp.Server):
    """The transport of an accepted connection."""


class DirectClient(Direct, tcp.Client):
    """The transport of a connection that we made."""


class DirectConnector(tcp.Connector):
    """Connects `DirectClient` transports."""

    def _makeTransport(self) -> DirectClient:
        return DirectClient(self.host, self.port, self.bindAddress, self, self.reactor)
