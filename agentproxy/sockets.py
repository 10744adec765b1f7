"""How every TCP connection of the service is set, on both sides of it."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

KEEPALIVE_IDLE = 60
"""Seconds without a byte until the system asks whether the peer is still there."""
KEEPALIVE_INTERVAL = 15
KEEPALIVE_COUNT = 4
"""Questions without an answer, an interval apart, after which it is gone."""


def tcp_of(transport: Any) -> Any:
    """The TCP transport that a transport, perhaps TLS over TLS, stands on."""
    while hasattr(transport, "transport"):
        transport = transport.transport
    return transport


def pending(transport: Any) -> bool:
    """
    Whether the peer has closed the connection, or said something, and the reactor has not come to see it yet.
    """
    handle = getattr(tcp_of(transport), "socket", None)
    if handle is None:
        return False
    try:
        handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True
    return True


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
