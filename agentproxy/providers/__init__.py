"""
The provider kinds, and the union of the places in which their clients hide credentials.

A kind is one file of data and pure functions; it joins the table below.
"""

from __future__ import annotations

from collections.abc import Mapping

from agentproxy.providers.anthropic import ANTHROPIC
from agentproxy.providers.chatgpt import CHATGPT
from agentproxy.providers.copilot import COPILOT
from agentproxy.providers.gemini import GEMINI
from agentproxy.providers.kind import Kind
from agentproxy.providers.openai import OPENAI

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (OPENAI, ANTHROPIC, COPILOT, GEMINI, CHATGPT)}

CREDENTIAL_HEADERS: frozenset[bytes] = frozenset(
    # AWS's session token and old Cookie headers belong to no kind yet and may still be sent to any port.
    {b"x-amz-security-token", b"cookie", b"cookie2"}
).union(*(kind.credential_headers for kind in KINDS.values()))
"""Lower-case names; stripped on every port, whatever its kind."""

CREDENTIAL_SUBPROTOCOLS: tuple[bytes, ...] = tuple(
    prefix for kind in KINDS.values() for prefix in kind.credential_subprotocols
)
"""Lower-case prefixes; stripped on every port."""

__all__ = ["CREDENTIAL_HEADERS", "CREDENTIAL_SUBPROTOCOLS", "KINDS", "Kind"]
