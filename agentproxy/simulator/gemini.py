"""The Gemini API's generateContent (https://ai.google.dev/api/generate-content), whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentproxy.simulator import shapes
from agentproxy.simulator.answer import Answer, Request, dump, json_answer, sse_answer
from agentproxy.simulator.memory import Memory, tokens_of
from agentproxy.simulator.turn import SHELL_TOOLS, TRIGGER


def answer(request: Request, memory: Memory) -> Answer | None:
    """Answer POST .../models/MODEL:METHOD; ``None`` where there is no such method."""
    name, _, method = request.path.decode("latin-1").rpartition("/")[2].partition(":")
    if method not in ("generateContent", "streamGenerateContent", "countTokens"):
        return None
    payload = request.json()
    if payload is None or not isinstance(payload.get("contents"), list):
        return shapes.error_answer(request, 400, "* GenerateContentRequest.contents: contents is not specified")
    if method == "countTokens":
        return json_answer(200, {"totalTokens": _prompt_tokens(payload)}, *shapes.identifying(request))
    content = _Content(name, payload, request, memory)
    fields = shapes.identifying(request)
    if method == "generateContent":
        return json_answer(200, content.whole(), *fields)
    if b"alt=sse" in request.query:
        return sse_answer(content.events(), *fields)
    return Answer(200, ((b"content-type", b"application/json"), *fields), content.array())


class _Content:
    """The answer to one request."""

    def __init__(self, model: str, payload: dict[str, Any], request: Request, memory: Memory) -> None:
        self._model = model
        self._id = f"{request.serial:022x}"
        self._pace = request.script.pace
        self._tool = _tool(payload)
        self._deltas = [] if self._tool else request.script.deltas(model)
        self._prompt = _prompt_tokens(payload)
        first = json.dumps([payload.get("systemInstruction"), payload["contents"][:1]])
        self._cached = memory.cached(first, self._prompt)

    def _usage(self, text_size: int) -> dict[str, object]:
        answered = tokens_of(text_size)
        usage: dict[str, object] = {
            "promptTokenCount": self._prompt,
            "candidatesTokenCount": answered,
            "totalTokenCount": self._prompt + answered + 8,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self._prompt}],
            "thoughtsTokenCount": 8,
        }
        if self._cached:
            usage["cachedContentTokenCount"] = self._cached
        return usage

    def _chunk(self, parts: list[dict[str, object]], size: int, last: bool) -> dict[str, object]:
        candidate: dict[str, object] = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if last:
            candidate["finishReason"] = "STOP"
        head = {"candidates": [candidate], "usageMetadata": self._usage(size)}
        return {**head, "modelVersion": self._model, "responseId": self._id}

    def whole(self) -> dict[str, object]:
        """The response."""
        text = "".join(self._deltas)
        return self._chunk(self._call() or [{"text": text}], len(text) or 40, True)

    def _call(self) -> list[dict[str, object]]:
        return [{"functionCall": {"name": self._tool, "args": SHELL_TOOLS[self._tool]}}] if self._tool else []

    def _chunks(self) -> Iterator[dict[str, object] | float]:
        if self._tool:
            yield self.whole()
        size = 0
        for index, text in enumerate(self._deltas):
            if index and self._pace:
                yield self._pace
            size += len(text)
            # Each chunk's usage is of all that was said so far.
            yield self._chunk([{"text": text}], size, index + 1 == len(self._deltas))

    def events(self) -> Iterator[bytes | float]:
        """The stream as server-sent events, whose lines Google ends with CR LF."""
        for chunk in self._chunks():
            yield chunk if isinstance(chunk, float) else b"data: %b\r\n\r\n" % dump(chunk)

    def array(self) -> Iterator[bytes | float]:
        """The stream as a JSON array."""
        before = b"["
        for chunk in self._chunks():
            if isinstance(chunk, float):
                yield chunk
            else:
                yield before + dump(chunk)
                before = b",\r\n"
        yield b"]"


def _prompt_tokens(payload: dict[str, Any]) -> int:
    return tokens_of(len(json.dumps([payload.get("systemInstruction"), payload["contents"], payload.get("tools")])))


def _tool(payload: dict[str, Any]) -> str | None:
    contents = payload["contents"]
    last = json.dumps(contents[-1]) if contents else ""
    if TRIGGER not in last or '"functionResponse"' in last:
        return None
    for tool in payload.get("tools") or []:
        for declared in tool.get("functionDeclarations") or [] if isinstance(tool, dict) else []:
            if declared.get("name") in SHELL_TOOLS:
                return str(declared["name"])
    return None
