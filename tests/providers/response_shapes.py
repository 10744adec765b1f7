"""Messages of the Responses API, as api.openai.com, chatgpt.com and GitHub Copilot send them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MODEL = "gpt-5.5"
DATED = "gpt-5.5-2026-09-01"


def usage(put: int, cached: int, said: int, thought: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": put,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": put + said,
    }


def create(**more: Any) -> dict[str, Any]:
    """What Codex sends."""
    return {"type": "response.create", "model": MODEL, "instructions": "Be brief.", "input": [], "tools": [], **more}


def response(identity: str, status: str = "in_progress", **more: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "object": "response",
        "created_at": 1758000000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": DATED,
        "output": [],
        "usage": None,
        **more,
    }


def created(identity: str, **more: Any) -> dict[str, Any]:
    return {"type": "response.created", "response": response(identity), "sequence_number": 0, **more}


def running(identity: str, **more: Any) -> dict[str, Any]:
    return {"type": "response.in_progress", "response": response(identity), "sequence_number": 1, **more}


def delta(text: str, kind: str = "response.output_text.delta", **more: Any) -> dict[str, Any]:
    return {"type": kind, "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": text, **more}


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": 0, "item": {"id": "item_1", **fields}}


def over(identity: str, used: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    """The terminal event of this status."""
    return {"type": f"response.{status}", "response": response(identity, status, usage=used), **more}


def error(code: str, **more: Any) -> dict[str, Any]:
    """An error over WebSocket."""
    inner = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None}
    return {"type": "error", "status": 400, "error": inner, **more}


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Hello there."}],
}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "shell", "arguments": '{"cmd":"ls"}'}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
OPENED = {"id": "ws_2", "type": "web_search_call", "status": "completed", "action": {"type": "open_page", "url": "u"}}


def encoded_cut(value: Any) -> Iterator[bytes]:
    """The message's beginnings, of every length."""
    data = json.dumps(value).encode()
    for size in range(1, len(data)):
        yield data[:size]
