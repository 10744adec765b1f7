"""
The turns of Gemini Live (ai.google.dev/api/live): JSON over a WebSocket, the server's often in binary frames.

- A turn begins when the client says that its own is complete, or by itself when the model has heard enough. It ends
  with ``turnComplete``, which an ``interrupted`` one has too. The counts come with any message of the turn, or
  before or behind it.
- Of the sound, which is most of the bytes, only the length matters.
- SDKs write the client's names with underscores or in camel case.
"""

from __future__ import annotations

import re
from typing import Any

from agentproxy.providers.gemini_usage import SOUND_IN, SOUND_OUT, TurnUsage, said
from agentproxy.providers.json_fields import note_tool, parsed, rows, table, text
from agentproxy.usage import MOST_ASKED, MOST_TOLD, Ended, Status, Turn

_HEARD = re.compile(rb'\s*\{\s*"realtime_?[iI]nput"')
_SPOKEN = re.compile(rb'\s*\{\s*"serverContent"\s*:\s*\{\s*"modelTurn"')
# A message with any of these is more than sound.
_MORE = re.compile(rb'"(?:turnComplete|interrupted|usageMetadata|text|groundingMetadata)"')
_WELL = (None, "TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT")
_KNOWN = frozenset(
    {
        "setupComplete", "serverContent", "toolCall", "toolCallCancellation", "usageMetadata", "goAway",
        "sessionResumptionUpdate", "voiceActivity", "voiceActivityDetectionSignal",
    }
)  # fmt: skip


class LiveTurns:
    """Reads a session's turns, of which one runs at a time."""

    __slots__ = (
        "_context", "_done", "_ended", "_going", "_model", "_next", "_status", "_turn", "_usage", "degraded",
    )  # fmt: skip

    def __init__(self, ended: Ended) -> None:
        self._ended = ended
        self._model: str | None = None
        # Of all that was said so far, which is each turn's input, the bytes that stand for characters.
        self._context = 0
        self._turn: Turn | None = None
        # Of the turn that runs; where none does, what has come of the next one's.
        self._usage = TurnUsage()
        # What the turn will have ended as, once the model has stopped; `_done`: nothing but its counts can come.
        self._status: Status | None = None
        self._done = False
        # When one more turn was asked for, while one was spoken.
        self._next: float | None = None
        self._going = False
        self.degraded: str | None = None

    def asked(self, data: bytes, at: float) -> None:
        """The client's message, or its beginning."""
        if _HEARD.match(data):
            self._context += len(data) // SOUND_IN
            return
        self._context += len(data)
        try:
            value = table(parsed(data))
        except ValueError:
            self._degrade("a message of the client that is no JSON")
            return
        content = table(value.get("clientContent", value.get("client_content")))
        if "setup" in value:
            name = text(table(value["setup"]).get("model"))
            self._model = None if name is None else name.rpartition("/")[2]
        elif content.get("turnComplete", content.get("turn_complete")) is True:
            self._ask(at)
        elif value.keys() & {"toolResponse", "tool_response"}:
            # The model goes on with it in the same turn; where that is over, it begins one when it will.
            if self._turn is not None and not self._done:
                self._usage.anew()
                self._status = None
        elif not value.keys() & {"realtimeInput", "realtime_input", "clientContent", "client_content"}:
            self._degrade("a message of the client of an unknown type")

    def told(self, data: bytes, at: float) -> None:
        """The server's message."""
        if _SPOKEN.match(data) and _MORE.search(data) is None:
            self._speaking(at).output_characters += len(data) // SOUND_OUT
            if not data.rstrip().endswith(b"}"):
                self._degrade("a message that breaks off")
            return
        try:
            value = table(parsed(data))
        except ValueError:
            self._degrade("a message that is no JSON")
            return
        if not value.keys() & _KNOWN:
            self._degrade("a message of an unknown type")
            return
        content = table(value.get("serverContent"))
        if "modelTurn" in content or "toolCall" in value:
            self._speak(self._speaking(at), content, table(value.get("toolCall")))
        self._usage.ground(content.get("groundingMetadata"))
        self._usage.take(value.get("usageMetadata"))
        if self._turn is not None:
            self._stop(self._turn, content, at)
        if "goAway" in value:
            self._going = True

    def skimmed(self, events: int, size: int) -> None:
        """Messages come one by one."""

    def wanted(self, from_client: bool, beginning: bytes) -> int:
        """See `SocketTurns`."""
        if beginning.lstrip()[:1] != b"{":
            self._degrade("a message that is no JSON")
            return 0
        return MOST_ASKED if from_client else MOST_TOLD

    @property
    def running(self) -> int:
        """See `SocketTurns`."""
        return int(self._turn is not None and self._status is None) + int(self._next is not None)

    def closed(self, at: float, status: Status = "unsettled") -> None:
        """The socket is gone."""
        # A second one may have been asked for behind the first.
        for _ in range(2):
            turn = self._turn
            if turn is None:
                return
            if self._status is None and self._going:
                turn.note = "upstream had announced that it would close the socket"
            self._end(turn, at, self._status or status)

    def _ask(self, at: float) -> None:
        if self._turn is not None and self._done:
            self._end(self._turn, at, "completed")
        turn = self._turn
        if turn is None:
            self._begin(at)
        elif turn.first_token is None:
            turn.input_bytes = self._context
        else:
            self._next = at

    def _speaking(self, at: float) -> Turn:
        """The turn in which the model speaks: another one than that in which it has stopped."""
        if self._turn is not None and self._status is not None:
            self._end(self._turn, at, self._status)
        turn = self._turn or self._begin(at)
        if turn.first_token is None:
            turn.first_token = at
        return turn

    def _speak(self, turn: Turn, content: dict[str, Any], call: dict[str, Any]) -> None:
        for part in map(table, rows(table(content.get("modelTurn")).get("parts"))):
            turn.output_characters += said(part)
        for called in map(table, rows(call.get("functionCalls"))):
            turn.output_characters += said({"functionCall": called})
            note_tool(turn, called.get("name"))

    def _stop(self, turn: Turn, content: dict[str, Any], at: float) -> None:
        if content.get("interrupted") is True:
            self._status = "cancelled"
            turn.stop_reason = "interrupted"
        elif content.get("generationComplete") is True and self._status is None:
            # What follows is the client's playing it.
            self._status = "completed"
        if content.get("turnComplete") is True and not self._done:
            self._done = True
            turn.ended = at
            reason = content.get("turnCompleteReason")
            turn.stop_reason = turn.stop_reason or text(reason)
            if self._status != "cancelled":
                self._status = "completed" if reason in _WELL else "incomplete"
        if self._done and self._usage.known:
            self._end(turn, at, self._status or "completed")

    def _begin(self, at: float) -> Turn:
        self._turn = Turn("realtime", at, model_asked=self._model, input_bytes=self._context)
        return self._turn

    def _end(self, turn: Turn, at: float, status: Status) -> None:
        turn.status = status
        turn.ended = at if turn.ended is None else turn.ended
        usage, self._usage = self._usage, TurnUsage()
        usage.settle(turn, whole=self._status is not None)
        if usage.degraded is not None:
            self._degrade(usage.degraded)
        self._context += turn.output_characters
        self._turn = None
        self._status = None
        self._done = False
        following, self._next = self._next, None
        if following is not None:
            self._begin(following)
        self._ended(turn)

    def _degrade(self, reason: str) -> None:
        self.degraded = self.degraded or reason
