"""What the tests of the relay read and write: transports that behave like the reactor's, messages, and frames."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python.failure import Failure

from tests.fakes import FakeTransport


class Wire(FakeTransport):
    """
    A transport that ends, pauses and drops its producer as the reactor's TCP and TLS transports do.

    :ivar congested: whether the peer does not read: what is written waits, and so does a close behind it.
    """

    def __init__(self, clock, protocol):
        super().__init__()
        self.clock = clock
        self.protocol = protocol
        self.congested = False
        self._losing = None
        protocol.makeConnection(self)

    # The peer's side.

    def say(self, data):
        """The peer's bytes arrive."""
        assert self.connected, "nobody is there"
        assert not self.paused, "nobody reads"
        self.protocol.dataReceived(data)

    def lost(self, *, clean=True):
        """The connection is gone; a producer hears of it first."""
        if not self.connected:
            return
        self.connected = False
        if self._losing is not None and self._losing.active():
            self._losing.cancel()
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(ConnectionDone() if clean else ConnectionLost()))

    def fin(self):
        """The peer has closed its half of the connection."""
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is not None:
            half_closeable.readConnectionLost()
        else:
            self.lost()

    def fill(self):
        """The peer reads no more, and the buffer is over its mark."""
        self.congested = True
        if self.producer is not None:
            self.producer.pauseProducing()

    def drain(self):
        """The peer has read all of it."""
        self.congested = False
        if self.producer is not None:
            self.producer.resumeProducing()
        if self.half_closed:
            self._half_closed()
        elif self.disconnecting:
            self._lose()

    @property
    def dataBuffer(self):
        """What the peer has not taken, under the name that the reactor's transports have for it."""
        return self.value() if self.congested else b""

    # Our side.

    def write(self, data):
        if self.connected and not self.half_closed and not (self.disconnecting and self.producer is None):
            super().write(data)

    def loseConnection(self):
        if not self.disconnecting:
            self.disconnecting = True
            self._lose()

    stopProducing = loseConnection

    def abortConnection(self):
        if not self.aborted:
            self.aborted = self.disconnecting = True
            self._lose()

    def loseWriteConnection(self):
        if not self.half_closed:
            self.half_closed = True
            if not self.congested:
                self._half_closed()

    def registerProducer(self, producer, streaming):
        if not self.connected:
            producer.stopProducing()
            return
        super().registerProducer(producer, streaming)
        if self.congested:
            producer.pauseProducing()

    def unregisterProducer(self):
        self.producer = None
        if self.disconnecting:
            self._lose()

    def _lose(self):
        held_back = self.producer is not None or self.congested
        if self.connected and self._losing is None and (self.aborted or not held_back):
            self._losing = self.clock.callLater(0, self.lost, clean=not self.aborted)

    def _half_closed(self):
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is not None:
            half_closeable.writeConnectionLost()


@dataclass
class Message:
    """
    An HTTP message as a strict peer reads it.

    :ivar fields: names in lower case.
    :ivar whole: whether its body came to the end that its framing tells.
    """

    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool

    @property
    def status(self):
        return int(self.line.split(b" ")[1])

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def one(self, name):
        """The value of a field that may be there once."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None


def messages(data, *, heads=(), closed=False):
    """
    Read responses or requests.

    :param heads: indexes of the messages that have no body whatever they say (answers to HEAD).
    :param closed: whether the connection has ended, and with it a body without framing.
    """
    found = []
    while data:
        head, gap, data = data.partition(b"\r\n\r\n")
        assert gap, head
        line, *lines = head.split(b"\r\n")
        fields = [(name.lower(), value) for name, _, value in (each.partition(b": ") for each in lines)]
        message = Message(line, fields, b"", True)
        length = message.one(b"content-length")
        response = line.startswith(b"HTTP/")
        if len(found) in heads or (response and (message.status < 200 or message.status in (204, 304))):
            pass
        elif message.one(b"transfer-encoding") == b"chunked":
            data = _dechunk(message, data)
        elif length is not None:
            message.body, data = data[: int(length)], data[int(length) :]
            message.whole = len(message.body) == int(length)
        elif response:
            message.body, data, message.whole = data, b"", closed
        found.append(message)
    return found


def _dechunk(message, data):
    while True:
        line, gap, rest = data.partition(b"\r\n")
        size = int(line, 16) if gap else -1
        if size < 0 or len(rest) < size + 2:
            message.whole = False
            return b""
        assert rest[size : size + 2] == b"\r\n", rest
        message.body += rest[:size]
        data = rest[size + 2 :]
        if size == 0:
            return data


def frame(opcode, payload=b"", *, mask=None, final=True, rsv1=False):
    """A WebSocket frame; a client's has a mask of four bytes."""
    first = opcode | (0x80 if final else 0) | (0x40 if rsv1 else 0)
    bit = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if mask:
        head += mask
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + payload


def close(code=None, reason=b"", *, mask=None):
    """A close frame."""
    return frame(8, b"" if code is None else code.to_bytes(2, "big") + reason, mask=mask)


def frames(data):
    """Whole frames as (first byte, is it masked, payload)."""
    found = []
    while data:
        first, second, at = data[0], data[1], 2
        size = second & 127
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        key = b""
        if second & 128:
            key, at = data[at : at + 4], at + 4
        payload, data = data[at : at + size], data[at + size :]
        assert len(payload) == size, "half a frame"
        if key:
            payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
        found.append((first, bool(key), payload))
    return found


def closes(data):
    """The close frames among whole frames, as (is it masked, code or ``None``, reason)."""
    payloads = [(masked, payload) for first, masked, payload in frames(data) if first == 0x88]
    return [(masked, int.from_bytes(each[:2], "big") if each else None, each[2:]) for masked, each in payloads]
