"""A reader of turns with its two ends in hand: what it is shown, a second apart, and what it books."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from agentproxy.usage import REFUSED, Turn, TurnReader, Usage

# Values that no field should have; among them what no set or dictionary takes as a key.
ODD: tuple[Any, ...] = (
    None, True, -1, 1.5, 10**10, 10**30, "", "7", "a\nb", "\ud800", "x" * 300, [], [1], {}, {"a": 1}, float("nan"),
)  # fmt: skip

NO_JSON = (
    b"{", b"}", b'{"type"', b"nonsense", b"\x00\x01", b"\xff\xfe{", b'{"a": \xff}', b"[" * 100_000, b'{"a":' * 100_000,
    b"1" * 5000, b"<html>502 Bad Gateway</html>",
)  # fmt: skip

JSON = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def dump(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


class Booked:
    """A reader, the turns it has booked, and a clock that goes on with each message."""

    def __init__(self, make: Any) -> None:
        self.turns: list[Turn] = []
        found: TurnReader | None = make(self._ended)
        assert found is not None
        self.reader = found
        self.at = 0.0

    def _ended(self, turn: Turn) -> None:
        assert all(turn is not other for other in self.turns), "told twice"
        assert turn.ended is not None
        assert turn.status != "running"
        assert turn.started <= turn.ended
        if turn.source == "missing":
            assert turn.usage is None
            assert turn.note is not None
            assert (turn.status == "failed") == (turn.note == REFUSED)
        else:
            assert turn.usage is not None
            assert turn.usage.input_tokens > 0
        self.turns.append(turn)

    def tick(self) -> float:
        """A second passes."""
        self.at += 1
        return self.at

    def asked(self, *messages: object) -> Booked:
        for message in messages:
            self.reader.asked(dump(message), self.tick())
        return self

    def told(self, *messages: object) -> Booked:
        for message in messages:
            self.reader.told(dump(message), self.tick())
        return self

    def closed(self, *status: Any) -> Turn:
        """End the call; returns the only turn."""
        self.reader.closed(self.tick(), *status)
        (turn,) = self.turns
        return turn


def used(turn: Turn) -> Usage:
    assert turn.usage is not None
    return turn.usage
