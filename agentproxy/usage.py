"""
What a turn used, as values: one `Turn` for each response that an agent asked a model for, whatever carried it.

Names follow the OpenTelemetry conventions for generative AI where they have one. No I/O, no Twisted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

Source = Literal["reported", "estimated", "missing"]
"""Where a turn's tokens come from: upstream said so; reckoned from what was seen; nothing is known."""
Status = Literal["running", "completed", "failed", "incomplete", "cancelled", "unsettled"]
"""How a turn ended; ``unsettled``: without upstream's word on it."""

FAILED = "upstream failed it before it said anything; the estimate is of what was asked"
REFUSED = "upstream refused it"
"""Notes on turns that ended so."""
MOST_TOKENS = 1_000_000_000
"""A count above this, or below 0, is no count."""


@dataclass(slots=True)
class Usage:
    """
    Tokens of one turn.

    :ivar input_tokens: all of the input, the cached and the newly cached included (``gen_ai.usage.input_tokens``).
    :ivar output_tokens: all of the output, reasoning included (``gen_ai.usage.output_tokens``).
    :ivar cache_read_tokens: of the input, what was read from a cache.
    :ivar cache_write_tokens: of the input, what was written to one; ``cache_write_1h_tokens``: of these, for an hour.
    :ivar reasoning_tokens: of the output, what was thought and not said.
    :ivar input_audio_tokens: of the input, audio; ``output_audio_tokens``: of the output.
    :ivar web_searches: server-side web searches, which are priced each.
    :ivar cache_read_audio_tokens: of the input's audio, what is known to have been read from a cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    web_searches: int = 0
    cache_read_audio_tokens: int = 0


@dataclass(slots=True)
class Turn:
    """
    One response.

    :ivar operation: ``chat``, ``responses``, ``messages``, ``generate_content``, ``realtime``, ``embeddings``, ...
    :ivar lane: the ``stream_id`` that it ran under, where one socket carries several.
    :ivar started: seconds, on the caller's clock, at which it was asked for; ``first_token``: of the first output;
        ``ended``.
    :ivar response_id: upstream's id of it.
    :ivar stop_reason: upstream's word for why it stopped.
    :ivar tools: names of the tools that it called, in order.
    :ivar output_characters: of the output seen so far, for an estimate.
    :ivar input_bytes: of the request, for an estimate.
    :ivar note: what a reader of the record should know, such as that the client did not ask for usage.
    """

    operation: str
    started: float
    model_asked: str | None = None
    model_answered: str | None = None
    lane: str | None = None
    first_token: float | None = None
    ended: float | None = None
    response_id: str | None = None
    status: Status = "running"
    stop_reason: str | None = None
    tools: list[str] = field(default_factory=list)
    usage: Usage | None = None
    source: Source = "missing"
    output_characters: int = 0
    input_bytes: int = 0
    note: str | None = None


class Alike(NamedTuple):
    """
    What the events of a stream have in common of which only the size matters, so that many of them can be passed over
    at once: as fast as such streams are, their bytes are looked at in C or not at all.

    :ivar prefix: what their data begins with.
    :ivar each: what stands in each of them exactly once; ``never``: in none.
    """

    prefix: bytes
    each: tuple[bytes, ...] = ()
    never: tuple[bytes, ...] = ()


class TurnReader(Protocol):
    """
    Reads one call's turns from copies of its messages. It never raises for what a message holds.

    :ivar degraded: the first reason why something could not be read, or ``None``.
    """

    @property
    def degraded(self) -> str | None: ...

    def asked(self, data: bytes, at: float) -> None:
        """
        The client's next message: an HTTP request's body (decoded, perhaps only its beginning, once) or a WebSocket
        message (perhaps only its beginning).
        """

    def told(self, data: bytes, at: float) -> Alike | None:
        """
        Upstream's next message: one event's data (SSE), a whole body (JSON), or a WebSocket message.

        :returns: what events like this one have in common, if they need not be told one by one.
        """

    def skimmed(self, events: int, size: int) -> None:
        """So many events like the last one were passed over; ``size``: bytes of all their data."""

    def closed(self, at: float, status: Status = "unsettled") -> None:
        """The call has ended: turns that still run end with it, as ``unsettled`` and with an estimate."""


class SocketTurns(TurnReader, Protocol):
    """
    Reads a WebSocket's.

    :ivar running: turns that run now; ``None`` where that is not known, since its messages are not understood.
    """

    @property
    def running(self) -> int | None: ...

    def wanted(self, from_client: bool, beginning: bytes) -> int:
        """
        How much of a message must be told.

        :param beginning: its first bytes, as many as say what it is, or all.
        :returns: bytes; 0: it need not be told.
        """


MOST_ASKED = 1 << 20
"""Bytes of a client's message or body that are read."""
MOST_TOLD = 16 << 20
"""Bytes of an upstream's message, event or body that are read."""

Ended = Callable[[Turn], object]
"""Told each turn once, when it has ended."""


def count(value: object) -> int | None:
    """A count of tokens as JSON gave it; ``None`` where it is none."""
    if type(value) is int and 0 <= value <= MOST_TOKENS:
        return value
    return None


MOST_GUESSED = 131_072
"""Tokens of output that are taken for possible where upstream has said nothing: more than most models can say."""


def estimated(turn: Turn) -> Usage:
    """What a turn without upstream's word may have used: a token for each four characters or bytes, at least one."""
    return Usage(
        input_tokens=max(1, turn.input_bytes // 4),
        output_tokens=min(max(1, turn.output_characters // 4), MOST_GUESSED),
    )
