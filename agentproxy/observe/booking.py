"""
A turn that has ended and a call that has, as records: texts from outside cleaned of secrets and cut, times since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agentproxy.agents.who import Who
from agentproxy.call import Call
from agentproxy.records.values import CallRecord, TurnRecord
from agentproxy.usage import Turn, Usage

MOST_TEXT = 256
MOST_PATH = 1024
MOST_METHOD = 32
"""Characters of texts from outside that are recorded."""
_MOST_SECRET = 2048
"""Characters behind these that are looked at for the rest of a secret that begins in them."""
_MICRO = 1_000_000
_NOTHING = Usage()


class Entry(Protocol):
    """What is known of the call."""

    call: Call
    key: str

    @property
    def who(self) -> Who: ...
    @property
    def degraded(self) -> str | None: ...


class Booking:
    """
    Makes records.

    :param clean: takes secrets out of a text.
    :param wall_us: microseconds since 1970 at a reading of the calls' clock.
    """

    def __init__(self, clean: Callable[[str], str], wall_us: Callable[[float], int]) -> None:
        self._clean = clean
        self._wall_us = wall_us

    def turn(
        self, key: str, page: Entry, who: Who, turn: Turn, degraded: str | None, price: tuple[int, str] | None
    ) -> TurnRecord:
        """:param who: whose turn it is; ``price``: micro-dollars, and what they were reckoned with."""
        call, usage, text = page.call, turn.usage, self._text
        known, some = usage is not None, usage or _NOTHING
        cost, version = price or (None, None)
        return TurnRecord(
            key=key,
            call_key=page.key,
            request_id=call.id,
            provider=call.provider,
            protocol=call.protocol,
            operation=turn.operation,
            lane=text(turn.lane),
            started_us=self._wall_us(turn.started),
            first_token_us=_since(turn.started, turn.first_token),
            duration_us=_since(turn.started, turn.ended),
            request_model=text(turn.model_asked),
            response_model=text(turn.model_answered),
            response_id=text(turn.response_id),
            upstream_request_id=text(call.upstream_request_id),
            input_tokens=some.input_tokens if known else None,
            output_tokens=some.output_tokens if known else None,
            cache_read_tokens=some.cache_read_tokens if known else None,
            cache_write_tokens=some.cache_write_tokens if known else None,
            cache_write_1h_tokens=some.cache_write_1h_tokens if known else None,
            reasoning_tokens=some.reasoning_tokens if known else None,
            input_audio_tokens=some.input_audio_tokens if known else None,
            output_audio_tokens=some.output_audio_tokens if known else None,
            web_searches=some.web_searches if known else None,
            cost_micro_usd=cost,
            price_version=version,
            source=turn.source,
            status=turn.status,
            stop_reason=text(turn.stop_reason),
            note=turn.note,
            degraded=degraded,
            session=text(who.session),
            session_source=who.session_source,
            agent=text(who.agent),
            agent_version=text(who.agent_version),
            sub_agent=text(who.sub_agent),
            working_directory=text(who.working_directory, MOST_PATH),
            tools=[text(tool) or "" for tool in turn.tools],
        )

    def call(self, page: Entry, at: float) -> CallRecord:
        """:param at: when the call ended, by the calls' clock."""
        call, who, close, text = page.call, page.who, page.call.close, self._text
        socket = call.protocol == "websocket"
        return CallRecord(
            key=page.key,
            request_id=call.id,
            provider=call.provider,
            protocol=call.protocol,
            method=call.method[:MOST_METHOD],
            path=text(call.path, MOST_PATH) or "",
            started_us=self._wall_us(call.started),
            duration_us=int((at - call.started) * _MICRO),
            status=call.status,
            bytes_in=call.bytes_in,
            bytes_out=call.bytes_out,
            frames_in=call.frames_in if socket else None,
            frames_out=call.frames_out if socket else None,
            first_byte_us=_since(call.started, call.first_byte),
            error=call.error,
            phase=call.phase,
            close_side=None if close is None else close.side,
            close_code=None if close is None else close.code,
            close_reason=None if close is None else text(close.reason),
            close_clean=None if close is None else close.clean,
            upstream_request_id=text(call.upstream_request_id),
            session=text(who.session),
            session_source=who.session_source,
            agent=text(who.agent),
            agent_version=text(who.agent_version),
            sub_agent=text(who.sub_agent),
            working_directory=text(who.working_directory, MOST_PATH),
            degraded=page.degraded,
        )

    def _text(self, value: str | None, most: int = MOST_TEXT) -> str | None:
        return None if value is None else self._clean(value[: most + _MOST_SECRET])[:most]


def _since(start: float, at: float | None) -> int | None:
    return None if at is None else max(0, int((at - start) * _MICRO))
