"""What a head's fields say of its body and its connection, RFC 9112, 6.3 and 9.3. Body bytes are `wire.body`'s."""

from __future__ import annotations

import re

from agentproxy.errors import BadRequest, ExpectationFailed
from agentproxy.wire.head import CHUNKED, BadHead, RequestHead, ResponseHead, options

_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?"
)
_DIGITS = re.compile(rb"[0-9]{1,18}")


def frame_request(request: RequestHead) -> None:
    """Decide on the body and on the connection, RFC 9112, 6.3 and 9.3; refuse what two readers could read apart."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    hosts: list[bytes] = []
    connection: list[bytes] = []
    for key, _, value in request.fields:
        if key == b"content-length":
            lengths.append(value)
        elif key == b"transfer-encoding":
            codings.append(value)
        elif key == b"host":
            hosts.append(value)
        elif key == b"connection":
            connection.append(value)
        elif key == b"expect":
            if value.lower() != b"100-continue":
                raise ExpectationFailed("The only expectation that can be met is `100-continue`. Leave Expect out.")
            # RFC 9110, 10.1.1: not from a client of HTTP/1.0.
            request.expects = request.minor == 1
    if codings:
        if lengths or request.minor == 0 or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadRequest("The body's framing is ambiguous (RFC 9112, 6.3). Send one Content-Length or be chunked.")
        request.length = CHUNKED
    elif lengths:
        if len(lengths) > 1 or _DIGITS.fullmatch(lengths[0]) is None:
            raise BadRequest("Content-Length must be one number, given once (RFC 9112, 6.3).")
        request.length = int(lengths[0])
    if len(hosts) > 1 or (not hosts and request.minor == 1) or (hosts and _HOST.fullmatch(hosts[0]) is None):
        raise BadRequest("Exactly one valid Host header is needed (RFC 9112, 3.2).")
    if connection:
        _persist(request, connection)


def frame_response(response: ResponseHead, method: bytes) -> None:
    """As `frame_request`, for what upstream sent."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    connection: list[bytes] = []
    for key, _, value in response.fields:
        if key == b"content-length":
            lengths.append(value)
        elif key == b"transfer-encoding":
            codings.append(value)
        elif key == b"connection":
            connection.append(value)
    if lengths and (len(lengths) > 1 or codings or _DIGITS.fullmatch(lengths[0]) is None):
        raise BadHead("an ambiguous body length")
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked" or response.minor == 0):
        raise BadHead("a transfer coding other than chunked")
    if connection:
        _persist(response, connection)
    if method == b"HEAD" or response.status < 200 or response.status in (204, 304):
        response.length = 0
    elif codings:
        response.length = CHUNKED
    elif lengths:
        response.length = int(lengths[0])
    else:
        response.keep_alive = False


def _persist(head: RequestHead | ResponseHead, values: list[bytes]) -> None:
    """Whether the connection lives on, by what ``Connection`` says (RFC 9112, 9.3)."""
    head.connection = options(values)
    if b"close" in head.connection:
        head.keep_alive = False
    elif head.minor == 0:
        head.keep_alive = b"keep-alive" in head.connection
