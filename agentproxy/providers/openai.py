"""The OpenAI API: Responses over HTTP, SSE and WebSocket, chat completions, Realtime (platform.openai.com/docs)."""

from __future__ import annotations

from collections.abc import Mapping

from agentproxy.providers.kind import Fields, Kind, Slot
from agentproxy.providers.openai_reader import reader
from agentproxy.providers.shapes import openai_error


def inject(secrets: Mapping[str, str], fields: Fields, host: str) -> Fields:
    """``Authorization: Bearer``, and the organization and project where they are set."""
    added = [*fields, (b"Authorization", b"Bearer " + secrets["credential"].encode("latin-1"))]
    for slot, name in (("organization", b"OpenAI-Organization"), ("project", b"OpenAI-Project")):
        if slot in secrets:
            added.append((name, secrets[slot].encode("latin-1")))
    return added


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
    reader=reader,
)
