"""Event streams read twice: each event told, and with runs of events that are alike passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agentproxy.usage import MOST_TOLD, Alike, Ended, Turn, TurnReader
from agentproxy.wire.sse import SseReader

Make = Callable[[Ended], TurnReader | None]


def dump(value: Any) -> bytes:
    """An event's data as the APIs write it: bytes as they are, else JSON without spaces."""
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def stream(values: list[Any], *, named: bool = False) -> bytes:
    """The bytes of an event stream; ``named``: each event says its type in a line of its own too."""
    out = []
    for value in values:
        name = b"event: %b\n" % value["type"].encode() if named and isinstance(value, dict) else b""
        out.append(name + b"data: " + dump(value) + b"\n\n")
    return b"".join(out)


class Read:
    """
    What became of one stream.

    :param pieces: the stream's bytes as they come; all at once, where the clock is concerned.
    :param skips: whether events may be passed over.
    :ivar told: events that were told; ``skimmed``: those that were not.
    """

    def __init__(self, make: Make, asked: Any, pieces: list[bytes], *, skips: bool) -> None:
        self.turns: list[Turn] = []
        self.told = 0
        self.skimmed = 0
        found = make(self.turns.append)
        assert found is not None
        self._reader = reader = found
        self._skips = skips
        reader.asked(dump(asked), 1.0)
        sse = SseReader(self._event, self._skim, max_bytes=MOST_TOLD)
        for piece in pieces:
            sse.feed(piece)
        sse.close()
        reader.closed(3.0)

    @property
    def degraded(self) -> str | None:
        return self._reader.degraded

    def _event(self, name: str, data: bytes, cut: bool) -> Alike | None:
        self.told += 1
        alike = self._reader.told(data, 2.0)
        return alike if self._skips else None

    def _skim(self, events: int, size: int) -> None:
        self.skimmed += events
        self._reader.skimmed(events, size)


def without_guess(turn: Turn) -> Turn:
    """A turn without what is an estimate in it."""
    usage = turn.usage
    if turn.source == "estimated" and usage is not None:
        usage = replace(usage, output_tokens=0)
    return replace(turn, output_characters=0, usage=usage)
