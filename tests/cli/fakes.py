"""Rows as a record store gives them, and outputs in memory."""

from __future__ import annotations

import io
from typing import Any

Row = dict[str, Any]

NOW = 1_795_255_200.0
"""2026-11-21T10:00:00Z."""


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Latin(io.StringIO):
    """An output that has few letters."""

    encoding = "latin-1"


def turn(**changed: object) -> Row:
    """A turn in the shape of a store's."""
    return {
        "id": "00000001",
        "call_id": "00000000",
        "request_id": "r-1",
        "session": "5e55-10n-one",
        "session_source": "stated",
        "agent": "codex",
        "agent_version": "1.2.3",
        "sub_agent": None,
        "working_directory": "/repo/me/project",
        "provider": "openai",
        "protocol": "http",
        "operation": "chat",
        "lane": None,
        "request_model": "m-large",
        "response_model": "m-large-2026",
        "started": "2026-11-21T09:00:00.123456Z",
        "first_token_s": 0.4213,
        "duration_s": 12.34,
        "input_tokens": 12345,
        "output_tokens": 678,
        "cache_read_tokens": 8000,
        "cache_write_tokens": 0,
        "cache_write_1h_tokens": None,
        "reasoning_tokens": 90,
        "input_audio_tokens": None,
        "output_audio_tokens": None,
        "web_searches": None,
        "cost_micro_usd": 12300,
        "price_version": "2026-11",
        "source": "reported",
        "status": "completed",
        "stop_reason": "stop",
        "tools": ["shell", "apply_patch"],
        "response_id": "resp_1",
        "upstream_request_id": "up-1",
        "close": None,
        "note": None,
        "degraded": None,
        **changed,
    }


def session(**changed: object) -> Row:
    """A summary of a session in the shape of a store's."""
    return {
        "session": "5e55-10n-one",
        "session_source": "stated",
        "agent": "codex",
        "agent_version": "1.2.3",
        "models": ["m-large-2026"],
        "providers": ["openai"],
        "working_directory": "/repo/me/project",
        "turns": 12,
        "unsettled": 0,
        "input_tokens": 123456,
        "output_tokens": 6789,
        "cache_read_tokens": 80000,
        "cache_write_tokens": 100,
        "reasoning_tokens": 900,
        "cost_micro_usd": 123400,
        "unpriced_turns": 0,
        "cache_hit": 0.648,
        "first_seen": "2026-11-21T08:00:00.000000Z",
        "last_seen": "2026-11-21T09:00:12.463456Z",
        **changed,
    }


def usage(**changed: object) -> Row:
    """A row of usage, but for what it is of."""
    return {
        **changed,
        **{
            "turns": 2,
            "unsettled": 0,
            "input_tokens": 1000,
            "output_tokens": 50,
            "cache_read_tokens": 250,
            "cache_write_tokens": 0,
            "reasoning_tokens": 0,
            "cost_micro_usd": 1500,
            "unpriced_turns": 0,
            "cache_hit": 0.25,
        },
        **changed,
    }


def call(**changed: object) -> Row:
    """A call in the shape of a store's."""
    return {
        "id": "00000000",
        "request_id": "r-1",
        "session": "5e55-10n-one",
        "session_source": "stated",
        "agent": "codex",
        "agent_version": "1.2.3",
        "sub_agent": None,
        "working_directory": "/repo/me/project",
        "provider": "openai",
        "protocol": "http",
        "method": "POST",
        "path": "/v1/responses",
        "started": "2026-11-21T09:00:00.000000Z",
        "duration_s": 1.5,
        "first_byte_s": 0.5,
        "status": 200,
        "bytes_in": 20,
        "bytes_out": 30,
        "frames_in": None,
        "frames_out": None,
        "error": None,
        "phase": None,
        "upstream_request_id": "up-1",
        "close": None,
        "degraded": None,
        "turns": 1,
        **changed,
    }


def content(part: str, body: bytes, number: int = 0, **changed: object) -> Row:
    """A piece of a call's content in the shape of a store's."""
    return {
        "part": part,
        "number": number,
        "at": "2026-11-21T09:00:00.250000Z",
        "size": len(body),
        "kept": len(body),
        "note": None,
        "is_text": True,
        "body": body,
        **changed,
    }
