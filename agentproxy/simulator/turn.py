"""One turn of the Responses API: what a request asks for, and the events and the response object that answer it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentproxy.simulator.answer import Request
from agentproxy.simulator.memory import Memory, tokens_of

TRIGGER = "TOOLCALL"
"""The word in a prompt that makes the simulator call the shell tool that it was offered."""

COMMAND = "echo agentproxy"

# The shell tools that agents offer, and the arguments with which each runs the command.
SHELL_TOOLS: dict[str, dict[str, object]] = {
    "exec_command": {"cmd": COMMAND},
    "shell_command": {"command": COMMAND},
    "shell": {"command": ["bash", "-lc", COMMAND]},
    "container.exec": {"command": ["bash", "-lc", COMMAND]},
    "local_shell": {"command": ["bash", "-lc", COMMAND]},
    "bash": {"command": COMMAND, "description": "Say the name"},
    "Bash": {"command": COMMAND, "description": "Say the name"},
    "run_shell_command": {"command": COMMAND, "description": "Say the name"},
}

_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")


class UnknownResponse(Exception):
    """`previous_response_id` is none that is known."""


class Turn:
    """
    :param size: the request's characters or bytes, of which its input tokens are made.
    :param known: the responses known on this connection alone, where there are such.
    :param number: which turn of its request this is, for its id.
    :raises UnknownResponse: the response that it says it follows is not known.
    """

    def __init__(
        self,
        payload: dict[str, Any],
        size: int,
        request: Request,
        memory: Memory,
        now: float,
        known: Memory | None = None,
        number: int = 0,
    ) -> None:
        self.model = str(payload.get("model", "gpt-5.5"))
        self.id = f"resp_{request.serial:024x}{number:08x}"
        self._payload = payload
        self._memory = memory
        self._script = request.script
        self._copilot = request.provider == "copilot"
        self._now = int(now)
        before = self._context(payload.get("previous_response_id"), memory, known)
        self.input_tokens = before + tokens_of(size)
        key = payload.get("prompt_cache_key") or f"{payload.get('instructions')}{payload.get('input')}"[:1000]
        cached = memory.cached(str(key), self.input_tokens)
        self.cached_tokens = max(cached, before // 128 * 128)
        self._call = _shell_call(payload)
        self._deltas = [] if self._call else self._script.deltas(self.model)
        self.text = "".join(self._deltas)
        self.reasoning_tokens = 16 if isinstance(payload.get("reasoning"), dict) else 0
        self.output_tokens = tokens_of(len(self.text) if self._call is None else len(COMMAND)) + self.reasoning_tokens
        total = self.input_tokens + self.output_tokens
        if payload.get("store") is not False:
            memory.keep_response(self.id, total)
        if known is not None:
            known.keep_response(self.id, total)

    @staticmethod
    def _context(previous: object, memory: Memory, known: Memory | None) -> int:
        if previous is None:
            return 0
        for place in (known, memory):
            tokens = place.response(str(previous)) if place is not None else None
            if tokens is not None:
                return tokens
        raise UnknownResponse(f"Previous response with id '{previous}' not found.")

    def usage(self, generate: bool = True) -> dict[str, object]:
        """The response's ``usage``."""
        out, reasoning = (self.output_tokens, self.reasoning_tokens) if generate else (0, 0)
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": self.cached_tokens},
            "output_tokens": out,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": self.input_tokens + out,
        }

    def response(self, status: str, generate: bool = True) -> dict[str, object]:
        """The response object."""
        done = status == "completed"
        output = [self._item("completed")] if done and generate else []
        response: dict[str, object] = {
            "id": self.id,
            "object": "response",
            "created_at": self._now,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": self._payload.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "store": self._payload.get("store") is not False,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": self.usage(generate) if done else None,
            "user": None,
            "metadata": {},
        }
        if done and generate:
            self._memory.reported.append((self.id, self.usage()))
        if done and self._copilot:
            response["copilot_usage"] = self._copilot_usage(generate)
        return response

    def _copilot_usage(self, generate: bool) -> dict[str, object]:
        counts = {
            "input": self.input_tokens - self.cached_tokens,
            "cache_read": self.cached_tokens,
            "output": self.output_tokens if generate else 0,
        }
        return {"token_details": [{"token_type": kind, "token_count": count} for kind, count in counts.items()]}

    def events(self, generate: bool = True) -> Iterator[dict[str, object] | float]:
        """The stream's events, and the seconds to wait between its deltas."""
        for number, item in enumerate(self._events(generate)):
            item["sequence_number"] = number
            yield item
            if self._script.pace and item["type"] == "response.output_text.delta":
                yield self._script.pace

    def _events(self, generate: bool) -> Iterator[dict[str, object]]:
        yield {"type": "response.created", "response": self.response("in_progress")}
        yield {"type": "response.in_progress", "response": self.response("in_progress")}
        if generate:
            yield {"type": "response.output_item.added", "output_index": 0, "item": self._item("in_progress")}
            yield from self._call_events() if self._call else self._text_events()
            yield {"type": "response.output_item.done", "output_index": 0, "item": self._item("completed")}
        last: dict[str, object] = {"type": "response.completed", "response": self.response("completed", generate)}
        if self._copilot:
            last["copilot_usage"] = self._copilot_usage(generate)
        yield last

    def _text_events(self) -> Iterator[dict[str, object]]:
        place = {"item_id": self._item_id("msg"), "output_index": 0, "content_index": 0}
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
        yield {"type": "response.content_part.added", **place, "part": part}
        for delta in self._deltas:
            yield {"type": "response.output_text.delta", **place, "delta": delta, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": self.text, "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": {**part, "text": self.text}}

    def _call_events(self) -> Iterator[dict[str, object]]:
        assert self._call is not None
        if self._call[0] == "local_shell":
            return
        place = {"item_id": self._item_id("fc"), "output_index": 0}
        yield {"type": "response.function_call_arguments.delta", **place, "delta": self._call[1]}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": self._call[1]}

    def _item_id(self, kind: str) -> str:
        return f"{kind}_{self.id.removeprefix('resp_')}"

    def _item(self, status: str) -> dict[str, object]:
        done = status == "completed"
        if self._call is None:
            content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": self.text}] if done else []
            head = {"id": self._item_id("msg"), "type": "message", "status": status}
            return {**head, "role": "assistant", "content": content}
        name, arguments = self._call
        call = self._item_id("call")
        if name == "local_shell":
            action = {"type": "exec", "command": ["bash", "-lc", COMMAND], "env": {}}
            return {"id": self._item_id("lsh"), "type": "local_shell_call", "status": status, "call_id": call} | {
                "action": action
            }
        head = {"id": self._item_id("fc"), "type": "function_call", "status": status}
        return {**head, "call_id": call, "name": name, "arguments": arguments if done else ""}


def _shell_call(payload: dict[str, Any]) -> tuple[str, str] | None:
    """The tool to call and its arguments, as JSON: if one is offered, asked for, and has not been called yet."""
    names = [str(tool.get("name") or tool.get("type")) for tool in payload.get("tools") or [] if isinstance(tool, dict)]
    offered = next((name for name in names if name in SHELL_TOOLS), None)
    if offered is None:
        return None
    items = payload.get("input")
    if isinstance(items, list):
        for index in range(len(items), 0, -1):
            if isinstance(items[index - 1], dict) and items[index - 1].get("type") in _OUTPUTS:
                items = items[index:]
                break
    if TRIGGER not in json.dumps(items):
        return None
    return offered, json.dumps(SHELL_TOOLS[offered])
