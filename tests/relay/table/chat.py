"""Chat Completions, the older Completions, and Embeddings: OpenAI's, and those of servers that speak as it does."""

from __future__ import annotations

from typing import Any

from agentproxy.providers.chat_turns import NOT_ASKED
from agentproxy.usage import REFUSED
from tests.providers.test_openai_usage import CHAT_USAGE, DEEPSEEK_USAGE, XAI_USAGE
from tests.relay.table.row import JSON, OPENAI, Http, Told, dumps, nothing, sse, usd

PATH = b"/v1/chat/completions"
MODEL, DATED = "gpt-4.1", "gpt-4.1-2025-04-14"
DONE = b"[DONE]"


def ask(model: str = MODEL, *, usage: bool | None = True, **more: Any) -> bytes:
    """A streaming client's; ``usage``: whether it asks for it, or leaves that out."""
    options = {} if usage is None else {"stream_options": {"include_usage": usage}}
    messages = [{"role": "user", "content": "hi"}]
    return dumps({"model": model, "messages": messages, "stream": True, **options, **more})


def chunk(delta: Any, finish: str | None = None, model: str = DATED, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1758000000, "model": model}
    return {**head, "choices": [choice], "usage": None, **more}


def last(used: Any, model: str = DATED) -> dict[str, Any]:
    return {**chunk({}, model=model), "choices": [], "usage": used}


def text(said: str, **more: Any) -> dict[str, Any]:
    return chunk({"content": said}, **more)


