"""Responses over HTTP: OpenAI's and ChatGPT's, streamed and whole."""

from __future__ import annotations

from typing import Any

from agentproxy.usage import FAILED
from tests.relay.table.responses_said import (
    CALL,
    DATED,
    MESSAGE,
    MODEL,
    OPENED,
    SEARCH,
    begun,
    delta,
    item,
    other_events,
    over,
    response,
    usage,
)
from tests.relay.table.row import CHATGPT, JSON, OPENAI, Http, Told, dumps, nothing, sse, usd

PATH = b"/v1/responses"
CODEX = b"/backend-api/codex/responses"
GPT_5 = "gpt-5-2025-08-07"


def ask(model: str = MODEL, **more: Any) -> bytes:
    return dumps({"model": model, "instructions": "Be brief.", "input": [], "stream": True, **more})


ASK = ask()
BACKGROUND = ask(stream=False, background=True)
FAILURE = {"code": "server_error", "message": "Sorry."}

ROWS = [
    # gpt-5 by the library: 1.25, cached 0.125, out 10.
    Http(
        "a stream with a tool",
        "openai", OPENAI, PATH,
        (
            Told("gpt-5", GPT_5, 10_000, 2_000, cache_read=4_000, reasoning=1_500, tools=("shell",),
                 cost=usd((6_000, "1.25"), (4_000, "0.125"), (2_000, "10"))),
        ),
        asked=ask("gpt-5"),
        answered=sse(
            begun("resp_1", GPT_5), delta("Hello"), *other_events(), item(**CALL),
            over("resp_1", usage(10_000, 4_000, 2_000, 1_500), model=GPT_5, output=[MESSAGE, CALL]), named=True,
        ),
    ),
    # gpt-5.4 by the library: 2.50, 0.25, 15 up to 272,000 tokens of input, above 5, 0.50, 22.50 for all of the turn.
    Http(
        "at the long context's step",
        "openai", OPENAI, PATH,
        (
            Told("gpt-5.4", "gpt-5.4", 272_000, 1_000, cache_read=200_000,
                 cost=usd((72_000, "2.50"), (200_000, "0.25"), (1_000, "15"))),
        ),
        asked=ask("gpt-5.4"),
        answered=sse(begun("resp_1", "gpt-5.4"), over("resp_1", usage(272_000, 200_000, 1_000), model="gpt-5.4")),
    ),
    Http(
        "over the long context's step",
        "openai", OPENAI, PATH,
        (
            Told("gpt-5.4", "gpt-5.4", 272_001, 1_000, cache_read=200_000,
                 cost=usd((72_001, "5"), (200_000, "0.50"), (1_000, "22.50"))),
        ),
        asked=ask("gpt-5.4"),
        answered=sse(begun("resp_1", "gpt-5.4"), over("resp_1", usage(272_001, 200_000, 1_000), model="gpt-5.4")),
    ),
    Http(
        "data without a space, lines that end in CR LF",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 20, 2, cost=usd((20, "5"), (2, "30"))),),
        asked=ASK,
        answered=sse(begun("resp_1"), delta("Hello"), over("resp_1", usage(20, 0, 2)), field=b"data:",
                     newline=b"\r\n", named=True),
    ),
    Http(
        "one JSON body",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 1_500, 7, cache_read=1_024, tools=("shell",),
              cost=usd((476, "5"), (1_024, "0.50"), (7, "30"))),),
        asked=ask(stream=False),
        answered=dumps(response("resp_1", "completed", usage=usage(1_500, 1_024, 7), output=[MESSAGE, CALL])),
        fields=(JSON,),
    ),
    # What was written to the cache is part of the input and has its price: 2.50, beside 2, read 0.20, out 10.
    Http(
        "cache written",
        "openai", OPENAI, PATH,
        (
            Told("gpt-6-sol", "gpt-6-sol", 3_500, 100, cache_read=2_000, cache_write=1_000,
                 cost=usd((500, "2"), (2_000, "0.20"), (1_000, "2.50"), (100, "10"))),
        ),
        asked=ask("gpt-6-sol"),
        answered=sse(
            begun("resp_1", "gpt-6-sol"),
            over("resp_1", {**usage(3_500, 0, 100), "input_tokens_details":
                 {"cached_tokens": 2_000, "cache_write_tokens": 1_000}}, model="gpt-6-sol"),
        ),
    ),
    # Searches are 10 a thousand; to open a page that was found is free.
    Http(
        "web searches",
        "openai", OPENAI, PATH,
        (
            Told(MODEL, DATED, 9_000, 200, web_searches=2, tools=("web_search", "web_search", "web_search"),
                 cost=usd((9_000, "5"), (200, "30"), (2, "10_000"))),
        ),
        asked=ASK,
        answered=sse(
            begun("resp_1"), item(**SEARCH), item(**OPENED), item(**SEARCH), delta("Found."),
            over("resp_1", usage(9_000, 0, 200), output=[SEARCH, OPENED, SEARCH, MESSAGE]),
        ),
    ),
    Http(
        "incomplete",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 20, 64, reasoning=64, status="incomplete", stop_reason="max_output_tokens",
              cost=usd((20, "5"), (64, "30"))),),
        asked=ASK,
        answered=sse(begun("resp_1"), over("resp_1", usage(20, 0, 64, 64), "incomplete",
                                           incomplete_details={"reason": "max_output_tokens"})),
    ),
    Http(
        "failed in the middle",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ASK) // 4, 100, source="estimated", status="failed", stop_reason="server_error",
              cost=usd((len(ASK) // 4, "5"), (100, "30"))),),
        asked=ASK,
        answered=sse(begun("resp_1"), delta("x" * 400), over("resp_1", None, "failed", error=FAILURE)),
    ),
    Http(
        "an error in place of a response",
        "openai", OPENAI, PATH,
        (Told(MODEL, None, len(ASK) // 4, 1, source="estimated", status="failed", stop_reason="server_error",
              note=FAILED, cost=usd((len(ASK) // 4, "5"), (1, "30"))),),
        asked=ASK,
        answered=sse({"type": "error", "code": "server_error", "message": "Sorry.", "param": None}),
    ),
    Http(
        "cancelled by upstream's word is not zero",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ASK) // 4, 100, source="estimated", status="cancelled",
              cost=usd((len(ASK) // 4, "5"), (100, "30"))),),
        asked=ASK,
        answered=sse(begun("resp_1"), delta("x" * 400), over("resp_1", None, "cancelled")),
    ),
    Http(
        "the client leaves",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ASK) // 4, 100, source="estimated", status="unsettled",
              cost=usd((len(ASK) // 4, "5"), (100, "30"))),),
        asked=ASK,
        answered=sse(begun("resp_1"), *[delta("x" * 40) for _ in range(10)]),
        ends="client",
    ),
    Http(
        "the client leaves before a word is said",
        "openai", OPENAI, PATH,
        (Told(MODEL, None, len(ASK) // 4, 1, source="estimated", status="unsettled",
              cost=usd((len(ASK) // 4, "5"), (1, "30"))),),
        asked=ASK,
        answered=b"",
        ends="client",
    ),
    Http(
        "upstream breaks off",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(ASK) // 4, 3, source="estimated", status="unsettled",
              cost=usd((len(ASK) // 4, "5"), (3, "30"))),),
        asked=ASK,
        answered=sse(begun("resp_1"), delta("Hello, world")) + b'data: {"type":"response.completed","resp',
        ends="upstream",
    ),
    Http(
        "refused",
        "openai", OPENAI, PATH,
        (nothing(MODEL, status="failed", note="upstream refused it with status 429"),),
        asked=ASK,
        answered=dumps({"error": {"type": "requests", "code": "rate_limit_exceeded", "message": "Slow down."}}),
        fields=(JSON,),
        status=b"429 Too Many Requests",
    ),
    *(
        Http(
            f"answered with {status.decode()}",
            "openai", OPENAI, PATH,
            (told,),
            asked=ASK,
            answered=dumps({"error": {"type": "server_error", "code": None, "message": "Sorry."}}),
            fields=(JSON,),
            status=status,
        )
        for status, told in (
            (b"503 Service Unavailable",
             nothing(MODEL, status="failed", note="upstream refused it with status 503")),
            # It may have worked on it for long.
            (b"500 Internal Server Error",
             Told(MODEL, None, len(ASK) // 4, 1, source="estimated", status="unsettled",
                  cost=usd((len(ASK) // 4, "5"), (1, "30")))),
        )
    ),
    # What it comes to, the client asks for later, by GET.
    Http(
        "in the background",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, len(BACKGROUND) // 4, 1, source="estimated", status="unsettled",
              note="runs in the background", cost=usd((len(BACKGROUND) // 4, "5"), (1, "30"))),),
        asked=BACKGROUND,
        answered=dumps(response("resp_1", "queued")),
        fields=(JSON,),
    ),
    Http(
        "azure",
        "openai", "corp.openai.azure.com", b"/openai/v1/responses?api-version=preview",
        (Told(MODEL, DATED, 20, 2, cost=usd((20, "5"), (2, "30"))),),
        asked=ASK,
        answered=sse(begun("resp_1"), delta("Hello"), over("resp_1", usage(20, 0, 2)), named=True),
    ),
    Http(
        "a model of unknown price",
        "openai", "llm.corp.example", PATH,
        (Told("house-model", "house-model", 20, 2, cost=None),),
        asked=ask("house-model"),
        answered=sse(begun("resp_1", "house-model"), over("resp_1", usage(20, 0, 2), model="house-model")),
    ),
    Http(
        "a compaction",
        "openai", OPENAI, PATH + b"/compact",
        (Told(MODEL, None, 5_000, 700, cost=usd((5_000, "5"), (700, "30"))),),
        asked=ask(stream=False),
        answered=dumps({"id": "resp_1", "object": "response.compaction", "output": [], "usage": usage(5_000, 0, 700)}),
        fields=(JSON,),
    ),
    Http(
        "counting tokens is no turn",
        "openai", OPENAI, PATH + b"/input_tokens",
        (),
        asked=ask(stream=False),
        answered=b'{"object":"response.input_tokens","input_tokens":11}',
        fields=(JSON,),
    ),
    # ChatGPT's last event has no output: its tools are those that were streamed.
    Http(
        "chatgpt",
        "chatgpt", CHATGPT, CODEX,
        (Told(MODEL, MODEL, 20_480, 300, cache_read=19_968, reasoning=192, tools=("shell", "local_shell"),
              cost=usd((512, "5"), (19_968, "0.50"), (300, "30"))),),
        asked=ask(store=False, prompt_cache_key="abc"),
        answered=sse(
            begun("resp_1", MODEL), item(**CALL), item(type="local_shell_call", status="completed"), *other_events(),
            over("resp_1", usage(20_480, 19_968, 300, 192), model=MODEL), named=True,
        ),
    ),
]  # fmt: skip
