"""
mitmproxy: mitmdump in reverse mode, quiet, bodies streamed. Read and tried: 11.0.2.

Its `upstream` mode would know a CONNECT proxy, but is for clients that take mitmproxy itself for one; in reverse mode
an addon of three lines has to name the proxy.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bench.peers.peer import Route, Running, started
from bench.peers.process import HOST, Process, on_free_port

_VIA_SQUID = Path(__file__).with_name("via_squid.py")


class Mitmproxy:
    """:param program: ``mitmdump``; ``None`` where there is none."""

    name = "mitmproxy"

    def __init__(self, program: Path | None) -> None:
        self._program = program

    def missing(self) -> str | None:
        if self._program and self._program.exists():
            return None
        return "mitmproxy is not installed: bench/run installs it, or --mitmproxy names its mitmdump"

    def lacks(self, workload: str, route: str) -> str | None:
        return None

    def start(self, route: Route, folder: Path, core: int) -> Running:
        return on_free_port(partial(self._start, route, folder, core))

    def _start(self, route: Route, folder: Path, core: int, port: int) -> Running:
        options = {
            "confdir": str(folder / "mitmproxy"),
            "listen_host": HOST,
            "listen_port": str(port),
            # By default it holds each body until it is whole, and server-sent events for ever.
            "stream_large_bodies": "1",
            # By default it connects before the addon is asked, and for whoever only looks whether it accepts.
            "connection_strategy": "lazy",
        }
        if route.ca_file:
            options["ssl_verify_upstream_trusted_ca"] = route.ca_file
        environ = {}
        command = [str(self._program), "--quiet", "--mode", f"reverse:{route.url}"]
        if route.proxy_port is not None:
            environ["BENCH_SQUID_PORT"] = str(route.proxy_port)
            command += ["--scripts", str(_VIA_SQUID)]
        for name, value in options.items():
            command += ["--set", f"{name}={value}"]
        return started(Process(self.name, command, folder, core, environ), lambda process: process.accepts(port))
