"""Response bytes for the client: heads, and the one place that renders the proxy's own errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from agentproxy.errors import ProxyError
from agentproxy.providers import Kind
from agentproxy.wire.rules import Pair

_PHRASES = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}


def head(status: int, reason: bytes, fields: Sequence[Pair]) -> bytes:
    """A response head's bytes (RFC 9112, 4)."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
    lines += [b"%b: %b\r\n" % field for field in fields]
    lines.append(b"\r\n")
    return b"".join(lines)


def connection_fields(minor: int, keep_alive: bool) -> list[Pair]:
    """What must be said of the connection to a client of HTTP/1.``minor`` (RFC 9112, 9.3)."""
    if not keep_alive:
        return [(b"Connection", b"close")]
    return [(b"Connection", b"keep-alive")] if minor == 0 else []


def json_reply(status: int, body: bytes, fields: Sequence[Pair], *, without_body: bool) -> bytes:
    """
    A whole response with a JSON body.

    :param without_body: leave the body out, as for HEAD, and only say how long it would be.
    """
    framing = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return head(status, _PHRASES[status], [*framing, *fields]) + (b"" if without_body else body)


def error_reply(error: ProxyError, kind: Kind, request_id: str, fields: Sequence[Pair], *, without_body: bool) -> bytes:
    """The proxy's own error as the provider's clients read one."""
    said: list[Pair] = [
        (b"x-agentproxy-error", error.code.encode("ascii")),
        (b"x-request-id", request_id.encode("ascii")),
        (b"x-agentproxy-request-id", request_id.encode("ascii")),
    ]
    if not error.retryable:
        said.append((b"x-should-retry", b"false"))
    said += [(name.encode("ascii"), value.encode("latin-1")) for name, value in error.headers]
    body = json.dumps(kind.error_body(error, request_id)).encode("ascii")
    return json_reply(error.status, body, [*said, *fields], without_body=without_body)
