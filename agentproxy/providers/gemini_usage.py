"""
What a turn of Gemini's used, as its last ``usageMetadata`` says (ai.google.dev/api: UsageMetadata, Live).

- Each chunk's counts are of all so far: the last ones stand for all. What is 0 is left out.
- ``promptTokenCount`` includes the cached tokens, not what the results of tools add; thoughts are no part of
  ``candidatesTokenCount``, which Live calls ``responseTokenCount``.
- Vertex and Live also send a ``usageMetadata`` without counts, which says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentproxy.providers.json_fields import rows, table
from agentproxy.usage import Turn, Usage, count, estimated

SOUND_IN = 333
SOUND_OUT = 640
"""
Bytes of sound in base64 that stand for one character of text, four of which are a token: of 16-bit samples, 32 tokens
a second come in at 16 kHz, and 25 go out at 24 kHz (ai.google.dev/gemini-api/docs/tokens, /docs/live).
"""

_COUNTS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "responseTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)
_DETAILS = ("promptTokensDetails", "candidatesTokensDetails", "responseTokensDetails", "cacheTokensDetails")


def said(part: dict[str, Any]) -> int:
    """
    A part of an answer as characters, for an estimate.

    Images are left to upstream's count; of a call's arguments the strings are most.
    """
    call = part.get("functionCall")
    if isinstance(call, dict):
        arguments = table(call.get("args")).items()
        return sum(len(name) + (len(value) if isinstance(value, str) else 4) for name, value in arguments)
    spoken = part.get("text")
    if isinstance(spoken, str):
        return len(spoken)
    sound = table(part.get("inlineData"))
    if str(sound.get("mimeType")).startswith("audio/") and isinstance(sound.get("data"), str):
        return len(sound["data"]) // SOUND_OUT
    return 0


class TurnUsage:
    """
    One turn's.

    A turn of Live that calls a tool asks the model anew with the tool's result: its counts come anew too, and are
    added to those before.

    :ivar degraded: why something could not be read.
    """

    __slots__ = ("_before", "_doubtful", "_last", "_searches", "degraded")

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._searches = 0
        self._doubtful = False
        self.degraded: str | None = None

    @property
    def known(self) -> bool:
        """Whether upstream has said anything."""
        return bool(self._last or self._before)

    def take(self, usage: object) -> None:
        """Read a ``usageMetadata``."""
        if usage is None:
            return
        if not isinstance(usage, dict):
            self._degrade("a usage that is no object")
            return
        doubtful, self._doubtful = self._doubtful, False
        found = {name: tokens for name in _COUNTS if (tokens := self._count(usage, name)) is not None}
        if not found:
            self._doubtful |= doubtful
        else:
            for name in _DETAILS:
                found[name] = self._audio(rows(usage.get(name)))
            self._last = found

    def ground(self, metadata: object) -> None:
        """Read a ``groundingMetadata``, whose searches come again with each chunk that has it."""
        queries = rows(table(metadata).get("webSearchQueries"))
        self._searches = max(self._searches, len(queries))

    def anew(self) -> None:
        """The model is asked anew within its turn."""
        for name, tokens in self._last.items():
            self._before[name] = self._before.get(name, 0) + tokens
        self._last = {}

    def settle(self, turn: Turn, *, whole: bool) -> None:
        """
        Give a turn what upstream reported, and of what it did not an estimate.

        :param whole: whether upstream has said that the turn is over.
        """
        guess = estimated(turn)
        turn.source = "estimated"
        self.anew()
        usage = turn.usage = self._usage(self._before.get)
        if usage.input_tokens == 0:
            usage.input_tokens = guess.input_tokens
        elif whole and not self._doubtful and (usage.output_tokens or not turn.output_characters):
            turn.source = "reported"
            return
        usage.output_tokens = max(usage.output_tokens, guess.output_tokens)

    def _usage(self, got: Callable[[str, int], int]) -> Usage:
        spent = got("promptTokenCount", 0) + got("toolUsePromptTokenCount", 0)
        said = max(got("candidatesTokenCount", 0), got("responseTokenCount", 0))
        thoughts = got("thoughtsTokenCount", 0)
        return Usage(
            input_tokens=spent,
            output_tokens=said + thoughts,
            cache_read_tokens=min(got("cachedContentTokenCount", 0), spent),
            reasoning_tokens=thoughts,
            input_audio_tokens=min(got("promptTokensDetails", 0), spent),
            output_audio_tokens=min(max(got("candidatesTokensDetails", 0), got("responseTokensDetails", 0)), said),
            web_searches=self._searches,
            cache_read_audio_tokens=got("cacheTokensDetails", 0),
        )

    def _count(self, usage: dict[str, Any], name: str) -> int | None:
        """A count; where it can't be read, the one before."""
        value = usage.get(name)
        if value is None:
            return None
        tokens = count(value)
        if tokens is None:
            self._doubtful = True
            self._degrade("a usage field that is no count")
            return self._last.get(name)
        return tokens

    def _audio(self, details: list[Any]) -> int:
        return sum(
            count(detail.get("tokenCount")) or 0 for detail in map(table, details) if detail.get("modality") == "AUDIO"
        )

    def _degrade(self, reason: str) -> None:
        self.degraded = self.degraded or reason
