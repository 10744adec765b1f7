"""A real Squid on loopback: it maps the providers' names to this machine, and opens tunnels by CONNECT only."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from tests.integration.process import Watched, reactor

NAMES = (
    "api.openai.com",
    "api.anthropic.com",
    "api.githubcopilot.com",
    "generativelanguage.googleapis.com",
    "chatgpt.com",
)

_CONFIGURATION = """\
http_port 127.0.0.1:{port}
hosts_file {folder}/hosts
acl loopback dst 127.0.0.0/8
acl CONNECT method CONNECT
acl allowed_ports port {ports}
http_access deny !CONNECT
http_access deny !allowed_ports
http_access allow loopback
http_access deny all
dns_nameservers 127.0.0.1
cache deny all
cache_mem 8 MB
max_filedescriptors 1024
pinger_enable off
shutdown_lifetime 0 seconds
pid_filename {folder}/squid.pid
coredump_dir {folder}
cache_log {folder}/cache.log
access_log stdio:{folder}/access.log
visible_hostname squid.test
icp_port 0
{user}
"""


def find() -> str | None:
    """Squid's program, or ``None`` where it is not installed."""
    return shutil.which("squid", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


class Squid:
    """A running Squid. :ivar port: where it listens."""

    def __init__(self, watched: Watched, folder: str, port: int) -> None:
        self._watched = watched
        self._folder = folder
        self.port = port

    async def stop(self) -> None:
        """End it and remove its folder."""
        if self._watched.code is None:
            self._watched.transport.signalProcess("KILL")
            await self._watched.ended()
        shutil.rmtree(self._folder)


async def start(*ports: int) -> Squid:
    """Run Squid, which opens tunnels to these ports."""
    program = find()
    assert program is not None
    # Its own user has to reach the folder, and a checkout may lie where only its owner can.
    folder = tempfile.mkdtemp(prefix="agentproxy-squid-")
    user = ""
    if os.getuid() == 0:
        owner = pwd.getpwnam("proxy")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        user = "cache_effective_user proxy"
    os.chmod(folder, 0o755)
    Path(folder, "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in (*NAMES, "localhost")))
    port = _free_port()
    text = _CONFIGURATION.format(port=port, folder=folder, ports=" ".join(map(str, ports)), user=user)
    Path(folder, "squid.conf").write_text(text)
    watched = Watched()
    arguments = [program, "-N", "-d1", "-f", f"{folder}/squid.conf"]
    process: Any = reactor.spawnProcess(watched, program, arguments, env={"PATH": os.environ["PATH"]})
    assert process is watched.transport
    await watched.until(lambda: "Accepting HTTP Socket connections" in watched.err or watched.code is not None)
    assert watched.code is None, watched.err
    return Squid(watched, folder, port)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
