"""Anthropic's Messages: the usage of ``message_start``, and over it those of the ``message_delta``, cumulative."""

from __future__ import annotations

from typing import Any

from agentproxy.usage import REFUSED
from tests.providers.test_anthropic_turns import (
    CALLS,
    END,
    MESSAGE,
    PING,
    SAID,
    START,
    STOP,
    TEXT,
    with_usage,
)
from tests.providers.test_anthropic_turns import (
    STREAM as EVENTS,
)
from tests.relay.table.row import ANTHROPIC, JSON, Http, Told, dumps, nothing, sse, usd

PATH = b"/v1/messages?beta=true"
OPUS, DATED = "claude-opus-4-5", "claude-opus-4-5-20251101"
SONNET, SONNET_DATED = "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def ask(model: str = OPUS, **more: Any) -> bytes:
    return dumps({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], "stream": True,
                  **more})  # fmt: skip


def start(model: str = DATED, **usage: Any) -> dict[str, Any]:
    message = {**MESSAGE, "model": model, "usage": {"output_tokens": 1, **usage}}
    return {"type": "message_start", "message": message}


def stops(reason: str, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def whole(model: str = DATED, reason: str = "end_turn", **usage: Any) -> bytes:
    return dumps({**MESSAGE, "model": model, "stop_reason": reason, "usage": usage})


ASK = ask()
STREAM = sse(*EVENTS, named=True)
# Opus 4.5: 5, read 0.50, written for five minutes 6.25, for an hour 10, out 25.
COST = usd((4, "5"), (20_000, "0.50"), (400, "6.25"), (600, "10"), (89, "25"))
TURN = Told(OPUS, DATED, 21_004, 89, cache_read=20_000, cache_write=1_000, cache_write_1h=600, reasoning=30,
            stop_reason="tool_use", tools=("Bash",), cost=COST)  # fmt: skip
SEARCHED = {
    "type": "content_block_start",
    "index": 1,
    "content_block": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
}
LONG = {"cache_read_input_tokens": 190_000, "cache_creation_input_tokens": 10_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 6_000, "ephemeral_1h_input_tokens": 4_000}}  # fmt: skip

