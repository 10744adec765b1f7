"""A record store over lists, records to put in it, and threads that are none."""

import dataclasses

from twisted.internet.defer import Deferred, execute

from agentproxy.records.errors import AmbiguousSession, BadCursor
from agentproxy.records.queries import Page, turn_json
from agentproxy.records.values import CallRecord, TurnRecord

START_US = 1_795_000_000_000_000


def key(number):
    return f"{number:016x}"


def a_turn(number, **changes):
    values = {field.name: None for field in dataclasses.fields(TurnRecord)} | {
        "key": key(number),
        "call_key": key(number),
        "request_id": f"req-{number}",
        "provider": "openai",
        "protocol": "http",
        "operation": "responses",
        "started_us": START_US + number * 1_000_000,
        "duration_us": 2_500_000,
        "first_token_us": 250_000,
        "request_model": "gpt-5",
        "input_tokens": 100,
        "output_tokens": 10,
        "cache_read_tokens": 40,
        "cost_micro_usd": 1234,
        "source": "reported",
        "status": "completed",
        "session": "session-1",
        "session_source": "stated",
        "agent": "codex",
        "tools": ["shell"],
    }
    return TurnRecord(**(values | changes))


def a_call(number, **changes):
    values = {field.name: None for field in dataclasses.fields(CallRecord)} | {
        "key": key(number),
        "request_id": f"req-{number}",
        "provider": "openai",
        "protocol": "http",
        "method": "POST",
        "path": "/v1/responses",
        "started_us": START_US + number * 1_000_000,
        "duration_us": 3_000_000,
        "status": 200,
        "bytes_in": 10,
        "bytes_out": 20,
        "session": "session-1",
    }
    return CallRecord(**(values | changes))


class FakeStore:
    """
    Turns in the order of their keys. Sessions, calls and usage are as few as need be.

    :ivar asked: what was asked, by name, with its filter and bounds.
    """

    def __init__(self):
        self.turn_rows = []
        self.asked = []
        self.closed = 0
        self.fails = None

    def open(self):
        if self.fails is not None:
            raise self.fails
        return self

    def add(self, *records):
        self.turn_rows += [turn_json(record) for record in records]

    def _page(self, name, rows, filter, limit, after):
        self.asked.append((name, filter, limit, after))
        if after is not None and not after.isdigit():
            raise BadCursor("no cursor")
        start = int(after or 0)
        more = len(rows) > start + limit
        return Page(rows[start : start + limit], str(start + limit) if more else None)

    def sessions(self, filter, *, limit=100, after=None):
        return self._page("sessions", [{"session": "session-1"}], filter, limit, after)

    def session(self, session):
        if session == "sessi":
            raise AmbiguousSession("there are two")
        return {"session": "session/1"} if session.startswith("session") else None

    def turns(self, filter, *, limit=100, after=None, newest_first=True):
        assert newest_first
        return self._page("turns", self.turn_rows[::-1], filter, limit, after)

    def turns_after(self, key, until, limit):
        self.asked.append(("turns_after", key, until, limit))
        return [row for row in self.turn_rows if key < row["id"] and (until is None or row["id"] <= until)][:limit]

    def usage(self, by, filter, *, limit=1000, after=None):
        return self._page(f"usage by {by}", [{by: "x"}], filter, limit, after)

    def calls(self, filter, *, limit=100, after=None):
        return self._page("calls", [{"id": key(1)}], filter, limit, after)

    def call(self, key):
        return {"id": key} if int(key, 16) == 1 else None

    def close(self):
        self.closed += 1


def at_once(job):
    """A thread that is none."""
    return execute(job)


class Held:
    """A thread that does nothing before it is told to."""

    def __init__(self):
        self.jobs = []

    def __call__(self, job):
        waiting = Deferred()
        self.jobs.append((job, waiting))
        return waiting

    def go(self):
        """The job that waits longest is done."""
        job, waiting = self.jobs.pop(0)
        execute(job).chainDeferred(waiting)
