"""
What the simulator says, through a port: its own counts are what is booked, at the prices of this table. The first call
of a row finds the simulator's cache cold, the second finds it warm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.relay.table.row import JSON, SSE, Deflated, Http, Row, Socket, Step, Told, dumps, usd
from tests.relay.table.row import up as client_says
from tests.simulator.support import QUIET, Link, events, request, split
from tests.simulator.test_websocket import OFFER, Client, received

LONG = "A prompt that is long enough to be worth a cache. " * 200
MESSAGES = [{"role": "user", "content": LONG}]
HOST = "llm.corp.example"


def openai(usage: dict[str, Any], put: str = "input", said: str = "output") -> dict[str, int]:
    """The counts of one of OpenAI's usages, by our names."""
    return {
        "input": usage[f"{put}_tokens"],
        "output": usage[f"{said}_tokens"],
        "cache_read": usage.get(f"{put}_tokens_details", {}).get("cached_tokens", 0),
        "reasoning": usage.get(f"{said}_tokens_details", {}).get("reasoning_tokens", 0),
    }


def responses(last: dict[str, Any]) -> dict[str, int]:
    return openai(last.get("response", last)["usage"])


def chat(last: dict[str, Any]) -> dict[str, int]:
    return openai(last["usage"], "prompt", "completion")


def anthropic(last: dict[str, Any]) -> dict[str, int]:
    usage = last["usage"]
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return {"input": usage["input_tokens"] + read + written, "output": usage["output_tokens"], "cache_read": read,
            "cache_write": written}  # fmt: skip


def gemini(last: dict[str, Any]) -> dict[str, int]:
    usage = last["usageMetadata"]
    thoughts = usage.get("thoughtsTokenCount", 0)
    said = usage.get("candidatesTokenCount", 0) + usage.get("responseTokenCount", 0)
    return {"input": usage["promptTokenCount"], "output": said + thoughts, "reasoning": thoughts,
            "cache_read": usage.get("cachedContentTokenCount", 0)}  # fmt: skip


def told(model: str, answered: str | None, counts: dict[str, Any], prices: tuple[str, ...], **more: Any) -> Told:
    """``prices``: of fresh input, output, cache read, cache write."""
    fresh = counts["input"] - counts.get("cache_read", 0) - counts.get("cache_write", 0)
    parts = (fresh, counts["output"], counts.get("cache_read", 0), counts.get("cache_write", 0))
    return Told(model, answered, **counts, cost=usd(*zip(parts, prices, strict=False)), **more)


GPT, OPUS, FLASH = ("5", "30", "0.50"), ("5", "25", "0.50", "6.25"), ("0.30", "2.50", "0.03")
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
CALLS: tuple[tuple[str, str, str, dict[str, Any], Any, tuple[str, ...], str | None], ...] = (
    ("openai", "/v1/responses", "gpt-5.5", {"input": LONG, "stream": True}, responses, GPT, None),
    ("openai", "/v1/responses", "gpt-5.5", {"input": LONG}, responses, GPT, None),
    ("chatgpt", "/backend-api/codex/responses", "gpt-5.5", {"input": LONG, "stream": True}, responses, GPT, None),
    ("copilot", "/responses", "gpt-5.5", {"input": LONG, "stream": True}, responses, GPT, None),
    ("openai", "/v1/chat/completions", "gpt-5.5", {"messages": MESSAGES, **STREAMED}, chat, GPT, "stop"),
    ("openai", "/v1/chat/completions", "gpt-5.5", {"messages": MESSAGES}, chat, GPT, "stop"),
    ("copilot", "/chat/completions", "gpt-5.5", {"messages": MESSAGES, **STREAMED}, chat, GPT, "stop"),
    ("anthropic", "/v1/messages", "claude-opus-4-5", {"messages": MESSAGES, "stream": True}, anthropic, OPUS,
     "end_turn"),
    ("anthropic", "/v1/messages", "claude-opus-4-5", {"messages": MESSAGES}, anthropic, OPUS, "end_turn"),
    *(
        ("gemini", f"/v1beta/models/gemini-2.5-flash:{method}", "gemini-2.5-flash",
         {"contents": [{"role": "user", "parts": [{"text": LONG}]}]}, gemini, FLASH, "STOP")
        for method in ("streamGenerateContent?alt=sse", "streamGenerateContent", "generateContent")
    ),
)  # fmt: skip


