"""What a response object of Responses or Realtime says of how it ended, what it called and what it said."""

from __future__ import annotations

from typing import Any

from agentproxy.providers.json_fields import note_tool, rows, table, text
from agentproxy.providers.openai_json import error_code
from agentproxy.usage import Status, Turn, count

_STATUSES: dict[object, Status] = {
    "completed": "completed",
    "failed": "failed",
    "incomplete": "incomplete",
    "cancelled": "cancelled",
}


def status_of(response: dict[str, Any]) -> Status:
    """How it ended; a compaction does not say, and has."""
    return _STATUSES.get(text(response.get("status")), "completed")


def stop_reason(response: dict[str, Any]) -> str | None:
    """Why it did not complete: an error's code or a reason, under ``status_details`` in Realtime."""
    details = table(response.get("status_details"))
    for place in (response, details):
        if place.get("error"):
            return error_code(place)
    return text(table(response.get("incomplete_details")).get("reason")) or text(details.get("reason"))


def read_output(turn: Turn, response: dict[str, Any], at: float) -> int | None:
    """
    Note what the whole response says of its output: ChatGPT's has none, so that what was streamed stays.

    :returns: its web searches, where it says.
    """
    output = [table(item) for item in rows(response.get("output"))]
    searches = 0
    if output:
        turn.tools.clear()
        for item in output:
            if item.get("type") != "message":
                note_tool(turn, tool_of(item))
                searches += is_search(item)
        if turn.first_token is None:
            turn.first_token = at
            turn.output_characters = sum(map(_said, output))
    usage = response.get("tool_usage")
    said = count(table(table(usage).get("web_search")).get("num_requests")) if usage else None
    return searches if said is None and output else said


def tool_of(item: dict[str, Any]) -> str | None:
    """
    The tool that an output item calls; ``None`` where it is no call.

    Its name, or of a tool of the provider's own, such as ``local_shell_call``, its type without ``_call``.
    """
    kind = item.get("type")
    if not isinstance(kind, str) or not kind.endswith("_call"):
        return None
    return text(item.get("name")) or text(kind.removesuffix("_call"))


def is_search(item: dict[str, Any]) -> bool:
    """Whether an output item is a web search: opening a page and looking into it are such items too, and free."""
    return item.get("type") == "web_search_call" and table(item.get("action")).get("type", "search") == "search"


def _said(item: dict[str, Any]) -> int:
    """Characters of an output item, for an estimate."""
    pieces = [item, *map(table, rows(item.get("content"))), *map(table, rows(item.get("summary")))]
    texts = [piece.get(name) for piece in pieces for name in ("text", "refusal", "transcript", "arguments", "input")]
    return sum(len(each) for each in texts if isinstance(each, str))
