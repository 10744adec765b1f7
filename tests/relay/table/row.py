"""
What a row of the table is: a call that passes, and what its turns' records must say. How such bytes are written, too.

Money is reckoned by `usd` in each row, from the price pages' dollars for a million tokens.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from agentproxy.records.values import TurnRecord
from tests.relay.harness import MASK
from tests.relay.wires import close, frame

OPENAI = "api.openai.com"
CHATGPT = "chatgpt.com"
ANTHROPIC = "api.anthropic.com"
GEMINI = "generativelanguage.googleapis.com"
COPILOT = "api.githubcopilot.com"

SSE = b"Content-Type: text/event-stream; charset=utf-8"
JSON = b"Content-Type: application/json"
TEXT, BINARY, CONTINUED, PING = 1, 2, 0, 9


def usd(*parts: tuple[int, str]) -> int:
    """Micro-dollars of (tokens, dollars for a million), half of one rounded up."""
    total = sum((tokens * Decimal(price) for tokens, price in parts), Decimal(0))
    return int(total.to_integral_value(ROUND_HALF_UP))


@dataclass(frozen=True, repr=False)
class Told:
    """What one turn's record must say; names are short for `TurnRecord`'s."""

    request_model: str | None
    response_model: str | None
    input: int | None
    output: int | None
    cache_read: int | None = 0
    cache_write: int | None = 0
    cache_write_1h: int | None = 0
    reasoning: int | None = 0
    input_audio: int | None = 0
    output_audio: int | None = 0
    web_searches: int | None = 0
    cost: int | None = field(kw_only=True)
    source: str = "reported"
    status: str = "completed"
    stop_reason: str | None = None
    tools: tuple[str, ...] = ()
    lane: str | None = None
    note: str | None = None
    degraded: str | None = None

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in vars(self).items() if value or value is None]
        return f"Told({', '.join(shown)})"

    @classmethod
    def by(cls, record: TurnRecord) -> Told:
        """What a record does say."""
        return cls(
            record.request_model,
            record.response_model,
            record.input_tokens,
            record.output_tokens,
            record.cache_read_tokens,
            record.cache_write_tokens,
            record.cache_write_1h_tokens,
            record.reasoning_tokens,
            record.input_audio_tokens,
            record.output_audio_tokens,
            record.web_searches,
            cost=record.cost_micro_usd,
            source=record.source,
            status=record.status,
            stop_reason=record.stop_reason,
            tools=tuple(record.tools),
            lane=record.lane,
            note=record.note,
            degraded=record.degraded,
        )


def nothing(request_model: str | None, response_model: str | None = None, **more: Any) -> Told:
    """A turn of whose tokens nothing is known: nothing was done for it, or it is charged otherwise."""
    unknown: dict[str, Any] = dict.fromkeys(
        ("cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio", "web_searches")
    )
    # What was refused is known to cost nothing.
    cost = 0 if more.get("status") == "failed" else None
    return Told(request_model, response_model, None, None, **unknown, cost=cost, source="missing", **more)


@dataclass(frozen=True)
class Row:
    """
    :ivar name: what it shows, for the test's name.
    :ivar path: of the request, with its query.
    :ivar turns: what is booked, in this order.
    :ivar degraded: of the call's record.
    """

    name: str
    kind: str
    host: str
    path: bytes
    turns: tuple[Told, ...]
    degraded: str | None = None
    limits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Http(Row):
    """
    :ivar asked: the request's body; ``answered``: of the response's, what upstream sends.
    :ivar fields: of the response; ``asked_fields``: of the request.
    :ivar ends: with what upstream sent the response is ``whole``, or ``upstream`` or the ``client`` is gone by then.
    """

    asked: bytes = field(kw_only=True)
    answered: bytes = field(kw_only=True)
    fields: tuple[bytes, ...] = (SSE,)
    asked_fields: tuple[bytes, ...] = (JSON,)
    status: bytes = b"200 OK"
    ends: Literal["whole", "upstream", "client"] = "whole"


Step = tuple[bool, bytes]
"""What one side sends: (is it the client, frames)."""


@dataclass(frozen=True)
class Socket(Row):
    """
    :ivar said: what passes once the socket is open, in order.
    :ivar extensions: what the client offers and upstream takes.
    :ivar ends: who is gone then, if not both by close frames.
    """

    said: tuple[Step, ...] = field(kw_only=True)
    extensions: bytes | None = None
    ends: Literal["closed", "upstream", "client"] = "client"


def dumps(value: Any) -> bytes:
    """JSON as the APIs write it; bytes are what they are."""
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def sse(*events: Any, field: bytes = b"data: ", newline: bytes = b"\n", named: bool = False) -> bytes:
    """
    A stream of events.

    :param field: how a line of data begins.
    :param named: whether each event's type is its name too.
    """
    lines = []
    for event in events:
        if named and isinstance(event, dict):
            lines.append(b"event: " + event["type"].encode())
        lines += [field + dumps(event), b""]
    return newline.join([*lines, b""])


def up(*messages: Any, opcode: int = TEXT) -> Step:
    """The client's messages."""
    return True, b"".join(frame(opcode, dumps(each), mask=MASK) for each in messages)


def down(*messages: Any, opcode: int = TEXT) -> Step:
    """Upstream's messages."""
    return False, b"".join(frame(opcode, dumps(each)) for each in messages)


def fragments(message: Any, *sizes: int) -> Step:
    """One message of upstream's in fragments of these sizes, a ping between any two."""
    data, opcode, out = dumps(message), TEXT, b""
    for size in sizes:
        out += frame(opcode, data[:size], final=False) + frame(PING, b"are you there")
        data, opcode = data[size:], CONTINUED
    return False, out + frame(opcode, data)


CLOSES = (True, close(1000, mask=MASK)), (False, close(1000))


class Deflated:
    """
    Messages compressed by permessage-deflate, each direction with a context of its own (RFC 7692).

    :param takeover: whether a message may refer to those before it.
    """

    def __init__(self, *, bits: int = 15, takeover: bool = True) -> None:
        self._bits = bits
        self._takeover = takeover
        self._streams: dict[bool, Any] = {}

    def up(self, *messages: Any) -> Step:
        """The client's messages."""
        return True, b"".join(frame(TEXT, self._pack(True, each), mask=MASK, rsv1=True) for each in messages)

    def down(self, *messages: Any) -> Step:
        """Upstream's messages."""
        return False, b"".join(frame(TEXT, self._pack(False, each), rsv1=True) for each in messages)

    def _pack(self, client: bool, message: Any) -> bytes:
        if not self._takeover or client not in self._streams:
            self._streams[client] = zlib.compressobj(wbits=-self._bits)
        stream = self._streams[client]
        data: bytes = stream.compress(dumps(message)) + stream.flush(zlib.Z_SYNC_FLUSH)
        return data[:-4]
