"""GitHub Copilot's API: a GitHub token, and three headers that say who asks, where the client sent none."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from agentproxy.providers.kind import Fields, Kind, Slot, has
from agentproxy.providers.openai_reader import reader
from agentproxy.providers.shapes import openai_error

# One interaction a process: Copilot groups calls by it, and a client that cares sends its own.
_INTERACTION = str(uuid.uuid4()).encode("ascii")
_TOKEN_HOSTS = frozenset({"api.enterprise.githubcopilot.com", "api.business.githubcopilot.com"})


def inject(secrets: Mapping[str, str], fields: Fields, host: str) -> Fields:
    """``Authorization``, its scheme by the host, and what Copilot wants to know of the client."""
    scheme = b"token " if host in _TOKEN_HOSTS or host.endswith(".ghe.com") else b"Bearer "
    added = [*fields, (b"Authorization", scheme + secrets["credential"].encode("latin-1"))]
    for name, value in (
        (b"copilot-integration-id", b"copilot-developer-cli"),
        (b"x-initiator", b"agent"),
        (b"x-interaction-id", _INTERACTION),
    ):
        if not has(fields, name):
            added = [field for field in added if field[0].lower() != name]
            added.append((name, value))
    return added


COPILOT = Kind(
    name="copilot",
    slots=(Slot("credential", "COPILOT_GITHUB_TOKEN"),),
    needs=(frozenset({"credential"}),),
    credential_headers=frozenset({b"authorization", b"x-github-token"}),
    credential_query=frozenset(),
    credential_subprotocols=(),
    inject=inject,
    error_body=openai_error,
    reader=reader,
)
