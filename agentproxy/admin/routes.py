"""The paths below ``/api/``: one table, which finds what is asked for and describes it. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from agentproxy.admin.parameters import (
    AFTER,
    AGENT,
    BY,
    CALL_STATUS,
    LAST_EVENT_ID,
    LIMIT,
    MODEL,
    PROVIDER,
    SESSION,
    SINCE,
    STATUS,
    UNTIL,
    Parameter,
)

_PAGED = (LIMIT, AFTER)
_CHOSEN = (SINCE, UNTIL, SESSION, AGENT, PROVIDER, MODEL)
_TURNS_CHOSEN = (*_CHOSEN, STATUS)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """
    A path and what is to be had there.

    :ivar path: may end in a name in braces, which stands for any segment.
    :ivar schema: the name of what is answered, in `schemas`.
    :ivar named: what the name in braces is.
    """

    name: str
    path: str
    summary: str
    schema: str
    parameters: tuple[Parameter, ...] = ()
    named: str = ""


SESSIONS = Route(
    "sessions",
    "/api/sessions",
    "Sessions, the latest seen first.",
    "Sessions",
    (*_TURNS_CHOSEN, *_PAGED),
)
ONE_SESSION = Route(
    "session",
    "/api/sessions/{session}",
    "A session and its turns, the latest first.",
    "SessionTurns",
    _PAGED,
    "The session's id, or at least 6 characters that only it begins with.",
)
TURNS = Route(
    "turns",
    "/api/turns",
    "Turns, the latest first.",
    "Turns",
    (*_TURNS_CHOSEN, *_PAGED),
)
CALLS = Route(
    "calls",
    "/api/calls",
    "Calls, the latest first.",
    "Calls",
    (*_CHOSEN, CALL_STATUS, *_PAGED),
)
ONE_CALL = Route("call", "/api/calls/{call}", "A call.", "Call", (), "The call's id.")
USAGE = Route(
    "usage",
    "/api/usage",
    "What was used and what it cost.",
    "Usages",
    (BY, *_TURNS_CHOSEN, *_PAGED),
)
EVENTS = Route("events", "/api/events", "Turns as they end, as server-sent events.", "TurnEvent", (LAST_EVENT_ID,))
OPENAPI = Route("openapi", "/api/openapi.json", "This description.", "OpenApi")

ROUTES = (SESSIONS, ONE_SESSION, TURNS, CALLS, ONE_CALL, USAGE, EVENTS, OPENAPI)


def find(path: bytes, routes: Sequence[Route] = ROUTES) -> tuple[Route, str] | None:
    """
    The route of a path, with the segment that its name in braces stands for, decoded; else that is empty.

    :returns: ``None`` where there is none, or the segment is no UTF-8.
    """
    for route in routes:
        begin, brace, _ = route.path.partition("{")
        start = begin.encode("ascii")
        if not brace:
            if path == start:
                return route, ""
        elif path.startswith(start) and len(path) > len(start) and b"/" not in path[len(start) :]:
            try:
                return route, unquote_to_bytes(path[len(start) :]).decode()
            except UnicodeDecodeError:
                return None
    return None
