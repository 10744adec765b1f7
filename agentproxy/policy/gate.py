"""The gate of a provider port: the one place that says yes or no to a call."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from ipaddress import ip_address

from agentproxy.config import Limits, Provider
from agentproxy.errors import BodyTooLarge, Draining, PolicyDenied, ProviderNotConfigured, WebSocketDisabled
from agentproxy.policy.credentials import Credentials
from agentproxy.wire.head import RequestHead

_WEB_PAGE = re.compile(r"https?://(\[[^\]]*\]|[^:/]*)(?::[0-9]*)?.*")


class Gate:
    """
    Judges calls before upstream hears of them.

    :param origins: of web pages that may call, besides this machine's own.
    :ivar draining: whether the service is shutting down.
    """

    def __init__(
        self, provider: Provider, credentials: Credentials, limits: Limits, origins: Collection[str] = ()
    ) -> None:
        self._provider = provider
        self._credentials = credentials
        self._limits = limits
        self._origins = origins
        self.draining = False

    def judge(self, head: RequestHead, *, upgrade: bool) -> Mapping[str, str]:
        """
        Let a call pass.

        :param upgrade: whether it asks for a WebSocket.
        :returns: the secrets to inject, by slot.
        :raises ProxyError: it may not pass.
        """
        if self.draining:
            raise Draining("agentproxy is shutting down. Try again in a moment.", headers=(("Retry-After", "5"),))
        self._judge_origin(head)
        if upgrade and not self._provider.websocket:
            raise WebSocketDisabled(
                "WebSocket is off for this provider. Use HTTP, or set `websocket = true` in the configuration."
            )
        self.judge_body(head.length)
        secrets = self._credentials.current()
        if secrets is None:
            name = self._provider.name
            raise ProviderNotConfigured(
                f"The provider {name} has no credential. Set {self._wanted()}, or providers.{name}.credential, "
                "where agentproxy runs; `agentproxy check` shows what it sees."
            )
        return secrets

    def judge_body(self, size: int) -> None:
        """
        Let a request's body of so many bytes pass, known beforehand or seen so far.

        :raises BodyTooLarge: it is over the limit.
        """
        if size > self._limits.body_bytes:
            raise BodyTooLarge(
                f"The request's body is over {self._limits.body_bytes} bytes. Send less, or raise limits.body_bytes."
            )

    def _judge_origin(self, head: RequestHead) -> None:
        """
        A web page that a user of this machine happens to read may not spend its credentials: browsers say in
        ``Origin`` whose page it is, and neither a plain form's POST nor a WebSocket asks for leave beforehand.
        """
        for value in head.values(b"origin"):
            origin = value.decode("latin-1").lower()
            page = _WEB_PAGE.fullmatch(origin)
            # Programs that are no browsers have schemes of their own.
            foreign = origin == "null" or (page is not None and not _is_here(page[1]))
            if foreign and origin not in self._origins:
                raise PolicyDenied(
                    "Web pages from elsewhere may not use this port. If the page is yours, add its origin to "
                    "listen.origins in the configuration."
                )

    def _wanted(self) -> str:
        """What would make the provider configured, by name."""
        sources = self._provider.secrets
        ways = (sorted(needed) for needed in self._provider.kind.needs)
        named = (" and ".join(_place(sources.get(slot), slot) for slot in way) for way in ways)
        return " or ".join(dict.fromkeys(named))


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _place(source: object, slot: str) -> str:
    env = getattr(source, "env", None)
    return str(env) if env else f"its {slot}"
