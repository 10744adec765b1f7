"""Gemini over HTTP: each chunk's counts are of all so far, thoughts are output, and the cache is part of the prompt."""

from __future__ import annotations

from typing import Any

from agentproxy.usage import REFUSED
from tests.relay.table.row import GEMINI, JSON, Http, Told, dumps, nothing, sse, usd

PRO, FLASH = "gemini-2.5-pro", "gemini-2.5-flash"
CALL = {"functionCall": {"name": "run_shell_command", "args": {"command": "ls -la"}}}
ASK = dumps({"contents": [{"role": "user", "parts": [{"text": "x" * 400}]}], "generationConfig": {}})


def path(model: str, method: str = "streamGenerateContent?alt=sse") -> bytes:
    return f"/v1beta/models/{model}:{method}".encode()


def counts(prompt: int, said: int, thoughts: int = 0, **more: Any) -> dict[str, Any]:
    """As they come: what is 0 is left out."""
    found = {
        "promptTokenCount": prompt, "candidatesTokenCount": said, "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + said + thoughts, **more,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def chunk(parts: list[Any], usage: object, model: str = PRO, **candidate: Any) -> dict[str, Any]:
    content = {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **candidate}]}
    return {**content, "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}


def text(said: str, usage: object, model: str = PRO, **candidate: Any) -> dict[str, Any]:
    return chunk([{"text": said}], usage, model, **candidate)


CACHED = {"cachedContentTokenCount": 768}
STREAM = (
    chunk([{"text": "Let me think", "thought": True}], counts(1_000, 0, 5)),
    text("Hello, ", counts(1_000, 2, 30, **CACHED)),
    text("world!", counts(1_000, 4, 30, **CACHED)),
    chunk([CALL], counts(1_000, 20, 30, toolUsePromptTokenCount=7, **CACHED), finishReason="STOP"),
)
# Gemini 2.5 Pro by the library: 1.25, cached 0.125, out 10; over 200,000 tokens of prompt 2.50, 0.25, 15.
TURN = Told(PRO, PRO, 1_007, 50, cache_read=768, reasoning=30, stop_reason="STOP", tools=("run_shell_command",),
            cost=usd((239, "1.25"), (768, "0.125"), (50, "10")))  # fmt: skip
GROUNDED = {"groundingMetadata": {"webSearchQueries": ["a", "b"], "groundingChunks": []}}
CACHED_SOUND: dict[str, Any] = {
    "cachedContentTokenCount": 600,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 200}, {"modality": "AUDIO", "tokenCount": 800}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 100}, {"modality": "AUDIO", "tokenCount": 500}],
}
SOUND: dict[str, Any] = {
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 900}, {"modality": "AUDIO", "tokenCount": 100}]
}

