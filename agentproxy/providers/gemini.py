"""The Gemini API (ai.google.dev): a key in ``x-goog-api-key``, or in the query, where clients often put it."""

from __future__ import annotations

from collections.abc import Mapping

from agentproxy.providers.gemini_turns import reader
from agentproxy.providers.kind import Fields, Kind, Slot
from agentproxy.providers.shapes import google_error


def inject(secrets: Mapping[str, str], fields: Fields, host: str) -> Fields:
    """``x-goog-api-key``."""
    return [*fields, (b"x-goog-api-key", secrets["credential"].encode("latin-1"))]


GEMINI = Kind(
    name="gemini",
    slots=(Slot("credential", "GEMINI_API_KEY"),),
    needs=(frozenset({"credential"}),),
    credential_headers=frozenset({b"x-goog-api-key", b"authorization", b"x-goog-user-project"}),
    # In lower case, since names are compared so: key, apiKey, api_key, access_token.
    credential_query=frozenset({b"key", b"apikey", b"api_key", b"access_token"}),
    credential_subprotocols=(),
    inject=inject,
    error_body=google_error,
    reader=reader,
)