def calls() -> Iterator[Row]:
    for number, (kind, path, model, ask, counted, prices, reason) in enumerate(CALLS):
        link = Link(script=QUIET)
        asked = dumps({"model": model, **ask})
        for cache in ("cold", "warm"):
            _, _, body = split(link.send(request(path, asked)))
            streamed = b"data: " in body
            found = events(body) if streamed else json.loads(body)
            last = found if isinstance(found, dict) else [each for each in found if _counts(each)][-1]
            turn = told(model, model, counted(last), prices, stop_reason=reason)
            name, fields = f"{number} {kind} {path} {cache}", (SSE if streamed else JSON,)
            yield Http(name, kind, HOST, path.encode(), (turn,), asked=asked, answered=body, fields=fields)


def _counts(event: dict[str, Any]) -> Any:
    return event.get("usage") or event.get("usageMetadata") or event.get("response", {}).get("usage")


LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
CREATE = {"type": "response.create", "model": "gpt-5.5", "input": LONG}
ASK = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hi"}]}], "turnComplete": True}}
SETUP = {"setup": {"model": "models/gemini-2.5-flash"}}
SPEAKS: tuple[tuple[str, str, str, str | None, list[Any], Any, tuple[str, ...]], ...] = (
    ("openai", "/v1/responses", "gpt-5.5", "gpt-5.5", [CREATE, CREATE], responses, GPT),
    ("openai", "/v1/responses", "gpt-5.5", "gpt-5.5", [{**CREATE, "generate": False}, CREATE, CREATE], responses, GPT),
    ("copilot", "/responses", "gpt-5.5", "gpt-5.5", [CREATE, CREATE], responses, GPT),
    ("openai", "/v1/realtime?model=gpt-realtime", "gpt-realtime", None,
     [{"type": "response.create"}] * 2, responses, ("4", "16", "0.40")),
    ("gemini", LIVE, "gemini-2.5-flash", None, [SETUP, ASK, ASK], gemini, FLASH),
)  # fmt: skip


def sockets() -> Iterator[Row]:
    for number, (kind, path, model, answered, asked, counted, prices) in enumerate(SPEAKS):
        client = Client(path, script=QUIET)
        said: list[Step] = [(False, client.first)] if client.first else []
        turns = []
        for ask in asked:
            step = client_says(ask)
            frames = client.send(step[1])
            said += [step, (False, frames)]
            last = json.loads(received(frames)[-1][1])
            if _counts(last) and ask.get("generate") is not False:
                turns.append(told(model, answered, counted(last), prices))
        yield Socket(f"{number} {kind} socket {path}", kind, HOST, path.encode(), tuple(turns), said=tuple(said))


def deflated() -> Row:
    """Compressed by the simulator itself, which keeps its context; how many it says is known from a plain socket."""
    plain, packed = Client("/v1/responses", script=QUIET), Client("/v1/responses", OFFER, script=QUIET)
    pack = Deflated()
    said: list[Step] = []
    turns = []
    for _ in range(2):
        last = json.loads(received(plain.send(client_says(CREATE)[1]))[-1][1])
        turns.append(told("gpt-5.5", "gpt-5.5", responses(last), GPT))
        step = pack.up(CREATE)
        said += [step, (False, packed.send(step[1]))]
    return Socket("openai deflated socket", "openai", HOST, b"/v1/responses", tuple(turns), said=tuple(said),
                  extensions=b"permessage-deflate")  # fmt: skip


ROWS = [*calls(), *sockets(), deflated()]
