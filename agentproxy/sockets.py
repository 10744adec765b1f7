"""How every TCP connection of the service is set, on both sides of it."""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable, Sequence
from typing import Any, Literal

KEEPALIVE_IDLE = 60
"""Seconds without a byte until the system asks whether the peer is still there."""
KEEPALIVE_INTERVAL = 15
KEEPALIVE_COUNT = 4
"""Questions without an answer, an interval apart, after which it is gone."""

_READABLE = int(select.POLLIN)


def tcp_of(transport: Any) -> Any:
    """The TCP transport that a transport, perhaps TLS over TLS, stands on."""
    while hasattr(transport, "transport"):
        transport = transport.transport
    return transport


def lookout(transport: Any) -> Callable[[int], Sequence[object]]:
    """
    A look at whether the peer has closed the connection, or said something, and the reactor has not come to see it.

    :returns: called with 0, gives something if so. It is of no use once the connection is gone.
    """
    handle = getattr(tcp_of(transport), "socket", None)
    if handle is None:
        return lambda _: ()
    poll = select.poll()
    try:
        poll.register(handle.fileno(), _READABLE)
    except ValueError:
        # Closed on our side already.
        return lambda _: (handle,)
    return poll.poll


def unsent(transport: Any) -> int:
    """Bytes written to a transport that the peer's system has not acknowledged; 0 where that can't be told."""
    tcp = tcp_of(transport)
    waiting = buffered(tcp)
    handle = getattr(tcp, "socket", None)
    if handle is None:
        return waiting
    try:
        # Linux: SIOCOUTQ, tcp(7), has TIOCOUTQ's number.
        queue: int = struct.unpack("i", fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    except OSError:
        return waiting
    return waiting + queue


def buffered(tcp: Any) -> int:
    """Bytes written to a TCP transport that lie in Twisted's own buffer, which has no public name for that."""
    rest: int = len(getattr(tcp, "dataBuffer", b"")) - getattr(tcp, "offset", 0) + getattr(tcp, "_tempDataLen", 0)
    return rest


def hung_up(transport: Any) -> Literal["end", "reset"] | None:
    """Whether the peer has closed its half or reset the connection; seen although nothing is being read from it."""
    handle = getattr(tcp_of(transport), "socket", None)
    if handle is None:
        return None
    poll = select.poll()
    # Linux has a flag for the peer's half; elsewhere only resets are seen.
    half = getattr(select, "POLLRDHUP", 0)
    poll.register(handle.fileno(), half)
    seen = poll.poll(0)
    if not seen:
        return None
    return "reset" if seen[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL) else "end"


def tune(transport: Any, buffer_bytes: int | None = None) -> None:
    """
    Set a TCP transport's socket: small writes leave at once, and a peer that vanished without a word is noticed.

    Quiet WebSockets may stay open for ever, so only the system's own questions can tell a dead peer from a quiet one.

    :param buffer_bytes: unsent bytes above which whoever writes is paused; Twisted's own figure is 64 KiB.
    """
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    if buffer_bytes is not None:
        transport.bufferSize = buffer_bytes
    handle = getattr(transport, "socket", None)
    if handle is None:
        return
    # Not every system has a name for each of them.
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_COUNT),
    ):
        with contextlib.suppress(AttributeError, OSError):
            handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
