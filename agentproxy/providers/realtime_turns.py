"""
Reads the turns of an OpenAI Realtime socket.

Facts: https://platform.openai.com/docs/api-reference/realtime-client-events and .../realtime-server-events. A response
reads the whole conversation so far, so what an unsettled one may have used is reckoned from all that was heard.
"""

from __future__ import annotations

import re
from typing import Any

from agentproxy.providers.flights import Flight
from agentproxy.providers.json_fields import table, text
from agentproxy.providers.openai_json import BROKEN, NO_JSON, error_code, read, type_of
from agentproxy.providers.openai_usage import RESPONSES, counted
from agentproxy.providers.response_events import ResponseEvents
from agentproxy.usage import Ended, Turn

_TRANSCRIBED = b"conversation.item.input_audio_transcription.completed"
_SESSIONS = frozenset({b"session.created", b"session.updated", b"session.update"})
# Codes of errors that are about other events than `response.create`.
_ELSEWHERE = ("input_audio_buffer", "item_", "response_cancel")
_AUDIO_BYTES = 1600
"""Bytes of base64 audio that are heard as one byte of text is: a token for each 100 ms of 24 kHz, 16 bits."""


class RealtimeReader(ResponseEvents):
    """
    ``response.create``, or the server's hearing the end of speech, begins a turn; ``response.done`` ends it.

    A transcription of what was said to it, which another model makes and which is charged, is a turn too.

    :param model: the model that the socket was opened for, where its path says so.
    """

    # All that is said is the model's input.
    _asks = None
    # A Realtime delta says which response it is of.
    _place = re.compile(rb'"response_id"\s*:\s*"([^"\\]{1,256})"')

    def __init__(self, ended: Ended, model: str | None = None) -> None:
        super().__init__(ended, "realtime")
        self._tell = ended
        self._model = model
        self._transcriber: str | None = None
        self._heard = 0

    def _asked(self, data: bytes, at: float) -> None:
        kind = type_of(data)
        if kind == b"input_audio_buffer.append":
            self._heard += len(data) // _AUDIO_BYTES
            return
        self._heard += len(data)
        if kind is not None and kind != b"response.create" and kind not in _SESSIONS:
            return
        value, whole = read(data)
        if value is None:
            self._note(NO_JSON)
            return
        name = value.get("type")
        if name == "response.create":
            flight = self._began(at, None)
            flight.event_id = text(value.get("event_id"))
            self._flights.ask(flight)
            self._note(self._flights.degraded)
        elif name == "session.update":
            self._session(value)
        elif name is None and not whole:
            self._note(BROKEN)

    def _began(self, at: float, lane: str | None) -> Flight:
        return Flight(Turn(self._operation, at, model_asked=self._model, input_bytes=self._heard))

    def _matters(self, kind: bytes, data: bytes) -> bool:
        return kind in _SESSIONS or kind == _TRANSCRIBED or super()._matters(kind, data)

    def _event(self, kind: bytes, value: dict[str, Any], whole: bool, at: float) -> None:
        if kind in _SESSIONS:
            self._session(value)
        elif kind == _TRANSCRIBED:
            self._transcribed(value, at)
        else:
            super()._event(kind, value, whole, at)

    def _session(self, value: dict[str, Any]) -> None:
        session = table(value.get("session"))
        self._model = text(session.get("model")) or self._model
        heard = table(table(session.get("audio")).get("input")).get("transcription")
        # The older API had it at the session's top.
        heard = table(heard or session.get("input_audio_transcription"))
        self._transcriber = text(heard.get("model")) or self._transcriber

    def _transcribed(self, value: dict[str, Any], at: float) -> None:
        usage = table(value.get("usage"))
        turn = Turn("transcription", at, self._transcriber, ended=at, status="completed")
        if usage.get("type") == "duration":
            turn.note = "charged by its duration"
            self._tell(turn)
            return
        read_usage = counted(usage or None, RESPONSES)
        if read_usage is None:
            return
        self._note(read_usage.flaw)
        if read_usage.input and read_usage.output:
            turn.usage, turn.source = read_usage.usage, "reported"
            self._tell(turn)

    def _flight_of(self, data: bytes) -> Flight | None:
        found = self._place.search(data)
        identity = found[1].decode("utf-8", "replace") if found is not None else None
        if self._flights.has_ended(identity):
            return None
        return self._flights.by_id(identity) or self._in_lane(None)

    def _error(self, value: dict[str, Any], at: float) -> None:
        """
        An error ends only what was asked for and not created: a turn that runs has its ``response.done``, and most
        errors end nothing. One says which event of the client's it is about, if that had an id.
        """
        event_id = text(table(value.get("error")).get("event_id"))
        flights = self._flights
        flight = flights.by_event(event_id) if event_id is not None else flights.first_waiting(None)
        if flight is None or flight.created or flight.event_id != event_id:
            return
        if event_id is None and (error_code(value) or "").startswith(_ELSEWHERE):
            return
        flights.fail(flight, value, at)
