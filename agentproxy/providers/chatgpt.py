"""ChatGPT's Codex backend, which Codex uses with a ChatGPT login: a bearer token and the account it is for."""

from __future__ import annotations

from collections.abc import Mapping

from agentproxy.providers.kind import Fields, Kind, Slot
from agentproxy.providers.openai_reader import reader
from agentproxy.providers.shapes import openai_error


def inject(secrets: Mapping[str, str], fields: Fields, host: str) -> Fields:
    """``Authorization: Bearer`` and ``chatgpt-account-id``."""
    return [
        *fields,
        (b"Authorization", b"Bearer " + secrets["credential"].encode("latin-1")),
        (b"chatgpt-account-id", secrets["account_id"].encode("latin-1")),
    ]


CHATGPT = Kind(
    name="chatgpt",
    slots=(Slot("credential", "CHATGPT_ACCESS_TOKEN"), Slot("account_id", "CHATGPT_ACCOUNT_ID")),
    needs=(frozenset({"credential", "account_id"}),),
    credential_headers=frozenset({b"authorization", b"chatgpt-account-id", b"x-openai-fedramp"}),
    credential_query=frozenset(),
    credential_subprotocols=(),
    inject=inject,
    error_body=openai_error,
    reader=reader,
)
