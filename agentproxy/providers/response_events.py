"""
Reads the turns of a stream of ``response.*`` events: what Responses over SSE and WebSocket and Realtime share.

Most events are deltas, so of these only what says which turn goes on, and how long the delta is, is looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from agentproxy.providers.flights import Flight, Flights, key_of
from agentproxy.providers.json_fields import note_tool, table, text
from agentproxy.providers.openai_json import BROKEN, NO_JSON, characters, may_be_object, read, type_of
from agentproxy.providers.openai_usage import RESPONSES, Counted, counted
from agentproxy.providers.response_object import is_search, read_output, status_of, stop_reason, tool_of
from agentproxy.providers.response_types import (
    AUDIO_BYTES,
    BEGINS,
    DELTA,
    ENDS,
    FAMILIES,
    ITEM,
    MOST_DELTA,
    NO_RESPONSE,
    NO_TYPE,
    SHELL_OUTPUT,
)
from agentproxy.usage import MOST_ASKED, MOST_TOLD, Alike, Ended, Status, Turn


class ResponseEvents(ABC):
    """A `TurnReader` of such a stream, and `SocketTurns`; its turns are of this operation."""

    _asks: frozenset[bytes] | None = frozenset({b"response.create"})
    """Types of a client's WebSocket messages that must be told; ``None``: all."""

    def __init__(self, ended: Ended, operation: str) -> None:
        self.degraded: str | None = None
        self._operation = operation
        self._flights = Flights(ended)
        self._closed = False
        self._like_of, self._around = b"", 0
        self._like: Alike | None = None
        self._glanced: bytes | None = None

    def asked(self, data: bytes, at: float) -> None:
        """See `TurnReader`."""
        try:
            if not self._closed:
                self._asked(data, at)
        except Exception as error:
            self._note(f"the reader raised {type(error).__name__}")

    def told(self, data: bytes, at: float) -> Alike | None:
        """See `TurnReader`."""
        try:
            if not self._closed:
                return self._told(data, at)
        except Exception as error:
            self._note(f"the reader raised {type(error).__name__}")
        return None

    def skimmed(self, events: int, size: int) -> None:
        """See `TurnReader`."""
        flight = self._flights.only()
        if flight is not None:
            flight.turn.output_characters += max(0, size - events * self._around)

    def wanted(self, from_client: bool, beginning: bytes) -> int:
        """See `SocketTurns`."""
        kind = type_of(beginning)
        if not from_client:
            self._glanced = kind
        if kind is None:
            if may_be_object(beginning):
                return MOST_ASKED if from_client else MOST_TOLD
            self._note(NO_JSON)
            return 0
        if from_client:
            return MOST_ASKED if self._asks is None or kind in self._asks else 0
        if kind.endswith(b".delta"):
            return MOST_DELTA
        return MOST_TOLD if kind == ITEM or self._matters(kind, beginning) else 0

    @property
    def running(self) -> int:
        """See `SocketTurns`."""
        return len(self._flights)

    def closed(self, at: float, status: Status = "unsettled") -> None:
        """See `TurnReader`."""
        self._closed = True
        self._flights.end_all(status, at)

    def _note(self, reason: str | None) -> None:
        self.degraded = self.degraded or reason

    @abstractmethod
    def _asked(self, data: bytes, at: float) -> None:
        """Take a message of the client's."""

    def _told(self, data: bytes, at: float) -> Alike | None:
        # A WebSocket message's type has been read by `wanted`, just before.
        kind, self._glanced = self._glanced or type_of(data), None
        if kind is None:
            self._told_odd(data, at)
        elif kind.endswith(b".delta"):
            return self._likeness(kind, data) if self._delta(kind, data, at) else None
        elif self._matters(kind, data):
            value, whole = read(data)
            self._event(kind, value or {}, whole, at)
        return None

    def _told_odd(self, data: bytes, at: float) -> None:
        """A message whose type does not stand first."""
        if data.strip() in (b"", b"[DONE]"):
            return
        value, whole = read(data)
        if value is None:
            self._note(NO_JSON)
            return
        name = value.get("type")
        if not isinstance(name, str):
            self._untyped(value, None if whole else len(data), at)
            return
        kind = name.encode("utf-8", "replace")
        if kind.endswith(b".delta"):
            self._delta(kind, data, at)
        elif self._matters(kind, data):
            self._event(kind, value, whole, at)

    def _matters(self, kind: bytes, data: bytes) -> bool:
        """Whether an event is worth being read."""
        if kind in BEGINS:
            # Most of these only repeat a long response that is known to run.
            return kind == b"response.created" or self._flights.any_waiting
        if kind == ITEM:
            # Not the text again: the types of all calls end like this.
            return b'_call"' in data
        if kind in ENDS or kind == b"error":
            return True
        if not kind.startswith(FAMILIES):
            self._note(NO_TYPE)
        return False

    def _untyped(self, value: dict[str, Any], cut: int | None, at: float) -> None:
        """A JSON object that is no event; ``cut``: bytes of one that is not whole."""
        self._note(NO_TYPE if cut is None else BROKEN)

    def _event(self, kind: bytes, value: dict[str, Any], whole: bool, at: float) -> None:
        if not whole:
            self._note(BROKEN)
        if kind in BEGINS:
            self._begin(value, at, kind == b"response.created")
        elif kind == b"error":
            self._error(value, at)
        elif kind == ITEM:
            self._item(value, at)
        else:
            self._end(kind, value, at)

    def _delta(self, kind: bytes, data: bytes, at: float) -> bool:
        """Take a delta; whether more of its kind need not be told."""
        # What a shell that the provider runs prints is input.
        if not kind.startswith(b"response.") or kind == SHELL_OUTPUT:
            return False
        if not len(self._flights):
            return True
        only = self._flights.only()
        flight = only or self._flight_of(data)
        if flight is None:
            return False
        turn = flight.turn
        if turn.first_token is None:
            turn.first_token = at
        if kind.endswith(b"audio.delta"):
            turn.output_characters += len(data) // AUDIO_BYTES
            return False
        delta = DELTA.match(data, data.find(b'"delta"'))
        if delta is None:
            return False
        said = characters(delta[1])
        turn.output_characters += said
        if only is None:
            return False
        self._around = len(data) - said
        return True

    def _likeness(self, kind: bytes, data: bytes) -> Alike | None:
        if kind != self._like_of:
            self._like_of, self._like = kind, Alike(data[: data.index(kind) + len(kind) + 1])
        return self._like

    @abstractmethod
    def _flight_of(self, data: bytes) -> Flight | None:
        """The turn that a delta is of, where several are in flight."""

    def _in_lane(self, lane: str | None) -> Flight | None:
        return self._flights.first_running(lane) or self._flights.first_waiting(lane)

    def _began(self, at: float, lane: str | None) -> Flight:
        """A turn that nobody asked for, as when Realtime hears the end of speech, or a steered response goes on."""
        return Flight(Turn(self._operation, at, lane=lane))

    def _begin(self, value: dict[str, Any], at: float, created: bool = True) -> None:
        """
        A response runs.

        :param created: whether this says that it has begun just now.
        """
        response = table(value.get("response"))
        if not response:
            self._note(NO_RESPONSE)
        identity, lane = response.get("id"), text(value.get("stream_id"))
        flights = self._flights
        if flights.has_ended(identity) or flights.by_id(identity) is not None:
            return
        if not created and flights.first_running(lane) is not None:
            # Copilot's ids are others in each event.
            return
        flight = flights.first_waiting(lane)
        if flight is None:
            if key_of(identity) is None:
                return
            flight = self._began(at, lane)
        flights.create(flight, identity)
        self._note(flights.degraded)
        flight.turn.model_answered = text(response.get("model"))

    def _item(self, value: dict[str, Any], at: float) -> None:
        item = table(value.get("item"))
        tool = tool_of(item)
        flight = self._flights.by_id(value.get("response_id")) or self._in_lane(text(value.get("stream_id")))
        if flight is None or tool is None:
            return
        if flight.turn.first_token is None:
            flight.turn.first_token = at
        note_tool(flight.turn, tool)
        flight.searches += is_search(item)

    @abstractmethod
    def _error(self, value: dict[str, Any], at: float) -> None:
        """Take an error."""

    def _end(self, kind: bytes, value: dict[str, Any], at: float) -> None:
        response = table(value.get("response"))
        if not response:
            self._note(NO_RESPONSE)
        self._finish(response, value, ENDS[kind] or status_of(response), at)

    def _finish(self, response: dict[str, Any], value: dict[str, Any], status: Status, at: float) -> None:
        """
        A response has ended.

        :param value: what has it as a member, or the response itself.
        """
        identity, lane = response.get("id"), text(value.get("stream_id"))
        flights = self._flights
        if flights.has_ended(identity):
            return
        copilot = value.get("copilot_usage") or response.get("copilot_usage")
        usage = counted(response.get("usage"), RESPONSES, copilot)
        flight = self._ending(identity, lane)
        if flight is None:
            if usage is None:
                return
            flight = self._began(at, lane)
        if not flight.created:
            flights.create(flight, identity)
        turn = flight.turn
        turn.model_answered = text(response.get("model")) or turn.model_answered
        turn.stop_reason = stop_reason(response) or turn.stop_reason
        searches = read_output(turn, response, at)
        if searches is not None:
            flight.searches = searches
        if usage is not None:
            self._note(usage.flaw)
        flight.silent = flight.silent or self._is_prewarm(flight, status, usage)
        flights.end(flight, status, at, usage, identity)

    def _ending(self, identity: object, lane: str | None) -> Flight | None:
        return self._flights.ending(identity, lane)

    def _is_prewarm(self, flight: Flight, status: Status, usage: Counted | None) -> bool:
        """Whether a response whose request was not read as a whole shows that it was none."""
        return False
