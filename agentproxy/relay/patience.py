"""
Waits for a peer to take what was sent to it before its connection is dropped.

An abort throws away what lies in our buffer and in the system's, and an answer that lies there is an answer lost.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable
from typing import Any

from agentproxy.sockets import tcp_of

STALLED = 10.0
"""Seconds without any of it being taken after which a peer is given up."""


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


class Patience:
    """
    Acts once a peer has taken all that was sent to it and had a moment more, or has taken nothing for `STALLED`.

    :param clock: an `IReactorTime`.
    :param moment: seconds.
    """

    def __init__(self, clock: Any, transport: Any, moment: float, act: Callable[[], object]) -> None:
        self._clock = clock
        self._transport = transport
        self._moment = moment
        self._act = act
        self._unsent = unsent(transport)
        self._still = 0.0
        self._call = clock.callLater(moment, self._look)

    def cancel(self) -> None:
        """Stop waiting, and don't act."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        before, self._unsent = self._unsent, unsent(self._transport)
        if self._unsent < before:
            self._still = 0.0
        elif self._unsent:
            self._still += self._moment
        if before and self._still < STALLED:
            self._call = self._clock.callLater(self._moment, self._look)
        else:
            self._call = None
            self._act()
