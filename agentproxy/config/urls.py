"""The two kinds of URL in a configuration: a provider's upstream and an egress proxy."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from agentproxy.call import Secret
from agentproxy.config.hosts import authority
from agentproxy.config.values import ProxyUrl, Upstream

DEFAULT_PORTS = {"http": 80, "https": 443}

_UPSTREAM = re.compile(r"(https?)://([^/?#@\\\s]+)((?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*)", re.IGNORECASE)
_PROXY = re.compile(r"(https?)://(?:([^/?#\\\s]*)@)?([^/?#@\\\s]+)/?", re.IGNORECASE)
_SOCKS = re.compile(r"(socks(?:4a?|5h?)?)://.*", re.IGNORECASE | re.DOTALL)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class BadUrl(ValueError):
    """:ivar got: what it is, in words that hold no secret; ``None`` where it may be shown as it is."""

    def __init__(self, got: str | None) -> None:
        super().__init__(got)
        self.got = got


def parse_upstream(text: str) -> Upstream:
    """
    A provider's upstream.

    :raises BadUrl: no http or https URL, or one with user information, a query, a fragment or dot segments.
    """
    match = _UPSTREAM.fullmatch(text)
    if match is None:
        raise BadUrl(_unwanted_part(text))
    scheme = match[1].lower()
    path = match[3].rstrip("/")
    if _LONE_PERCENT.search(path) or not {".", ".."}.isdisjoint(path.split("/")):
        raise BadUrl(None)
    try:
        host, port = authority(match[2], DEFAULT_PORTS[scheme])
    except ValueError:
        raise BadUrl(None) from None
    _reachable(host)
    return Upstream(scheme, host, port, path)


def _reachable(host: str) -> None:
    """Twisted connects to host names by RFC 952 only, and no certificate can name others."""
    if "_" in host:
        raise BadUrl("one whose host has an underscore, as no host name may")


def _unwanted_part(text: str) -> str | None:
    for mark, part in (("@", "user information"), ("?", "a query"), ("#", "a fragment")):
        if mark in text:
            return f"one with {part}"
    return None


def parse_proxy(text: str) -> ProxyUrl:
    """
    An egress proxy, its user and password percent-decoded and made into the value of a Basic authorization.

    :raises BadUrl: no http or https URL of a host and port; its `got` is never ``None``.
    """
    socks = _SOCKS.fullmatch(text)
    if socks is not None:
        raise BadUrl(f"a {socks[1].lower()}:// one")
    match = _PROXY.fullmatch(text)
    if match is None:
        raise BadUrl("a string that is none" if text else "an empty string")
    scheme = match[1].lower()
    try:
        host, port = authority(match[3], DEFAULT_PORTS[scheme])
    except ValueError:
        raise BadUrl("one without a right host and port") from None
    _reachable(host)
    return ProxyUrl(scheme, host, port, _basic(match[2]) if match[2] else None)


def _basic(userinfo: str) -> Secret:
    user, _, password = userinfo.partition(":")
    name = unquote_to_bytes(user)
    if b":" in name:
        # RFC 7617, 2: the first colon ends the user's name.
        raise BadUrl("one with a colon in its user name")
    return Secret("Basic " + base64.b64encode(name + b":" + unquote_to_bytes(password)).decode("ascii"))
