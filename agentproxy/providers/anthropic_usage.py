"""
What a message of Anthropic's used, gathered from its ``usage`` objects (docs.anthropic.com: Messages, Streaming, Prompt
caching, Compaction; the types of its SDK).

- ``message_start`` has the usage so far, and that of a ``message_delta`` is cumulative: it replaces what it names.
- ``input_tokens`` is what was neither read from the cache nor written to it; our count has all three.
- A compaction's tokens stand in ``iterations`` alone and are the turn's too. An advisor's are another model's.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from agentproxy.providers.json_fields import rows, table
from agentproxy.usage import MOST_TOKENS, Turn, Usage, count, estimated

_COUNTS = (
    ("", "input_tokens"),
    ("", "output_tokens"),
    ("", "cache_read_input_tokens"),
    ("", "cache_creation_input_tokens"),
    ("cache_creation", "ephemeral_5m_input_tokens"),
    ("cache_creation", "ephemeral_1h_input_tokens"),
    ("output_tokens_details", "thinking_tokens"),
    ("server_tool_use", "web_search_requests"),
)
"""Counts: the object inside ``usage`` that has them, and their names."""


class MessageUsage:
    """
    One message's.

    :ivar final: whether the output's count is of all of it.
    :ivar degraded: why something could not be read.
    """

    __slots__ = ("_advised", "_compacted", "_reported", "degraded", "final")

    def __init__(self) -> None:
        self._reported: dict[str, int] = {}
        self._compacted: dict[str, int] = {}
        self._advised = False
        self.final = False
        self.degraded: str | None = None

    def take(self, usage: object, *, final: bool) -> None:
        """
        Read a ``usage``.

        :param final: whether it comes with the message's end, and not with its start.
        """
        if usage is None:
            return
        if not isinstance(usage, dict):
            self._degrade("a usage that is no object")
            return
        found = self._counts(usage)
        self._reported.update(found)
        if final and usage.get("output_tokens") is not None:
            # Where this count can't be read, an earlier one is not the final word.
            self.final = "output_tokens" in found
        if usage.get("iterations") is not None:
            self._iterate(rows(usage["iterations"]))

    def settle(self, turn: Turn) -> None:
        """Give a turn what upstream reported, and of what it did not an estimate."""
        guess = estimated(turn)
        turn.source = "estimated"
        if not self._reported:
            turn.usage = guess
            return
        told, more = astuple(_known(self._reported)), astuple(_known(self._compacted))
        usage = Usage(*(min(one + other, MOST_TOKENS) for one, other in zip(told, more, strict=True)))
        if "input_tokens" not in self._reported:
            usage.input_tokens = max(usage.input_tokens, guess.input_tokens)
        elif self.final:
            turn.source = "reported"
        if not self.final:
            usage.output_tokens = max(usage.output_tokens, guess.output_tokens)
        turn.usage = usage
        if self._advised:
            turn.note = "an advisor's tokens, which are another model's, are not counted"

    def _iterate(self, iterations: list[Any]) -> None:
        self._compacted = {}
        for iteration in map(table, iterations):
            kind = iteration.get("type")
            if kind == "compaction":
                for name, tokens in self._counts(iteration).items():
                    self._compacted[name] = self._compacted.get(name, 0) + tokens
            elif kind == "advisor_message":
                self._advised = True

    def _counts(self, usage: dict[str, Any]) -> dict[str, int]:
        found = {}
        for group, name in _COUNTS:
            value = (table(usage.get(group)) if group else usage).get(name)
            if value is None:
                continue
            tokens = count(value)
            if tokens is None:
                self._degrade("a usage field that is no count")
            else:
                found[name] = tokens
        return found

    def _degrade(self, reason: str) -> None:
        self.degraded = self.degraded or reason


def _known(counts: dict[str, int]) -> Usage:
    """Anthropic's counts as ours."""
    got = counts.get
    hour = got("ephemeral_1h_input_tokens", 0)
    written = got("cache_creation_input_tokens", got("ephemeral_5m_input_tokens", 0) + hour)
    read = got("cache_read_input_tokens", 0)
    said = got("output_tokens", 0)
    return Usage(
        input_tokens=got("input_tokens", 0) + read + written,
        output_tokens=said,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(hour, written),
        reasoning_tokens=min(got("thinking_tokens", 0), said),
        web_searches=got("web_search_requests", 0),
    )
