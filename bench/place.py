"""
Where the rounds are run: a listening socket as upstream, which each load inherits, with TLS and behind Squid where the
route says so; a folder for files; and the cores.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.measure import Nothing, measure
from bench.peers import Peer, PeerFailed, Route, Running, certificates, squid
from bench.peers.process import HOST
from bench.results import DIRECT, Measured
from bench.workloads import Workload

_BACKLOG = 4_096
_LONGER = 3.0
"""Seconds of a second try in smoke size."""


@dataclass
class Bench:
    """
    A `bench.rounds.Place`.

    :param seconds: of the measured window, where the workload has no longer one of its own.
    :param tls: upstream's certificate, where it speaks TLS.
    :param core: the peers'.
    """

    route: Route
    upstream: socket.socket
    tls: certificates.Certificates | None
    folder: Path
    core: int
    seconds: float
    smoke: bool

    def start(self, peer: Peer) -> Running:
        """A peer, in a new folder of its own, so that nothing is left of one before it."""
        folder = self.folder / f"{self.route.name}-{peer.name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return peer.start(self.route, folder, self.core)

    def measure(self, workload: Workload, peer: Peer, running: Running) -> Measured:
        seconds = max(self.seconds, 0 if self.smoke else workload.seconds)
        try:
            return self._measure(workload, peer, running, seconds)
        except Nothing:
            if not self.smoke:
                raise
            # The window is so short then that a pause of the machine fills it.
            return self._measure(workload, peer, running, _LONGER)

    def _measure(self, workload: Workload, peer: Peer, running: Running, seconds: float) -> Measured:
        command = [sys.executable, "-m", "bench.load", workload.name, "--target", f"{running.host}:{running.port}"]
        command += ["--upstream-fd", str(self.upstream.fileno()), "--seconds", f"{seconds:g}"]
        if self.tls is not None:
            command += ["--tls-cert", self.tls.cert_file, "--tls-key", self.tls.key_file]
            if peer.name == DIRECT:
                command += ["--target-ca", self.tls.ca_file]
        if running.prefix:
            command += ["--prefix", running.prefix]
        for header in running.headers:
            command += ["--header", header]
        for name, value in workload.parameters(self.smoke).items():
            command += ["--set", f"{name}={value}"]
        return measure(command, [self.upstream.fileno()], lambda: running.pids, seconds, str(machine.ROOT))


def places(
    proxy_core: int, load_core: int, seconds: float, smoke: bool
) -> Callable[[str], contextlib.AbstractContextManager[Bench]]:
    """What makes a route stand, by its name; it raises `PeerFailed` where Squid is missing or does not start."""

    @contextlib.contextmanager
    def place(route: str) -> Iterator[Bench]:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
            upstream = stack.enter_context(socket.create_server((HOST, 0), backlog=_BACKLOG))
            port = upstream.getsockname()[1]
            if route == "plain":
                way, tls = Route(route, HOST, port), None
            else:
                missing = squid.missing()
                if missing is not None:
                    raise PeerFailed(missing)
                proxy = squid.start(load_core)
                stack.callback(proxy.stop)
                tls = certificates.issue(folder)
                way = Route(route, certificates.NAME, port, True, tls.ca_file, proxy.port)
            yield Bench(way, upstream, tls, folder, proxy_core, seconds, smoke)

    return place
