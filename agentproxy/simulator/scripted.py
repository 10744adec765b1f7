"""
Paths that answer as they are told, on every provider's port: whatever stands before ``/simulator/`` does not count.

Each takes the fields of `script.Script` as query parameters too (``?drip=10&pace=0.1``, ``?fail=body&after=100``,
``?framing=both``, ``?close=1``, ``?interim=2``, ``?long-head=100000``, ...).

- ``/simulator/with/PARAMETERS/PATH``: the provider's own answer to ``/PATH``, HTTP or WebSocket, by a script so
  altered: ``/simulator/with/fail=body&after=1000/v1/responses``.
- ``GET /simulator/sse?events=10&bytes=100&pace=0``: so many server-sent events of so many bytes.
- ``POST /simulator/echo[?chunked=1]``: the body back, with its Content-Type and Content-Encoding;
  ``?stream=1``: piece by piece while it comes.
- ``GET /simulator/bytes?n=20000000[&chunked=1|&close=1]``: so many bytes.
- ``POST /simulator/sink[?hold=2]``: ``{"bytes", "sha256"}`` of the body; with ``hold`` it does not read for so many
  seconds.
- ``/simulator/status?code=429[&retry-after=3][&body=...][&early=1|close]``: that status; ``early`` before the body is
  read, and ``close`` ends the connection then.
- ``GET /simulator/gzip``: a JSON body with Content-Encoding gzip.
- ``/simulator/fail?at=before|head|body|end|silent[&after=0][&n=1000]``: reset (``end``: closed) there; ``silent``
  says nothing.
- ``GET /simulator/interim?n=2``: so many 1xx first.
- ``GET /simulator/headers``: the request's header fields as JSON, ``[[name, value], ...]``.

WebSockets: see `sockets`.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import parse_qs

from agentproxy.simulator.answer import (
    PIECE,
    Answer,
    Field,
    Request,
    Sized,
    json_answer,
    refusal_bytes,
    render,
    sse_answer,
)  # fmt: skip
from agentproxy.simulator.player import ReadPauser
from agentproxy.wire.body import LAST_CHUNK, chunk

_FILL = bytes(range(256)) * (PIECE // 256)
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


def parameter(request: Request, name: str, default: str = "") -> str:
    """A parameter of the request's query."""
    if not request.query:
        return default
    return parse_qs(request.query.decode("latin-1"), keep_blank_values=True).get(name, [default])[0]


def number(request: Request, name: str, default: int) -> int:
    """The same, as a number; the default where it is none."""
    value = parameter(request, name)
    return int(value) if value.isascii() and value.isdigit() else default


def answer(request: Request) -> Answer:
    """Answer a scripted path; its name is the request's `path`."""
    make = _ANSWERS.get(request.path)
    if make is None:
        return json_answer(404, {"error": f"no such scripted path: {request.path.decode('latin-1')}"})
    return make(request)


def _echo(request: Request) -> Answer:
    head = request.head
    fields: list[Field] = [
        (key, value) for key, _, value in head.fields if key in (b"content-type", b"content-encoding")
    ]
    if request.query and parameter(request, "chunked"):
        body = request.body
        return Answer(200, fields, (body[at : at + PIECE] for at in range(0, len(body), PIECE)))
    return Answer(200, fields, request.body)


def _sse(request: Request) -> Answer:
    size = number(request, "bytes", 100)
    # "data: " and the empty line behind are 8 bytes.
    line = b"data: %b\n\n" % (b"x" * max(0, size - 8))
    count = number(request, "events", 10)
    pace = request.script.pace

    def events() -> Iterator[bytes | float]:
        for index in range(count):
            if index and pace:
                yield pace
            yield line

    return sse_answer(events())


