"""
The ``usage`` objects of OpenAI's APIs and of those that speak like them, as one `Usage`.

Facts: the API references of Responses, Chat Completions and Realtime (https://platform.openai.com/docs/api-reference).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agentproxy.providers.json_fields import rows, table
from agentproxy.usage import MOST_TOKENS, Turn, Usage, count, estimated

NO_COUNT = "a count of tokens that is none"
INCONSISTENT = "a usage whose parts are more than the whole"


@dataclass(frozen=True, slots=True)
class Names:
    """What a usage's parts are called, each under one name or the other: the first that is there and not null."""

    input: tuple[str, ...]
    output: tuple[str, ...]
    input_details: tuple[str, ...]
    output_details: tuple[str, ...]


# A gateway may send both sets of names, the other API's as zeros. Realtime writes `token` in place of `tokens`.
RESPONSES = Names(
    ("input_tokens", "prompt_tokens"),
    ("output_tokens", "completion_tokens"),
    ("input_tokens_details", "input_token_details", "prompt_tokens_details"),
    ("output_tokens_details", "output_token_details", "completion_tokens_details"),
)
CHAT = Names(
    ("prompt_tokens", "input_tokens"),
    ("completion_tokens", "output_tokens"),
    ("prompt_tokens_details", "input_tokens_details"),
    ("completion_tokens_details", "output_tokens_details"),
)


class Counted:
    """
    What upstream reported of one turn.

    :ivar usage: its counts; what was not reported is 0.
    :ivar input: whether the input was reported; ``output``: whether the output was.
    :ivar flaw: why not all of it could be believed, or ``None``.
    """

    __slots__ = ("flaw", "input", "output", "usage")

    def __init__(self) -> None:
        self.usage = Usage()
        self.input = False
        self.output = False
        self.flaw: str | None = None

    def take(self, value: object) -> int | None:
        """A count; ``None`` where nothing is there, or something that is none."""
        number = count(value)
        if number is None and value is not None:
            self.flaw = NO_COUNT
        return number

    def part(self, details: object, *names: str) -> int:
        """A part's count, under the first of these names that is there; else 0."""
        if details is None:
            return 0
        if not isinstance(details, dict):
            self.flaw = NO_COUNT
            return 0
        return self.take(_first(details, names)) or 0


def counted(value: object, names: Names, copilot: object = None) -> Counted | None:
    """
    Read a usage.

    :param value: the ``usage`` object, as JSON gave it.
    :param copilot: GitHub Copilot's ``copilot_usage``, where there is one.
    :returns: ``None`` where there is no usage at all.
    """
    if value is None and copilot is None:
        return None
    read = Counted()
    if isinstance(value, dict):
        _read(read, value, names)
    elif value is not None:
        read.flaw = NO_COUNT
    if copilot is not None:
        _read_copilot(read, copilot)
    _fit(read)
    return read if read.input or read.output or read.flaw else None


def _first(value: dict[str, Any], names: tuple[str, ...]) -> object:
    for name in names:
        found = value.get(name)
        if found is not None:
            return found
    return None


def _read(read: Counted, value: dict[str, Any], names: Names) -> None:
    usage = read.usage
    total = read.take(value.get("total_tokens"))
    inside, outside = _first(value, names.input_details), _first(value, names.output_details)
    usage.reasoning_tokens = read.part(outside, "reasoning_tokens")
    usage.output_audio_tokens = read.part(outside, "audio_tokens")
    usage.input_audio_tokens = read.part(inside, "audio_tokens")
    usage.cache_read_tokens = read.part(inside, "cached_tokens")
    usage.cache_read_audio_tokens = read.part(table(inside).get("cached_tokens_details"), "audio_tokens")
    # Chat Completions and Responses of newer models; OpenRouter too.
    usage.cache_write_tokens = read.part(inside, "cache_write_tokens")
    if not usage.cache_read_tokens:
        # DeepSeek's name, and Moonshot's.
        usage.cache_read_tokens = read.part(value, "prompt_cache_hit_tokens", "cached_tokens")
    put, said = read.take(_first(value, names.input)), read.take(_first(value, names.output))
    if total is not None and not read.flaw:
        # Embeddings have no output and no word for it.
        if said is None and put is not None and total >= put:
            said = total - put
        elif put is not None and said is not None and 0 < usage.reasoning_tokens == total - put - said:
            # xAI leaves reasoning out of the completion's tokens, and has it in the total.
            said += usage.reasoning_tokens
    usage.input_tokens, read.input = put or 0, put is not None
    usage.output_tokens, read.output = said or 0, said is not None


def _read_copilot(read: Counted, copilot: object) -> None:
    """
    Copilot's own split of the tokens, which is what it bills: ``{"token_details": [{"token_type", "token_count"}]}``
    of ``input``, ``cache_read``, ``cache_write`` and ``output``, each without the others. The ``usage`` beside it
    says nothing of what was written to the cache, though its input has it.
    """
    sums: dict[str, int] = {}
    for entry in map(table, rows(table(copilot).get("token_details"))):
        number = read.take(entry.get("token_count"))
        kind = entry.get("token_type")
        if number is None or not isinstance(kind, str):
            read.flaw = NO_COUNT
            return
        if kind in ("input", "cache_read", "cache_write", "output"):
            sums[kind] = min(sums.get(kind, 0) + number, MOST_TOKENS)
    usage = read.usage
    if not any(sums.values()):
        return
    cached, written = sums.get("cache_read", usage.cache_read_tokens), sums.get("cache_write", usage.cache_write_tokens)
    if "input" in sums:
        usage.input_tokens, read.input = sums["input"] + cached + written, True
    if "output" in sums:
        usage.output_tokens, read.output = sums["output"], True
    usage.cache_read_tokens, usage.cache_write_tokens = cached, written


def _fit(read: Counted) -> None:
    """No part may be more than its whole."""
    usage = read.usage
    if read.input:
        whole = usage.input_tokens
        if usage.cache_read_tokens + usage.cache_write_tokens > whole or usage.input_audio_tokens > whole:
            usage.cache_read_tokens = min(usage.cache_read_tokens, whole)
            usage.cache_write_tokens = min(usage.cache_write_tokens, whole - usage.cache_read_tokens)
            usage.input_audio_tokens = min(usage.input_audio_tokens, whole)
            read.flaw = read.flaw or INCONSISTENT
    if read.output:
        whole = usage.output_tokens
        if usage.reasoning_tokens > whole or usage.output_audio_tokens > whole:
            usage.reasoning_tokens = min(usage.reasoning_tokens, whole)
            usage.output_audio_tokens = min(usage.output_audio_tokens, whole)
            read.flaw = read.flaw or INCONSISTENT


def settle(turn: Turn, read: Counted | None) -> None:
    """
    Give a turn its usage: what upstream reported, and an estimate of what it did not.

    A report of nothing at all on a turn whose output was seen is no report.
    """
    guess = estimated(turn)
    if read is None or not (read.input or read.output):
        turn.usage, turn.source = guess, "estimated"
        return
    usage = read.usage
    if turn.first_token is not None and not (usage.input_tokens or usage.output_tokens):
        turn.usage, turn.source = guess, "estimated"
        return
    if not read.input:
        usage.input_tokens = max(guess.input_tokens, usage.cache_read_tokens + usage.cache_write_tokens)
    if not read.output:
        usage.output_tokens = max(guess.output_tokens, usage.reasoning_tokens)
    turn.usage = usage
    turn.source = "reported" if read.input and read.output else "estimated"
