"""The `IAgent` under treq: a provider's requests over its pool of connections."""

from __future__ import annotations

from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from agentproxy.config import Upstream
from agentproxy.upstream.connection import Connection
from agentproxy.upstream.outbound import FixedURL, NoCookies, Outbound
from agentproxy.upstream.pool import Pool
from agentproxy.upstream.response import Response
from agentproxy.wire.connect import authority

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
"""RFC 9110, 9.2.1."""


@implementer(IAgent)
class PoolAgent:
    """
    Sends requests over pooled connections.

    A request that meets a pooled connection which has died is sent again, once and over a new one, where nothing of
    it had been written, or where its method is safe, it has no body, and no byte of an answer had come.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        :param headers: an `Outbound`, whose target is what is sent; plain headers are made one.
        :param bodyProducer: one with a ``whole`` of bytes is sent at once with the head.
        """
        outbound = headers if isinstance(headers, Outbound) else _outbound(method, uri, headers)
        connection = self._pool.idle()
        if connection is None:
            return self._over_fresh(outbound, bodyProducer)
        sending: Deferred[Any] = connection.request(outbound, bodyProducer)
        if bodyProducer is None and outbound.method in SAFE_METHODS:
            sending.addErrback(self._again, connection, outbound)
        return sending

    def _over_fresh(self, outbound: Outbound, body: IBodyProducer | None) -> Deferred[Any]:
        def send(connection: Connection) -> Deferred[Response]:
            return connection.request(outbound, body)

        return self._pool.fresh().addCallback(send)

    def _again(self, failure: Failure, connection: Connection, outbound: Outbound) -> Any:
        if connection.answered or not connection.died:
            return failure
        return self._over_fresh(outbound, None)


def _outbound(method: bytes, uri: bytes, headers: Headers | None) -> Outbound:
    """What a caller other than relay asks for."""
    fields = [(name, value) for name, values in (headers or Headers()).getAllRawHeaders() for value in values]
    return Outbound(method, URI.fromBytes(uri).originForm, fields, lambda _: None)


class ProviderClient:
    """
    A provider's HTTP client: treq over a `PoolAgent`.

    :param reactor: for treq, which would import the global one.
    """

    def __init__(self, reactor: Any, upstream: Upstream, agent: IAgent) -> None:
        self._reactor = reactor
        self._url = FixedURL.of(f"{upstream.scheme}://{authority(upstream.host, upstream.port)}/")
        self._cookies = NoCookies()
        self._treq = HTTPClient(agent, NoCookies())

    def send(self, outbound: Outbound, body: IBodyProducer | None) -> Deferred[Response]:
        """
        Send a request.

        The Deferred fires at the final response's head, and fails with a `ProxyError`. Cancelling it gives the
        request up.
        """
        sending: Deferred[Any] = self._treq.request(
            "GET",  # The true method is the Outbound's: treq would change its case.
            self._url,
            headers=outbound,
            data=body,
            cookies=self._cookies,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        return sending.addCallback(_original)


def _original(response: Any) -> Response:
    original: Response = response.original
    return original
