"""No proxy at all: what its figures are subtracted from is what a proxy adds."""

from __future__ import annotations

from pathlib import Path

from bench.peers.peer import Route, Running

_WORKLOAD = "post-1"


class Direct:
    name = "direct"

    def missing(self) -> str | None:
        return None

    def lacks(self, workload: str, route: str) -> str | None:
        if route == "squid":
            return "the load speaks no TLS"
        return None if workload == _WORKLOAD else f"only {_WORKLOAD} asks what a proxy adds"

    def start(self, route: Route, folder: Path, core: int) -> Running:
        return Running(None, route.upstream_port, host=route.upstream_host)
