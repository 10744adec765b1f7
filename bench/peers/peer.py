"""What a peer is: something that relays between the load's two ends, in one way to reach upstream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.peers.process import HOST, PeerFailed, Process

KEY = "sk-bench-0123456789abcdef"
"""What stands for a provider's key, with the peers that put one in."""


@dataclass(frozen=True)
class Route:
    """
    The way to upstream.

    :ivar name: ``plain``: HTTP over TCP; ``squid``: TLS, verified, through Squid's CONNECT.
    :ivar ca_file: a PEM file with the root that upstream's certificate is from, where it has one.
    :ivar proxy_port: Squid's, on loopback, where the way leads through it.
    """

    name: str
    upstream_host: str
    upstream_port: int
    tls: bool = False
    ca_file: str | None = None
    proxy_port: int | None = None

    @property
    def url(self) -> str:
        """Upstream's, without a path."""
        return f"{'https' if self.tls else 'http'}://{self.upstream_host}:{self.upstream_port}"

    @property
    def proxy_url(self) -> str | None:
        """Squid's."""
        return None if self.proxy_port is None else f"http://{HOST}:{self.proxy_port}"


class Running:
    """
    A peer that accepts.

    :ivar prefix: what a request's path begins with, besides the path that upstream sees.
    :ivar headers: lines that requests must have for this peer.
    """

    def __init__(
        self, process: Process | None, port: int, *, host: str = HOST, prefix: str = "", headers: Sequence[str] = ()
    ) -> None:
        self._process = process
        self.host = host
        self.port = port
        self.prefix = prefix
        self.headers = list(headers)

    @property
    def pids(self) -> list[int]:
        """The peer's processes, as they are now."""
        return self._process.pids if self._process else []

    def stop(self) -> None:
        """End it; its port is free then. Never raises, and may be called again."""
        if self._process:
            self._process.stop()


class Peer(Protocol):
    """Something to measure. :ivar name: what its rows say."""

    name: str

    def missing(self) -> str | None:
        """Why it can't run here at all, and what brings it; ``None`` where it can."""

    def lacks(self, workload: str, route: str) -> str | None:
        """Why a row makes no sense for it; ``None`` where it does."""

    def start(self, route: Route, folder: Path, core: int) -> Running:
        """
        Start it on a core, with its files in a folder, and wait until it accepts.

        :raises PeerFailed: it does not.
        """


def started(
    process: Process, port: Callable[[Process], int], *, prefix: str = "", headers: Sequence[str] = ()
) -> Running:
    """
    A peer whose process runs, once ``port`` has waited for it and told where it listens.

    :raises PeerFailed: what ``port`` raises; the process is ended then.
    """
    try:
        return Running(process, port(process), prefix=prefix, headers=headers)
    except BaseException:
        process.stop()
        raise


__all__ = ["KEY", "Peer", "PeerFailed", "Route", "Running", "started"]