def _bytes(request: Request) -> Answer:
    size = number(request, "n", 1000)
    kind = (b"content-type", b"application/octet-stream")
    if size <= PIECE and not parameter(request, "chunked"):
        return Answer(200, (kind,), _FILL[:size])
    pieces = (_FILL[: min(PIECE, size - at)] for at in range(0, size, PIECE))
    if parameter(request, "chunked") or request.script.close:
        return Answer(200, (kind,), pieces)
    return Answer(200, (kind,), Sized(size, pieces))


def _status(request: Request) -> Answer:
    script = request.script
    code = number(request, "code", script.status or 200)
    fields: list[Field] = [(b"x-simulated", b"status")]
    if script.retry_after:
        fields.append((b"retry-after", script.retry_after.encode()))
    if code in (204, 304):
        return Answer(code, fields, b"")
    if script.body:
        return Answer(code, (_TEXT, *fields), script.body)
    return json_answer(code, {"simulated": code}, *fields)


def _gzip(request: Request) -> Answer:
    body = gzip.compress(b'{"simulated":"gzip"}' * 50, mtime=0)
    return Answer(200, ((b"content-type", b"application/json"), (b"content-encoding", b"gzip")), body)


def _fail(request: Request) -> Answer:
    at = parameter(request, "at", "before")
    if at == "silent":
        request.script = replace(request.script, silence="head")
    else:
        request.script = replace(request.script, fail=at)
    return Answer(200, (_TEXT,), _FILL[: number(request, "n", 1000)])


def _interim(request: Request) -> Answer:
    request.script = replace(request.script, interim=number(request, "n", 1))
    return json_answer(200, {"simulated": "interim"})


def _headers(request: Request) -> Answer:
    fields = [[name.decode("latin-1"), value.decode("latin-1")] for _, name, value in request.head.fields]
    return json_answer(200, fields)


def _sink_of_nothing(request: Request) -> Answer:
    return _Sink(request).finish()


_ANSWERS = {
    b"echo": _echo,
    b"sse": _sse,
    b"bytes": _bytes,
    b"sink": _sink_of_nothing,
    b"status": _status,
    b"gzip": _gzip,
    b"fail": _fail,
    b"interim": _interim,
    b"headers": _headers,
}


class Consumer(Protocol):
    """
    Takes a request's body while it comes.

    :ivar hold: seconds for which nothing is to be read first.
    """

    hold: float

    def feed(self, data: bytes) -> None: ...

    def finish(self) -> Answer | None:
        """The body has ended. ``None``: all has been answered."""


def consumer(request: Request, transport: Any) -> Consumer | None:
    """Who takes this request's body as it comes; ``None`` where it is collected."""
    if request.provider != "simulator":
        return None
    if request.path == b"sink":
        return _Sink(request)
    if request.path == b"echo" and request.query and parameter(request, "stream"):
        return _StreamedEcho(request, transport)
    if request.path == b"status" and parameter(request, "early"):
        return _Early(request, transport)
    return None


class _Sink:
    def __init__(self, request: Request) -> None:
        self.hold = float(number(request, "hold", 0))
        self._size = 0
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        self._hash.update(data)

    def finish(self) -> Answer:
        return json_answer(200, {"bytes": self._size, "sha256": self._hash.hexdigest()})


class _StreamedEcho:
    hold = 0.0

    def __init__(self, request: Request, transport: Any) -> None:
        self._transport = transport
        transport.registerProducer(ReadPauser(transport), True)
        transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    def feed(self, data: bytes) -> None:
        if data:
            self._transport.write(chunk(data))

    def finish(self) -> None:
        self._transport.write(LAST_CHUNK)
        self._transport.unregisterProducer()


class _Early:
    hold = 0.0

    def __init__(self, request: Request, transport: Any) -> None:
        out = render(_status(request), request)
        transport.write(out if isinstance(out, bytes) else refusal_bytes(500, "too much for an early answer"))
        if parameter(request, "early") == "close":
            transport.loseConnection()

    def feed(self, data: bytes) -> None:
        pass

    def finish(self) -> None:
        pass
