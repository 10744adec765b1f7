"""
One non-blocking connection, plain or TLS: a read an event, a write at once, and epoll for writing only after EAGAIN.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections import deque
from collections.abc import Callable

from bench.load.loop import IN, OUT, Loop

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
READ = 65536
"""Bytes asked for at once. TLS gives at most a record, 16 KiB, so that nothing decrypted is left behind."""


def nobody_reads(data: bytes) -> None:
    pass


def nobody_minds(why: str) -> None:
    pass


def nobody_is_there(data: bytes | memoryview) -> int:
    """Takes what is written to a connection that is closed."""
    return len(data)


class Channel:
    """
    A connection whose owner sets what it wants to hear.

    :ivar received: called with the bytes of each read.
    :ivar lost: called once when the peer has closed, or the connection is broken, with the reason.
    :ivar drained: called when all that had to wait has been written.
    :ivar closed: whether it is no more.
    """

    __slots__ = (
        "_broken", "_loop", "_mask", "_queue", "_read", "_recv", "_send",
        "closed", "drained", "fd", "lost", "received", "sock",
    )  # fmt: skip

    def __init__(self, loop: Loop, sock: socket.socket, read: int = READ) -> None:
        self._loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self._recv = sock.recv
        self._send: Callable[[bytes | memoryview], int] = sock.send
        self._read = read
        self._queue: deque[memoryview] = deque()
        self._mask = IN
        self._broken = ""
        self.received: Callable[[bytes], None] = nobody_reads
        self.lost: Callable[[str], None] = nobody_minds
        self.drained: Callable[[], None] | None = None
        self.closed = False
        loop.watch(self.fd, self._ready)

    @property
    def busy(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._queue)

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes, now if it can be. That it is broken is heard of by ``lost``, never here."""
        if self._queue:
            self._queue.append(memoryview(data))
            return
        try:
            sent = self._send(data)
        except WOULD_BLOCK:
            sent = 0
        except OSError as error:
            self._broken = str(error)
            return
        if sent != len(data):
            self._queue.append(memoryview(data)[sent:])
            self._flush()

    def write_parts(self, parts: list[bytes | memoryview]) -> None:
        """Send several pieces as one where the socket can."""
        if self._queue:
            self._queue.extend(memoryview(part) for part in parts)
            return
        try:
            sent = self.sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken = str(error)
            return
        for part in parts:
            if sent >= len(part):
                sent -= len(part)
            else:
                self._queue.append(memoryview(part)[sent:])
                sent = 0
        if self._queue:
            self._flush()

    def pause(self) -> None:
        """Hear nothing of it; what the peer sends stays in the system's buffers."""
        self._loop.forget(self.fd)

    def resume(self) -> None:
        if not self.closed:
            self._loop.watch(self.fd, self._ready, self._mask)

    def close(self) -> None:
        """Drop it; the owner hears no more."""
        if not self.closed:
            self.closed = True
            self._loop.forget(self.fd)
            self._queue.clear()
            self.received, self.lost, self.drained = nobody_reads, nobody_minds, None
            self._send = nobody_is_there
            self.sock.close()

    def _ready(self, mask: int) -> None:
        if mask & OUT:
            self._flush()
            if self.drained is not None and not self._queue:
                self.drained()
            if mask == OUT or self.closed:
                return
        try:
            data = self._recv(self._read)
        except WOULD_BLOCK:
            return
        except OSError as error:
            self._gone(str(error))
            return
        if data:
            self.received(data)
        else:
            self._gone(self._broken or "closed by the peer")

    def _flush(self) -> None:
        queue = self._queue
        while queue:
            view = queue[0]
            try:
                sent = self._send(view)
            except WOULD_BLOCK:
                self._want(IN | OUT)
                return
            except OSError as error:
                self._broken = str(error)
                queue.clear()
                break
            if sent == len(view):
                queue.popleft()
            else:
                queue[0] = view[sent:]
        self._want(IN)

    def _want(self, mask: int) -> None:
        if mask != self._mask:
            self._mask = mask
            self._loop.change(self.fd, mask)

    def _gone(self, why: str) -> None:
        lost = self.lost
        self.close()
        lost(why)


class TlsChannel(Channel):
    """The same over TLS; what is written before the handshake has ended waits for it."""

    __slots__ = ("_shaken", "_tls")

    def __init__(self, loop: Loop, sock: ssl.SSLSocket, read: int = READ) -> None:
        super().__init__(loop, sock, read)
        self._tls = sock
        self._shaken = False
        self._want(IN | OUT)

    def write(self, data: bytes | memoryview) -> None:
        if self._shaken:
            super().write(data)
        else:
            self._queue.append(memoryview(data))

    def write_parts(self, parts: list[bytes | memoryview]) -> None:
        self.write(b"".join(parts))

    def _ready(self, mask: int) -> None:
        if not self._shaken and not self._shake():
            return
        super()._ready(mask)
        while not self.closed and self._tls.pending():
            super()._ready(IN)

    def _shake(self) -> bool:
        """Go on with the handshake; whether it has ended."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._want(IN)
            return False
        except ssl.SSLWantWriteError:
            self._want(IN | OUT)
            return False
        except OSError as error:
            self._gone(f"TLS: {error}")
            return False
        self._shaken = True
        self._want(IN)
        self._flush()
        if self.drained is not None and not self._queue:
            self.drained()
        return True


def connect(
    loop: Loop, host: str, port: int, tls: ssl.SSLContext | None = None, read: int = READ, receive_buffer: int = 0
) -> Channel:
    """
    Begin to connect; what is written meanwhile is sent once the connection stands.

    :param receive_buffer: of the system, in bytes; 0: as it likes.
    :raises OSError: there is no socket or no port of our own left.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    code = sock.connect_ex((host, port))
    if code not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(code, f"connecting to {host}:{port}: {errno.errorcode.get(code, code)}")
    if tls is None:
        return Channel(loop, sock, read)
    return TlsChannel(loop, tls.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=host), read)
