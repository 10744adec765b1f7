"""Host names, addresses and authorities as URLs and ``Host`` fields have them, in the one form that is compared."""

from __future__ import annotations

import ipaddress
import re

import idna

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Underscores are no host name's by RFC 952, and yet container names have them.
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
# What resolvers take for an IPv4 address in a form of the last century: 127.1, 2130706433, 0x7f.0.0.1.
_ODD_ADDRESS = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def address(text: str) -> Address | None:
    """An IP address, IPv4 in IPv6 (``::ffff:127.0.0.1``) as the IPv4 it is; ``None`` for anything else."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def host(text: str) -> str:
    """
    A host in its one form: lower case, IDNA in ASCII, addresses without brackets as `ipaddress` writes them.

    :param text: as in a URL, so IPv6 in brackets.
    :raises ValueError: it is no host.
    """
    if text.startswith("[") and text.endswith("]"):
        if "%" in text:
            raise ValueError("a scoped address")
        return str(ipaddress.IPv6Address(text[1:-1]))
    name = text.lower() if text.isascii() else idna.encode(text, uts46=True).decode("ascii")
    if _ODD_ADDRESS.fullmatch(name):
        return str(ipaddress.IPv4Address(name))
    if not _NAME.fullmatch(name):
        raise ValueError("no host name")
    return name


def authority(text: str, default_port: int) -> tuple[str, int]:
    """
    A host and its port.

    :param text: ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``.
    :raises ValueError: it is none of them.
    """
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?", text)
    if match is None:
        raise ValueError("no host and port")
    port = int(match[2]) if match[2] else default_port
    if not 1 <= port <= 65535:
        raise ValueError("no port")
    return host(match[1]), port