ROWS = [
    Http("the last chunk wins", "gemini", GEMINI, path(PRO), (TURN,), asked=ASK, answered=sse(*STREAM)),
    Http("data without a space, lines that end in CR LF", "gemini", GEMINI, path(PRO), (TURN,), asked=ASK,
         answered=sse(*STREAM, field=b"data:", newline=b"\r\n")),
    # Without alt=sse the stream is one JSON array.
    Http("an array", "gemini", GEMINI, path(PRO, "streamGenerateContent"), (TURN,), asked=ASK,
         answered=b"[" + b",\r\n".join(map(dumps, STREAM)) + b"]", fields=(JSON,)),
    Http(
        "at the long context's step",
        "gemini", GEMINI, path(PRO, "generateContent"),
        (Told(PRO, PRO, 200_000, 3_000, cache_read=150_000, reasoning=2_500, stop_reason="STOP",
              cost=usd((50_000, "1.25"), (150_000, "0.125"), (3_000, "10"))),),
        asked=ASK,
        answered=dumps(text("Hi.", counts(200_000, 500, 2_500, cachedContentTokenCount=150_000), finishReason="STOP")),
        fields=(JSON,),
    ),
    Http(
        "over the long context's step",
        "gemini", GEMINI, path(PRO, "generateContent"),
        (Told(PRO, PRO, 200_001, 3_000, cache_read=150_000, reasoning=2_500, stop_reason="STOP",
              cost=usd((50_001, "2.50"), (150_000, "0.25"), (3_000, "15"))),),
        asked=ASK,
        answered=dumps(text("Hi.", counts(200_001, 500, 2_500, cachedContentTokenCount=150_000), finishReason="STOP")),
        fields=(JSON,),
    ),
    # 2.5 Flash: 0.30, sound 1, out 2.50; a search 0.035.
    Http(
        "sound, and searches",
        "gemini", GEMINI, path(FLASH),
        (Told(FLASH, FLASH, 1_000, 10, input_audio=100, web_searches=2, stop_reason="STOP",
              cost=usd((900, "0.30"), (100, "1"), (10, "2.50"), (2, "35_000"))),),
        asked=ASK,
        answered=sse(text("It ", counts(1_000, 2, **SOUND), FLASH, **GROUNDED),
                     text("rains.", counts(1_000, 10, **SOUND), FLASH, finishReason="STOP", **GROUNDED)),
    ),
    # Of the 400 fresh 300 are sound, of the 600 cached 500.
    Http(
        "cached sound",
        "gemini", GEMINI, path(FLASH),
        (Told(FLASH, FLASH, 1_000, 10, cache_read=600, input_audio=800, stop_reason="STOP",
              cost=usd((100, "0.30"), (300, "1"), (600, "0.03"), (10, "2.50"))),),
        asked=ASK,
        answered=sse(text("Hi.", counts(1_000, 10, **CACHED_SOUND), FLASH, finishReason="STOP")),
    ),
    *(
        Http(
            f"stopped by {reason}",
            "gemini", GEMINI, path(FLASH),
            (Told(FLASH, FLASH, 100, 64, reasoning=60, status="incomplete", stop_reason=reason,
                  cost=usd((100, "0.30"), (64, "2.50"))),),
            asked=ASK,
            answered=sse(text("Hm", counts(100, 4, 60), FLASH, finishReason=reason)),
        )
        for reason in ("MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL")
    ),
    # A prompt that is blocked has no output, and says so.
    Http(
        "a blocked prompt",
        "gemini", GEMINI, path(FLASH),
        (Told(FLASH, FLASH, 100, 0, status="incomplete", stop_reason="PROHIBITED_CONTENT",
              cost=usd((100, "0.30"))),),
        asked=ASK,
        answered=sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": counts(100, 0),
                      "modelVersion": FLASH}),
    ),
    Http(
        "an error in the middle",
        "gemini", GEMINI, path(FLASH),
        (Told(FLASH, FLASH, 100, 10, status="failed", stop_reason="UNAVAILABLE", source="estimated",
              cost=usd((100, "0.30"), (10, "2.50"))),),
        asked=ASK,
        answered=sse(text("x" * 40, counts(100, 4), FLASH),
                     {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}),
    ),
    Http(
        "an error in place of an answer",
        "gemini", GEMINI, path(FLASH),
        (nothing(FLASH, status="failed", stop_reason="UNAVAILABLE", note=REFUSED),),
        asked=ASK,
        answered=sse({"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}),
    ),
    Http(
        "the client leaves",
        "gemini", GEMINI, path(FLASH),
        (Told(FLASH, FLASH, 100, 100, status="unsettled", source="estimated",
              cost=usd((100, "0.30"), (100, "2.50"))),),
        asked=ASK,
        answered=sse(*[text("x" * 40, counts(100, 9), FLASH)] * 10),
        ends="client",
    ),
    Http(
        "refused",
        "gemini", GEMINI, path(FLASH),
        (nothing(FLASH, status="failed", note="upstream refused it with status 429"),),
        asked=ASK,
        answered=dumps({"error": {"code": 429, "message": "Quota.", "status": "RESOURCE_EXHAUSTED"}}),
        fields=(JSON,),
        status=b"429 Too Many Requests",
    ),
    Http(
        "embeddings: the API counts nothing",
        "gemini", GEMINI, path("gemini-embedding-001", "embedContent"),
        (Told("gemini-embedding-001", None, len(ASK) // 4, 0, source="estimated",
              cost=usd((len(ASK) // 4, "0.15"))),),
        asked=ASK,
        answered=dumps({"embedding": {"values": [0.0123, -0.0321] * 300}}),
        fields=(JSON,),
    ),
    Http(
        "vertex",
        "gemini", "aiplatform.googleapis.com",
        b"/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        (Told(FLASH, FLASH, 100, 4, stop_reason="STOP", cost=usd((100, "0.30"), (4, "2.50"))),),
        asked=ASK,
        # Vertex sends a usage without counts first.
        answered=sse(text("Hi", {"trafficType": "ON_DEMAND"}, FLASH),
                     text("!", counts(100, 4, trafficType="ON_DEMAND"), FLASH, finishReason="STOP")),
    ),
    # Under Google's host, speaking as OpenAI does.
    Http(
        "chat completions",
        "gemini", GEMINI, b"/v1beta/openai/chat/completions",
        (Told(FLASH, FLASH, 20, 5, stop_reason="stop", cost=usd((20, "0.30"), (5, "2.50"))),),
        asked=dumps({"model": FLASH, "messages": []}),
        answered=dumps({
            "id": "c", "object": "chat.completion", "model": FLASH,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
        }),
        fields=(JSON,),
    ),
    Http("counting tokens is no turn", "gemini", GEMINI, path(PRO, "countTokens"), (), asked=ASK,
         answered=b'{"totalTokens":31}', fields=(JSON,)),
]  # fmt: skip
