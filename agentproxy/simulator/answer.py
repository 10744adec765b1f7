"""
Requests as the simulated providers see them and answers as they give them, and answers put into bytes.

An answer that goes out whole is bytes; every other is steps: bytes to write, seconds to wait, or an end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from enum import Enum
from http import HTTPStatus

from agentproxy.simulator.script import Script
from agentproxy.wire.body import LAST_CHUNK, chunk
from agentproxy.wire.head import RequestHead

PIECE = 65536
"""Bytes that are written at a time."""

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_LINES = {status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in _REASONS.items()}
_EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
_PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_JSON = (b"content-type", b"application/json")


class Act(Enum):
    """What ends an answer other than its last byte."""

    CLOSE = "end the connection"
    ABORT = "reset the connection"
    SILENCE = "say nothing any more"


Step = bytes | float | Act
Field = tuple[bytes, bytes]


class Request:
    """
    A request whose head has come.

    :ivar target: as sent, but without what a ``/simulator/with/`` prefix took off.
    :ivar query: the target's query.
    :ivar provider: the provider that it is for.
    :ivar serial: a number of its own within the simulator, from 1.
    """

    __slots__ = ("body", "head", "path", "provider", "query", "script", "serial", "target")

    def __init__(self, head: RequestHead, script: Script, serial: int) -> None:
        self.head = head
        self.script = script
        self.serial = serial
        self.provider = ""
        self.body = b""
        self.retarget(head.target)

    def retarget(self, target: bytes) -> None:
        """Take another target for the one sent."""
        self.target = target
        self.path, _, self.query = target.partition(b"?")

    def json(self) -> dict[str, object] | None:
        """The body as a JSON object; ``None`` where it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


class Sized:
    """A body made while it is sent, whose size in bytes is known."""

    def __init__(self, size: int, pieces: Iterator[bytes]) -> None:
        self.size = size
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class Answer:
    """
    :ivar fields: header fields but those that frame the body.
    :ivar body: bytes, or bytes and waits (in seconds) one after the other: chunked, unless `Sized`.
    """

    __slots__ = ("body", "fields", "status")

    def __init__(self, status: int, fields: Iterable[Field], body: bytes | Iterable[bytes | float]) -> None:
        self.status = status
        self.fields = fields
        self.body = body


def dump(value: object) -> bytes:
    """JSON as the providers write it: compact, UTF-8."""
    return _encode(value).encode()


def json_answer(status: int, value: object, *fields: Field) -> Answer:
    return Answer(status, (_JSON, *fields), dump(value))


def sse_answer(events: Iterable[bytes | float], *fields: Field) -> Answer:
    """A ``text/event-stream``; the events come as they are to be sent."""
    head = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"), *fields)
    return Answer(200, head, events)


def event(value: object, name: str | None = None) -> bytes:
    """A server-sent event."""
    data = b"data: %b\n\n" % dump(value)
    return b"event: %b\n%b" % (name.encode(), data) if name else data


def refusal_bytes(status: int, message: str) -> bytes:
    """What a request that is none gets; the connection ends behind it."""
    body = message.encode() + b"\n"
    head = b"%bcontent-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return head % (_status_line(status), len(body)) + body


def render(answer: Answer, request: Request) -> bytes | Iterator[Step]:
    """The answer by the request's script."""
    script, body, head = request.script, answer.body, request.head
    if isinstance(body, bytes) and script.straight and len(body) <= 4 * PIECE:
        content = b"" if head.method == b"HEAD" else body
        return b"%bcontent-length: %d\r\n%b\r\n%b" % (_opening(answer), len(body), _connection(head), content)
    return _played(answer, request)


def _status_line(status: int) -> bytes:
    return _LINES.get(status) or b"HTTP/1.1 %d Simulated\r\n" % status


def _opening(answer: Answer) -> bytes:
    return _status_line(answer.status) + b"".join([b"%b: %b\r\n" % field for field in answer.fields])


def _connection(head: RequestHead) -> bytes:
    return b"" if head.keep_alive else b"connection: close\r\n"


def _played(answer: Answer, request: Request) -> Iterator[Step]:
    script = request.script
    if script.fail == "before":
        yield Act.ABORT
    if script.silence == "head":
        yield Act.SILENCE
    if script.framing == "garbage":
        yield b"this is not HTTP\r\n\r\n"
        yield Act.CLOSE
    if script.framing == "switch":
        yield b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
        return
    for index in range(script.interim):
        yield _PROCESSING if index else _EARLY_HINTS
    steps: Iterator[Step] = _framed(answer, request)
    yield from _dripped(steps, script) if script.drip else steps


def _framed(answer: Answer, request: Request) -> Iterator[Step]:
    script, body = request.script, answer.body
    size = len(body) if isinstance(body, bytes) else body.size if isinstance(body, Sized) else None
    until_close = script.close or (request.head.minor == 0 and size is None)
    chunked = not until_close and (size is None or script.framing == "both")
    head = _opening(answer)
    if script.long_head:
        head += b"x-padding: %b\r\n" % (b"a" * script.long_head)
    if script.framing == "control":
        head += b"x-control: a\rb\r\n"
    if chunked:
        head += b"transfer-encoding: chunked\r\n"
    if size is not None and not until_close:
        head += b"content-length: %d\r\n" % size
        if script.framing == "lengths":
            head += b"content-length: %d\r\n" % (size + 1)
    head += b"connection: close\r\n\r\n" if until_close or not request.head.keep_alive else b"\r\n"
    if script.fail == "head":
        yield head[: len(head) // 2]
        yield Act.ABORT
    yield head
    if request.head.method == b"HEAD":
        return
    yield from _body(answer, script, chunked)
    if chunked:
        yield LAST_CHUNK
    if until_close:
        yield Act.CLOSE


def _body(answer: Answer, script: Script, chunked: bool) -> Iterator[Step]:
    cut = script.fail in ("body", "end") or script.silence == "body"
    left = script.after
    last = Act.SILENCE if script.silence else Act.CLOSE if script.fail == "end" else Act.ABORT
    if script.framing == "chunks":
        yield b"zz\r\n"
    pieces = _pieces(answer.body) if isinstance(answer.body, bytes) else answer.body
    for piece in pieces:
        if isinstance(piece, float):
            yield piece
        elif piece:
            if cut and left <= 0:
                break
            if cut:
                piece = piece[:left]
                left -= len(piece)
            yield chunk(piece) if chunked else piece
    if cut:
        yield last


def _pieces(body: bytes) -> Iterator[bytes]:
    view = memoryview(body)
    for at in range(0, len(body), PIECE):
        yield bytes(view[at : at + PIECE])


def _dripped(steps: Iterator[Step], script: Script) -> Iterator[Step]:
    for step in steps:
        if not isinstance(step, bytes):
            yield step
            continue
        for at in range(0, len(step), script.drip):
            yield step[at : at + script.drip]
            yield script.pace
