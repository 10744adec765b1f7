"""The OpenAI API: Responses over HTTP, SSE and WebSocket, chat completions, Realtime (platform.openai.com/docs)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from agentproxy.providers.kind import Fields, Kind, Slot, Turn
from agentproxy.providers.shapes import openai_error

# Before it may stand other plain members, such as Realtime's "event_id".
_TYPE_FIRST = re.compile(
    rb'\s*\{\s*(?:"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[a-z0-9.+-]+)\s*,\s*)*?"type"\s*:\s*"([a-z_.]{1,64})"'
)
# `response.done` is Realtime's; `response.cancelled` is what Copilot's client takes as an end too.
_ENDS = frozenset(
    {"response.completed", "response.failed", "response.incomplete", "response.cancelled", "response.done", "error"}
)


def inject(secrets: Mapping[str, str], fields: Fields, host: str) -> Fields:
    """``Authorization: Bearer``, and the organization and project where they are set."""
    added = [*fields, (b"Authorization", b"Bearer " + secrets["credential"].encode("latin-1"))]
    for slot, name in (("organization", b"OpenAI-Organization"), ("project", b"OpenAI-Project")):
        if slot in secrets:
            added.append((name, secrets[slot].encode("latin-1")))
    return added


def turn(from_client: bool, message: bytes) -> Turn | None:
    """
    Read a message of Responses-over-WebSocket or Realtime for the beginning or end of a response.

    Clients and the API send ``type`` first; where they do not, the message is parsed.
    """
    first = _TYPE_FIRST.match(message)
    if first is None and message.lstrip()[:1] != b"{":
        return None
    if first is not None:
        kind = first.group(1).decode("ascii")
    else:
        try:
            value = json.loads(message)
        except (ValueError, RecursionError):
            # Only its beginning is here, or it is broken.
            return "unclear"
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            return None
    if from_client:
        return "begin" if kind == "response.create" else None
    if kind in _ENDS:
        return "end"
    # Realtime begins responses by itself when it hears speech.
    return "running" if kind == "response.created" else None


OPENAI = Kind(
    name="openai",
    slots=(
        Slot("credential", "OPENAI_API_KEY"),
        Slot("organization", "OPENAI_ORGANIZATION"),
        Slot("project", "OPENAI_PROJECT"),
    ),
    needs=(frozenset({"credential"}),),
    # `api-key` is Azure's.
    credential_headers=frozenset(
        {b"authorization", b"api-key", b"openai-organization", b"openai-project", b"x-openai-fedramp"}
    ),
    credential_query=frozenset({b"api-key", b"authorization"}),
    # How browsers hand credentials to Realtime, since they can't set headers.
    credential_subprotocols=(b"openai-insecure-api-key.", b"openai-organization.", b"openai-project."),
    inject=inject,
    error_body=openai_error,
    turn=turn,
)
