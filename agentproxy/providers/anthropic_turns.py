"""
The turns of Anthropic's API (docs.anthropic.com): Messages, streamed or whole, and the legacy Text Completions.

The events of a stream say what they are in ``type``, first, and most are deltas, of which only the length matters.
"""

from __future__ import annotations

import re
from typing import Any

from agentproxy.providers.anthropic_usage import MessageUsage
from agentproxy.providers.json_fields import note_tool, parsed, rows, table, text
from agentproxy.usage import FAILED, REFUSED, Alike, Ended, Status, Turn, TurnReader

_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_]{1,64})"')
_MODEL_FIRST = re.compile(rb'\s*\{\s*"model"\s*:\s*"([^"\\]{1,256})"')
# What a delta says. Of an escaped character each byte counts, which is near enough for an estimate.
_SAID = re.compile(rb'"(?:text|thinking|partial_json|content)"\s*:\s*"')

_PASSED = frozenset({"ping", "content_block_stop"})
_INSIDE = frozenset({"content_block_start", "message_delta", "message_stop", "completion", "error"})
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
# Errors by which the API says that it has done nothing (docs.anthropic.com, errors).
_REFUSALS = frozenset(
    {
        "authentication_error", "billing_error", "invalid_request_error", "not_found_error", "overloaded_error",
        "permission_error", "rate_limit_error", "request_too_large",
    }
)  # fmt: skip
_CUT_SHORT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})


def reader(method: bytes, path: bytes, upgrade: bool, ended: Ended) -> TurnReader | None:
    """What reads a call's turn; ``None`` where it has none, as ``/v1/messages/count_tokens``."""
    if method != b"POST" or upgrade:
        return None
    name = path.partition(b"?")[0].rpartition(b"/")[2]
    if name == b"messages":
        return AnthropicTurns("messages", ended)
    return AnthropicTurns("text_completion", ended) if name == b"complete" else None


