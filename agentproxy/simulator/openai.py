"""
OpenAI's Responses API, over HTTP and WebSocket, as api.openai.com, chatgpt.com and GitHub Copilot have it.

Facts: https://platform.openai.com/docs/api-reference/responses and .../guides/websocket-mode.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agentproxy.simulator import shapes
from agentproxy.simulator.answer import Answer, Field, Request, Step, dump, event, json_answer, sse_answer
from agentproxy.simulator.memory import Memory
from agentproxy.simulator.turn import Turn, UnknownResponse

if TYPE_CHECKING:
    from agentproxy.simulator.frames import Frame
    from agentproxy.simulator.websocket import App, Socket


def answer(request: Request, memory: Memory, clock: Any) -> Answer:
    """Answer POST /responses."""
    payload = request.json()
    if payload is None:
        return shapes.error_answer(request, 400, "We could not parse the JSON body of your request.")
    try:
        turn = Turn(payload, len(request.body), request, memory, clock.seconds())
    except UnknownResponse as error:
        return shapes.error_answer(request, 400, str(error), "previous_response_not_found")
    fields = _fields(request, turn.model)
    if payload.get("stream") is not True:
        return json_answer(200, turn.response("completed"), *fields)
    return sse_answer(_stream(turn), *fields)


def _stream(turn: Turn) -> Iterator[bytes | float]:
    for item in turn.events():
        yield item if isinstance(item, float) else event(item, str(item["type"]))


def _fields(request: Request, model: str) -> list[Field]:
    fields = shapes.identifying(request)
    if model:
        fields.append((b"openai-model", model.encode("latin-1", "replace")))
    if request.provider == "chatgpt":
        fields += [
            (b"x-codex-primary-used-percent", b"3"),
            (b"x-codex-primary-window-minutes", b"300"),
            (b"x-codex-primary-reset-at", b"4102444800"),
        ]
    elif request.provider == "openai":
        fields += [(b"x-ratelimit-limit-requests", b"10000"), (b"x-ratelimit-remaining-requests", b"9999")]
    return fields


def socket(request: Request, memory: Memory) -> tuple[App, list[Field]]:
    """What is behind GET /responses with an upgrade."""
    state = (b"x-codex-turn-state", b"ts_%024x" % request.serial)
    fields = [
        *_fields(request, request.script.model),
        state,
        (b"x-models-etag", b'W/"simulated"'),
        (b"x-reasoning-included", b"1"),
    ]
    return ResponsesSocket(request, memory), fields


class _Lanes:
    """Turns that go on at once, each lane's one after the other (the ``stream_id`` of a `response.create`)."""

    def __init__(self) -> None:
        self._lanes: dict[str | None, deque[Iterator[Step]]] = {}

    def add(self, lane: str | None, steps: Iterator[Step]) -> bool:
        """Take a turn; whether nothing was going on."""
        idle = not self._lanes
        self._lanes.setdefault(lane, deque()).append(steps)
        return idle

    def steps(self) -> Iterator[Step]:
        """The lanes' steps, in turn, while there are any."""
        while self._lanes:
            for lane in list(self._lanes):
                waiting = self._lanes[lane]
                step = next(waiting[0], None)
                if step is not None:
                    yield step
                    continue
                waiting.popleft()
                if not waiting:
                    del self._lanes[lane]


class ResponsesSocket:
    """
    A Responses WebSocket: ``response.create`` after ``response.create`` on one connection.

    What was answered on it without ``store`` is known on it alone.
    """

    raw = False

    def __init__(self, request: Request, memory: Memory) -> None:
        self._request = request
        self._memory = memory
        self._known = Memory()
        self._lanes = _Lanes()
        self._turns = 0

    def opened(self, socket: Socket) -> None:
        """Nothing is said before the first `response.create`."""

    def frames(self, socket: Socket, frames: list[Frame]) -> None:
        """Messages are wanted, not frames."""

    def message(self, socket: Socket, message: str | bytes) -> None:
        """Take a client event."""
        payload = _object(message)
        if payload is None:
            socket.send(_text(self._error(400, "invalid_json", "The event is not a JSON object.", None)))
            return
        kind = payload.get("type")
        if kind in ("response.append", "response.processed"):
            return
        lane = payload.get("stream_id")
        lane = lane if isinstance(lane, str) else None
        if kind != "response.create":
            error = self._error(400, "unknown_event", f"There is no client event of type {kind!r}.", lane)
            socket.send(_text(error))
            return
        self._turns += 1
        if self._lanes.add(lane, self._turn(socket, payload, len(message), lane)):
            socket.play(self._lanes.steps())

    def _turn(self, socket: Socket, payload: dict[str, Any], size: int, lane: str | None) -> Iterator[Step]:
        # Made when its turn has come: what it refers to may have been answered only just now.
        try:
            turn = Turn(payload, size, self._request, self._memory, socket.clock.seconds(), self._known, self._turns)
        except UnknownResponse as error:
            value = self._error(400, "previous_response_not_found", str(error), lane)
            yield socket.packed(_text(value))
            return
        if self._request.provider == "chatgpt":
            yield socket.packed(_text(_RATE_LIMITS))
        for item in turn.events(generate=payload.get("generate") is not False):
            if isinstance(item, float):
                yield item
                continue
            if lane is not None:
                item["stream_id"] = lane
            yield socket.packed(_text(item))

    def _error(self, status: int, code: str, message: str, lane: str | None) -> dict[str, object]:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        value: dict[str, object] = {"type": "error", "status": status, "error": error}
        return value if lane is None else {**value, "stream_id": lane}


_WINDOW = {"used_percent": 3, "window_minutes": 300, "reset_at": 4102444800}
_RATE_LIMITS = {
    "type": "codex.rate_limits",
    "plan_type": "plus",
    "rate_limits": {"allowed": True, "limit_reached": False, "primary": _WINDOW, "secondary": None},
}


def _object(message: str | bytes) -> dict[str, Any] | None:
    if isinstance(message, bytes):
        return None
    try:
        value = json.loads(message)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str:
    return dump(value).decode()
