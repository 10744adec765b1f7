"""
The books: each call has a page, on which its turns are read from copies of what passes, priced, counted and recorded.

Nothing in here raises, and nothing is in a call's way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Protocol

from agentproxy.agents.identifier import Identifier
from agentproxy.agents.who import Who
from agentproxy.call import Call
from agentproxy.config import Provider
from agentproxy.observe.booking import Booking
from agentproxy.observe.capture import Capture, Clean
from agentproxy.observe.observer import Observer
from agentproxy.observe.pricing import Prices
from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord
from agentproxy.usage import Turn, Usage
from agentproxy.wire.head import RequestHead, ResponseHead

_MOST_NAME = 100
"""Characters of a model's name that a log line shows."""
_MICRO = 1_000_000


class Sink(Protocol):
    """Takes records, at once and without fail."""

    def call(self, record: CallRecord) -> None: ...
    def turn(self, record: TurnRecord) -> None: ...
    def content(self, record: ContentRecord) -> None: ...


class Ledger:
    """
    Opens pages and books what they find.

    :param seconds: the clock that calls are timed by; ``wall``: seconds since 1970.
    :param publish: is told each turn's record, whether or not any is kept.
    :param sink: where records are kept; ``None``: nowhere.
    :param clean: what recorded heads are cleaned by where content is kept; ``None``: it is not.
    :param content_bytes: of one call's content, what is kept.
    """

    def __init__(
        self,
        observer: Observer,
        prices: Prices,
        identifier: Identifier,
        *,
        seconds: Callable[[], float],
        wall: Callable[[], float],
        publish: Callable[[TurnRecord], object],
        sink: Sink | None = None,
        clean: Clean | None = None,
        content_bytes: int = 0,
    ) -> None:
        self.observer = observer
        self.identifier = identifier
        self.seconds = seconds
        self.sink = sink
        self._prices = prices
        self._wall = wall
        self._publish = publish
        self._clean = clean
        self._content_bytes = content_bytes
        self._booking = Booking(observer.clean, self.wall_us)
        # Ids grow with time, and no two processes begin theirs in the same millisecond of the same store but by
        # chance, against which there are some random bits.
        self._ids = count((int(wall() * 1000) << 20) + int.from_bytes(os.urandom(2), "big"))

    def key(self) -> str:
        """A new id: 16 hex digits that grow."""
        return f"{next(self._ids):016x}"

    def wall_us(self, at: float) -> int:
        """Microseconds since 1970 at this reading of the clock."""
        return int((self._wall() - self.seconds() + at) * _MICRO)

    def capture(self, key: str) -> Capture | None:
        """What keeps a call's content, if any is kept."""
        if self._clean is None or self.sink is None:
            return None
        return Capture(key, self._clean, self.sink.content, self._content_bytes, lambda: int(self._wall() * _MICRO))

    def settle(self, page: Page, turn: Turn, degraded: str | None, who: Who | None = None) -> None:
        """Book a turn that has ended; ``who``: whose it is, where that is not the page's."""
        try:
            self._settle(page, turn, degraded, who or page.who)
        except Exception as error:
            self.observer.failed(error)

    def end(self, page: Page, at: float) -> None:
        """Record a call that has ended."""
        if self.sink is not None:
            try:
                self.sink.call(self._booking.call(page, at))
            except Exception as error:
                self.observer.failed(error)

    def _settle(self, page: Page, turn: Turn, degraded: str | None, who: Who) -> None:
        usage = turn.usage
        cost = self._price(page.provider, turn)
        try:
            self.identifier.settle(who, turn.response_id)
        except Exception as error:
            # A turn is not lost because it is not known whose it is.
            self.observer.failed(error)
        price = None if cost is None else (cost, self._prices.version)
        record = self._booking.turn(self.key(), page, who, turn, degraded, price)
        named = record.response_model or record.request_model
        if usage is not None:
            # A name that only a client has said makes no label: it might say as many as it likes.
            known = record.response_model is not None or self.observer.is_label(named)
            self._count(record.provider, (named if known else None) or "unknown", usage, cost)
        if self.sink is not None:
            self.sink.turn(record)
        self._publish(record)
        self.observer.usage(record, None if named is None else named[:_MOST_NAME])

    def _price(self, provider: Provider, turn: Turn) -> int | None:
        if turn.usage is None:
            # What upstream refused is all that fails without an estimate, and costs nothing.
            return 0 if turn.status == "failed" else None
        model = turn.model_answered or turn.model_asked
        if model is None:
            return None
        try:
            at = datetime.fromtimestamp(self.wall_us(turn.started) / _MICRO, UTC)
            return self._prices.cost(provider.kind.name, provider.upstream.host, model, turn.usage, at)
        except Exception as error:
            # Nor because its price is not.
            self.observer.failed(error)
            return None

    def _count(self, provider: str, model: str, usage: Usage, cost: int | None) -> None:
        for kind, tokens in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            if tokens:
                self.observer.tokens(provider, model, kind, tokens)
        if cost is not None:
            self.observer.cost(provider, model, cost)


class Page:
    """
    One call's page.

    :ivar key: the store's id of the call.
    :ivar who: who calls, as far as is known.
    """

    __slots__ = ("_who", "call", "capture", "head", "key", "ledger", "provider")

    def __init__(self, ledger: Ledger, call: Call, provider: Provider, head: RequestHead) -> None:
        self.ledger = ledger
        self.call = call
        self.provider = provider
        self.head = head
        self.key = ledger.key()
        self.capture = ledger.capture(self.key)
        if self.capture is not None:
            self.capture.request(head)
        self._who: Who | None = None

    @property
    def who(self) -> Who:
        who = self._who
        if who is None:
            try:
                who = self.ledger.identifier.begin(self.provider.name, self.head)
            except Exception as error:
                self.ledger.observer.failed(error)
                who = Who()
            self._who = who
        return who

    @property
    def degraded(self) -> str | None:
        """Why some of the call could not be read or kept, or ``None``."""
        return None if self.capture is None else self.capture.degraded

    @property
    def reads(self) -> bool:
        """Whether it wants to be fed."""
        return self.capture is not None

    def begin(self, head: ResponseHead) -> None:
        """The response's head."""
        if self.capture is not None:
            self.capture.response(head)

    def feed(self, data: bytes) -> None:
        """A piece of the response's body."""
        if self.capture is not None:
            self.capture.told(data)

    def end(self, complete: bool) -> None:
        """The response has ended; ``complete``: truly, and not by breaking off. May be told more than once."""

    def whole(self, head: ResponseHead, body: bytes) -> None:
        """A response that is all here."""
        self.begin(head)
        self.feed(body)
        self.end(True)

    def unasked(self) -> None:
        """Upstream was never asked: there is no turn."""

    def ended(self, at: float | None = None) -> None:
        """The call is over; told once. ``at``: when, by the clock, if not now."""
        if self.capture is not None:
            self.capture.end()
        self.ledger.end(self, self.ledger.seconds() if at is None else at)
