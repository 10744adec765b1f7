"""A turn that has ended, of every field something, and the books that it goes into."""

from __future__ import annotations

import dataclasses
from typing import Any

from agentproxy.observe.pricing import OwnPrice
from agentproxy.records.values import TurnRecord
from agentproxy.usage import Turn, Usage
from tests.observe.page_case import (
    WALL,
    BookCase,
    Sink,
)

BEGUN_US = int(WALL * 1e6)
ALL = Usage(
    input_tokens=1000,
    output_tokens=200,
    cache_read_tokens=300,
    cache_write_tokens=100,
    cache_write_1h_tokens=50,
    reasoning_tokens=60,
    input_audio_tokens=7,
    output_audio_tokens=8,
    web_searches=2,
)


def turn(usage: Usage | None = ALL, **fields: Any) -> Turn:
    """A turn that has ended, of every field something."""
    made = Turn(
        "responses",
        1.5,
        model_asked="gpt-5.5",
        model_answered="gpt-5.5-2026-09-01",
        lane="lane-1",
        first_token=2.25,
        ended=4.0,
        response_id="resp_1",
        status="completed",
        stop_reason="stop",
        tools=["shell", "apply_patch"],
        usage=usage,
        source="reported" if usage is not None else "missing",
        note="a note",
    )
    return dataclasses.replace(made, **fields)


class LedgerCase(BookCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = Sink()

    def settled(self, ended: Turn, *, degraded: str | None = None, **parts: Any) -> TurnRecord:
        """The record of a turn of some call."""
        books = self.ledger(self.sink, **parts)
        books.settle(self.http(books), ended, degraded)
        return self.sink.turns[-1]


def _own(input_dollars: int, output_dollars: int) -> OwnPrice:
    """Dollars for a million tokens."""
    return OwnPrice(input_dollars * 1_000_000, output_dollars * 1_000_000)
