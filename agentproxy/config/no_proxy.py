"""Whether a host is reached without the egress proxy: the rules of NO_PROXY."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from agentproxy.config.hosts import Address, address


def no_proxy_matches(host: str, port: int, entries: Iterable[str]) -> bool:
    """
    Whether one of the entries names this host. Case does not matter; an entry that is none of these matches nothing.

    - ``*``: every host.
    - ``10.0.0.0/8``, ``fd00::/8``: every address in the network. Names are not resolved.
    - ``10.1.2.3``, ``::1``, ``[::1]``: this address.
    - ``example.com``: this host and those below it. ``.example.com`` and ``*.example.com``: only those below it.
    - any of the last two kinds with ``:port`` (IPv6 in brackets): only on this port.

    :param host: a name or an address, IPv6 without brackets.
    """
    name = host.lower().rstrip(".")
    return any(_matches(name, address(name), port, entry.strip().lower()) for entry in entries)


def _matches(name: str, ip: Address | None, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return ip is not None and _in_network(ip, entry)
    pattern, wanted = _split_port(entry)
    if wanted is not None and wanted != str(port):
        return False
    if ip is not None:
        return address(pattern) == ip
    suffix = pattern.removeprefix("*").rstrip(".")
    if suffix.startswith("."):
        return len(suffix) > 1 and name.endswith(suffix)
    return bool(suffix) and suffix == pattern.rstrip(".") and (name == suffix or name.endswith("." + suffix))


def _split_port(entry: str) -> tuple[str, str | None]:
    if entry.startswith("["):
        inside, _, behind = entry[1:].partition("]")
        return inside, behind[1:] if behind.startswith(":") else (behind or None)
    if entry.count(":") == 1:
        pattern, _, wanted = entry.partition(":")
        return pattern, wanted
    return entry, None


def _in_network(ip: Address, entry: str) -> bool:
    try:
        return ip in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
