"""
Turns as they end, as server-sent events (HTML, 9.2), for many at a time.

Who names the last event that it saw gets what came after it first: from the store, then from the feed, then live.
Nothing is kept for who doesn't read: it is behind, and takes the same way again when it reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from agentproxy.admin.answer import Answer, Stream, refusal
from agentproxy.admin.parameters import read_key
from agentproxy.admin.reading import Reader, Store
from agentproxy.observe.feed import Feed, before
from agentproxy.records.queries import turn_json
from agentproxy.records.values import TurnRecord

MOST_FOLLOWERS = 100
MOST_UNSENT = 1 << 20
"""Bytes of events that may pass by who doesn't read: then it is dropped, and may come back."""
STALLED_SECONDS = 60
"""Who reads nothing for so long is dropped too."""
HEARTBEAT_SECONDS = 15
RETRY_MILLISECONDS = 2000
PAGE = 100
"""Events that are read, or made of the feed, at a time."""

_BEGIN = f"retry: {RETRY_MILLISECONDS}\n\n".encode("ascii")
_HEARTBEAT = b": still here\n\n"

Event = tuple[str, bytes]
"""A turn's key, and the event that it is."""


def turn_event(key: str, turn: Mapping[str, object]) -> Event:
    """The event of a turn."""
    return key, f"id: {key}\nevent: turn\ndata: {json.dumps(turn, separators=(',', ':'))}\n\n".encode("ascii")


def gap_event(key: str) -> bytes:
    """Says that turns after this key, and before the next event, may be missing."""
    return f'event: gap\ndata: {{"after":"{key}"}}\n\n'.encode("ascii")


class Events:
    """
    Lets clients follow the feed.

    :param reader: ``None``: what the feed has forgotten can't be had.
    """

    def __init__(self, clock: IReactorTime, feed: Feed, reader: Reader | None) -> None:
        self.clock = clock
        self.feed = feed
        self.reader = reader
        self._followers: list[Follower] = []
        self._unsubscribe: Callable[[], None] = lambda: None
        self._closed = False
        self._beat = LoopingCall(self._heartbeat)
        self._beat.clock = clock

    def answer(self, headers: Headers, values: Mapping[str, Any]) -> Answer | Stream:
        """The stream, from the event on that ``Last-Event-ID`` or ``last_event_id`` names."""
        shown = headers.getRawHeaders(b"last-event-id") or []
        last: str | None = values.get("last_event_id")
        # An empty one is what a client has seen that has seen none.
        if shown != [b""] and shown:
            try:
                last = read_key(shown[0].decode("latin-1") if len(shown) == 1 else "")
            except ValueError as error:
                return refusal(400, "bad_request", f"Last-Event-ID: {error}, once")
        if self._closed:
            return refusal(503, "records_unavailable", "the service is stopping")
        if len(self._followers) >= MOST_FOLLOWERS:
            return refusal(503, "records_busy", "too many follow the turns already; try again", ("Retry-After", "5"))
        return Stream(lambda request: self._follow(request, last))

    def close(self) -> None:
        """End all streams; there are no new ones."""
        self._closed = True
        for follower in list(self._followers):
            follower.end()

    def _follow(self, request: Any, last: str | None) -> None:
        follower = Follower(self, request)
        if not self._followers:
            self._unsubscribe = self.feed.subscribe(self._publish)
            self._beat.start(HEARTBEAT_SECONDS, now=False)
        self._followers.append(follower)
        request.notifyFinish().addBoth(lambda _: self._gone(follower))
        request.registerProducer(follower, True)
        follower.begin(last)

    def _gone(self, follower: Follower) -> None:
        follower.gone()
        self._followers.remove(follower)
        if not self._followers:
            self._unsubscribe()
            self._beat.stop()

    def _publish(self, record: TurnRecord) -> None:
        event = turn_event(record.key, turn_json(record))
        for follower in list(self._followers):
            follower.live(event)

    def _heartbeat(self) -> None:
        for follower in list(self._followers):
            follower.heartbeat()


