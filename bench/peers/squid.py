"""Squid, the company's proxy on the way of the route ``squid``: it opens tunnels from loopback to loopback, no more."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import machine
from bench.peers.certificates import NAME
from bench.peers.process import HOST, Process, on_free_port

_CONFIGURATION = """\
http_port {host}:{port}
hosts_file {folder}/hosts
acl loopback dst 127.0.0.0/8
acl CONNECT method CONNECT
http_access deny !CONNECT
http_access allow loopback
http_access deny all
dns_nameservers 127.0.0.1
cache deny all
cache_mem 8 MB
memory_pools off
max_filedescriptors 8192
pinger_enable off
shutdown_lifetime 0 seconds
pid_filename {folder}/squid.pid
coredump_dir {folder}
cache_log {folder}/cache.log
access_log none
visible_hostname squid.bench
icp_port 0
{user}
"""
_USERS = ("proxy", "squid", "nobody")
"""Whom Squid may become where it is started as root: Debian's, Fedora's, anybody's."""


def missing() -> str | None:
    """Why there is no Squid here, and what brings it; ``None`` where there is."""
    return None if machine.find("squid") else "Squid is not installed: apt-get install squid"


@dataclass(frozen=True)
class Squid:
    """A running Squid. :ivar port: where it listens on loopback."""

    port: int
    _process: Process
    _folder: str

    @property
    def pids(self) -> list[int]:
        """Its processes, as they are now."""
        return self._process.pids

    def stop(self) -> None:
        """End it and remove its folder. Never raises, and may be called again."""
        self._process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def start(core: int) -> Squid:
    """
    Run Squid on a core until it accepts.

    :raises PeerFailed: it does not.
    """
    return on_free_port(partial(_start, core))


def _start(core: int, port: int) -> Squid:
    program = machine.find("squid")
    assert program is not None
    # Not in the benchmark's folder: as another user it must reach its own, wherever that one lies.
    folder = tempfile.mkdtemp(prefix="bench-squid-")
    process = None
    try:
        os.chmod(folder, 0o755)
        user = ""
        if os.getuid() == 0:
            name = next(name for name in _USERS if _exists(name))
            shutil.chown(folder, name)
            user = f"cache_effective_user {name}"
        # One address a name, so that Squid tries no other.
        Path(folder, "hosts").write_text(f"127.0.0.1 {NAME}\n")
        text = _CONFIGURATION.format(host=HOST, port=port, folder=folder, user=user)
        Path(folder, "squid.conf").write_text(text)
        process = Process("squid", [program, "-N", "-d1", "-f", f"{folder}/squid.conf"], Path(folder), core)
        process.accepts(port)
    except BaseException:
        if process:
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Squid(port, process, folder)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
