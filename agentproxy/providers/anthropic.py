"""The Anthropic API (docs.anthropic.com): an API key in ``x-api-key``, or an OAuth token as a bearer."""

from __future__ import annotations

from collections.abc import Mapping

from agentproxy.providers.anthropic_turns import reader
from agentproxy.providers.kind import Fields, Kind, Slot, has, without
from agentproxy.providers.shapes import anthropic_error

_VERSION = b"2023-06-01"
_OAUTH_BETA = b"oauth-2025-04-20"


def inject(secrets: Mapping[str, str], fields: Fields, host: str) -> Fields:
    """``x-api-key``; without a key the OAuth token with its beta; ``anthropic-version`` where the client sent none."""
    if "credential" in secrets:
        added = [*fields, (b"x-api-key", secrets["credential"].encode("latin-1"))]
    else:
        betas = [value for name, value in fields if name.lower() == b"anthropic-beta"]
        added = without(fields, b"anthropic-beta")
        added.append((b"Authorization", b"Bearer " + secrets["oauth_token"].encode("latin-1")))
        added.append((b"anthropic-beta", _merged([*betas, _OAUTH_BETA])))
    if not has(added, b"anthropic-version"):
        added = [*without(added, b"anthropic-version"), (b"anthropic-version", _VERSION)]
    return added


def _merged(lists: list[bytes]) -> bytes:
    """Comma-separated lists as one, in order, without doubles."""
    members = (member.strip() for value in lists for member in value.split(b","))
    return b",".join(dict.fromkeys(member for member in members if member))


ANTHROPIC = Kind(
    name="anthropic",
    slots=(Slot("credential", "ANTHROPIC_API_KEY"), Slot("oauth_token", "ANTHROPIC_AUTH_TOKEN")),
    needs=(frozenset({"credential"}), frozenset({"oauth_token"})),
    credential_headers=frozenset({b"x-api-key", b"authorization"}),
    credential_query=frozenset(),
    credential_subprotocols=(),
    inject=inject,
    error_body=anthropic_error,
    reader=reader,
)
