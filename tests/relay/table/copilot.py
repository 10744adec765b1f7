"""
GitHub Copilot: chat, Responses over HTTP and WebSocket, and Messages. ``copilot_usage`` beside the ``usage`` is the
split by which it bills: the input's parts each without the others.
"""

from __future__ import annotations

from typing import Any

from tests.providers.response_shapes import create
from tests.providers.test_openai_usage import copilot
from tests.relay.table import anthropic, chat
from tests.relay.table.responses_said import CALL, MODEL, begun, delta, item, over, usage
from tests.relay.table.row import COPILOT, JSON, Deflated, Http, Socket, Told, down, dumps, sse, up, usd

CHAT = b"/chat/completions"
CLAUDE = "claude-sonnet-4.6"
WRITES = copilot(input=3_857, cache_read=0, cache_write=12_539, output=362)
READS = copilot(input=100, cache_read=16_000, cache_write=396, output=20)
LUMPED = {"prompt_tokens": 16_396, "completion_tokens": 362, "total_tokens": 16_758}
ASK = chat.ask(CLAUDE)


def identity(number: int) -> str:
    """Copilot's ids are long, and of one response another in each event."""
    return f"{number}" * 300


def turn(number: int, used: Any, **ends: Any) -> tuple[Any, ...]:
    return (
        begun(identity(number), MODEL),
        {"type": "response.in_progress", "response": {"id": identity(number + 1), "model": MODEL, "output": []}},
        delta("Hello"),
        item(**{**CALL, "id": identity(number + 2)}),
        {**over(identity(number + 3), used, model=MODEL), **ends},
    )


SPLIT = usage(16_496, 16_000, 20)

ROWS = [
    # 3, written 3.75, read 0.30, out 15; the usage alone would have taken the 12,539 for fresh.
    Http(
        "chat, streamed",
        "copilot", COPILOT, CHAT,
        (Told(CLAUDE, CLAUDE, 16_396, 362, cache_write=12_539, stop_reason="stop",
              cost=usd((3_857, "3"), (12_539, "3.75"), (362, "15"))),),
        asked=ASK,
        answered=sse(
            chat.text("Hi", model=CLAUDE),
            {**chat.chunk({"content": None}, "stop", model=CLAUDE), "usage": LUMPED, "copilot_usage": WRITES},
            chat.DONE,
        ),
    ),
    Http(
        "chat, whole",
        "copilot", COPILOT, CHAT,
        (Told(CLAUDE, CLAUDE, 16_496, 20, cache_read=16_000, cache_write=396, stop_reason="tool_calls",
              tools=("shell",), cost=usd((100, "3"), (16_000, "0.30"), (396, "3.75"), (20, "15"))),),
        asked=chat.ask(CLAUDE, stream=False),
        answered=dumps({
            "id": "msg_1", "model": CLAUDE, "copilot_usage": READS,
            "choices": [{"finish_reason": "tool_calls", "message": {"role": "assistant", "content": "Let me look.",
                         "tool_calls": [{"id": "t", "type": "function", "function": {"name": "shell",
                                                                                     "arguments": "{}"}}]}}],
            "usage": {"prompt_tokens": 16_496, "completion_tokens": 20, "total_tokens": 16_516,
                      "prompt_tokens_details": {"cached_tokens": 16_000}},
        }),
        fields=(JSON,),
    ),
    # The split under the response, and beside it; gpt-5.5 has no price of its own for what is written: 5, read 0.50.
    Http(
        "responses, streamed",
        "copilot", COPILOT, b"/responses",
        (Told(MODEL, MODEL, 16_496, 20, cache_read=16_000, cache_write=396, tools=("shell",),
              cost=usd((496, "5"), (16_000, "0.50"), (20, "30"))),),
        asked=dumps({"model": MODEL, "input": [], "stream": True}),
        answered=sse(*turn(1, SPLIT, copilot_usage=READS), named=True),
    ),
    Socket(
        "responses over a socket",
        "copilot", COPILOT, b"/responses",
        (
            Told(MODEL, MODEL, 16_496, 20, cache_read=16_000, cache_write=396, tools=("shell",),
                 cost=usd((496, "5"), (16_000, "0.50"), (20, "30"))),
            Told(MODEL, MODEL, 50, 7, tools=("shell",), cost=usd((50, "5"), (7, "30"))),
        ),
        said=(
            up(create(initiator="user")), down(*turn(1, SPLIT, copilot_usage=READS)),
            up(create(initiator="agent")), down(*turn(5, usage(50, 0, 7))),
        ),
        ends="closed",
    ),
    Socket(
        "responses over a socket, the split inside, cancelled",
        "copilot", COPILOT, b"/responses",
        (
            Told(MODEL, MODEL, 16_496, 20, cache_read=16_000, cache_write=396, tools=("shell",),
                 cost=usd((496, "5"), (16_000, "0.50"), (20, "30"))),
            Told(MODEL, MODEL, len(dumps(create())) // 4, 100, source="estimated", status="cancelled",
                 cost=usd((len(dumps(create())) // 4, "5"), (100, "30"))),
            Told(MODEL, MODEL, 50, 7, tools=("shell",), cost=usd((50, "5"), (7, "30"))),
        ),
        said=(
            up(create()),
            down(*turn(1, SPLIT)[:-1], over(identity(9), SPLIT, model=MODEL, copilot_usage=READS)),
            up(create()),
            down(begun(identity(5), MODEL), delta("x" * 400), over(identity(6), None, "cancelled", MODEL)),
            up(create()), down(*turn(1, usage(50, 0, 7))),
        ),
    ),
    Socket(
        "responses over a socket, deflated",
        "copilot", COPILOT, b"/responses",
        (Told(MODEL, MODEL, 50, 7, tools=("shell",), cost=usd((50, "5"), (7, "30"))),),
        said=(up(create()), Deflated().down(*turn(1, usage(50, 0, 7)))),
        extensions=b"permessage-deflate",
    ),
    # A gateway of one kind serves the others' APIs too.
    Http(
        "messages",
        "copilot", COPILOT, b"/v1/messages",
        (Told("claude-opus-4-5", "claude-opus-4-5-20251101", 21_004, 89, cache_read=20_000, cache_write=1_000,
              cache_write_1h=600, reasoning=30, stop_reason="tool_use", tools=("Bash",), cost=anthropic.COST),),
        asked=anthropic.ASK,
        answered=anthropic.STREAM,
    ),
]  # fmt: skip
