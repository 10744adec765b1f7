"""A call's tap under test: what it is told, and the turns that it finds."""

from __future__ import annotations

from typing import Any

from agentproxy.observe.reading import HttpTap
from agentproxy.providers.openai_reader import reader
from agentproxy.usage import Turn, TurnReader
from tests.observe.page_case import asks, dump, events
from tests.providers import response_shapes as shapes

ASKED = dump({"model": shapes.MODEL, "input": "hi", "stream": True})
USED = shapes.usage(500, 100, 40, 4)
WHOLE = dump(shapes.response("resp_1", "completed", usage=USED))
STREAM = events(
    shapes.created("resp_1"),
    shapes.running("resp_1"),
    *(shapes.delta(word, sequence_number=9) for word in ("Hello", " there", ", ", "you")),
    shapes.item(**shapes.CALL),
    shapes.over("resp_1", USED),
)


class Tapped:
    """
    A call's tap, and what it found.

    :ivar looked: the request's bodies that it showed.
    """

    def __init__(
        self,
        *fields: tuple[bytes, bytes],
        path: bytes = b"/v1/responses",
        turn_reader: TurnReader | None = None,
        look: Any = None,
    ) -> None:
        self.turns: list[Turn] = []
        self.looked: list[bytes] = []
        self.now = 10.0
        made = reader(b"POST", path, False, self.turns.append) if turn_reader is None else turn_reader
        assert made is not None
        self.tap = HttpTap(made, asks(path, *fields), 5.0, lambda: self.now, look or self.looked.append)

    def asked(self, *pieces: bytes) -> Tapped:
        for piece in pieces:
            self.tap.asked(piece)
        self.tap.sent()
        return self

    def told(self, head: Any, *pieces: bytes, complete: bool = True) -> Turn:
        """The response; returns the only turn."""
        self.tap.begin(head)
        for piece in pieces:
            self.tap.feed(piece)
        self.tap.end(complete)
        (turn,) = self.turns
        return turn

    def used(self) -> tuple[object, ...]:
        """(source, status, input tokens, output tokens) of the only turn."""
        (turn,) = self.turns
        usage = turn.usage
        return turn.source, turn.status, usage and usage.input_tokens, usage and usage.output_tokens


REPORTED = ("reported", "completed", 500, 40)


def unread(tapped: Tapped) -> None:
    """The turn is booked without upstream's word."""
    (turn,) = tapped.turns
    assert (turn.source, turn.status) == ("estimated", "unsettled"), turn
