"""
Who may read the admin port: no page of another site, no name that was made to point here, no one without the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Sequence

from twisted.web.http_headers import Headers

from agentproxy.admin.answer import Answer, refusal
from agentproxy.call import Secret

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{0,5}))?")
_PORTS = {"http": "80", "https": "443"}


class Guard:
    """
    Judges a request by its header fields.

    :param token: gives the token that must be shown, or ``None`` while it can't be had, and then no one gets in;
        ``None`` in its place: no token is asked for.
    :param hosts: names that the port may be called by, besides ``localhost`` and IP addresses.
    """

    def __init__(self, token: Callable[[], Secret | None] | None, hosts: Sequence[str] = ()) -> None:
        self._token = token
        self._hosts = frozenset(("localhost", *(_name(host) for host in hosts)))

    def refusal(self, headers: Headers, *, secure: bool, open: bool) -> Answer | None:
        """
        Why this request is not answered, or ``None`` where it is.

        :param secure: whether it came over TLS.
        :param open: whether its path asks for no token.
        """
        authority = _only(headers, "host")
        if authority is None or not self._known(authority):
            return refusal(
                403,
                "policy_denied",
                "the Host is not known here; use an IP address, localhost or a name in admin.hosts",
            )
        if not _same_origin(headers, authority, "https" if secure else "http"):
            return refusal(403, "policy_denied", "requests of other origins are not answered")
        if not open and not self._shown(headers):
            return refusal(
                401,
                "client_unauthorized",
                "send the admin token as Authorization: Bearer",
                ("WWW-Authenticate", "Bearer"),
            )
        return None

    def _known(self, authority: str) -> bool:
        match = _AUTHORITY.fullmatch(authority)
        if match is None:
            return False
        v6, name, _ = match.groups()
        return _is_address(v6, 6) if v6 is not None else _name(name) in self._hosts or _is_address(name, 4)

    def _shown(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        wanted = self._token()
        scheme, _, shown = (_only(headers, "authorization") or "").partition(" ")
        if not wanted or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(wanted.reveal().encode("utf-8", "surrogatepass"), shown.strip(" ").encode("latin-1"))


def _only(headers: Headers, name: str) -> str | None:
    """A field's value where it is there exactly once, byte for byte as latin-1."""
    values = headers.getRawHeaders(name.encode("ascii")) or []
    return values[0].decode("latin-1") if len(values) == 1 else None


def _same_origin(headers: Headers, authority: str, scheme: str) -> bool:
    """Whether no origin is named (RFC 6454, 7), or the one that the request is addressed to."""
    if not headers.hasHeader(b"origin"):
        return True
    origin_scheme, _, origin = (_only(headers, "origin") or "").lower().partition("://")
    return origin_scheme == scheme and _with_port(origin, scheme) == _with_port(authority.lower(), scheme)


def _with_port(authority: str, scheme: str) -> str:
    head, _, port = authority.rpartition(":")
    if head and (port.isdigit() or not port) and (head.endswith("]") or ":" not in head):
        return f"{head}:{port or _PORTS[scheme]}"
    return f"{authority}:{_PORTS[scheme]}"


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _name(host: str) -> str:
    return host.lower().removesuffix(".")
