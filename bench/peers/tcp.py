"""A raw TCP relay, ours: what Python's own way through a socket costs, with nothing understood."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.peers.peer import Route, Running, started
from bench.peers.process import Process

_RELAY = Path(__file__).with_name("relay.py")


class Tcp:
    name = "tcp"

    def missing(self) -> str | None:
        return None

    def lacks(self, workload: str, route: str) -> str | None:
        return "a raw relay opens no tunnel and speaks no TLS" if route == "squid" else None

    def start(self, route: Route, folder: Path, core: int) -> Running:
        command = [sys.executable, "-S", str(_RELAY), route.upstream_host, str(route.upstream_port)]
        return started(Process(self.name, command, folder, core), lambda process: process.says(r"listening on (\d+)"))
