"""The state of the service, and what ``/health``, ``/ready`` and ``/reflect`` say of it. Holds no secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime

from agentproxy.admin.answer import to_json

State = Literal["starting", "ready", "draining"]


def _no_models() -> Sequence[str] | None:
    return None


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """
    A provider as the outside may know it.

    :ivar base_url: what an agent is pointed at.
    :ivar upstream: its upstream's URL; only the host and port of it are ever told.
    :ivar configured: whether its credential is there now.
    :ivar models: the ids of its models, or ``None`` while they aren't known.
    """

    name: str
    kind: str
    port: int
    base_url: str
    upstream: str
    configured: Callable[[], bool]
    websocket: bool
    models: Callable[[], Sequence[str] | None] = _no_models

    @property
    def upstream_host(self) -> str:
        """Upstream's host, with its port where the URL names one; never its user or password."""
        return urlsplit(self.upstream).netloc.rpartition("@")[2]


class Status:
    """
    What the service says of itself.

    :ivar state: set by who starts and stops the service.

    :param clock: its ``seconds`` now are the start.
    :param limits: numbers by the names of their configuration keys.
    :param active: running calls by provider and protocol, read when asked.
    """

    def __init__(
        self,
        version: str,
        providers: Sequence[ProviderStatus],
        limits: Mapping[str, float],
        *,
        clock: IReactorTime,
        active: Mapping[tuple[str, str], int],
    ) -> None:
        self.version = version
        self.state: State = "starting"
        self._providers = providers
        self._limits = limits
        self._clock = clock
        self._started = clock.seconds()
        self._active = active

    @property
    def ready(self) -> bool:
        """Whether new calls are taken."""
        return self.state == "ready"

    def health_body(self) -> bytes:
        """``{status, version, uptime_s, providers: {name: {configured}}}`` as JSON; ``status`` is always ``ok``."""
        return to_json(
            {
                "status": "ok",
                "version": self.version,
                "uptime_s": round(self._clock.seconds() - self._started, 3),
                "providers": {each.name: {"configured": _is_configured(each)} for each in self._providers},
            }
        )

    def ready_body(self) -> bytes:
        """``{status}`` as JSON: the `state`."""
        return to_json({"status": self.state})

    def reflect_body(self) -> bytes:
        """
        The providers and limits as JSON: ``{providers: [{name, kind, port, base_url, upstream, configured, websocket,
        models, active: {http, websocket}}], limits}``.
        """
        return to_json({"providers": [self._reflected(each) for each in self._providers], "limits": dict(self._limits)})

    def _reflected(self, provider: ProviderStatus) -> dict[str, object]:
        models = provider.models()
        return {
            "name": provider.name,
            "kind": provider.kind,
            "port": provider.port,
            "base_url": provider.base_url,
            "upstream": provider.upstream_host,
            "configured": _is_configured(provider),
            "websocket": provider.websocket,
            "models": None if models is None else list(models),
            "active": {name: self._active.get((provider.name, name), 0) for name in ("http", "websocket")},
        }


def _is_configured(provider: ProviderStatus) -> bool:
    try:
        return provider.configured()
    except Exception:
        # A credential source that breaks is one that gives nothing; its own room says why.
        return False
