"""Message heads as values, RFC 9112: what `wire.parse` makes of the bytes and all rooms behind it look at."""

from __future__ import annotations

CHUNKED = -1
"""The value of ``length`` where the body comes chunked."""
UNTIL_CLOSE = -2
"""The value of ``length`` where a response's body ends with its connection."""

Field = tuple[bytes, bytes, bytes]
"""A header field: its name in lower case, its name as sent, its value without white space around it."""

_NO_OPTIONS: frozenset[bytes] = frozenset()
_KEEP_ALIVE = frozenset({b"keep-alive"})


class BadHead(ValueError):
    """A response head (or a CONNECT answer's) that is malformed, ambiguous, or too large."""


def options(values: list[bytes]) -> frozenset[bytes]:
    """The lower-case members of a comma-separated field (RFC 9110, 5.6.1)."""
    if not values:
        return _NO_OPTIONS
    if values == [b"keep-alive"]:
        return _KEEP_ALIVE
    return frozenset(item for value in values for part in value.split(b",") if (item := part.strip(b" \t").lower()))


class _Head:
    __slots__ = ("fields", "keys")

    fields: list[Field]
    keys: frozenset[bytes]

    def values(self, key: bytes) -> list[bytes]:
        """Every value of the field of this lower-case name, in order."""
        # Most questions are for what most heads don't have.
        return [value for name, _, value in self.fields if name == key] if key in self.keys else []

    def first(self, key: bytes) -> bytes | None:
        """The first value of the field of this lower-case name."""
        if key not in self.keys:
            return None
        for name, _, value in self.fields:
            if name == key:
                return value
        return None


class RequestHead(_Head):
    """
    A request's head.

    :ivar fields: all header fields in order; ``keys``: their lower-case names.
    :ivar length: bytes of the body to come; `CHUNKED` where it comes chunked.
    :ivar keep_alive: whether the client lets the connection live on (RFC 9112, 9.3).
    :ivar connection: the lower-case options of ``Connection``.
    :ivar expects: whether the client waits for ``100 Continue``.
    """

    __slots__ = ("connection", "expects", "keep_alive", "length", "method", "minor", "target")

    def __init__(self, method: bytes, target: bytes, minor: int, fields: list[Field]) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.fields = fields
        self.keys = frozenset([field[0] for field in fields])
        self.length = 0
        self.keep_alive = minor == 1
        self.connection: frozenset[bytes] = _NO_OPTIONS
        self.expects = False

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]


class ResponseHead(_Head):
    """
    A response's head.

    :ivar length: bytes of the body to come, `CHUNKED` or `UNTIL_CLOSE`; 0 where the status or the request's
        method allows none.
    :ivar keep_alive: whether the connection may be used again once the body has ended.
    """

    __slots__ = ("connection", "keep_alive", "length", "minor", "reason", "status")

    @property
    def interim(self) -> bool:
        """Whether another response to the same request follows (RFC 9110, 15.2); a 101 is final."""
        return self.status < 200 and self.status != 101

    def __init__(self, status: int, reason: bytes, minor: int, fields: list[Field]) -> None:
        self.status = status
        self.reason = reason
        self.minor = minor
        self.fields = fields
        self.keys = frozenset([field[0] for field in fields])
        self.length = UNTIL_CLOSE
        self.keep_alive = minor == 1
        self.connection: frozenset[bytes] = _NO_OPTIONS
