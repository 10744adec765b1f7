"""
The admin port's web site: a few pages and the records, one request a connection, nothing read but the head.

Not made to be fast: made so that no client can hold it, or read more of it than it may.
"""

# twisted.web's server has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from agentproxy.admin.answer import Answer, to_json
from agentproxy.admin.api import Api
from agentproxy.admin.guard import Guard
from agentproxy.admin.health import Status
from agentproxy.admin.pages import Page, Pages
from agentproxy.admin.reading import Records
from agentproxy.call import Secret
from agentproxy.observe.metrics import Metrics

IDLE_SECONDS = 15
LONGEST_SECONDS = 60
"""A connection is dropped by then, whatever it is doing."""
HEAD_BYTES = 16384
HEAD_FIELDS = 100

LAST_SECONDS = 5
"""What a stream that was ended has left for its last bytes."""


def admin_site(
    reactor: IReactorTime,
    status: Status,
    metrics: Metrics,
    *,
    token: Callable[[], Secret | None] | None,
    hosts: tuple[str, ...] = (),
    records: Records,
) -> AdminSite:
    """
    The site to listen with on the admin port.

    :param token: gives the token to ask for, or ``None`` while it can't be had (then everything that asks for it is
        refused); ``None`` in its place: none is asked for.
    :param hosts: names that the port may be called by, besides ``localhost`` and IP addresses.
    :param records: what is shown below ``/api/``.
    """
    api = Api(reactor, records)
    pages: dict[bytes, Page] = {
        b"/health": lambda _: Answer(200, status.health_body()),
        b"/ready": lambda _: Answer(200 if status.ready else 503, status.ready_body()),
        b"/metrics": lambda _: Answer(200, *metrics.render()),
        b"/reflect": lambda _: Answer(200, status.reflect_body()),
    }
    shown = sorted([path.decode("ascii") for path in pages] + api.paths)
    index = to_json({"service": "agentproxy", "version": status.version, "endpoints": shown})
    pages[b"/"] = lambda _: Answer(200, index)
    resource = Pages(pages, Guard(token, hosts), trees={b"/api/": api.answer}, shown=["/", *shown])
    return AdminSite(resource, api.close, reactor)


class AdminRequest(Request):
    """A request to the one resource of the site, whatever its target; the answer doesn't name the server."""

    def process(self) -> None:
        """Answer it."""
        site: AdminSite = self.channel.factory
        self.render(site.resource)


class AdminChannel(HTTPChannel):
    """A connection that takes one request without a body, and ends within `LONGEST_SECONDS` unless it is held."""

    maxHeaders = HEAD_FIELDS
    totalHeadersSize = HEAD_BYTES
    _deadline: IDelayedCall | None = None
    _held = False

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

    def hold(self) -> None:
        """The answer has no end of its own: its time is its page's business."""
        self._held = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def requestDone(self, request: Any) -> None:
        """The answer is written. What was held has its last bytes to send, and a peer that may not take them."""
        if self._held:
            self._deadline = self.callLater(LAST_SECONDS, self._overdue)
        super().requestDone(request)

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
    """
    A site without an access log, or the clock that would date it.

    :ivar close: ends the streams, and refuses new ones.
    """

    # Twisted's own choice here wraps a channel to speak HTTP/2 too, over TLS.
    protocol: Any = AdminChannel
    noisy = False

    def __init__(self, resource: Resource, close: Callable[[], None], reactor: IReactorTime) -> None:
        super().__init__(resource, AdminRequest, reactor=reactor, timeout=IDLE_SECONDS)
        self.close = close

    def startFactory(self) -> None:
        """Nothing to open."""

    def stopFactory(self) -> None:
        """Nothing to close."""

    def log(self, request: Any) -> None:
        """No line: whoever watches asks every few seconds."""
