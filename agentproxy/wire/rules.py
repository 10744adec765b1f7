"""Which header fields a relay passes on, and which are the connection's own (RFC 9110, 7.6.1)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache

from agentproxy.wire.head import RequestHead, ResponseHead

Pair = tuple[bytes, bytes]
"""A header field's name, as sent, and value."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-authentication-info",
    }
)

# The framing and the authority are made anew; the rest would tell upstream of what lies before us.
_NEVER_UP = HOP_BY_HOP | {b"host", b"content-length", b"forwarded", b"via", b"x-real-ip", b"x-request-id", b"expect"}
_NEVER_UP_PREFIXES = (b"proxy-", b"x-forwarded-", b"x-agentproxy-")
# The handshake's fields belong to one leg (RFC 6455, 4).
_HANDSHAKE = b"sec-websocket-"
_MOST_NAMES = 512
_LONGEST_NAME = 64
_NEVER_DOWN = HOP_BY_HOP | {b"content-length"}


def request_fields(head: RequestHead, credentials: Collection[bytes], *, cookies: bool) -> list[Pair]:
    """
    The client's header fields that go upstream, in order, as sent.

    Left out with the hop-by-hop ones: ``Host``, ``Content-Length``, ``Expect``, ``x-request-id`` and a WebSocket
    handshake's own, all of which the caller writes itself.

    :param credentials: lower-case names of the fields that may carry one.
    :param cookies: whether ``Cookie`` goes too.
    """
    named, passes = head.connection, _up(frozenset(credentials), cookies)
    return [(name, value) for key, name, value in head.fields if passes[key] and key not in named]


def response_fields(head: ResponseHead, *, cookies: bool) -> list[Pair]:
    """
    Upstream's header fields that go to the client, in order, as sent.

    Left out with the hop-by-hop ones: ``Content-Length``, which the caller writes, and of a 101 the handshake's own.
    """
    named, passes = head.connection, _down(head.status == 101, cookies)
    return [(name, value) for key, name, value in head.fields if passes[key] and key not in named]


class _Passes(dict[bytes, bool]):
    """Whether a field of this lower-case name passes: decided once for each of the common ones."""

    def __init__(self, decide: Callable[[bytes], bool]) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, key: bytes) -> bool:
        passes = self._decide(key)
        if len(key) <= _LONGEST_NAME:
            if len(self) >= _MOST_NAMES:
                self.clear()
            self[key] = passes
        return passes


@cache
def _up(credentials: frozenset[bytes], cookies: bool) -> _Passes:
    return _Passes(
        lambda key: (
            key not in _NEVER_UP
            and (key not in credentials or (cookies and key == b"cookie"))
            and not key.startswith(_NEVER_UP_PREFIXES)
            and not key.startswith(_HANDSHAKE)
        )
    )


@cache
def _down(switching: bool, cookies: bool) -> _Passes:
    left_out = (b"x-agentproxy-", _HANDSHAKE) if switching else (b"x-agentproxy-",)
    return _Passes(
        lambda key: (
            key not in _NEVER_DOWN
            and (cookies or key not in (b"set-cookie", b"set-cookie2"))
            and not key.startswith(left_out)
        )
    )


def subprotocols(values: list[bytes], credentials: tuple[bytes, ...]) -> list[bytes]:
    """The subprotocols offered (RFC 6455, 11.3.4) but those that carry a credential, in order."""
    offered = [item.strip(b" \t") for value in values for item in value.split(b",")]
    return [item for item in offered if item and not item.lower().startswith(credentials)]
