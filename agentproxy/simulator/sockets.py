"""
Scripted WebSockets, on every provider's port: whatever stands before ``/simulator/`` does not count.

- ``/simulator/ws/echo``: every frame back as it came: opcode, fragmentation, compression; pings get their pong.
- ``/simulator/ws/close?code=4000&reason=x[&pace=0.1]``: a close frame behind the 101, whatever the code is;
  ``code=`` (empty) an empty one.
- ``/simulator/ws/drop[?reset=1][&partial=1]``: the connection ends behind the 101, or in the middle of a frame.
- ``/simulator/ws/push?n=10&bytes=100&pace=0[&binary=1]``: so many messages of so many bytes, then close 1000.
- ``/simulator/ws/silent``: takes everything, says nothing, answers pings and the close.
- ``/simulator/ws/ping?n=1``: so many pings (payload ``ping-1``, ...), then silent.
- ``/simulator/ws/bad``: a frame that breaks RFC 6455 (a reserved opcode).
- ``/simulator/ws/refuse?code=429[&retry-after=3][&body=...]``: that status instead of the 101.

All take the fields of `script.Script` too: ``?deflate=0``, ``?takeover=0``, ``?fail=before|head``, ``?silence=head``,
``?framing=accept|protocol|extension|plain``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agentproxy.simulator.answer import Act, Answer, Field, Request, Step, json_answer
from agentproxy.simulator.frames import CLOSE, FINAL, PING, Frame, pack, pack_close
from agentproxy.simulator.scripted import number, parameter

if TYPE_CHECKING:
    from agentproxy.simulator.websocket import App, Socket


def app(request: Request) -> Answer | tuple[App, list[Field]]:
    """What is behind a scripted WebSocket path."""
    name = request.path
    if name == b"ws/refuse" or request.script.status:
        status = number(request, "code", request.script.status or 429)
        fields = [(b"retry-after", request.script.retry_after.encode())] if request.script.retry_after else []
        if request.script.body:
            return Answer(status, ((b"content-type", b"text/plain"), *fields), request.script.body)
        return json_answer(status, {"refused": status}, *fields)
    made: App | None = None
    if name == b"ws/echo":
        made = Echo()
    elif name in _STEPS:
        made = Scripted(request)
    if made is None:
        return json_answer(404, {"error": f"no such scripted path: {name.decode('latin-1')}"})
    return made, [(b"X-Simulated", b"socket")]


class Echo:
    """Sends frames back as they came. A compressed one may go back as it is: our context follows the client's."""

    raw = True

    def opened(self, socket: Socket) -> None:
        """The client speaks first."""

    def message(self, socket: Socket, message: str | bytes) -> None:
        """Frames are wanted, not messages."""

    def frames(self, socket: Socket, frames: list[Frame]) -> None:
        """Send them back with one write."""
        out: list[bytes] = []
        for frame in frames:
            if frame.opcode < CLOSE:
                out.append(pack(frame.first, frame.payload))
                continue
            if out:
                socket.transport.write(b"".join(out))
                out = []
            socket.control(frame)
        if out:
            socket.transport.write(out[0] if len(out) == 1 else b"".join(out))


class Scripted:
    """Says what its path says, then takes everything."""

    raw = False

    def __init__(self, request: Request) -> None:
        self._request = request

    def opened(self, socket: Socket) -> None:
        """Say it."""
        socket.play(_STEPS[self._request.path](self._request, socket))

    def message(self, socket: Socket, message: str | bytes) -> None:
        """Taken."""

    def frames(self, socket: Socket, frames: list[Frame]) -> None:
        """Messages are wanted, not frames."""


def _close(request: Request, socket: Socket) -> Iterator[Step]:
    code = parameter(request, "code", "1000")
    yield request.script.pace
    yield pack_close(int(code) if code.isdigit() else None, parameter(request, "reason"))
    yield Act.CLOSE


def _drop(request: Request, socket: Socket) -> Iterator[Step]:
    yield request.script.pace
    if parameter(request, "partial"):
        yield pack(FINAL | 1, b"x" * 100)[:50]
    yield Act.ABORT if parameter(request, "reset") else Act.CLOSE


def _push(request: Request, socket: Socket) -> Iterator[Step]:
    size = number(request, "bytes", 100)
    message: str | bytes = b"x" * size if parameter(request, "binary") else "x" * size
    for index in range(number(request, "n", 10)):
        if index:
            yield request.script.pace
        yield socket.packed(message)
    yield pack_close(1000, "pushed")
    yield Act.CLOSE


def _silent(request: Request, socket: Socket) -> Iterator[Step]:
    yield from ()


def _ping(request: Request, socket: Socket) -> Iterator[Step]:
    for index in range(number(request, "n", 1)):
        yield pack(FINAL | PING, b"ping-%d" % (index + 1))


def _bad(request: Request, socket: Socket) -> Iterator[Step]:
    yield pack(FINAL | 0x3, b"bad")


_STEPS = {
    b"ws/close": _close,
    b"ws/drop": _drop,
    b"ws/push": _push,
    b"ws/silent": _silent,
    b"ws/ping": _ping,
    b"ws/bad": _bad,
}
