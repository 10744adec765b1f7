"""What reached the simulator, for tests to look at: bounded, and off where speed is measured."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MAX_ENTRIES = 1000
MAX_BYTES = 64 * 1024 * 1024
"""Body bytes that the journal keeps in all; the oldest entries go first."""


@dataclass(slots=True, eq=False)
class Seen:
    """
    A request.

    :ivar headers: names and values as they were on the wire, in order.
    :ivar body: the whole body; empty where it was only counted (``/simulator/sink``).
    :ivar body_bytes: its size.
    :ivar protocol: ``http`` or ``websocket``.
    :ivar server_name: the name the client gave in TLS (SNI); empty where it gave none; ``None`` without TLS.
    :ivar connection: the number of the connection that it came on, from 1.
    :ivar outcome: ``reading`` (its body has not ended), ``answering``, ``answered``, or ``gone`` (the client left
        before the end of the answer).
    """

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    protocol: str
    provider: str
    server_name: str | None
    connection: int
    body: bytes = b""
    body_bytes: int = 0
    outcome: str = "reading"

    def values(self, name: bytes) -> list[bytes]:
        """Every value of the header of this name, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: bytes) -> bytes | None:
        """The first of them."""
        return next(iter(self.values(name)), None)


@dataclass(slots=True, eq=False)
class SeenSocket:
    """
    A WebSocket.

    :ivar handshake: its upgrade request.
    :ivar frames: what the client sent, each as opcode, whether final, reserved bits, payload unmasked.
    :ivar messages: the client's data messages, inflated and whole: text as `str`, binary as `bytes`.
    :ivar deflate: whether permessage-deflate was agreed on.
    :ivar close: code and reason of the client's close frame; code 1005 of an empty one; ``None`` where none came.
    :ivar violation: how the client broke RFC 6455, or ``None``.
    :ivar gone: whether the connection has ended.
    """

    handshake: Seen
    frames: deque[tuple[int, bool, int, bytes]] = field(default_factory=lambda: deque(maxlen=MAX_ENTRIES))
    messages: deque[str | bytes] = field(default_factory=lambda: deque(maxlen=MAX_ENTRIES))
    deflate: bool = False
    close: tuple[int, str] | None = None
    violation: str | None = None
    gone: bool = False


class Journal:
    """
    :ivar requests: every request of late, upgrades included, oldest first.
    :ivar websockets: every WebSocket of late that was accepted, oldest first.
    """

    def __init__(self) -> None:
        self.requests: deque[Seen] = deque(maxlen=MAX_ENTRIES)
        self.websockets: deque[SeenSocket] = deque(maxlen=MAX_ENTRIES)

    def ended(self, seen: Seen, body: bytes) -> None:
        """A request's body has come whole."""
        seen.body = body
        seen.body_bytes = len(body)
        seen.outcome = "answering"
        if len(body) > 65536:
            self._make_room()

    def _make_room(self) -> None:
        kept = sum(len(seen.body) for seen in self.requests)
        while kept > MAX_BYTES and len(self.requests) > 1:
            kept -= len(self.requests.popleft().body)
