"""
The turns in flight on one call: asked for, created, ended; several at once, by response id and by lane.

A lane is the ``stream_id`` of a Responses WebSocket: each lane's turns run one after the other
(https://platform.openai.com/docs/guides/websocket-mode); turns without one are a lane of their own.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from agentproxy.providers.json_fields import text
from agentproxy.providers.openai_json import error_code, refuses
from agentproxy.providers.openai_usage import Counted, settle
from agentproxy.usage import FAILED, REFUSED, Ended, Status, Turn

MOST_FLIGHTS = 256
"""Turns in flight above which the oldest is given up."""
_MOST_ENDED = 512

TOO_MANY = "more turns in flight than are followed"


@dataclass(slots=True, eq=False)
class Flight:
    """
    :ivar silent: it is no turn and is not told: a prewarm.
    :ivar understood: its request was read as a whole.
    :ivar event_id: the client's id of the event that asked for it (Realtime).
    :ivar created: upstream has said that it runs.
    :ivar refused: upstream said that it would not serve it.
    :ivar key: what its response is known by.
    """

    turn: Turn
    silent: bool = False
    understood: bool = True
    event_id: str | None = None
    created: bool = False
    refused: bool = False
    key: str | None = None
    searches: int = 0


def key_of(identity: object) -> str | None:
    """What a response of this id is known by: Copilot's ids are of hundreds of characters."""
    if not isinstance(identity, str) or not identity:
        return None
    short = text(identity)
    return short or hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Flights:
    """
    :param ended: told each turn that has ended.
    :ivar degraded: why a turn was given up, or ``None``.
    """

    def __init__(self, ended: Ended) -> None:
        self._tell = ended
        self._waiting: list[Flight] = []
        self._running: list[Flight] = []
        # What has ended, and the tokens of the context that each left behind.
        self._ended: OrderedDict[str, int] = OrderedDict()
        self.degraded: str | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    @property
    def any_waiting(self) -> bool:
        """Whether a turn that was asked for has not been created."""
        return bool(self._waiting)

    def ask(self, flight: Flight) -> None:
        """A turn was asked for."""
        self._make_room(flight)
        self._waiting.append(flight)

    def create(self, flight: Flight, identity: object) -> None:
        """Upstream has created the response of a turn that was asked for, or one that was not."""
        if flight in self._waiting:
            self._waiting.remove(flight)
        else:
            self._make_room(flight)
        flight.key = key_of(identity)
        flight.turn.response_id = text(identity)
        flight.created = True
        self._running.append(flight)

    def _make_room(self, flight: Flight) -> None:
        if len(self) >= MOST_FLIGHTS:
            self.degraded = TOO_MANY
            oldest = (self._running or self._waiting)[0]
            # What upstream never took up is nobody's turn, or whoever asks without end fills the books.
            oldest.silent = oldest.silent or not oldest.created
            self.end(oldest, "unsettled", flight.turn.started)

    def by_id(self, identity: object) -> Flight | None:
        """The running turn of this response."""
        key = key_of(identity)
        if key is not None:
            for flight in self._running:
                if flight.key == key:
                    return flight
        return None

    def has_ended(self, identity: object) -> bool:
        """Whether this response has been booked already."""
        return key_of(identity) in self._ended

    def context(self, identity: object) -> int:
        """Tokens of the context that a response on this call left behind; 0: not known."""
        return self._ended.get(key_of(identity) or "", 0)

    def first_running(self, lane: str | None) -> Flight | None:
        """The oldest turn that runs in a lane; with no lane named, of a server that names none, the oldest of all."""
        return _first(self._running, lane)

    def first_waiting(self, lane: str | None) -> Flight | None:
        """The same of those that were asked for and not created."""
        return _first(self._waiting, lane)

    def ending(self, identity: object, lane: str | None) -> Flight | None:
        """
        The turn whose response ends: by its id, else the next in its lane.

        Copilot gives a response another id in each event, OpenAI's begin with ``resp`` and stay.
        """
        found = self.by_id(identity)
        if found is None:
            found, key = self.first_running(lane), key_of(identity)
            if found is not None and (found.key or "").startswith("resp") and (key or "").startswith("resp"):
                found = None
        return found or self.first_waiting(lane)

    def only(self) -> Flight | None:
        """The one turn in flight, where there is one and no other."""
        if len(self._running) == 1 and not self._waiting:
            return self._running[0]
        return self._waiting[0] if len(self._waiting) == 1 and not self._running else None

    def by_event(self, event_id: str) -> Flight | None:
        """The turn in flight that this client event asked for."""
        for flight in (*self._waiting, *self._running):
            if flight.event_id == event_id:
                return flight
        return None

    def end(
        self, flight: Flight, status: Status, at: float, read: Counted | None = None, identity: object = None
    ) -> None:
        """
        A turn has ended.

        :param read: the usage that upstream reported, if it did.
        :param identity: the response's id as it ended.
        """
        for flights in (self._waiting, self._running):
            if flight in flights:
                flights.remove(flight)
        turn = flight.turn
        turn.status, turn.ended = status, at
        if status == "failed" and not flight.created and turn.first_token is None:
            turn.note = REFUSED if flight.refused else FAILED
        if not flight.refused:
            settle(turn, read)
        usage = turn.usage
        if usage is not None:
            usage.web_searches = flight.searches
            for key in {flight.key, key_of(identity)} - {None}:
                self._ended[str(key)] = usage.input_tokens + usage.output_tokens
            while len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)
        if not flight.silent:
            self._tell(turn)

    def fail(self, flight: Flight, error: dict[str, Any], at: float) -> None:
        """An error, as upstream's message has it, has ended a turn."""
        flight.turn.stop_reason = error_code(error)
        flight.refused = not flight.created and refuses(error)
        self.end(flight, "failed", at)

    def end_all(self, status: Status, at: float) -> None:
        """The call has ended."""
        for flight in (*self._running, *self._waiting):
            self.end(flight, status, at)


def _first(flights: list[Flight], lane: str | None) -> Flight | None:
    for flight in flights:
        if flight.turn.lane == lane:
            return flight
    return flights[0] if lane is None and flights else None
