"""
The admin port's web site: a few small pages, one request a connection, nothing read but the head.

Not made to be fast: made so that no client can hold it, or read more of it than it may.
"""

# twisted.web's server has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from agentproxy.admin.answer import Answer, refusal, to_json
from agentproxy.admin.guard import Guard
from agentproxy.admin.health import Status
from agentproxy.call import Secret
from agentproxy.observe.metrics import Metrics

IDLE_SECONDS = 15
LONGEST_SECONDS = 60
"""A connection is dropped by then, whatever it is doing."""
HEAD_BYTES = 16384
HEAD_FIELDS = 100

OPEN = frozenset((b"/health", b"/ready"))
"""Paths that ask for no token: what watches the process need not know it."""

Page = Callable[[], Answer]


def admin_site(
    reactor: IReactorTime,
    status: Status,
    metrics: Metrics,
    *,
    token: Callable[[], Secret | None] | None,
    hosts: tuple[str, ...] = (),
) -> Site:
    """
    The site to listen with on the admin port.

    :param token: gives the token to ask for, or ``None`` while it can't be had (then everything that asks for it is
        refused); ``None`` in its place: none is asked for.
    :param hosts: names that the port may be called by, besides ``localhost`` and IP addresses.
    """
    pages: dict[bytes, Page] = {
        b"/health": lambda: Answer(200, status.health_body()),
        b"/ready": lambda: Answer(200 if status.ready else 503, status.ready_body()),
        b"/metrics": lambda: Answer(200, *metrics.render()),
        b"/reflect": lambda: Answer(200, status.reflect_body()),
    }
    pages[b"/"] = partial(_index, status.version, tuple(pages))
    return AdminSite(Pages(pages, Guard(token, hosts)), AdminRequest, reactor=reactor, timeout=IDLE_SECONDS)


def _index(version: str, paths: tuple[bytes, ...]) -> Answer:
    return Answer(200, to_json({"service": "agentproxy", "version": version, "endpoints": _texts(paths)}))


class Pages(Resource):
    """Answers a request by its exact path."""

    isLeaf = True
    _log = Logger()

    def __init__(self, pages: Mapping[bytes, Page], guard: Guard) -> None:
        super().__init__()
        self._pages = pages
        self._guard = guard

    def render(self, request: Request) -> bytes:
        """The body; everything else is set on the request."""
        try:
            answer = self._answer(request)
        except Exception:
            self._log.failure("an admin page failed")
            answer = refusal(500, "internal_error", "this page failed; the log says why")
        request.setResponseCode(answer.status)
        for name, value in answer.headers:
            request.setHeader(name, value)
        request.setHeader("Content-Type", answer.content_type)
        request.setHeader("Content-Length", str(len(answer.body)))
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("X-Content-Type-Options", "nosniff")
        return b"" if request.method == b"HEAD" else answer.body

    def _answer(self, request: Request) -> Answer:
        path: bytes = request.path
        refused = self._guard.refusal(request.requestHeaders, secure=bool(request.isSecure()), open=path in OPEN)
        if refused is not None:
            return refused
        page = self._pages.get(path)
        if page is None:
            return refusal(404, "not_found", "there is no such page here", paths=_texts(self._pages))
        if request.method not in (b"GET", b"HEAD"):
            return refusal(405, "method_not_allowed", "use GET or HEAD", ("Allow", "GET, HEAD"))
        return page()


class AdminRequest(Request):
    """A request to the one resource of the site, whatever its target; the answer doesn't name the server."""

    def process(self) -> None:
        """Answer it."""
        site: AdminSite = self.channel.factory
        self.render(site.resource)


class AdminChannel(HTTPChannel):
    """A connection that takes one request without a body, and ends within `LONGEST_SECONDS`."""

    maxHeaders = HEAD_FIELDS
    totalHeadersSize = HEAD_BYTES
    _deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """The connection is there: its time runs. A timeout by silence alone would let a slow drip hold it."""
        super().connectionMade()
        self._deadline = self.callLater(LONGEST_SECONDS, self._overdue)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()
        super().connectionLost(reason)

    def allHeadersReceived(self) -> None:
        """The head is whole. No page takes a body: what follows is not waited for, nor asked for by a 100."""
        self.length = 0
        self._transferDecoder = None
        self.requests[-1].requestHeaders.removeHeader(b"expect")
        super().allHeadersReceived()

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Never: bytes behind the request are then nobody's next one."""
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def _overdue(self) -> None:
        self._deadline = None
        transport: Any = self.transport
        transport.abortConnection()


class AdminSite(Site):
    """A site without an access log, or the clock that would date it."""

    # Twisted's own choice here wraps a channel to speak HTTP/2 too, over TLS.
    protocol: Any = AdminChannel
    noisy = False

    def startFactory(self) -> None:
        """Nothing to open."""

    def stopFactory(self) -> None:
        """Nothing to close."""

    def log(self, request: Any) -> None:
        """No line: whoever watches asks every few seconds."""


def _texts(paths: Mapping[bytes, Page] | tuple[bytes, ...]) -> list[str]:
    return sorted(path.decode("ascii") for path in paths)
