"""
Follows a call's bodies for its turn, on copies. Nothing in here raises, and nothing is in the way: where something
can't be read the reading ends, with a reason, and the call goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agentproxy.usage import MOST_ASKED, MOST_TOLD, Alike, Status, TurnReader
from agentproxy.wire.decoding import DecodeError, Decoder, decoder
from agentproxy.wire.head import RequestHead, ResponseHead
from agentproxy.wire.sse import SseReader

# What an object, an array, "[DONE]", and white space before them, or nothing begins with.
_JSON = frozenset((b"{", b"[", b" ", b"\t", b"\n", b""))
_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\n", b"\r", b"\xef\xbb\xbf")
MOST_BEHIND = 256 << 10
"""Bytes of a longer request's end that are looked at: there are agents that write who they are behind all else."""
REFUSALS = frozenset({*range(300, 500), 503, 529})
"""Statuses by which an upstream says that it has done nothing, or sends elsewhere: what it answers so costs nothing."""


class HttpTap:
    """
    One HTTP call whose request asks for a turn.

    :param seconds: the clock.
    :param look: is shown the request's body, decoded, as far as it is read; behind that the end of one that is longer.
    :ivar degraded: why something could not be read.
    :ivar refused: the status by which upstream refused the call, or ``None``.
    """

    __slots__ = (
        "_asked",
        "_behind",
        "_coding",
        "_decoder",
        "_garbage",
        "_gathered",
        "_look",
        "_over",
        "_reader",
        "_room",
        "_seconds",
        "_sse",
        "_started",
        "_whole",
        "_why",
        "refused",
    )  # fmt: skip

    def __init__(
        self,
        reader: TurnReader,
        head: RequestHead,
        started: float,
        seconds: Callable[[], float],
        look: Callable[[bytes], object],
    ) -> None:
        self._reader: TurnReader | None = reader
        self._coding = head.first(b"content-encoding")
        self._started = started
        self._seconds = seconds
        self._look = look
        self._asked: list[bytes] | None = []
        self._behind = b""
        self._room = MOST_ASKED
        self._decoder: Decoder | None = None
        self._sse: SseReader | None = None
        self._gathered: list[bytes] | None = None
        self._whole = True
        self._garbage = False
        self._over = False
        self._why: str | None = None
        self.refused: int | None = None

    @property
    def degraded(self) -> str | None:
        return self._why or (None if self._reader is None else self._reader.degraded)

    def asked(self, data: bytes) -> None:
        """A piece of the request's body."""
        if self._asked is None:
            return
        if self._room > 0:
            self._asked.append(data[: self._room])
        if len(data) > self._room and self._coding is None:
            self._behind = (self._behind + data[self._room :])[-MOST_BEHIND:]
        self._room = max(0, self._room - len(data))

    def sent(self) -> None:
        """The request is whole, or no more of it is read; may be told more than once."""
        if self._asked is not None:
            body, self._asked = b"".join(self._asked), None
            self._safely(self._read_request, body)

    def begin(self, head: ResponseHead) -> None:
        """The response's head is here, and with it all of the request that will be read."""
        self.sent()
        self._safely(self._begin, head)

    def feed(self, data: bytes) -> None:
        """More of the response's body, as it came."""
        if self._decoder is not None:
            self._safely(self._feed, data)

    def end(self, complete: bool) -> None:
        """
        The call is over; may be told more than once.

        :param complete: whether the response came to its true end.
        """
        if not self._over:
            self.sent()
            self._over = True
            self._safely(self._end, complete)
            self._decoder = None

    def drop(self) -> None:
        """Upstream was never asked: there is no turn."""
        self._over = True
        self._reader = self._decoder = self._asked = None
        self._behind = b""

    def _read_request(self, body: bytes) -> None:
        reader = self._reader
        assert reader is not None
        if self._coding is not None:
            coding = decoder(self._coding, max_decoded=MOST_ASKED)
            if coding is None:
                self._degrade("a request of an unknown content coding")
                body = b""
            else:
                try:
                    body = coding.feed(body)
                except DecodeError as error:
                    if coding.decoded < MOST_ASKED:
                        self._degrade(str(error))
                    body = error.before
        body = body[:MOST_ASKED]
        reader.asked(body, self._started)
        behind, self._behind = self._behind, b""
        try:
            self._look(body + behind)
        except Exception as error:
            # The turn can be read without knowing whose it is.
            self._degrade(f"the look at the request raised {type(error).__name__}")

    def _begin(self, head: ResponseHead) -> None:
        reader = self._reader
        assert reader is not None
        if not 200 <= head.status < 300:
            if head.status in REFUSALS:
                self.refused = head.status
            self._over = True
            status: Status = "failed" if self.refused else "unsettled"
            reader.closed(self._seconds(), status)
            return
        self._decoder = decoder(head.first(b"content-encoding"))
        if self._decoder is None:
            self._degrade("a response of an unknown content coding")
            return
        kind = (head.first(b"content-type") or b"").lower()
        if kind.startswith(b"text/event-stream"):
            self._stream()
        elif b"json" in kind:
            self._gather()

    def _stream(self) -> None:
        self._sse = SseReader(self._event, self._skimmed, max_bytes=MOST_TOLD)

    def _gather(self) -> None:
        self._gathered = []
        self._room = MOST_TOLD

    def _feed(self, data: bytes) -> None:
        assert self._decoder is not None
        try:
            plain = self._decoder.feed(data)
        except DecodeError as error:
            self._decoder = None
            self._degrade(str(error))
            plain = error.before
        if self._sse is None and self._gathered is None and plain:
            # Its type says nothing: its beginning does.
            (self._stream if plain.startswith(_EVENTS) else self._gather)()
        if self._sse is not None:
            self._sse.feed(plain)
        elif self._gathered is not None and self._whole:
            if len(plain) > self._room:
                self._whole = False
                self._decoder = None
                self._degrade("a response too large to read")
                plain = plain[: self._room]
            self._room -= len(plain)
            self._gathered.append(plain)

    def _event(self, name: str, data: bytes, cut: bool) -> Alike | None:
        assert self._reader is not None
        if cut:
            self._degrade("an event too large to read")
            return None
        first = data[:1]
        self._garbage = first not in _JSON
        if self._garbage:
            self._degrade("an event that is no JSON")
            return Alike(first)
        return self._reader.told(data, self._seconds())

    def _skimmed(self, events: int, size: int) -> None:
        assert self._reader is not None
        if not self._garbage:
            self._reader.skimmed(events, size)

    def _end(self, complete: bool) -> None:
        reader = self._reader
        assert reader is not None
        now = self._seconds()
        if self._decoder is not None and complete:
            try:
                self._decoder.finish()
            except DecodeError as error:
                self._degrade(str(error))
        if self._gathered:
            # Of half a body, too, something can be told.
            reader.told(b"".join(self._gathered), now)
        self._gathered = None
        if self._sse is not None:
            self._sse.close(whole=complete)
        reader.closed(now)

    def _degrade(self, reason: str) -> None:
        self._why = self._why or reason

    def _safely(self, act: Callable[..., object], *args: Any) -> None:
        if self._reader is None:
            return
        try:
            act(*args)
        except Exception as error:
            # Its text may quote the payload.
            self._degrade(f"the reader raised {type(error).__name__}")
            reader, self._reader, self._decoder = self._reader, None, None
            # What it knows of turns is booked.
            with suppress(Exception):
                reader.closed(self._seconds())
