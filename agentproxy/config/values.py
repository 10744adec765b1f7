"""The values that a configuration becomes: frozen, checked, ready to be used. What is secret stays out of reprs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from agentproxy.call import Secret
from agentproxy.config.no_proxy import no_proxy_matches
from agentproxy.providers import Kind


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """
    Where a secret is read from: exactly one of the three.

    :ivar env: an environment variable's name.
    :ivar file: an absolute path.
    :ivar command: a program and its arguments, whose standard output is the secret.
    """

    env: str | None = None
    file: str | None = None
    # Its arguments may hold a secret themselves.
    command: tuple[str, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if [self.env, self.file, self.command].count(None) != 2:
            raise ValueError("a credential has exactly one source")


@dataclass(frozen=True, slots=True)
class Listen:
    """
    Where the provider ports listen.

    :ivar interface: the IP address.
    :ivar origins: lower-case origins of web pages that may use them; others than this machine's own may not.
    """

    interface: str
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxyUrl:
    """
    An egress proxy.

    :ivar scheme: how to speak to it: ``http`` or ``https``.
    :ivar host: lower case, ASCII, IPv6 without brackets.
    :ivar authorization: the whole value of ``Proxy-Authorization`` (RFC 7617), or ``None``.
    """

    scheme: str
    host: str
    port: int
    authorization: Secret | None = None


@dataclass(frozen=True, slots=True)
class Egress:
    """
    The way out.

    :ivar https: the proxy for https upstreams; ``None``: directly.
    :ivar http: the proxy for http upstreams; ``None``: directly.
    :ivar no_proxy: what is reached without a proxy, see `no_proxy_matches`.
    :ivar ca_file: a PEM file of authorities that are trusted besides the system's, or ``None``.
    """

    https: ProxyUrl | None
    http: ProxyUrl | None
    no_proxy: tuple[str, ...]
    ca_file: str | None

    def proxy_for(self, scheme: str, host: str, port: int) -> ProxyUrl | None:
        """The proxy through which an upstream is reached; ``None``: directly."""
        proxy = self.https if scheme == "https" else self.http
        return None if proxy is None or no_proxy_matches(host, port, self.no_proxy) else proxy


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. 0 means never for ``first_byte``, ``idle_http`` and ``idle_websocket``, at once for ``drain``."""

    connect: float
    request_head: float
    keep_alive: float
    first_byte: float
    idle_http: float
    idle_websocket: float
    drain: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes."""

    body_bytes: int
    header_bytes: int
    websocket_message_bytes: int
    buffer_bytes: int


@dataclass(frozen=True, slots=True)
class Log:
    """:ivar format: ``json`` or ``text``; ``level``: ``debug``, ``info``, ``warn`` or ``error``."""

    format: Literal["json", "text"]
    level: str


@dataclass(frozen=True, slots=True)
class Admin:
    """
    The admin port.

    :ivar port: 0: any free one.
    :ivar token: always there where the interface is not loopback.
    :ivar hosts: lower-case names, besides IP addresses and ``localhost``, that ``Host`` may have.
    """

    interface: str
    port: int
    token: CredentialSource | None
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """
    What is recorded, and where.

    :ivar directory: an absolute path.
    :ivar content: ``off``: nothing; ``metadata``: calls and turns without what they say; ``full``: that too.
    :ivar content_bytes: what is kept of one call's content.
    :ivar days: what is older is deleted; 0: never.
    :ivar megabytes: above it the oldest are deleted; 0: never.
    :ivar prices: an absolute path of a file of one's own prices, or ``None``.
    """

    directory: str
    content: Literal["off", "metadata", "full"]
    content_bytes: int
    days: int
    megabytes: int
    prices: str | None


@dataclass(frozen=True, slots=True)
class Upstream:
    """
    A provider's own service.

    :ivar scheme: ``http`` or ``https``.
    :ivar host: lower case, ASCII (IDNA), IPv6 without brackets.
    :ivar path: put before each request's path; without a slash at its end, so perhaps empty.
    """

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Provider:
    """
    One provider port.

    :ivar port: 0: any free one.
    :ivar secrets: by slot key of the kind, where each is read from; a slot without any source is absent.
    :ivar websocket: whether upgrades are relayed.
    :ivar cookies: whether Cookie and Set-Cookie pass.
    :ivar headers: extra header fields to send upstream, as name and value.
    :ivar include_usage: whether streamed chat completions that do not say if they want their usage get it.
    """

    name: str
    kind: Kind = field(repr=False)
    port: int
    upstream: Upstream
    secrets: Mapping[str, CredentialSource]
    websocket: bool
    cookies: bool
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    include_usage: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration. :ivar source: the file it was read from, as the user named it."""

    source: str
    listen: Listen
    egress: Egress
    timeouts: Timeouts
    limits: Limits
    log: Log
    admin: Admin
    record: Record
    providers: tuple[Provider, ...]
