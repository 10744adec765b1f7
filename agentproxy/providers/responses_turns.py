"""
Reads the turns of the Responses API, over HTTP (SSE or one JSON body) and over WebSocket, and of its compaction.

Facts: https://platform.openai.com/docs/api-reference/responses and .../guides/websocket-mode.
"""

from __future__ import annotations

import re
from typing import Any

from agentproxy.providers.flights import Flight
from agentproxy.providers.json_fields import text
from agentproxy.providers.openai_json import BROKEN, NO_JSON, read, type_of
from agentproxy.providers.openai_usage import Counted
from agentproxy.providers.response_events import ResponseEvents
from agentproxy.providers.response_object import status_of
from agentproxy.usage import Alike, Ended, Status, Turn


class ResponsesReader(ResponseEvents):
    """
    Over HTTP the request is the turn; over WebSocket each ``response.create`` is, but for a prewarm
    (``generate: false``), which Codex sends first and which generates nothing.

    :param socket: whether it is a WebSocket.
    """

    _place = re.compile(rb'"stream_id"\s*:\s*"([^"\\]{1,256})"')

    def __init__(self, ended: Ended, *, socket: bool, operation: str = "responses") -> None:
        super().__init__(ended, operation)
        self._socket = socket
        self._begun = False

    def _asked(self, data: bytes, at: float) -> None:
        if self._socket:
            self._asked_by_event(data, at)
        elif not self._begun:
            value, whole = read(data)
            if value is None:
                self._note(NO_JSON)
            self._ask(value or {}, whole, len(data), at)

    def _asked_by_event(self, data: bytes, at: float) -> None:
        kind = type_of(data)
        if kind is not None and kind != b"response.create":
            return
        value, whole = read(data)
        if value is None:
            self._note(NO_JSON)
        elif kind is not None or value.get("type") == "response.create":
            self._ask(value, whole, len(data), at)
        elif not whole:
            self._note(BROKEN)

    def _ask(self, value: dict[str, Any], whole: bool, size: int, at: float) -> None:
        self._begun = True
        # What follows a response on this socket brings only what is new, and is charged for all of it.
        before = self._flights.context(value.get("previous_response_id"))
        turn = Turn(
            self._operation,
            at,
            model_asked=text(value.get("model")),
            lane=text(value.get("stream_id")) if self._socket else None,
            input_bytes=size + 4 * before,
        )
        if value.get("background") is True:
            turn.note = "runs in the background"
        silent = self._socket and value.get("generate") is False
        self._flights.ask(Flight(turn, silent, whole))
        self._note(self._flights.degraded)

    def _told(self, data: bytes, at: float) -> Alike | None:
        # Over HTTP there is one turn: an `error` may be followed by a `response.failed`.
        if self._socket or not self._begun or len(self._flights):
            return super()._told(data, at)
        return None

    def _begin(self, value: dict[str, Any], at: float, created: bool = True) -> None:
        if self._socket or self._flights.any_waiting or not len(self._flights):
            super()._begin(value, at, created)

    def _ending(self, identity: object, lane: str | None) -> Flight | None:
        found = None if self._socket else self._flights.only()
        return found or super()._ending(identity, lane)

    def _flight_of(self, data: bytes) -> Flight | None:
        """The turn that a delta is of, where several are in flight: the oldest one in its lane."""
        found = self._place.search(data)
        lane = text(found[1].decode("utf-8", "replace")) if found is not None else None
        return self._in_lane(lane)

    def _error(self, value: dict[str, Any], at: float) -> None:
        """The end of the lane's turn; ``{"error": {...}}`` over WebSocket, flat over SSE, a string from some."""
        lane = text(value.get("stream_id"))
        flights = self._flights
        # Without a lane it may be the socket's: that ends no lane's turn unless there is only one.
        flight = flights.only() if lane is None else None
        if flight is None:
            flight = self._in_lane(lane)
            if flight is not None and flight.turn.lane != lane:
                return
        if flight is not None:
            flights.fail(flight, value, at)

    def _began(self, at: float, lane: str | None) -> Flight:
        self._begun = True
        return super()._began(at, lane)

    def _untyped(self, value: dict[str, Any], cut: int | None, at: float) -> None:
        """Over HTTP: the response object, or an error."""
        if self._socket or not ("id" in value or "error" in value):
            super()._untyped(value, cut, at)
            return
        if cut is not None:
            self._note(BROKEN)
            flight = self._flights.only()
            if flight is not None:
                # Of half a body its length is all that an estimate can go by.
                flight.turn.output_characters = cut
        if "id" not in value:
            self._error(value, at)
        elif value.get("status") in ("queued", "in_progress"):
            # In the background: what it comes to, its client asks for later.
            self._begin({"response": value}, at)
        else:
            self._finish(value, value, status_of(value), at)

    def _is_prewarm(self, flight: Flight, status: Status, usage: Counted | None) -> bool:
        """Of a long request only the beginning may be known, and Codex writes `generate` behind the input."""
        turn = flight.turn
        return (
            self._socket
            and not flight.understood
            and status == "completed"
            and turn.first_token is None
            and not turn.tools
            and usage is not None
            and usage.output
            and usage.usage.output_tokens == 0
        )
