"""
Keeps what a call says, as it passed, for the record store: heads, bodies and messages, at most so many bytes a call.

Heads are cleaned of credentials here, field by field; the rest is, before it touches the disk, by the store's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from agentproxy.records.values import ContentRecord, Part
from agentproxy.wire.head import RequestHead, ResponseHead


class Clean(Protocol):
    """Makes a head fit to be kept."""

    def __call__(
        self,
        fields: Iterable[tuple[bytes, bytes]],
        *,
        method: bytes | None = None,
        target: bytes | None = None,
        status: int | None = None,
    ) -> bytes | None: ...


Wanted = Callable[[bytes], int]
OnMessage = Callable[[bool, bytes, bool], bytes | None]


_LEAST = 64
"""Bytes that a message takes of its call's bound, if it has fewer: its row is kept, too."""


class Capture:
    """
    One call's content. Nothing here raises: what can't be kept is not, and with it nothing that follows.

    :param key: the call's.
    :param keep: takes what is kept.
    :param most: bytes, of bodies or messages.
    :param now_us: microseconds since 1970.
    :ivar degraded: why something could not be kept, or ``None``.
    """

    __slots__ = (
        "_bodies", "_clean", "_codings", "_keep", "_key", "_now_us", "_number", "_room", "_sizes", "_starts",
        "degraded",
    )  # fmt: skip

    def __init__(
        self, key: str, clean: Clean, keep: Callable[[ContentRecord], object], most: int, now_us: Callable[[], int]
    ) -> None:
        self._key = key
        self._clean = clean
        self._keep = keep
        self._now_us = now_us
        self._room = most
        self._number = 0
        self._bodies: dict[Part, list[bytes]] = {}
        self._codings: dict[Part, bytes | None] = {}
        self._sizes: dict[Part, int] = {}
        self._starts: dict[Part, int] = {}
        self.degraded: str | None = None

    def request(self, head: RequestHead) -> None:
        """The request's head."""
        try:
            data = self._clean(_fields(head), method=head.method, target=head.target)
        except Exception as error:
            self._fail(error)
        else:
            self._head("request_head", data)
        self._codings["request_body"] = head.first(b"content-encoding")

    def response(self, head: ResponseHead) -> None:
        """The response's head."""
        try:
            data = self._clean(_fields(head), status=head.status)
        except Exception as error:
            self._fail(error)
        else:
            self._head("response_head", data)
        self._codings["response_body"] = head.first(b"content-encoding")

    def asked(self, data: bytes) -> None:
        """A piece of the request's body."""
        self._piece("request_body", data)

    def told(self, data: bytes) -> None:
        """A piece of the response's body."""
        self._piece("response_body", data)

    def around(self, wanted: Wanted, message: OnMessage, from_client: bool) -> tuple[Wanted, OnMessage]:
        """The same for one direction of a WebSocket, where its messages are kept besides."""
        part: Part = "client_message" if from_client else "upstream_message"
        read = 0

        def wanted_too(beginning: bytes) -> int:
            nonlocal read
            read = wanted(beginning)
            return max(read, self._room, 1)

        def message_too(is_text: bool, data: bytes, truncated: bool) -> None:
            if read:
                message(is_text, data[:read], truncated or len(data) > read)
            kept = data[: max(self._room, 0)]
            if kept or (not data and self._room > 0):
                self._room -= max(len(kept), _LEAST)
                self._put(part, [kept], len(data) + truncated, None, is_text, self._now_us())

        return wanted_too, message_too

    def end(self) -> None:
        """The call is over: what is left goes to the store."""
        for part in ("request_body", "response_body"):
            pieces = self._bodies.pop(part, None)
            if pieces is not None:
                self._put(part, pieces, self._sizes[part], self._codings.get(part), True, self._starts[part])

    def _head(self, part: Part, data: bytes | None) -> None:
        # One that can't be cleaned is not kept.
        if data is not None:
            self._put(part, [data], len(data), None, True, self._now_us())

    def _piece(self, part: Part, data: bytes) -> None:
        if not data:
            return
        pieces = self._bodies.get(part)
        if pieces is None:
            pieces = self._bodies[part] = []
            self._sizes[part] = 0
            self._starts[part] = self._now_us()
        self._sizes[part] += len(data)
        if self._room > 0:
            pieces.append(data[: self._room])
            self._room -= len(data)

    def _put(self, part: Part, pieces: list[bytes], size: int, coding: bytes | None, is_text: bool, at_us: int) -> None:
        if self.degraded is not None:
            return
        number, self._number = self._number, self._number + 1
        try:
            self._keep(ContentRecord(self._key, number, part, at_us, pieces, size, coding, is_text))
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        # Its text may quote the content.
        self.degraded = self.degraded or f"keeping its content raised {type(error).__name__}"
        self._room = 0


def _fields(head: RequestHead | ResponseHead) -> list[tuple[bytes, bytes]]:
    return [(name, value) for _, name, value in head.fields]
