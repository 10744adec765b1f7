"""The values that all rooms share: `Secret`, `Call`, `Close`. No I/O, no Twisted."""

from __future__ import annotations

from dataclasses import dataclass


class Secret:
    """
    A text that must not be seen.

    It has a blank repr and no str; `reveal` is called only where the text is injected or compared.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it only at the place of injection."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "<Secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not to be pickled")


@dataclass(frozen=True, slots=True)
class Close:
    """
    How a WebSocket ended, as it truly happened.

    :ivar side: who ended it: ``client``, ``upstream`` or ``proxy``.
    :ivar code: the close code seen or given (RFC 6455, 7.4); 1005 an empty close frame, 1006 none at all.
    :ivar reason: the close reason, as text; at most 123 bytes of UTF-8.
    :ivar clean: whether a close frame was seen before the connection went.
    """

    side: str
    code: int
    reason: str = ""
    clean: bool = True


class Call:
    """
    One call through a provider port, HTTP or WebSocket: what is known of it so far.

    Written by `relay` as the call goes on, read by `observe` at its start and end.

    :ivar id: the request id (``x-request-id``).
    :ivar provider: the provider's name in the configuration.
    :ivar protocol: ``http`` or ``websocket``.
    :ivar path: the request target without its query.
    :ivar started: `IReactorTime.seconds` at the request head.
    :ivar first_byte: the same at upstream's response head, or ``None``.
    :ivar status: the status the client got; 0 where it got none. Of a WebSocket its handshake's.
    :ivar bytes_in: body or frame bytes from the client; ``bytes_out``: to the client.
    :ivar error: the proxy's own error code, or what broke (``client_gone``, ``upstream_broken``), or ``None``.
    :ivar phase: the phase that the error names, or ``None``.
    :ivar upstream_request_id: upstream's own ``x-request-id``.
    """

    __slots__ = (
        "bytes_in", "bytes_out", "close", "error", "first_byte", "frames_in", "frames_out", "id", "method",
        "path", "phase", "protocol", "provider", "started", "status", "upstream_request_id",
    )  # fmt: skip

    def __init__(self, id: str, provider: str, protocol: str, method: str, path: str, started: float) -> None:
        self.id = id
        self.provider = provider
        self.protocol = protocol
        self.method = method
        self.path = path
        self.started = started
        self.first_byte: float | None = None
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.frames_in = 0
        self.frames_out = 0
        self.close: Close | None = None
        self.error: str | None = None
        self.phase: str | None = None
        self.upstream_request_id: str | None = None