def call(name: str | None, arguments: str) -> dict[str, Any]:
    """A piece of a tool's call; the first one names it."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    first = {} if name is None else {"id": "call_1", "type": "function"}
    return chunk({"tool_calls": [{"index": 0, **first, "function": function}]})


def whole(model: str, used: Any, finish: str = "stop", **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi.", **message}, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1758000000, "model": model}
    return dumps({**head, "choices": [choice], "usage": used})


ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
SMALL = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
WITHOUT = ask(usage=None)

ROWS = [
    # gpt-4.1 2, cached 0.50, out 8.
    Http(
        "a stream with its usage",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 1_117, 46, cache_read=1_024, reasoning=12, stop_reason="stop",
              cost=usd((93, "2"), (1_024, "0.50"), (46, "8"))),),
        asked=ask(),
        answered=sse(ROLE, *[text("Hello ")] * 20, chunk({}, "stop"),
                     last({**CHAT_USAGE, "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 0},
                           "completion_tokens_details": {"reasoning_tokens": 12}}), DONE),
    ),
    Http(
        "a stream of which the client wants no usage",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(WITHOUT) // 4, 30, stop_reason="stop", source="estimated", note=NOT_ASKED,
              cost=usd((len(WITHOUT) // 4, "2"), (30, "8"))),),
        asked=WITHOUT,
        answered=sse(ROLE, *[text("Hello ")] * 20, chunk({}, "stop"), DONE),
    ),
    Http(
        "one of which it says that it wants none",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ask(usage=False)) // 4, 3, stop_reason="stop", source="estimated", note=NOT_ASKED,
              cost=usd((len(ask(usage=False)) // 4, "2"), (3, "8"))),),
        asked=ask(usage=False),
        answered=sse(ROLE, text("Hello, world"), chunk({}, "stop"), DONE, field=b"data:"),
    ),
    Http(
        "one that asked for it in vain",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ask()) // 4, 3, stop_reason="stop", source="estimated",
              cost=usd((len(ask()) // 4, "2"), (3, "8"))),),
        asked=ask(),
        answered=sse(ROLE, text("Hello, world"), chunk({}, "stop"), DONE),
    ),
    Http(
        "tools",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 20, 5, stop_reason="tool_calls", tools=("shell",), cost=usd((20, "2"), (5, "8"))),),
        asked=ask(),
        answered=sse(ROLE, call("shell", ""), call(None, '{"cmd":'), call(None, '"ls"}'), chunk({}, "tool_calls"),
                     last(SMALL), DONE),
    ),
    Http(
        "cut short",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 20, 5, stop_reason="length", status="incomplete", cost=usd((20, "2"), (5, "8"))),),
        asked=ask(),
        answered=sse(ROLE, text("Hello"), chunk({}, "length"), last(SMALL), DONE),
    ),
    # Audio is priced as such on either side: 2.50, 32 heard, out 10, 64 spoken.
    Http(
        "audio",
        "openai", OPENAI, PATH,
        (Told("gpt-audio", "gpt-audio-2025-08-28", 100, 350, input_audio=80, output_audio=300, stop_reason="stop",
              cost=usd((20, "2.50"), (80, "32"), (50, "10"), (300, "64"))),),
        asked=ask("gpt-audio", stream=False),
        answered=whole("gpt-audio-2025-08-28", {
            "prompt_tokens": 100, "completion_tokens": 350, "total_tokens": 450,
            "prompt_tokens_details": {"audio_tokens": 80, "cached_tokens": 0},
            "completion_tokens_details": {"audio_tokens": 300, "reasoning_tokens": 0},
        }, audio={"id": "audio_1", "data": "AAAA", "transcript": "Hi."}),
        fields=(JSON,),
    ),
    # Azure's path names the deployment, and its body no model; its first chunk is of the filter.
    Http(
        "azure",
        "openai", "corp.openai.azure.com", b"/openai/deployments/ours/chat/completions?api-version=2024-10-21",
        (Told(None, DATED, 20, 5, stop_reason="stop", cost=usd((20, "2"), (5, "8"))),),
        asked=b'{"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}',
        answered=sse(
            {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [
                {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]},
            ROLE, text("Hello"), chunk({}, "stop"), last(SMALL), DONE,
        ),
    ),
    Http(
        "two choices",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 20, 5, stop_reason="stop", cost=usd((20, "2"), (5, "8"))),),
        asked=ask(n=2),
        answered=sse(ROLE, *[{**text("a"), "choices": [{"index": 1, "delta": {"content": "b"},
                                                       "finish_reason": None}]}, text("a")] * 5,
                     chunk({}, "stop"), last(SMALL), DONE),
    ),
    Http(
        "an error in place of an answer",
        "openai", "openrouter.ai", b"/api/v1/chat/completions",
        (nothing(MODEL, status="failed", stop_reason="error", note=REFUSED),),
        asked=ask(),
        answered=dumps({"error": {"code": 429, "message": "Slow down."}}),
        fields=(JSON,),
    ),
    Http(
        "an error in the middle",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ask()) // 4, 10, stop_reason="server_error", status="failed", source="estimated",
              cost=usd((len(ask()) // 4, "2"), (10, "8"))),),
        asked=ask(),
        answered=sse(ROLE, text("x" * 40), {"error": {"type": "server_error", "code": None, "message": "Sorry."}}),
    ),
    Http(
        "the client leaves",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ask()) // 4, 30, status="unsettled", source="estimated",
              cost=usd((len(ask()) // 4, "2"), (30, "8"))),),
        asked=ask(),
        answered=sse(ROLE, *[text("Hello ")] * 20),
        ends="client",
    ),
    # What was hit of the prompt is part of it: 0.27, hit 0.07, out 1.10. The usage is on the chunk that finishes.
    Http(
        "deepseek",
        "openai", "api.deepseek.com", b"/chat/completions",
        (Told("deepseek-chat", "deepseek-chat", 500, 20, cache_read=448, stop_reason="stop",
              cost=usd((52, "0.27"), (448, "0.07"), (20, "1.10"))),),
        asked=ask("deepseek-chat", usage=None),
        answered=sse(text("Hi", model="deepseek-chat"),
                     chunk({}, "stop", model="deepseek-chat", usage=DEEPSEEK_USAGE), DONE),
    ),
    # Its reasoning is beside the completion's tokens, and in the total: 530 + 233.
    Http(
        "grok",
        "openai", "api.x.ai", PATH,
        (Told("grok-4", "grok-4", 37, 763, reasoning=233, stop_reason="stop", cost=usd((37, "3"), (763, "15"))),),
        asked=ask("grok-4", stream=False),
        answered=whole("grok-4", XAI_USAGE),
        fields=(JSON,),
    ),
    # By the library's claude-sonnet-4.5 of OpenRouter: 3, written 3.75, read 0.30, out 15. Comments keep it alive.
    Http(
        "openrouter",
        "openai", "openrouter.ai", b"/api/v1/chat/completions",
        (Told("anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5", 3_000, 50, cache_read=1_000,
              cache_write=1_500, stop_reason="stop",
              cost=usd((500, "3"), (1_000, "0.30"), (1_500, "3.75"), (50, "15"))),),
        asked=ask("anthropic/claude-sonnet-4.5"),
        answered=b": OPENROUTER PROCESSING\n\n" * 3
        + sse(text("Hi", model="anthropic/claude-sonnet-4.5"), chunk({}, "stop", model="anthropic/claude-sonnet-4.5"),
              last({"prompt_tokens": 3_000, "completion_tokens": 50, "total_tokens": 3_050,
                    "prompt_tokens_details": {"cached_tokens": 1_000, "cache_write_tokens": 1_500}},
                   "anthropic/claude-sonnet-4.5"), DONE),
    ),
    # vLLM can tell the usage of all so far on every chunk: the last one counts.
    Http(
        "a usage on every chunk",
        "openai", "gpu.corp.example", PATH,
        (Told("gpt-5.5", "gpt-5.5", 20, 2, stop_reason="stop", cost=usd((20, "5"), (2, "30"))),),
        asked=ask("gpt-5.5"),
        answered=sse(
            *[text("a", model="gpt-5.5", usage={"prompt_tokens": 20, "completion_tokens": n, "total_tokens": 20 + n})
              for n in (1, 2)],
            chunk({}, "stop", model="gpt-5.5",
                  usage={"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}),
        ),
    ),
    Http(
        "refused",
        "openai", OPENAI, PATH,
        (nothing(MODEL, status="failed", note="upstream refused it with status 400"),),
        asked=ask(),
        answered=b'{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":null}}',
        fields=(JSON,),
        status=b"400 Bad Request",
    ),
    Http(
        "older completions",
        "openai", OPENAI, b"/v1/completions",
        (Told("gpt-5.5", "gpt-5.5", 7, 3, stop_reason="stop", cost=usd((7, "5"), (3, "30"))),),
        asked=b'{"model":"gpt-5.5","prompt":"Say hi"}',
        answered=dumps({
            "id": "cmpl-1", "object": "text_completion", "model": "gpt-5.5",
            "choices": [{"text": "Hi.", "index": 0, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }),
        fields=(JSON,),
    ),
    # 0.02, and no output.
    Http(
        "embeddings",
        "openai", OPENAI, b"/v1/embeddings",
        (Told("text-embedding-3-small", "text-embedding-3-small", 8_000, 0, cost=usd((8_000, "0.02"))),),
        asked=b'{"model":"text-embedding-3-small","input":["a","b"]}',
        answered=dumps({
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.0023064255, -0.009327292] * 768}],
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 8_000, "total_tokens": 8_000},
        }),
        fields=(JSON,),
    ),
]  # fmt: skip
