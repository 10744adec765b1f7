"""
Records as JSON has them, for the commands, the admin port and exports alike: one place makes each shape.

Times are RFC 3339 in UTC, durations seconds, money millionths of a US dollar, and as whole as it was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from agentproxy.records.values import TurnRecord

Shape = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 253_402_300_799_999_999
"""The end of the year 9999, behind which RFC 3339 has no time."""


class Fields(Protocol):
    """A record, or a row with its columns."""

    def __getattr__(self, name: str) -> Any: ...


def moment(us: int) -> str:
    """Microseconds since 1970 as RFC 3339."""
    at = _EPOCH + timedelta(microseconds=max(0, min(us, _LAST_US)))
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds(us: int | None) -> float | None:
    return None if us is None else us / 1_000_000


def hit(read: int, whole: int) -> float | None:
    """The part of the input that came from a cache, 0 to 1; ``None`` of no input."""
    return min(1.0, read / whole) if whole > 0 else None


def close_json(row: Fields) -> Shape | None:
    """How a WebSocket ended; ``None`` of what is none, or has not ended."""
    if row.close_side is None and row.close_code is None:
        return None
    clean = row.close_clean
    return {
        "side": row.close_side,
        "code": row.close_code,
        "reason": row.close_reason,
        "clean": None if clean is None else bool(clean),
    }


def who(row: Fields | TurnRecord) -> Shape:
    """Whose a turn or a call is."""
    return {
        "session": row.session,
        "session_source": row.session_source,
        "agent": row.agent,
        "agent_version": row.agent_version,
        "sub_agent": row.sub_agent,
        "working_directory": row.working_directory,
    }


def turn_json(record: TurnRecord) -> Shape:
    """A turn that has just ended; its call's close is not known yet."""
    return turn_shape(record, record.tools, None)


def turn_row(row: Fields) -> Shape:
    """A row of `turns` joined with its call's close."""
    return turn_shape(row, json.loads(row.tools) if row.tools else [], close_json(row))


def turn_shape(row: Fields | TurnRecord, tools: Sequence[str], close: Shape | None) -> Shape:
    return {
        "id": row.key,
        "call_id": row.call_key,
        "request_id": row.request_id,
        **who(row),
        "provider": row.provider,
        "protocol": row.protocol,
        "operation": row.operation,
        "lane": row.lane,
        "request_model": row.request_model,
        "response_model": row.response_model,
        "started": moment(row.started_us),
        "first_token_s": seconds(row.first_token_us),
        "duration_s": seconds(row.duration_us),
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cache_write_tokens": row.cache_write_tokens,
        "cache_write_1h_tokens": row.cache_write_1h_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "input_audio_tokens": row.input_audio_tokens,
        "output_audio_tokens": row.output_audio_tokens,
        "web_searches": row.web_searches,
        "cost_micro_usd": row.cost_micro_usd,
        "price_version": row.price_version,
        "source": row.source,
        "status": row.status,
        "stop_reason": row.stop_reason,
        "tools": list(tools),
        "response_id": row.response_id,
        "upstream_request_id": row.upstream_request_id,
        "close": close,
        "note": row.note,
        "degraded": row.degraded,
    }


def call_row(row: Fields) -> Shape:
    """A row of `calls` with the number of its turns."""
    return {
        "id": row.key,
        "request_id": row.request_id,
        "provider": row.provider,
        "protocol": row.protocol,
        "method": row.method,
        "path": row.path,
        "started": moment(row.started_us),
        "duration_s": seconds(row.duration_us),
        "status": row.status,
        "bytes_in": row.bytes_in,
        "bytes_out": row.bytes_out,
        "frames_in": row.frames_in,
        "frames_out": row.frames_out,
        "first_byte_s": seconds(row.first_byte_us),
        "error": row.error,
        "phase": row.phase,
        "close": close_json(row),
        "upstream_request_id": row.upstream_request_id,
        **who(row),
        "degraded": row.degraded,
        "turns": row.turns,
    }


def sums(row: Fields) -> Shape:
    """What turns add up to."""
    return {
        "turns": row.turns,
        "unsettled": row.unsettled,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cache_write_tokens": row.cache_write_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "cost_micro_usd": row.cost_micro_usd,
        "unpriced_turns": row.unpriced_turns,
        "cache_hit": hit(row.cache_read_tokens, row.input_tokens),
    }
