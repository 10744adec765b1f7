"""Which reader reads the turns of a call to OpenAI, ChatGPT, GitHub Copilot, and whatever else speaks as they do."""

from __future__ import annotations

from urllib.parse import parse_qs

from agentproxy.providers.chat_turns import ChatReader
from agentproxy.providers.json_fields import table, text
from agentproxy.providers.openai_json import NO_JSON, may_be_object, read, type_of
from agentproxy.providers.realtime_turns import RealtimeReader
from agentproxy.providers.responses_turns import ResponsesReader
from agentproxy.usage import MOST_ASKED, MOST_TOLD, Alike, Ended, Status, TurnReader

_REALTIME = (
    b"session.",
    b"conversation.",
    b"input_audio_buffer.",
    b"output_audio_buffer.",
    b"transcription_session.",
    b"rate_limits.",
)
_RESPONSES = (b"codex.", b"responsesapi.", b"response.append", b"response.processed", b"response.steer")
_OF_RESPONSES = frozenset({"model", "input", "instructions", "previous_response_id", "tools", "generate", "stream_id"})
"""What a ``response.create`` of Responses has at its top, and Realtime's under ``response`` if at all."""


def reader(method: bytes, path: bytes, upgrade: bool, ended: Ended) -> TurnReader | None:
    """
    The reader for a call's turns.

    :param path: of the request, with its query or without.
    :param upgrade: it asks for a WebSocket.
    :param ended: told each turn once, when it has ended.
    :returns: ``None`` where the call has no turns.
    """
    path, _, query = path.partition(b"?")
    # Whatever comes before (`/v1`, `/backend-api/codex`, `/openai/deployments/NAME`) is the provider's business.
    segments = [segment for segment in path.split(b"/") if segment]
    last = segments[-1] if segments else b""
    before = segments[-2] if len(segments) > 1 else b""
    if upgrade:
        models = parse_qs(query.decode("latin-1")).get("model", [])
        return SocketReader(ended, realtime=last == b"realtime", model=text(models[0]) if models else None)
    if method != b"POST":
        return None
    if last == b"responses":
        return ResponsesReader(ended, socket=False)
    if last == b"compact" and before == b"responses":
        return ResponsesReader(ended, socket=False, operation="compact")
    if last == b"completions":
        return ChatReader(ended, "chat" if before == b"chat" else "text_completion")
    return ChatReader(ended, "embeddings") if last == b"embeddings" else None


class SocketReader:
    """
    A `TurnReader` of a WebSocket: its first messages tell whether it speaks Responses or Realtime, whatever its path.

    :param realtime: what a message that tells nothing is taken for.
    :param model: the model in its path's query.
    """

    def __init__(self, ended: Ended, *, realtime: bool, model: str | None) -> None:
        self._why: str | None = None
        self._ended = ended
        self._realtime = realtime
        self._model = model
        self._reader: RealtimeReader | ResponsesReader | None = None
        self._seen = False

    @property
    def degraded(self) -> str | None:
        """See `TurnReader`."""
        return self._why or (None if self._reader is None else self._reader.degraded)

    def asked(self, data: bytes, at: float) -> None:
        """See `TurnReader`."""
        reader = self._reader or self._chosen(data)
        reader.asked(data, at)
        if reader is not self._reader:
            self._why = self._why or reader.degraded

    def told(self, data: bytes, at: float) -> Alike | None:
        """See `TurnReader`."""
        reader = self._reader or self._chosen(data)
        like = reader.told(data, at)
        if reader is not self._reader:
            self._why = self._why or reader.degraded
            return None
        return like

    def skimmed(self, events: int, size: int) -> None:
        """See `TurnReader`."""
        if self._reader is not None:
            self._reader.skimmed(events, size)

    def wanted(self, from_client: bool, beginning: bytes) -> int:
        """See `SocketTurns`."""
        self._seen = True
        reader = self._reader
        if reader is not None:
            return reader.wanted(from_client, beginning)
        if not may_be_object(beginning):
            self._why = self._why or NO_JSON
            return 0
        return MOST_ASKED if from_client else MOST_TOLD

    @property
    def running(self) -> int | None:
        """See `SocketTurns`."""
        if self._reader is not None:
            return self._reader.running
        return None if self._seen else 0

    def closed(self, at: float, status: Status = "unsettled") -> None:
        """See `TurnReader`."""
        if self._reader is not None:
            self._reader.closed(at, status)

    def _chosen(self, data: bytes) -> RealtimeReader | ResponsesReader:
        """The reader for this message, and where the message tells, for all that follow."""
        kind, value = type_of(data), None
        if kind is None or kind in (b"response.create", b"response.created"):
            value = table(read(data)[0])
            kind = (text(value.get("type")) or "").encode("utf-8", "replace")
        realtime: bool | None = None
        if kind.startswith(_REALTIME):
            realtime = True
        elif kind.startswith(_RESPONSES):
            realtime = False
        elif kind == b"response.create" and value is not None:
            realtime = "response" in value or (self._realtime and not value.keys() & _OF_RESPONSES)
        elif kind == b"response.created" and value is not None:
            realtime = table(value.get("response")).get("object") == "realtime.response"
        elif kind.startswith(b"response."):
            realtime = self._realtime
        chosen = (
            RealtimeReader(self._ended, self._model)
            if (self._realtime if realtime is None else realtime)
            else ResponsesReader(self._ended, socket=True)
        )
        if realtime is not None:
            self._reader = chosen
        return chosen
