"""A request's head on its way up: what relay hands through treq to our agent."""

from __future__ import annotations

from collections.abc import Callable

from agentproxy.wire.head import ResponseHead
from agentproxy.wire.rules import Pair


class Outbound:
    """
    A request's head.

    :ivar fields: the header fields to send, as they are to be sent, without the framing's.
    :ivar interim: told each 1xx response's head before the final one.
    :ivar begun: whether a connection has begun to send it.
    """

    __slots__ = ("begun", "fields", "interim", "method", "target")

    def __init__(
        self, method: bytes, target: bytes, fields: list[Pair], interim: Callable[[ResponseHead], object]
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.interim = interim
        self.begun = False

    def lines(self, host: bytes) -> list[bytes]:
        """The head's lines, each with its line end, without the framing's or a handshake's and the empty one."""
        return [
            b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (self.method, self.target, host),
            *[b"%b: %b\r\n" % field for field in self.fields],
        ]

    def __repr__(self) -> str:
        # The fields hold the credential.
        return f"<Outbound {self.method!r}>"
