"""What all connections to one upstream have in common."""

from __future__ import annotations

from dataclasses import dataclass

from agentproxy.timers import Waits


@dataclass(frozen=True, slots=True)
class Leg:
    """
    The way from here to an upstream.

    :ivar hop: upstream's ``host:port``, for messages.
    :ivar host_header: the value of ``Host``.
    :ivar head_limit: bytes that a response's head may have.
    :ivar buffer_bytes: bytes not yet sent above which a sender is paused.
    :ivar first_byte: timers from a request's end to its response's head.
    """

    hop: str
    host_header: bytes
    head_limit: int
    buffer_bytes: int
    first_byte: Waits
