"""The records below ``/api/``: from a request to a query, and from what that finds to JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from agentproxy.admin.answer import Answer, Asked, Stream, refusal, to_json
from agentproxy.admin.events import Events
from agentproxy.admin.openapi import description
from agentproxy.admin.parameters import BadParameter, read_key, read_query
from agentproxy.admin.reading import Busy, Missing, Reader, Records, Row, Store, Unavailable
from agentproxy.admin.routes import (
    CALLS,
    EVENTS,
    ONE_CALL,
    ONE_SESSION,
    OPENAPI,
    ROUTES,
    SESSIONS,
    TURNS,
    USAGE,
    Route,
    find,
)
from agentproxy.records.errors import AmbiguousSession, BadCursor
from agentproxy.records.queries import Filter, Page

_OFF = "nothing is recorded here; set record.content to metadata or full in the configuration, and start again"

Values = Mapping[str, Any]
"""A request's parameters by name."""


class Api:
    """
    Answers what is asked below ``/api/``.

    :ivar paths: the paths that there are, with names in braces.
    """

    def __init__(self, clock: IReactorTime, records: Records) -> None:
        self.paths = [route.path for route in ROUTES]
        self._records = records
        self._reader = None if records.open is None else Reader(records.open, records.run)
        self._events = Events(clock, records.feed, self._reader)
        self._description = to_json(description())

    def close(self) -> None:
        """End the streams; there are no new ones."""
        self._events.close()

    def answer(self, asked: Asked) -> Answer | Stream | Deferred[Answer]:
        """What is answered, now, later or for as long as it is looked at."""
        found = find(asked.path)
        if found is None:
            return refusal(404, "not_found", "there is no such page here", paths=self.paths)
        route, name = found
        try:
            values = read_query(asked.query, route.parameters, self._records.wall())
        except BadParameter as error:
            return _bad(str(error))
        if route is OPENAPI:
            return Answer(200, self._description)
        if route is EVENTS:
            return self._events.answer(asked.headers, values)
        if self._reader is None:
            return refusal(404, "records_off", _OFF)
        return self._look(self._reader, route, name, values)

    def _look(self, reader: Reader, route: Route, name: str, values: Values) -> Answer | Deferred[Answer]:
        try:
            looking = reader.ask(partial(QUERIES[route], name, values))
        except Busy:
            why = "too many queries of the records wait already; try again"
            return refusal(503, "records_busy", why, ("Retry-After", "1"))
        return looking.addCallbacks(partial(Answer, 200), _refused)


def _refused(failure: Failure) -> Answer:
    error = failure.trap(BadCursor, AmbiguousSession, Missing, Unavailable)
    if error is BadCursor:
        return _bad("after: want `next` of a page of this same request")
    if error is AmbiguousSession:
        return _bad("session: more than one session begins so; write more of its id")
    if error is Missing:
        return refusal(404, "not_found", str(failure.value))
    return refusal(503, "records_unavailable", str(failure.value))


def _bad(message: str) -> Answer:
    return refusal(400, "bad_request", message)


def _filter(values: Values, **more: str) -> Filter:
    named = {name: values[name] for name in ("session", "agent", "provider", "model", "status") if name in values}
    return Filter(since_us=values.get("since"), until_us=values.get("until"), **(named | more))


def _bounds(values: Values) -> dict[str, Any]:
    return {"limit": values.get("limit", 100), "after": values.get("after")}


# From here on what runs on the reading thread, to bytes: the reactor has better to do than to write JSON.


def _sessions(_: str, values: Values, store: Store) -> bytes:
    return _page("sessions", store.sessions(_filter(values), **_bounds(values)))


def _session(name: str, values: Values, store: Store) -> bytes:
    session = store.session(name)
    if session is None:
        raise Missing("there is no such session")
    turns = store.turns(_filter({}, session=session["session"]), **_bounds(values))
    return _page("turns", turns, session=session)


def _turns(_: str, values: Values, store: Store) -> bytes:
    return _page("turns", store.turns(_filter(values), **_bounds(values)))


def _calls(_: str, values: Values, store: Store) -> bytes:
    return _page("calls", store.calls(_filter(values), **_bounds(values)))


def _call(name: str, _: Values, store: Store) -> bytes:
    try:
        call = store.call(read_key(name))
    except ValueError:
        call = None
    if call is None:
        raise Missing("there is no such call")
    return to_json(call)


def _usage(_: str, values: Values, store: Store) -> bytes:
    by = values.get("by", "day")
    return _page("usage", store.usage(by, _filter(values), **_bounds(values)), by=by)


QUERIES: Mapping[Route, Callable[[str, Values, Store], bytes]] = {
    SESSIONS: _sessions,
    ONE_SESSION: _session,
    TURNS: _turns,
    CALLS: _calls,
    ONE_CALL: _call,
    USAGE: _usage,
}


def _page(name: str, page: Page, **before: object) -> bytes:
    """``{..., name: rows, "next": cursor}``, row for row, so that the reactor's thread has its turn in between."""
    begin = "".join(f"{_json(key)}:{_json(value)}," for key, value in before.items())
    rows: list[Row] = page.rows
    body = ",".join([_json(row) for row in rows])
    return f"{{{begin}{_json(name)}:[{body}],{_json('next')}:{_json(page.next)}}}\n".encode()


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
