"""The gate of a provider port: the one place that says yes or no to a call."""

from __future__ import annotations

from collections.abc import Mapping

from agentproxy.config import Limits, Provider
from agentproxy.errors import BodyTooLarge, Draining, ProviderNotConfigured, WebSocketDisabled
from agentproxy.policy.credentials import Credentials
from agentproxy.wire.head import RequestHead


class Gate:
    """
    Judges calls before upstream hears of them.

    :ivar draining: whether the service is shutting down.
    """

    def __init__(self, provider: Provider, credentials: Credentials, limits: Limits) -> None:
        self._provider = provider
        self._credentials = credentials
        self._limits = limits
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

    def _wanted(self) -> str:
        """What would make the provider configured, by name."""
        sources = self._provider.secrets
        ways = (sorted(needed) for needed in self._provider.kind.needs)
        named = (" and ".join(_place(sources.get(slot), slot) for slot in way) for way in ways)
        return " or ".join(dict.fromkeys(named))


def _place(source: object, slot: str) -> str:
    env = getattr(source, "env", None)
    return str(env) if env else f"its {slot}"
