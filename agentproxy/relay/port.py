"""What a provider port works with, and how a client's head becomes the one that goes upstream."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from agentproxy.config import Limits, Provider, Timeouts
from agentproxy.observe.ledger import Ledger
from agentproxy.observe.observer import Observer
from agentproxy.policy.credentials import Credentials
from agentproxy.policy.gate import Gate
from agentproxy.providers import CREDENTIAL_HEADERS
from agentproxy.providers.kind import without
from agentproxy.timers import Waits
from agentproxy.upstream.agent import ProviderClient
from agentproxy.upstream.outbound import Outbound
from agentproxy.upstream.websocket import WebSocketOpener
from agentproxy.wire.head import RequestHead, ResponseHead
from agentproxy.wire.rules import request_fields
from agentproxy.wire.target import with_base, without_parameters

_RUN = os.urandom(10).hex()
_COUNT = count(int.from_bytes(os.urandom(4), "big"))
"""What ids of our own are made of: the first is this process's, the second a call's. No two are alike."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True)
class PortWaits:
    """
    The timers that most calls of a port begin and end again.

    :ivar keep_alive: of idle client connections.
    :ivar idle_http: of HTTP calls on which nothing moves; ``idle_websocket``: of such WebSockets.
    """

    keep_alive: Waits
    idle_http: Waits
    idle_websocket: Waits

    @classmethod
    def of(cls, clock: Any, timeouts: Timeouts) -> PortWaits:
        """Those of the configuration."""
        return cls(
            Waits(clock, timeouts.keep_alive), Waits(clock, timeouts.idle_http), Waits(clock, timeouts.idle_websocket)
        )


@dataclass(frozen=True, slots=True)
class Port:
    """
    One provider's port: its configuration and its ways to the other rooms.

    :ivar clock: the reactor, for time and threads.
    :ivar own_credentials: those of the configured headers that carry a credential.
    :ivar local: answers that the port gives by itself, as JSON, by exact target of a GET.
    """

    provider: Provider
    limits: Limits
    timeouts: Timeouts
    waits: PortWaits
    gate: Gate
    credentials: Credentials
    client: ProviderClient
    opener: WebSocketOpener
    observer: Observer
    ledger: Ledger
    clock: Any
    local: Mapping[bytes, Callable[[], bytes]]
    own_credentials: tuple[tuple[bytes, bytes], ...] = ()

    def request_id(self, head: RequestHead) -> str:
        """The client's own ``x-request-id`` where it is a sane one, else a new one."""
        value = head.first(b"x-request-id")
        if value is not None and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
        return self.new_request_id()

    def new_request_id(self) -> str:
        """A request id of our own."""
        return f"{_RUN}{next(_COUNT):012x}"

    def outbound(
        self,
        head: RequestHead,
        request_id: str,
        secrets: Mapping[str, str],
        interim: Callable[[ResponseHead], object],
    ) -> Outbound:
        """
        The head that goes upstream: stripped of what is the connection's or may be a credential, the configured
        headers and the true credential put in last.
        """
        provider = self.provider
        fields = request_fields(head, CREDENTIAL_HEADERS, cookies=provider.cookies)
        fields.append((b"x-request-id", request_id.encode("ascii")))
        if head.expects:
            fields.append((b"Expect", b"100-continue"))
        if provider.headers:
            names = [name.lower() for name, _ in provider.headers]
            fields = without(fields, *names) + list(provider.headers)
        fields = provider.kind.inject(secrets, fields, provider.upstream.host)
        if self.own_credentials:
            # A gateway's key that is configured as a header takes the place of the kind's own.
            fields = without(fields, *(name.lower() for name, _ in self.own_credentials)) + list(self.own_credentials)
        target = without_parameters(head.target, provider.kind.credential_query)
        return Outbound(head.method, with_base(provider.upstream.path.encode("ascii"), target), fields, interim)
