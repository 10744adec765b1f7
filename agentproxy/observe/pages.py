"""The pages of the ledger: what an HTTP call, and what a WebSocket, tells of its bytes while they pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from agentproxy.agents.who import Who
from agentproxy.call import Call
from agentproxy.config import Provider
from agentproxy.observe.ledger import Ledger, Page
from agentproxy.observe.reading import HttpTap
from agentproxy.providers.readers import socket_reader, turn_reader
from agentproxy.usage import SocketTurns, Turn
from agentproxy.wire.deflate import DeflateParams, Inflater
from agentproxy.wire.head import RequestHead, ResponseHead
from agentproxy.wire.messages import MessageReader

_TYPE_BYTES = 256
"""Of a message, where its type is looked for."""
_MOST_ASKERS = 256


class HttpPage(Page):
    """An HTTP call's. It is told of each of its steps, in order, and of its end once."""

    __slots__ = ("_tap",)

    def __init__(self, ledger: Ledger, call: Call, provider: Provider, head: RequestHead) -> None:
        super().__init__(ledger, call, provider, head)
        reader = turn_reader(provider.kind, head.method, head.path, self._settle)
        self._tap = None if reader is None else HttpTap(reader, head, call.started, ledger.seconds, self._look)

    @property
    def degraded(self) -> str | None:
        return (None if self._tap is None else self._tap.degraded) or super().degraded

    def asked(self, data: bytes) -> None:
        """A piece of the request's body."""
        if self._tap is not None:
            self._tap.asked(data)
        if self.capture is not None:
            self.capture.asked(data)

    def sent(self) -> None:
        """The request is whole."""
        if self._tap is not None:
            self._tap.sent()

    @property
    def reads(self) -> bool:
        return self._tap is not None or super().reads

    def begin(self, head: ResponseHead) -> None:
        if self._tap is not None:
            self._tap.begin(head)
        super().begin(head)

    def feed(self, data: bytes) -> None:
        if self._tap is not None:
            self._tap.feed(data)
        super().feed(data)

    def end(self, complete: bool) -> None:
        if self._tap is not None:
            self._tap.end(complete)

    def unasked(self) -> None:
        if self._tap is not None:
            self._tap.drop()

    def ended(self, at: float | None = None) -> None:
        if self._tap is not None:
            self._tap.end(False)
        super().ended(at)
        self._tap = None

    def _look(self, body: bytes) -> None:
        """The client's body may say more of who it is."""
        self.ledger.identifier.asked(self.who, body)

    def _settle(self, turn: Turn) -> None:
        refused = None if self._tap is None else self._tap.refused
        if refused is not None:
            turn.usage, turn.source = None, "missing"
            turn.note = f"upstream refused it with status {refused}"
        self.ledger.settle(self, turn, self.degraded)


class SocketPage(Page):
    """A WebSocket's, whose messages are read one by one."""

    __slots__ = ("_askers", "_reader", "_readers", "_why")

    def __init__(self, ledger: Ledger, call: Call, provider: Provider, head: RequestHead) -> None:
        super().__init__(ledger, call, provider, head)
        self._reader: SocketTurns | None = socket_reader(provider.kind, head.target, self._settle)
        self._readers: list[MessageReader] = []
        self._why: str | None = None
        # Who asked for the turns that run, by when they did, which the turns know, too.
        self._askers: dict[float, Who] = {}

    @property
    def running(self) -> int | None:
        """Turns that run now; ``None`` where the socket's messages are not understood."""
        if self._reader is None or any(reader.degraded is not None for reader in self._readers):
            return None
        return self._reader.running

    @property
    def degraded(self) -> str | None:
        if self._why is not None:
            return self._why
        for reader in self._readers:
            if reader.degraded is not None:
                return reader.degraded
        return (None if self._reader is None else self._reader.degraded) or super().degraded

    def tap(self, deflate: DeflateParams | None, *, from_client: bool) -> MessageReader | None:
        """What follows one direction's messages; ``None``: nobody wants to know."""
        turns, capture = self._reader, self.capture
        if turns is None and capture is None:
            return None
        wanted, message = self._plain(turns, from_client) if turns is not None else (_nothing, _ignore)
        if capture is not None:
            wanted, message = capture.around(wanted, message, from_client)
        skimmed = turns.skimmed if turns is not None else None
        reader = MessageReader(wanted, message, inflate=_inflater(deflate, from_client), on_skimmed=skimmed)
        self._readers.append(reader)
        return reader

    def ended(self, at: float | None = None) -> None:
        reader = self._reader
        if any(each.inside for each in self._readers):
            self._why = self._why or "a message that breaks off"
        if reader is not None:
            try:
                for each in self._readers:
                    each.flush()
                reader.closed(self.ledger.seconds() if at is None else at)
            except Exception as error:
                self._drop(error)
        super().ended(at)
        self._reader = None
        self._readers.clear()
        self._askers.clear()

    def _plain(self, turns: SocketTurns, from_client: bool) -> tuple[Wanted, OnMessage]:
        seconds = self.ledger.seconds

        def wanted(beginning: bytes) -> int:
            try:
                return 0 if self._reader is None else turns.wanted(from_client, beginning)
            except Exception as error:
                self._drop(error)
                return 0

        def asked(is_text: bool, data: bytes, truncated: bool) -> None:
            if self._reader is None:
                return
            at = seconds()
            # First, since what is asked may end at once.
            self._see(data, at)
            try:
                for reader in self._readers:
                    reader.forget()
                turns.asked(data, at)
            except Exception as error:
                self._drop(error)

        def told(is_text: bool, data: bytes, truncated: bool) -> bytes | None:
            if self._reader is None:
                return None
            try:
                like = turns.told(data, seconds())
            except Exception as error:
                self._drop(error)
                return None
            return None if like is None or like.each or like.never else like.prefix

        return wanted, asked if from_client else told

    def _see(self, data: bytes, at: float) -> None:
        """A message that asks for a turn may say whose it is; another's may be meant next, so each has its own."""
        if b'"response.create"' not in data[:_TYPE_BYTES]:
            return
        try:
            page = self.who
            who = page.copy()
            self.ledger.identifier.asked(who, data)
            if page.session_source != "stated":
                self._who = who
            elif page.working_directory is None:
                page.working_directory = who.working_directory
            self._askers[at] = who
            if len(self._askers) > _MOST_ASKERS:
                del self._askers[next(iter(self._askers))]
        except Exception as error:
            # The turns can be read without knowing whose they are.
            self._why = self._why or f"the look at a message raised {type(error).__name__}"

    def _drop(self, error: Exception) -> None:
        # Its text may quote the payload.
        self._why = f"the reader raised {type(error).__name__}"
        reader, self._reader = self._reader, None
        # What it knows of turns is booked.
        if reader is not None:
            with suppress(Exception):
                reader.closed(self.ledger.seconds())

    def _settle(self, turn: Turn) -> None:
        self.ledger.settle(self, turn, self.degraded, self._askers.pop(turn.started, None))


Wanted = Callable[[bytes], int]
OnMessage = Callable[[bool, bytes, bool], bytes | None]


def _nothing(beginning: bytes) -> int:
    return 0


def _ignore(is_text: bool, data: bytes, truncated: bool) -> None:
    """Nobody wants to know."""


def _inflater(deflate: DeflateParams | None, from_client: bool) -> Inflater | None:
    if deflate is None:
        return None
    if from_client:
        return Inflater(window_bits=deflate.client_window_bits, no_context_takeover=deflate.client_no_context_takeover)
    return Inflater(window_bits=deflate.server_window_bits, no_context_takeover=deflate.server_no_context_takeover)
