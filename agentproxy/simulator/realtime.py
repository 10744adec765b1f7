"""
The speech APIs' sockets, as text only: OpenAI Realtime (https://platform.openai.com/docs/guides/realtime) and
Gemini Live (https://ai.google.dev/api/live), whose server sends JSON in binary frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from agentproxy.simulator.answer import Request, Step, dump
from agentproxy.simulator.memory import tokens_of

if TYPE_CHECKING:
    from agentproxy.simulator.frames import Frame
    from agentproxy.simulator.websocket import Socket


class RealtimeSocket:
    """``session.created`` first, then an answer to every ``response.create``."""

    raw = False

    def __init__(self, request: Request) -> None:
        self._script = request.script
        self._model = parse_qs(request.query.decode("latin-1")).get("model", ["gpt-realtime"])[0]
        self._heard = 0
        self._turns = 0

    def opened(self, socket: Socket) -> None:
        """Greet."""
        session = {"type": "realtime", "object": "realtime.session", "id": "sess_simulated", "model": self._model}
        socket.send(dump({"type": "session.created", "event_id": "event_0", "session": session}).decode())

    def frames(self, socket: Socket, frames: list[Frame]) -> None:
        """Messages are wanted, not frames."""

    def message(self, socket: Socket, message: str | bytes) -> None:
        """Take a client event."""
        self._heard += len(message)
        value = _object(message)
        if value.get("type") == "session.update":
            socket.send(dump({"type": "session.updated", "session": value.get("session")}).decode())
        elif value.get("type") == "response.create":
            self._turns += 1
            socket.play(self._answer(socket))

    def _answer(self, socket: Socket) -> Iterator[Step]:
        head: dict[str, object] = {"id": f"resp_{self._turns:08x}", "object": "realtime.response", "output": []}

        def packed(value: dict[str, object]) -> bytes:
            return socket.packed(dump(value).decode())

        yield packed({"type": "response.created", "response": {**head, "status": "in_progress", "usage": None}})
        deltas = self._script.deltas(self._model)
        for delta in deltas:
            yield packed({"type": "response.output_text.delta", "response_id": head["id"], "delta": delta})
            yield self._script.pace
        heard, said = tokens_of(self._heard), tokens_of(sum(map(len, deltas)))
        usage = {
            "total_tokens": heard + said,
            "input_tokens": heard,
            "output_tokens": said,
            "input_token_details": {"text_tokens": heard, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": said, "audio_tokens": 0},
        }
        yield packed({"type": "response.done", "response": {**head, "status": "completed", "usage": usage}})


class LiveSocket:
    """``setupComplete`` after ``setup``, then an answer to every turn that is complete."""

    raw = False

    def __init__(self, request: Request) -> None:
        self._script = request.script
        self._model = "gemini-live"
        self._heard = 0

    def opened(self, socket: Socket) -> None:
        """The client speaks first."""

    def frames(self, socket: Socket, frames: list[Frame]) -> None:
        """Messages are wanted, not frames."""

    def message(self, socket: Socket, message: str | bytes) -> None:
        """Take a client message."""
        self._heard += len(message)
        value = _object(message)
        setup, content = value.get("setup"), value.get("clientContent")
        if isinstance(setup, dict):
            self._model = str(setup.get("model", self._model))
            socket.send(dump({"setupComplete": {}}))
        elif isinstance(content, dict) and content.get("turnComplete") is True:
            socket.play(self._answer(socket))

    def _answer(self, socket: Socket) -> Iterator[Step]:
        deltas = self._script.deltas(self._model)
        for delta in deltas:
            turn = {"role": "model", "parts": [{"text": delta}]}
            yield socket.packed(dump({"serverContent": {"modelTurn": turn}}))
            yield self._script.pace
        heard, said = tokens_of(self._heard), tokens_of(sum(map(len, deltas)))
        usage = {"promptTokenCount": heard, "responseTokenCount": said, "totalTokenCount": heard + said}
        yield socket.packed(dump({"serverContent": {"turnComplete": True}, "usageMetadata": usage}))


def _object(message: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(message)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