@implementer(IPushProducer)
class Follower:
    """
    One who follows: ``live``, or ``behind`` and catching up, until it is ``gone``.

    :param request: of `twisted.web`, its head set.
    """

    _log = Logger()

    def __init__(self, events: Events, request: Any) -> None:
        self._events = events
        self._feed = events.feed
        self._request = request
        self._state = "live"
        self._last = ""
        self._missed = 0
        self._paused_at: float | None = None
        self._asked: Deferred[list[Event]] | None = None
        self._soon: Any = None

    def begin(self, last: str | None) -> None:
        """The first bytes, and what came after the last event that was seen."""
        self._request.write(_BEGIN)
        if last is not None:
            self._behind(last)
            self._catch_up()

    def live(self, event: Event) -> None:
        """A turn has ended."""
        key, data = event
        if self._state == "live":
            if self._paused_at is None:
                self._request.write(data)
                return
            self._behind(before(key))
        if self._paused_at is not None:
            self._missed += len(data)
            if self._missed > MOST_UNSENT:
                self._drop()

    def heartbeat(self) -> None:
        """Some time has passed: say that we are here, or find that the other isn't."""
        if self._state == "gone":
            return
        if self._paused_at is None:
            self._request.write(_HEARTBEAT)
        elif self._events.clock.seconds() - self._paused_at >= STALLED_SECONDS:
            self._drop()

    def end(self) -> None:
        """No more events."""
        if self._paused_at is not None:
            self._drop()
        elif self._state != "gone":
            self._request.unregisterProducer()
            self._request.finish()

    def gone(self) -> None:
        """The connection is: nothing is written any more."""
        self._state = "gone"
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    def pauseProducing(self) -> None:
        """Too much waits to be sent."""
        self._paused_at = self._events.clock.seconds()

    def resumeProducing(self) -> None:
        """All was sent."""
        self._paused_at = None
        self._missed = 0
        if self._state == "behind" and self._asked is None and self._soon is None:
            self._catch_up()

    def stopProducing(self) -> None:
        """The connection is ending; `gone` comes when it has."""

    def _behind(self, last: str) -> None:
        self._state = "behind"
        self._last = last

    def _drop(self) -> None:
        if self._state != "gone":
            self.gone()
            self._request.channel.transport.abortConnection()

    def _catch_up(self) -> None:
        """Go on behind `_last`, as far as there is room."""
        self._soon = None
        if self._paused_at is not None:
            return
        recent = self._feed.recent_after(self._last)
        if recent is None:
            self._ask()
        else:
            self._send_recent(recent)

    def _send_recent(self, recent: list[TurnRecord]) -> None:
        page = recent[:PAGE]
        if len(page) == len(recent):
            # Before it is written, which may pause us: then what comes next is missed from there on.
            self._state = "live"
        self._send([turn_event(record.key, turn_json(record)) for record in page])
        if self._state == "behind" and self._paused_at is None:
            self._soon = self._events.clock.callLater(0, self._catch_up)

    def _send(self, events: list[Event]) -> None:
        if events:
            self._last = events[-1][0]
            self._request.write(b"".join([data for _, data in events]))

    def _ask(self) -> None:
        """The feed may have forgotten some of it: ask the store."""
        floor = self._feed.floor
        if self._events.reader is None:
            self._miss()
            return
        self._asked = asked = self._events.reader.ask(partial(_stored, self._last, floor), patient=True)
        asked.addCallbacks(partial(self._stored, floor), self._failed)
        asked.addErrback(lambda failure: self._log.failure("a follower of the turns failed", failure=failure))

    def _stored(self, floor: str | None, events: list[Event]) -> None:
        self._asked = None
        self._send(events)
        if len(events) < PAGE and self._forgot_nothing_since(floor):
            if self._feed.full and floor is not None and self._last < floor:
                # The turn at the floor itself was forgotten and is not stored: it is not written yet, or lost.
                self._miss()
                return
            # All that was written is sent; what is not written yet is in the feed.
            self._send_recent(self._feed.latest(self._last))
        elif self._paused_at is None:
            self._catch_up()

    def _forgot_nothing_since(self, floor: str | None) -> bool:
        return floor == self._feed.floor or (floor is None and not self._feed.full)

    def _failed(self, failure: Failure) -> None:
        self._asked = None
        if not failure.check(CancelledError):
            self._miss()

    def _miss(self) -> None:
        """What the feed has forgotten can't be had."""
        self._request.write(gap_event(self._last))
        self._last = max(self._last, self._feed.floor or "")
        self._send_recent(self._feed.latest(self._last))


def _stored(last: str, floor: str | None, store: Store) -> list[Event]:
    """A page of what is stored behind the last and up to the floor of the feed. On the reading thread."""
    return [turn_event(str(row["id"]), row) for row in store.turns_after(last, floor, PAGE)]
