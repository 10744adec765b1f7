"""The names and addresses of this machine, without DNS; and whether an upstream is this service itself."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from agentproxy.config.hosts import Address, address
from agentproxy.config.values import Upstream

_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")


def this_machine(proc: Path = Path("/proc/net")) -> frozenset[str]:
    """
    The addresses of this machine's interfaces, where the kernel shows them as Linux does, and its host name.

    :param proc: the folder of ``fib_trie`` and ``if_inet6``.
    """
    found = {socket.gethostname().lower()}
    # The trie names an address on one line and, where it is the machine's, says so on the next.
    found.update(re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", _read(proc / "fib_trie")))
    for digits in re.findall(r"^([0-9a-f]{32}) ", _read(proc / "if_inet6"), re.MULTILINE):
        found.add(":".join(digits[start : start + 4] for start in range(0, 32, 4)))
    return frozenset(found)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError):
        return ""


def is_own(upstream: Upstream, listeners: Iterable[tuple[str, int]], own: Collection[str]) -> bool:
    """
    Whether a call to ``upstream`` would come back to one of ``listeners``.

    Loopback counts as the service's own whatever interface it listens on.

    :param listeners: interface and port of each.
    :param own: names and addresses of this machine; the addresses count only for who listens on all of them.
    """
    names = {name for name in own if address(name) is None}
    addresses = {address(name) for name in own} - {None}
    ip = address(upstream.host)
    for interface, port in listeners:
        if port != upstream.port:
            continue
        if ip is None:
            if upstream.host in names or upstream.host in _LOCAL_NAMES or upstream.host.endswith(".localhost"):
                return True
        elif _reaches(ip, address(interface), addresses):
            return True
    return False


def _reaches(ip: Address, interface: Address | None, own: Collection[Address | None]) -> bool:
    # Who connects to the unspecified address reaches the machine itself.
    if ip.is_loopback or ip.is_unspecified or ip == interface:
        return True
    return interface is not None and interface.is_unspecified and ip in own
