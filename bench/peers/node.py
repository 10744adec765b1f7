"""A minimal pipe in Node, ours: what its standard library does, with connections kept alive."""

from __future__ import annotations

from pathlib import Path

from bench import machine
from bench.peers.peer import Route, Running, started
from bench.peers.process import Process

_PIPE = Path(__file__).with_name("pipe.mjs")


class Node:
    name = "node"

    def missing(self) -> str | None:
        return None if machine.find("node") else "Node is not installed: apt-get install nodejs"

    def lacks(self, workload: str, route: str) -> str | None:
        return None

    def start(self, route: Route, folder: Path, core: int) -> Running:
        program = machine.find("node")
        assert program is not None
        environ = {"UPSTREAM": route.url, "PROXY": route.proxy_url or "", "CA_FILE": route.ca_file or ""}
        process = Process(self.name, [program, str(_PIPE)], folder, core, environ)
        return started(process, lambda process: process.says(r"listening on (\d+)"))