ROWS = [
    Http("a stream", "anthropic", ANTHROPIC, PATH, (TURN,), asked=ASK, answered=STREAM),
    Http("data without a space", "anthropic", ANTHROPIC, PATH, (TURN,), asked=ASK,
         answered=sse(*EVENTS, field=b"data:")),
    Http(
        "one JSON body",
        "anthropic", ANTHROPIC, PATH,
        (Told(SONNET, SONNET_DATED, 10_000, 500, cache_read=6_000, cache_write=3_000, cache_write_1h=1_000,
              stop_reason="end_turn",
              cost=usd((1_000, "3"), (6_000, "0.30"), (2_000, "3.75"), (1_000, "6"), (500, "15"))),),
        asked=ask(SONNET, stream=False),
        answered=whole(
            SONNET_DATED, input_tokens=1_000, cache_read_input_tokens=6_000, cache_creation_input_tokens=3_000,
            cache_creation={"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 1_000}, output_tokens=500,
        ),
        fields=(JSON,),
    ),
    # Sonnet 4.5 by the library: 3, 0.30, 3.75, 6, 15 to 200,000 tokens of input, the cached ones included; over that
    # 6, 0.60, 7.50, 12, 22.50.
    Http(
        "at the long context's step",
        "anthropic", ANTHROPIC, PATH,
        (Told(SONNET, SONNET_DATED, 200_000, 1_000, cache_read=190_000, cache_write=10_000, cache_write_1h=4_000,
              stop_reason="end_turn",
              cost=usd((190_000, "0.30"), (6_000, "3.75"), (4_000, "6"), (1_000, "15"))),),
        asked=ask(SONNET),
        answered=sse(start(SONNET_DATED, input_tokens=0, **LONG), TEXT, SAID, STOP,
                     stops("end_turn", output_tokens=1_000), END),
    ),
    Http(
        "over the long context's step",
        "anthropic", ANTHROPIC, PATH,
        (Told(SONNET + "[1m]", SONNET_DATED, 200_001, 1_000, cache_read=190_000, cache_write=10_000,
              cache_write_1h=4_000, stop_reason="end_turn",
              cost=usd((1, "6"), (190_000, "0.60"), (6_000, "7.50"), (4_000, "12"), (1_000, "22.50"))),),
        asked=ask(SONNET + "[1m]"),
        answered=sse(start(SONNET_DATED, input_tokens=1, **LONG), TEXT, SAID, STOP,
                     stops("end_turn", output_tokens=1_000), END),
    ),
    # What comes later replaces what it names: the tool's results are input, too. A search is 0.01.
    Http(
        "cumulative, with searches",
        "anthropic", ANTHROPIC, PATH,
        (Told("claude-haiku-4-5", "claude-haiku-4-5", 12_500, 300, cache_read=2_000, web_searches=3,
              stop_reason="end_turn", tools=("web_search",),
              cost=usd((10_500, "1"), (2_000, "0.10"), (300, "5"), (3, "10_000"))),),
        asked=ask("claude-haiku-4-5"),
        answered=sse(
            start("claude-haiku-4-5", input_tokens=500, cache_read_input_tokens=2_000), PING, SEARCHED, STOP, TEXT,
            SAID, STOP,
            {**stops("end_turn", output_tokens=150), "delta": {}},
            stops("end_turn", input_tokens=10_500, cache_read_input_tokens=2_000, cache_creation_input_tokens=0,
                  output_tokens=300, server_tool_use={"web_search_requests": 3, "web_fetch_requests": 1}),
            END,
            named=True,
        ),
    ),
    # The compaction's tokens stand in the iterations alone.
    Http(
        "a compaction",
        "anthropic", ANTHROPIC, PATH,
        (Told(OPUS, DATED, 203_000, 4_500, stop_reason="end_turn", cost=usd((203_000, "5"), (4_500, "25"))),),
        asked=ASK,
        answered=sse(start(input_tokens=23_000), SAID, stops("end_turn", output_tokens=1_000, iterations=[
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        ]), END),
    ),
    *(
        Http(
            f"stopped by {reason}",
            "anthropic", ANTHROPIC, PATH,
            (Told(OPUS, DATED, 10, 100, stop_reason=reason, status=status, cost=usd((10, "5"), (100, "25"))),),
            asked=ASK,
            answered=sse(start(input_tokens=10), TEXT, SAID, STOP, stops(reason, output_tokens=100), END),
        )
        for reason, status in (
            ("max_tokens", "incomplete"), ("refusal", "incomplete"), ("pause_turn", "completed"),
            ("stop_sequence", "completed"),
        )
    ),
    # The input is known from the start; of the output, what was seen: 12 characters.
    Http(
        "overloaded in the middle",
        "anthropic", ANTHROPIC, PATH,
        (Told(OPUS, DATED, 21_004, 3, cache_read=20_000, cache_write=1_000, cache_write_1h=600, status="failed",
              stop_reason="overloaded_error", source="estimated",
              cost=usd((4, "5"), (20_000, "0.50"), (400, "6.25"), (600, "10"), (3, "25"))),),
        asked=ASK,
        answered=sse(START, TEXT, SAID, OVERLOADED, named=True),
    ),
    Http(
        "overloaded in place of a message",
        "anthropic", ANTHROPIC, PATH,
        (nothing(OPUS, status="failed", stop_reason="overloaded_error", note=REFUSED),),
        asked=ASK,
        answered=sse(OVERLOADED, named=True),
    ),
    Http(
        "the client leaves",
        "anthropic", ANTHROPIC, PATH,
        (Told(OPUS, DATED, 21_004, 30, cache_read=20_000, cache_write=1_000, cache_write_1h=600, status="unsettled",
              source="estimated", tools=("Bash",),
              cost=usd((4, "5"), (20_000, "0.50"), (400, "6.25"), (600, "10"), (30, "25"))),),
        asked=ASK,
        answered=sse(START, PING, TEXT, *[SAID] * 10, STOP, CALLS, named=True),
        ends="client",
    ),
    Http(
        "upstream breaks off behind the last counts",
        "anthropic", ANTHROPIC, PATH,
        (TURN,),
        asked=ASK,
        answered=sse(*EVENTS[:-1], named=True),
        ends="upstream",
    ),
    Http(
        "a gateway that leaves the usage out",
        "anthropic", "llm.corp.example", PATH,
        (Told(OPUS, DATED, len(ASK) // 4, 3, stop_reason="end_turn", source="estimated",
              cost=usd((len(ASK) // 4, "5"), (3, "25"))),),
        asked=ASK,
        answered=sse({"type": "message_start", "message": {**MESSAGE, "usage": None}}, TEXT, SAID, with_usage(None),
                     END),
    ),
    *(
        Http(
            f"refused with {status.decode()}",
            "anthropic", ANTHROPIC, PATH,
            (nothing(OPUS, status="failed", note=f"upstream refused it with status {status[:3].decode()}"),),
            asked=ASK,
            answered=dumps({**OVERLOADED, "request_id": "req_1"}),
            fields=(JSON,),
            status=status,
        )
        for status in (b"429 Too Many Requests", b"529 Overloaded")
    ),
    Http(
        "counting tokens is no turn",
        "anthropic", ANTHROPIC, b"/v1/messages/count_tokens?beta=true", (),
        asked=ask(stream=False), answered=b'{"input_tokens":2095}', fields=(JSON,),
    ),
    Http(
        "a text completion",
        "anthropic", ANTHROPIC, b"/v1/complete",
        (Told("claude-2.1", "claude-2.1", 9, 3, stop_reason="stop_sequence", source="estimated",
              note="this API reports no usage", cost=usd((9, "8"), (3, "24"))),),
        asked=b'{"model":"claude-2.1","prompt":"Hi"}',
        answered=b'{"type":"completion","id":"compl_1","completion":"Hello, world","stop_reason":"stop_sequence",'
        b'"model":"claude-2.1"}',
        fields=(JSON,),
    ),
    Http(
        "what was written, told by its split alone",
        "anthropic", ANTHROPIC, PATH,
        (Told(OPUS, DATED, 15, 2, cache_write=12, cache_write_1h=7, stop_reason="end_turn",
              cost=usd((3, "5"), (5, "6.25"), (7, "10"), (2, "25"))),),
        asked=ask(stream=False),
        answered=whole(input_tokens=3, output_tokens=2,
                       cache_creation={"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7}),
        fields=(JSON,),
    ),
]  # fmt: skip
