"""Chat Completions (https://platform.openai.com/docs/api-reference/chat), of OpenAI and GitHub Copilot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentproxy.simulator import shapes
from agentproxy.simulator.answer import Answer, Request, event, json_answer, sse_answer
from agentproxy.simulator.memory import Memory, tokens_of
from agentproxy.simulator.turn import SHELL_TOOLS, TRIGGER


def answer(request: Request, memory: Memory, clock: Any) -> Answer:
    """Answer POST /chat/completions."""
    payload = request.json()
    if payload is None or not isinstance(payload.get("messages"), list):
        return shapes.error_answer(
            request, 400, "Missing required parameter: 'messages'.", "missing_required_parameter"
        )
    completion = _Completion(payload, request, memory, clock.seconds())
    fields = shapes.identifying(request)
    if payload.get("stream") is not True:
        return json_answer(200, completion.whole(), *fields)
    return sse_answer(completion.events(), *fields)


class _Completion:
    """The answer to one request."""

    def __init__(self, payload: dict[str, Any], request: Request, memory: Memory, now: float) -> None:
        self._head = {
            "id": f"chatcmpl-{request.serial:024x}",
            "created": int(now),
            "model": str(payload.get("model", "gpt-5.5")),
        }
        self._script = request.script
        self._copilot = request.provider == "copilot"
        options = payload.get("stream_options")
        self._with_usage = isinstance(options, dict) and options.get("include_usage") is True
        self._tool = _tool(payload)
        self._deltas = [] if self._tool else request.script.deltas(str(self._head["model"]))
        prompt = json.dumps([payload["messages"], payload.get("tools")])
        self._prompt = tokens_of(len(prompt))
        self._cached = memory.cached(json.dumps(payload["messages"][:1]), self._prompt)
        self._output = tokens_of(sum(map(len, self._deltas)) or 40)

    def _usage(self) -> dict[str, object]:
        return {
            "prompt_tokens": self._prompt,
            "completion_tokens": self._output,
            "total_tokens": self._prompt + self._output,
            "prompt_tokens_details": {"cached_tokens": self._cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    def _copilot_usage(self) -> dict[str, object]:
        counts = {"input": self._prompt - self._cached, "cache_read": self._cached, "output": self._output}
        details = [{"token_type": kind, "token_count": number} for kind, number in counts.items()]
        return {"copilot_usage": {"token_details": details}} if self._copilot else {}

    def _calls(self) -> list[dict[str, object]]:
        function = {"name": self._tool, "arguments": json.dumps(SHELL_TOOLS[str(self._tool)])}
        identity = str(self._head["id"]).replace("chatcmpl-", "call_")
        return [{"id": identity, "type": "function", "function": function}]

    @property
    def _finish(self) -> str:
        return "tool_calls" if self._tool else "stop"

    def whole(self) -> dict[str, object]:
        """The completion."""
        message: dict[str, object] = {"role": "assistant", "content": "".join(self._deltas) or None, "refusal": None}
        if self._tool:
            message["tool_calls"] = self._calls()
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        head = {**self._head, "object": "chat.completion", "choices": [choice]}
        return {**head, "usage": self._usage(), **self._copilot_usage()}

    def events(self) -> Iterator[bytes | float]:
        """The stream; its last chunk has the usage and no choice, if that was asked for."""
        yield self._chunk({"role": "assistant", "content": ""}, None)
        if self._tool:
            yield self._chunk({"tool_calls": [{"index": 0, **call} for call in self._calls()]}, None)
        for text in self._deltas:
            yield self._chunk({"content": text}, None)
            if self._script.pace:
                yield self._script.pace
        yield self._chunk({}, self._finish)
        if self._with_usage:
            last = {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage()}
            yield event({**last, **self._copilot_usage()})
        yield b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, object], finish: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._with_usage else {}
        return event({**self._head, "object": "chat.completion.chunk", "choices": [choice], **usage})


def _tool(payload: dict[str, Any]) -> str | None:
    messages = payload["messages"]
    last = messages[-1] if messages and isinstance(messages[-1], dict) else {}
    if last.get("role") != "user" or TRIGGER not in json.dumps(last):
        return None
    tools = [tool.get("function") for tool in payload.get("tools") or [] if isinstance(tool, dict)]
    names = [str(function.get("name")) for function in tools if isinstance(function, dict)]
    return next((name for name in names if name in SHELL_TOOLS), None)
