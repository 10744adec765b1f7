"""Anthropic's Messages API (https://docs.anthropic.com/en/api/messages), JSON and server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentproxy.simulator import shapes
from agentproxy.simulator.answer import Answer, Request, event, json_answer, sse_answer
from agentproxy.simulator.memory import Memory, tokens_of
from agentproxy.simulator.turn import SHELL_TOOLS, TRIGGER


def answer(request: Request, memory: Memory) -> Answer:
    """Answer POST /v1/messages."""
    payload = request.json()
    if payload is None or not isinstance(payload.get("messages"), list):
        return shapes.error_answer(request, 400, "messages: Field required")
    message = _Message(payload, request, memory)
    fields = (*shapes.identifying(request), (b"anthropic-ratelimit-requests-remaining", b"3999"))
    if payload.get("stream") is not True:
        return json_answer(200, message.whole(), *fields)
    return sse_answer(message.events(), *fields)


def count(request: Request) -> Answer:
    """Answer POST /v1/messages/count_tokens."""
    payload = request.json()
    if payload is None:
        return shapes.error_answer(request, 400, "messages: Field required")
    return json_answer(200, {"input_tokens": _prompt_tokens(payload)}, *shapes.identifying(request))


class _Message:
    """The answer to one request."""

    def __init__(self, payload: dict[str, Any], request: Request, memory: Memory) -> None:
        self._id = f"msg_{request.serial:024x}"
        self._model = str(payload.get("model", "claude"))
        self._memory = memory
        self._script = request.script
        self._tool = _tool(payload)
        self._deltas = [] if self._tool else request.script.deltas(self._model)
        tokens = _prompt_tokens(payload)
        beginning = json.dumps([payload.get("system"), payload["messages"][:1]])
        self._read = memory.cached(beginning, tokens)
        # What is not read from the cache is written to it, but for the last few tokens (input_tokens has neither).
        self._uncached = min(4, tokens - self._read)
        self._written = tokens - self._read - self._uncached
        self._output = tokens_of(sum(map(len, self._deltas)) or 40)

    def _usage(self, output: int) -> dict[str, object]:
        return {
            "input_tokens": self._uncached,
            "cache_creation_input_tokens": self._written,
            "cache_read_input_tokens": self._read,
            "cache_creation": {"ephemeral_5m_input_tokens": self._written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "service_tier": "standard",
        }

    def _block(self) -> dict[str, object]:
        if self._tool is None:
            return {"type": "text", "text": "".join(self._deltas)}
        identity = self._id.replace("msg_", "toolu_")
        return {"type": "tool_use", "id": identity, "name": self._tool, "input": SHELL_TOOLS[self._tool]}

    @property
    def _stop(self) -> str:
        return "tool_use" if self._tool else "end_turn"

    def whole(self, output: int | None = None) -> dict[str, object]:
        """The message; with ``output`` tokens given, as it begins in a stream."""
        begins = output is not None
        if not begins:
            self._memory.reported.append((self._id, self._usage(self._output)))
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [] if begins else [self._block()],
            "stop_reason": None if begins else self._stop,
            "stop_sequence": None,
            "usage": self._usage(self._output if output is None else output),
        }

    def events(self) -> Iterator[bytes | float]:
        """The stream."""
        yield _event({"type": "message_start", "message": self.whole(1)})
        block = self._block()
        begun = {**block, "text": ""} if self._tool is None else {**block, "input": {}}
        yield _event({"type": "content_block_start", "index": 0, "content_block": begun})
        yield _event({"type": "ping"})
        for delta in self._changes():
            yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
            if self._script.pace:
                yield self._script.pace
        yield _event({"type": "content_block_stop", "index": 0})
        end = {"stop_reason": self._stop, "stop_sequence": None}
        usage = self._usage(self._output)
        self._memory.reported.append((self._id, usage))
        yield _event({"type": "message_delta", "delta": end, "usage": usage})
        yield _event({"type": "message_stop"})

    def _changes(self) -> Iterator[dict[str, object]]:
        if self._tool is not None:
            yield {"type": "input_json_delta", "partial_json": ""}
            yield {"type": "input_json_delta", "partial_json": json.dumps(SHELL_TOOLS[self._tool])}
        for text in self._deltas:
            yield {"type": "text_delta", "text": text}


def _event(value: dict[str, object]) -> bytes:
    return event(value, str(value["type"]))


def _prompt_tokens(payload: dict[str, Any]) -> int:
    return tokens_of(len(json.dumps([payload.get("system"), payload.get("messages"), payload.get("tools")])))


def _tool(payload: dict[str, Any]) -> str | None:
    """The tool to call: if one is offered, asked for in the last message, and that does not bring its result."""
    messages = payload["messages"]
    last = json.dumps(messages[-1]) if messages else ""
    if TRIGGER not in last or '"tool_result"' in last:
        return None
    names = [str(tool.get("name")) for tool in payload.get("tools") or [] if isinstance(tool, dict)]
    return next((name for name in names if name in SHELL_TOOLS), None)
