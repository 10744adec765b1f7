"""Messages of the Responses API, which its streams and its sockets share."""

from __future__ import annotations

from typing import Any

from tests.providers.response_shapes import CALL, DATED, MESSAGE, MODEL, OPENED, SEARCH, delta, item, response, usage

__all__ = [
    "CALL", "DATED", "MESSAGE", "MODEL", "OPENED", "SEARCH", "begun", "delta", "item", "other_events", "over",
    "response", "usage",
]  # fmt: skip


def begun(identity: str, model: str = DATED, **more: Any) -> dict[str, Any]:
    """A response has been created."""
    return {"type": "response.created", "response": response(identity, model=model), "sequence_number": 0, **more}


def over(
    identity: str, used: Any, status: str = "completed", model: str = DATED, *, lane: str | None = None, **fields: Any
) -> dict[str, Any]:
    """It has ended; ``fields`` are the response's."""
    event = {"type": f"response.{status}", "sequence_number": 9}
    event["response"] = response(identity, status, usage=used, model=model, **fields)
    return event if lane is None else {**event, "stream_id": lane}


def other_events() -> list[dict[str, Any]]:
    """What comes between without a word on what it costs."""
    part = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": {"id": "msg_1", "type": "message"}},
        {"type": "response.content_part.added", **part, "part": {"type": "output_text", "text": ""}},
        {"type": "response.output_text.done", **part, "text": "Hello there."},
        {"type": "response.content_part.done", **part, "part": {"type": "output_text", "text": "Hello there."}},
        item(**{**MESSAGE, "id": "msg_1"}),
        {"type": "codex.rate_limits", "plan_type": "pro", "rate_limits": {"primary": {"used_percent": 3}}},
        {"type": "response.metadata", "headers": {"x-codex-turn-state": "abc"}},
    ]
