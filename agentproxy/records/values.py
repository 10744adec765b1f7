"""
What is recorded, as values: `CallRecord`, `TurnRecord`, `ContentRecord`. The store's columns have their fields' names.

Names follow the OpenTelemetry conventions for generative AI where they have one. No I/O, no Twisted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Part = Literal["request_head", "request_body", "response_head", "response_body", "client_message", "upstream_message"]
"""What a piece of content is of its call."""


@dataclass(slots=True)
class CallRecord:
    """
    One call, when it has ended.

    :ivar key: the store's own id of it: 16 hex digits that grow with time. Request ids are the clients' to choose.
    :ivar request_id: the call's id in the log (``x-request-id``).
    :ivar started_us: microseconds since 1970.
    :ivar session: what it belongs to; ``session_source``: whether the client said so (``stated``) or it was
        ``inferred``.
    :ivar agent: the client's program; ``sub_agent``: the part of it that called, where it says so.
    :ivar status: the client's; 0: none was sent. Of a WebSocket its handshake's.
    :ivar degraded: why some of it could not be read, or ``None``.
    """

    key: str
    request_id: str
    provider: str
    protocol: str
    method: str
    path: str
    started_us: int
    duration_us: int
    status: int
    bytes_in: int
    bytes_out: int
    frames_in: int | None
    frames_out: int | None
    first_byte_us: int | None
    error: str | None
    phase: str | None
    close_side: str | None
    close_code: int | None
    close_reason: str | None
    close_clean: bool | None
    upstream_request_id: str | None
    session: str | None
    session_source: str | None
    agent: str | None
    agent_version: str | None
    sub_agent: str | None
    working_directory: str | None
    degraded: str | None


@dataclass(slots=True)
class TurnRecord:
    """
    One turn, when it has ended: its call's record may come later, or never.

    :ivar key: 16 hex digits that grow with the time at which turns end; ``call_key``: `CallRecord.key`.
    :ivar started_us: microseconds since 1970; ``first_token_us``, ``duration_us``: from there on.
    :ivar input_tokens: all of the input, the cached included; ``None``, as the other counts, where nothing is known.
    :ivar cost_micro_usd: millionths of a US dollar; ``None`` where the price is not known.
    :ivar price_version: what it was reckoned with.
    :ivar source: ``reported``, ``estimated`` or ``missing``.
    :ivar status: ``completed``, ``failed``, ``incomplete``, ``cancelled`` or ``unsettled``.
    :ivar tools: names of the tools called, in order.
    :ivar degraded: why some of it could not be read, or ``None``.
    """

    key: str
    call_key: str
    request_id: str
    provider: str
    protocol: str
    operation: str
    lane: str | None
    started_us: int
    first_token_us: int | None
    duration_us: int | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
    upstream_request_id: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    input_audio_tokens: int | None
    output_audio_tokens: int | None
    web_searches: int | None
    cost_micro_usd: int | None
    price_version: str | None
    source: str
    status: str
    stop_reason: str | None
    note: str | None
    degraded: str | None
    session: str | None
    session_source: str | None
    agent: str | None
    agent_version: str | None
    sub_agent: str | None
    working_directory: str | None
    tools: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ContentRecord:
    """
    A body, a head or a message of a call, as it passed: what the store makes of it is cleaned of credentials first.

    :ivar number: its place among its call's.
    :ivar at_us: microseconds since 1970.
    :ivar size: bytes that passed; ``pieces`` hold fewer where the call's bound was reached. Of a message that was cut
        no more is known: one more than is held.
    :ivar coding: ``Content-Encoding`` of the pieces, which is undone before anything else.
    """

    call_key: str
    number: int
    part: Part
    at_us: int
    pieces: list[bytes]
    size: int
    coding: bytes | None = None
    is_text: bool = True
