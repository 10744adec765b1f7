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

from agentproxy.upstream.connection import Connection
from agentproxy.upstream.outbound import Outbound
from agentproxy.upstream.pool import Pool
from agentproxy.upstream.response import Response

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
        headers: Headers | Outbound | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        :param headers: an `Outbound`, whose method and target are what is sent; plain headers are made one.
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


class ProviderClient(HTTPClient):  # type: ignore[misc]
    """
    A provider's HTTP client: treq's, over a `PoolAgent`, and without what a relay must not do.

    treq parses the URL and encodes it anew, rewrites ``Accept-Encoding``, decodes bodies and keeps cookies. Here the
    target and the fields are sent as they are, and the response is the agent's own.
    """

    def request(
        self, method: bytes, url: bytes, *, headers: Outbound, data: IBodyProducer | None
    ) -> Deferred[Response]:
        """
        Send a request.

        The Deferred fires at the final response's head, and fails with a `ProxyError`. Cancelling it gives the
        request up.
        """
        sending: Deferred[Response] = self._agent.request(method, url, headers, data)
        return sending

    def send(self, outbound: Outbound, body: IBodyProducer | None) -> Deferred[Response]:
        """As `request`, with what the head says."""
        return self.request(outbound.method, outbound.target, headers=outbound, data=body)