class AnthropicTurns:
    """
    Reads one call's turn, which begins with what was asked. Should a stream have further messages behind its own, or
    inside it, each is a turn.

    :param operation: ``messages`` or ``text_completion``.
    """

    __slots__ = ("_alike", "_around", "_ended", "_operation", "_started", "_turn", "_usage", "degraded")

    def __init__(self, operation: str, ended: Ended) -> None:
        self._operation = operation
        self._ended = ended
        self._turn: Turn | None = None
        self._started = False
        self._usage = MessageUsage()
        self._alike: Alike | None = None
        self._around = 0
        self.degraded: str | None = None

    def asked(self, data: bytes, at: float) -> None:
        """The request's body, or its beginning."""
        turn = self._running(at)
        turn.input_bytes += len(data)
        first = _MODEL_FIRST.match(data)
        if first is not None:
            model: object = first.group(1).decode("utf-8", "replace")
        else:
            # Where only the beginning is known, it is no JSON.
            try:
                model = table(parsed(data)).get("model")
            except ValueError:
                model = None
        turn.model_asked = text(model)
        if turn.model_asked is None:
            self._degrade("a request of which no model was read")

    def told(self, data: bytes, at: float) -> Alike | None:
        """One event's data, or a whole body."""
        first = _TYPE_FIRST.match(data)
        if first is not None:
            kind = first.group(1).decode("ascii")
            if kind == "content_block_delta":
                said = self._delta(data, at)
                if said is None:
                    return None
                if self._alike is None:
                    self._alike = Alike(first.group())
                self._around = len(data) - said
                return self._alike
            if kind in _PASSED:
                return None
        try:
            value = parsed(data)
        except ValueError:
            self._unread(data)
        else:
            self._read(table(value), data, at)
        return None

    def skimmed(self, events: int, size: int) -> None:
        """Deltas were passed over."""
        if self._turn is not None:
            self._turn.output_characters += max(0, size - events * self._around)

    def closed(self, at: float, status: Status = "unsettled") -> None:
        """The call has ended."""
        turn = self._turn
        if turn is not None:
            # All that comes behind the reason to stop is `message_stop`.
            settled = turn.stop_reason is not None and self._usage.final
            self._end(turn, at, _status(turn.stop_reason) if settled else status)

    def _unread(self, data: bytes) -> None:
        begin = data.strip()
        if begin in (b"", b"[DONE]"):
            # Some gateways end their streams as OpenAI does.
            return
        self._degrade("a message that is no JSON")
        if self._turn is not None and begin[:1] == b"{":
            # Of half a body its length is all that an estimate can go by.
            self._turn.output_characters += len(data)

    def _read(self, value: dict[str, Any], data: bytes, at: float) -> None:
        kind = text(value.get("type"))
        if kind == "message_start":
            self._message(value.get("message"), at, whole=False)
        elif kind == "message":
            turn = self._message(value, at, whole=True)
            turn.output_characters = len(data)
            for block in rows(value.get("content")):
                _note_call(turn, table(block))
            self._stopped(turn, value.get("stop_reason"))
            self._end(turn, at, _status(turn.stop_reason))
        elif kind == "content_block_delta":
            self._delta(data, at)
        elif kind in _INSIDE:
            if self._turn is None:
                self._degrade("an event outside of a message")
            else:
                self._inside(self._turn, kind, value, at)
        elif kind not in _PASSED:
            self._degrade("a message of an unknown type")

    def _inside(self, turn: Turn, kind: str, value: dict[str, Any], at: float) -> None:
        if kind == "content_block_start":
            if _note_call(turn, table(value.get("content_block"))) and turn.first_token is None:
                turn.first_token = at
        elif kind == "message_delta":
            self._usage.take(value.get("usage"), final=True)
            self._stopped(turn, table(value.get("delta")).get("stop_reason"))
        elif kind == "message_stop":
            self._end(turn, at, _status(turn.stop_reason))
        elif kind == "completion":
            self._completion(turn, value, at)
        else:
            turn.stop_reason = text(table(value.get("error")).get("type")) or "error"
            self._end(turn, at, "failed")

    def _delta(self, data: bytes, at: float) -> int | None:
        """How much a delta says; ``None``: it is not known, or broken."""
        turn = self._turn
        if turn is None:
            self._degrade("an event outside of a message")
            return None
        if turn.first_token is None:
            turn.first_token = at
        found = _SAID.search(data)
        said = max(0, data.rfind(b'"') - found.end()) if found is not None else None
        turn.output_characters += said or 0
        if not data.rstrip().endswith(b"}"):
            self._degrade("an event that breaks off")
            return None
        return said

    def _message(self, message: object, at: float, *, whole: bool) -> Turn:
        """A message begins, or is here as a whole."""
        if self._turn is not None and self._started:
            self._degrade("a message inside another")
            self._end(self._turn, at, "unsettled")
        turn = self._running(at)
        self._started = True
        self._forget()
        if isinstance(message, dict):
            turn.response_id = text(message.get("id"))
            turn.model_answered = text(message.get("model"))
            self._usage.take(message.get("usage"), final=whole)
        else:
            self._degrade("a message that is no object")
        return turn

    def _completion(self, turn: Turn, value: dict[str, Any], at: float) -> None:
        """A piece of a text completion, or all of it: only the last has a reason to stop."""
        if turn.first_token is None:
            turn.first_token = at
        said = value.get("completion")
        turn.output_characters += len(said) if isinstance(said, str) else 0
        turn.response_id = turn.response_id or text(value.get("id"))
        turn.model_answered = turn.model_answered or text(value.get("model"))
        turn.note = "this API reports no usage"
        self._stopped(turn, value.get("stop_reason"))
        if turn.stop_reason is not None:
            self._end(turn, at, _status(turn.stop_reason))

    def _stopped(self, turn: Turn, reason: object) -> None:
        if reason is not None:
            turn.stop_reason = text(reason)
            if turn.stop_reason is None:
                self._degrade("a reason to stop that can't be read")

    def _running(self, at: float) -> Turn:
        if self._turn is None:
            self._turn = Turn(self._operation, at)
        return self._turn

    def _end(self, turn: Turn, at: float, status: Status) -> None:
        turn.ended = at
        turn.status = status
        nothing = status == "failed" and not self._started and not turn.output_characters
        if nothing and turn.stop_reason in _REFUSALS:
            turn.note = REFUSED
        else:
            if nothing:
                turn.note = FAILED
            self._usage.settle(turn)
        self._forget()
        self._turn = None
        self._started = False
        self._ended(turn)

    def _forget(self) -> None:
        """What was counted is of no message that follows."""
        usage, self._usage = self._usage, MessageUsage()
        if usage.degraded is not None:
            self._degrade(usage.degraded)

    def _degrade(self, reason: str) -> None:
        self.degraded = self.degraded or reason


def _note_call(turn: Turn, block: dict[str, Any]) -> bool:
    """Note the tool that a content block calls; whether it calls one."""
    if text(block.get("type")) not in _CALLS:
        return False
    note_tool(turn, block.get("name"))
    return True


def _status(reason: str | None) -> Status:
    return "incomplete" if reason in _CUT_SHORT else "completed"
