"""
Message heads by RFC 9112: the one strict parser for requests and responses, for HTTP and WebSocket.

A head passes our own check over its raw bytes and then llhttp (httptools), and is split where both say that a field
ends: what reaches the callers has been understood alike by both.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import httptools

from agentproxy.errors import (
    BadRequest,
    HeadersTooLarge,
    MethodNotAllowed,
    ProxyError,
    UriTooLong,
)
from agentproxy.wire.framing import frame_request, frame_response
from agentproxy.wire.head import BadHead, Field, RequestHead, ResponseHead

MAX_TARGET = 16384
"""Bytes of a request target; above it 414."""

MAX_INTERIM = 16
"""1xx responses to one request; more are no answer."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
# Everything behind the first line. No line folding, no bare CR or LF, no control byte, no space before the colon.
_FIELD_LINES = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")
_EMPTY_LINES = re.compile(rb"(?:\r\n)*")
# What no head may hold, so that one that will never be whole is not waited for.
_NEVER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])")


class _Silent:
    """What llhttp finds is not asked for one by one, since each call back costs more than the field."""


_SILENT = _Silent()


def split_head(data: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """
    Split a head from what follows it.

    :returns: the head with its empty line, and the rest; ``None`` where more bytes are needed.
    :raises BadHead: the head is, or will be, over ``limit`` bytes.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > limit:
            raise BadHead(f"a head of more than {limit} bytes")
        return None
    if end + 4 > limit:
        raise BadHead(f"a head of more than {limit} bytes")
    return data[: end + 4], data[end + 4 :]


class ResponseHeads:
    """
    Reads the heads of the responses to one request: interim ones, then the final one.

    :param method: the request's.
    :param limit: bytes that each may have.
    :ivar rest: what came behind the last head.
    """

    __slots__ = ("_interims", "_limit", "_method", "rest")

    def __init__(self, method: bytes, limit: int) -> None:
        self._method = method
        self._limit = limit
        self._interims = 0
        self.rest = b""

    def feed(self, data: bytes) -> ResponseHead | None:
        """
        Take the next bytes; feed nothing for the head behind an interim one.

        :returns: the next head, interim or final, or ``None`` where more bytes are needed.
        :raises BadHead: it is malformed, ambiguous or too large, no HTTP at all, or the interim ones are too many.
        """
        data = self.rest + data
        split = split_head(data, self._limit)
        if split is None:
            if data[:7] != b"HTTP/1."[: len(data)]:
                raise BadHead("no HTTP/1.1")
            self.rest = data
            return None
        head = parse_response(split[0], self._method)
        self.rest = split[1]
        if head.interim:
            self._interims += 1
            if self._interims > MAX_INTERIM:
                raise BadHead(f"more than {MAX_INTERIM} interim responses")
        return head


class RequestHeads:
    """
    Collects bytes until a request's head is whole.

    :param limit: bytes that a head may have, request line included.
    """

    __slots__ = ("_data", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = b""

    @property
    def pending(self) -> bool:
        """Whether a head has begun and is not whole yet."""
        return bool(self._data)

    def feed(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """
        Take the next bytes.

        :returns: the head and what came behind it; ``None`` where more bytes are needed.
        :raises ProxyError: 400, 405, 414, 417 or 431; the connection must be closed.
        """
        if self._data:
            data = self._data + data
        # A client may send an empty line before its request (RFC 9112, 2.2).
        if data[:2] == b"\r\n":
            data = data[_EMPTY_LINES.match(data).end() :]  # type: ignore[union-attr]
        end = data.find(b"\r\n\r\n")
        if end < 0 or end + 4 > self._limit or end > MAX_TARGET:
            self._check_size(data, end)
            if end < 0:
                self._data = data
                return None
        self._data = b""
        return parse_request(data[: end + 4]), data[end + 4 :]

    def _check_size(self, data: bytes, end: int) -> None:
        line = data.find(b"\r\n")
        target = (data if line < 0 else data[:line]).partition(b" ")[2].partition(b" ")[0]
        if len(target) > MAX_TARGET:
            raise UriTooLong(f"The request target is over {MAX_TARGET} bytes. Send a shorter one.")
        if (end + 4 if end >= 0 else len(data)) > self._limit:
            raise HeadersTooLarge(
                f"The request line and headers are over {self._limit} bytes. Send fewer or raise limits.header_bytes."
            )
        if line >= 0 and not _REQUEST_LINE.match(data):
            raise _bad_request_line(data)
        if end < 0 and _NEVER.search(data):
            raise BadRequest("A request head's lines must end with CR LF and hold no control bytes (RFC 9112, 2.2).")


def parse_request(head: bytes) -> RequestHead:
    """
    Parse a whole request head, its empty line included.

    :raises ProxyError: 400 what RFC 9112 calls malformed or leaves ambiguous, 405 TRACE and CONNECT, 417.
    """
    line = _REQUEST_LINE.match(head)
    if line is None:
        raise _bad_request_line(head)
    if _FIELD_LINES.fullmatch(head, line.end()) is None:
        raise BadRequest("A header line is malformed (RFC 9112, 5). Send plain `name: value` lines ended by CR LF.")
    method, target, minor = line.group(1), line.group(2), int(line.group(3))
    if method in (b"TRACE", b"CONNECT"):
        raise _method_refused(method)
    if target[:1] != b"/" or target[:2] == b"//" or b"#" in target:
        raise BadRequest("The request target must be a path that begins with one `/` (RFC 9112, 3.2.1).")
    # llhttp knows the registered methods only; any token is a method (RFC 9110, 9.1), so it sees one it knows.
    request = RequestHead(
        method,
        target,
        minor,
        _fields(httptools.HttpRequestParser, b"GET" + head[line.end(1) :], line.end() - line.end(1) + 3),
    )
    frame_request(request)
    return request


def _bad_request_line(head: bytes) -> ProxyError:
    for method in (b"CONNECT", b"TRACE"):
        if head.startswith(method + b" "):
            return _method_refused(method)
    return BadRequest("The request line is malformed (RFC 9112, 3). Send `METHOD /path HTTP/1.1`.")


def _method_refused(method: bytes) -> ProxyError:
    return MethodNotAllowed(
        f"{method.decode()} is not relayed. Send the request to the port itself, by another method."
    )


def parse_response(head: bytes, method: bytes) -> ResponseHead:
    """
    Parse a whole response head, its empty line included.

    :param method: the request's, since HEAD decides on the body.
    :raises BadHead: malformed, or ambiguous in its framing.
    """
    line = _STATUS_LINE.match(head)
    if line is None:
        raise BadHead("a malformed status line")
    if _FIELD_LINES.fullmatch(head, line.end()) is None:
        raise BadHead("a malformed header line")
    # llhttp is shown a plain 200: what a 101 or a 204 means for the body is decided below.
    try:
        fields = _fields(httptools.HttpResponseParser, b"HTTP/1.1 200 OK\r\n" + head[line.end() :], 17)
    except BadRequest:
        raise BadHead("malformed or ambiguous header fields") from None
    response = ResponseHead(int(line.group(2)), line.group(3) or b"", int(line.group(1)), fields)
    frame_response(response, method)
    return response


def _fields(parser: Callable[[_Silent], object], head: bytes, start: int) -> list[Field]:
    try:
        parser(_SILENT).feed_data(head)  # type: ignore[attr-defined]
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        raise BadRequest("The message head is malformed or ambiguous (RFC 9112, 5 and 6).") from None
    lines = [line.partition(b":") for line in head[start:-4].split(b"\r\n")] if len(head) > start + 2 else []
    return [(name.lower(), name, value.strip(b" \t")) for name, _, value in lines]
