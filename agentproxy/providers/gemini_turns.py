"""
The turns of the Gemini API (ai.google.dev/api): generateContent, whole or streamed, embeddings, and Live.

A stream is server-sent events, or without ``alt=sse`` one JSON array. Nothing marks its last chunk but its end: some
models send more behind the one with a ``finishReason``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from agentproxy.providers.gemini_live_turns import LiveTurns
from agentproxy.providers.gemini_usage import TurnUsage, said
from agentproxy.providers.json_fields import note_tool, parsed, rows, table, text
from agentproxy.usage import FAILED, REFUSED, Ended, Status, Turn, TurnReader

_PATH = re.compile(r"/(?:models|tunedModels)/([^/]+):([A-Za-z]+)$")
_OPERATIONS = {
    "generateContent": "generate_content",
    "streamGenerateContent": "generate_content",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
}
_LIVE = re.compile(rb"(?:^|[./])BidiGenerateContent(?:Constrained)?$")
_BETWEEN = re.compile(r"\s*[\[,\]]?\s*")
_KNOWN = frozenset(
    {"candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId", "embedding", "embeddings"}
)


def reader(method: bytes, path: bytes, upgrade: bool, ended: Ended) -> TurnReader | None:
    """
    What reads a call's turns; ``None`` where it has none, as ``:countTokens``.

    Of the paths that speak as OpenAI does, ``.../openai/chat/completions``, nothing is read.
    """
    path = path.partition(b"?")[0]
    if upgrade:
        return LiveTurns(ended) if _LIVE.search(path) else None
    if method != b"POST":
        return None
    found = _PATH.search(unquote_to_bytes(path).decode("utf-8", "replace"))
    operation = _OPERATIONS.get(found.group(2)) if found is not None else None
    if found is None or operation is None:
        return None
    return GeminiTurns(operation, text(found.group(1)), ended, streams=found.group(2).startswith("stream"))


class GeminiTurns:
    """
    Reads one call's turn, which begins with what was asked and ends with the call.

    :param operation: ``generate_content`` or ``embeddings``.
    :param model: the model that the path names.
    :param streams: whether the answer is a stream.
    """

    __slots__ = (
        "_ended",
        "_last",
        "_model",
        "_operation",
        "_refused",
        "_status",
        "_streams",
        "_turn",
        "_usage",
        "degraded",
    )

    def __init__(self, operation: str, model: str | None, ended: Ended, *, streams: bool) -> None:
        self._streams = streams
        self._operation = operation
        self._model = model
        self._ended = ended
        self._turn: Turn | None = None
        self._status: Status | None = None
        self._refused = False
        self._last = 0.0
        self._usage = TurnUsage()
        self.degraded: str | None = None

    def asked(self, data: bytes, at: float) -> None:
        """The request's body, or its beginning; the path has said which model it is for."""
        self._running(at).input_bytes += len(data)

    def told(self, data: bytes, at: float) -> None:
        """One event's data, or a whole body, which may be an array of chunks, or its beginning."""
        begin = data.lstrip()[:1]
        if begin == b"[":
            # All of it comes at once: when it began is not known.
            self._streams = False
        try:
            value = parsed(data)
        except ValueError:
            if begin and begin in b"[],":
                for chunk in self._chunks(data):
                    self._chunk(chunk, at)
            elif data.strip():
                self._degrade("a message that is no JSON")
                if begin == b"{" and self._turn is not None:
                    # Of half a body its length is all that an estimate can go by.
                    self._turn.output_characters += len(data)
        else:
            for chunk in value if isinstance(value, list) else (value,):
                self._chunk(chunk, at)

    def skimmed(self, events: int, size: int) -> None:
        """No chunk may be passed over, since the last one counts."""

    def closed(self, at: float, status: Status = "unsettled") -> None:
        """The call has ended."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        whole = self._status is not None
        turn.status = self._status or status
        turn.ended = self._last if whole else at
        nothing = turn.status == "failed" and not self._usage.known and not turn.output_characters
        if nothing and self._refused:
            turn.note = REFUSED
        else:
            if nothing:
                turn.note = FAILED
            self._usage.settle(turn, whole=whole and self._status != "failed")
        if turn.usage is not None and self._operation == "embeddings":
            turn.usage.output_tokens = 0
        self.degraded = self.degraded or self._usage.degraded
        self._ended(turn)

    def _chunks(self, data: bytes) -> Iterator[Any]:
        """The values of a JSON array that is not whole, as far as it goes."""
        source = data.decode("utf-8", "replace")
        if "\ufffd" in source:
            self._degrade("a message that may not be UTF-8")
        decoder = json.JSONDecoder()
        at = 0
        while True:
            between = _BETWEEN.match(source, at)
            at = between.end() if between is not None else at
            if at == len(source):
                return
            try:
                value, at = decoder.raw_decode(source, at)
            except (ValueError, RecursionError):
                self._degrade("an array that breaks off")
                return
            yield value

    def _chunk(self, value: object, at: float) -> None:
        turn = self._running(at)
        chunk = table(value)
        if "error" in chunk:
            error = table(chunk["error"])
            turn.stop_reason = text(error.get("status")) or "error"
            code = error.get("code")
            self._refused = type(code) is int and (400 <= code < 500 or code == 503)
            self._finish("failed", at)
            return
        if not chunk.keys() & _KNOWN:
            self._degrade("a message of an unknown type")
            return
        turn.response_id = text(chunk.get("responseId")) or turn.response_id
        turn.model_answered = text(chunk.get("modelVersion")) or turn.model_answered
        self._usage.take(chunk.get("usageMetadata"))
        for candidate in map(table, rows(chunk.get("candidates"))):
            self._candidate(turn, candidate, at)
        blocked = table(chunk.get("promptFeedback")).get("blockReason")
        if blocked is not None:
            turn.stop_reason = text(blocked) or "blocked"
            self._finish("incomplete", at)
        if self._operation == "embeddings":
            self._finish("completed", at)

    def _candidate(self, turn: Turn, candidate: dict[str, Any], at: float) -> None:
        for part in map(table, rows(table(candidate.get("content")).get("parts"))):
            if self._streams and turn.first_token is None:
                turn.first_token = at
            turn.output_characters += said(part)
            if "functionCall" in part:
                note_tool(turn, table(part["functionCall"]).get("name"))
        self._usage.ground(candidate.get("groundingMetadata"))
        reason = candidate.get("finishReason")
        if reason is not None:
            turn.stop_reason = text(reason) or "unknown"
            self._finish("completed" if reason == "STOP" else "incomplete", at)

    def _finish(self, status: Status, at: float) -> None:
        # An error is the last word, and of several candidates the one that was cut short counts.
        if self._status is None or self._status == "completed" or status == "failed":
            self._status = status
        self._last = at

    def _running(self, at: float) -> Turn:
        if self._turn is None:
            self._turn = Turn(self._operation, at, model_asked=self._model)
        return self._turn

    def _degrade(self, reason: str) -> None:
        self.degraded = self.degraded or reason
