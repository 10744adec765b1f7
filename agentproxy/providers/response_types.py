"""
Which events of a ``response.*`` stream matter for its turns, and what a delta looks like.

Facts: https://platform.openai.com/docs/api-reference/responses-streaming and .../realtime-server-events.
"""

from __future__ import annotations

import re

from agentproxy.usage import Status

NO_TYPE = "a message of no known type"
NO_RESPONSE = "an event without its response"

ITEM = b"response.output_item.done"
SHELL_OUTPUT = b"response.shell_call_output_content.delta"
BEGINS = frozenset({b"response.created", b"response.queued", b"response.in_progress"})
ENDS: dict[bytes, Status | None] = {
    b"response.completed": "completed",
    b"response.failed": "failed",
    b"response.incomplete": "incomplete",
    # What Copilot's client takes as an end too.
    b"response.cancelled": "cancelled",
    # Realtime's, whose response says how it ended.
    b"response.done": None,
}
# What else these sockets and streams carry; of another type, it is not known whether it matters.
FAMILIES = (
    b"response.",
    b"codex.",
    b"responsesapi.",
    b"session.",
    b"conversation.",
    b"input_audio_buffer.",
    b"output_audio_buffer.",
    b"transcription_session.",
    b"rate_limits.",
    b"mcp_list_tools.",
    b"keepalive",
    b"ping",
)
MOST_DELTA = 65536
"""Bytes of a delta on a WebSocket that count for an estimate."""
DELTA = re.compile(rb'"delta"\s*+:\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
AUDIO_BYTES = 800
"""
Bytes of base64 audio that count as one character of text does, four of which are taken for a token: 24 kHz of 16 bits,
at a token for each 50 ms of output (https://platform.openai.com/docs/guides/realtime-costs).
"""
