"""Responses over WebSocket: Codex' and OpenAI's own clients', compressed and not, one lane and several."""

from __future__ import annotations

from typing import Any

from agentproxy.usage import REFUSED
from tests.providers.response_shapes import create, error
from tests.relay.table.responses_said import (
    CALL,
    DATED,
    MESSAGE,
    MODEL,
    begun,
    delta,
    item,
    other_events,
    over,
    usage,
)
from tests.relay.table.row import (
    BINARY,
    CHATGPT,
    OPENAI,
    Deflated,
    Socket,
    Step,
    Told,
    down,
    dumps,
    fragments,
    nothing,
    up,
    usd,
)

PATH = b"/v1/responses"
CODEX = b"/backend-api/codex/responses"
DEFLATE = b"permessage-deflate; client_max_window_bits"
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "README.md\n" * 40}
LONG = "A long answer, of which only its length matters. " * 40
SIZE = len(dumps(create())) // 4
"""Tokens that a turn asked for without more is taken for."""


def codex(up: Any, down: Any) -> tuple[Step, ...]:
    """As Codex goes on: a prewarm, a turn that calls a tool, and one with the tool's result, all on one socket."""
    return (
        up(create(generate=False, input=[MESSAGE] * 20)),
        down(begun("resp_0"), over("resp_0", usage(4_000, 0, 0))),
        up(create(previous_response_id="resp_0", input=[MESSAGE])),
        down(begun("resp_1"), delta(LONG), *other_events(), item(**CALL)),
        down(over("resp_1", usage(4_200, 3_968, 60, 40), output=[CALL])),
        up(create(previous_response_id="resp_1", input=[RESULT])),
        down(begun("resp_2"), delta("Done."), over("resp_2", usage(4_400, 4_096, 5), output=[MESSAGE])),
    )


CODEX_TURNS = (
    Told(MODEL, DATED, 4_200, 60, cache_read=3_968, reasoning=40, tools=("shell",),
         cost=usd((232, "5"), (3_968, "0.50"), (60, "30"))),
    Told(MODEL, DATED, 4_400, 5, cache_read=4_096, cost=usd((304, "5"), (4_096, "0.50"), (5, "30"))),
)  # fmt: skip
WIDE, SMALL, FORGETFUL = Deflated(), Deflated(bits=10), Deflated(takeover=False)


def lane(name: str, identity: str, model: str, tokens: int) -> tuple[Any, Any, Any, Any]:
    """A lane's turn: what asks for it, begins it, goes on with it, ends it."""
    return (
        create(stream_id=name, model=model),
        begun(identity, model, stream_id=name),
        delta("x" * tokens, stream_id=name),
        over(identity, usage(tokens, 0, tokens), model=model, lane=name),
    )


A, B, C = lane("a", "resp_a", MODEL, 100), lane("b", "resp_b", "gpt-5-mini", 200), lane("c", "resp_c", "gpt-6-sol", 300)

ROWS = [
    Socket("codex", "openai", OPENAI, PATH, CODEX_TURNS, said=codex(up, down)),
    Socket("codex, closed by both", "chatgpt", CHATGPT, CODEX, CODEX_TURNS, said=codex(up, down), ends="closed"),
    Socket(
        "codex, deflated",
        "chatgpt", CHATGPT, CODEX, CODEX_TURNS, said=codex(WIDE.up, WIDE.down), extensions=DEFLATE + b"=15",
    ),
    Socket(
        "codex, deflated with a small window",
        "openai", OPENAI, PATH, CODEX_TURNS,
        said=codex(SMALL.up, SMALL.down),
        extensions=b"permessage-deflate; client_max_window_bits=10; server_max_window_bits=10",
    ),
    Socket(
        "codex, deflated without takeover",
        "openai", OPENAI, PATH, CODEX_TURNS,
        said=codex(FORGETFUL.up, FORGETFUL.down),
        extensions=b"permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    ),
    Socket(
        "some compressed, some not",
        "openai", OPENAI, PATH, CODEX_TURNS, said=codex(up, Deflated().down), extensions=b"permessage-deflate",
    ),
    Socket(
        "in fragments, pings between",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 20, 500, cost=usd((20, "5"), (500, "30"))),),
        said=(
            up(create()),
            fragments(begun("resp_1"), 1, 2, 3),
            fragments(delta(LONG), 40, 1),
            fragments(over("resp_1", usage(20, 0, 500)), 0, 300),
        ),
    ),
    Socket(
        "in binary frames",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 20, 2, cost=usd((20, "5"), (2, "30"))),),
        said=(up(create(), opcode=BINARY), down(begun("resp_1"), over("resp_1", usage(20, 0, 2)), opcode=BINARY)),
    ),
    # Three lanes in flight, each of another model, that end in another order than they began in.
    Socket(
        "lanes",
        "openai", OPENAI, PATH,
        (
            Told("gpt-6-sol", "gpt-6-sol", 300, 300, lane="c", cost=usd((300, "2"), (300, "10"))),
            Told(MODEL, MODEL, 100, 100, lane="a", cost=usd((100, "5"), (100, "30"))),
            # It was cut off: what was seen of it is all that an estimate can go by.
            Told("gpt-5-mini", "gpt-5-mini", len(dumps(B[0])) // 4, 50, lane="b", source="estimated",
                 status="unsettled", cost=usd((len(dumps(B[0])) // 4, "0.25"), (50, "2"))),
        ),
        said=(up(A[0], B[0], C[0]), down(B[1], A[1], C[1], A[2], C[2], B[2], C[3], A[3])),
    ),
    Socket(
        "turns of a lane one after the other, while another lane's runs",
        "openai", OPENAI, PATH,
        (
            Told(MODEL, MODEL, 100, 100, lane="a", cost=usd((100, "5"), (100, "30"))),
            Told(MODEL, MODEL, 40, 4, lane="a", cost=usd((40, "5"), (4, "30"))),
            Told("gpt-5-mini", "gpt-5-mini", 200, 200, lane="b", cost=usd((200, "0.25"), (200, "2"))),
        ),
        said=(
            up(A[0], B[0], A[0]), down(A[1], B[1], A[2], A[3], B[2], begun("resp_d", MODEL, stream_id="a")),
            down(over("resp_d", usage(40, 0, 4), model=MODEL, lane="a"), B[3]),
        ),
    ),
    # Each way to end, on one socket.
    Socket(
        "completed, failed, incomplete, cancelled, refused",
        "openai", OPENAI, PATH,
        (
            Told(MODEL, DATED, 20, 2, cost=usd((20, "5"), (2, "30"))),
            Told(MODEL, DATED, SIZE, 10, source="estimated", status="failed", stop_reason="server_error",
                 cost=usd((SIZE, "5"), (10, "30"))),
            Told(MODEL, DATED, 20, 16, status="incomplete", stop_reason="max_output_tokens",
                 cost=usd((20, "5"), (16, "30"))),
            Told(MODEL, DATED, SIZE, 10, source="estimated", status="cancelled", cost=usd((SIZE, "5"), (10, "30"))),
            nothing(MODEL, status="failed", stop_reason="previous_response_not_found", note=REFUSED),
            Told(MODEL, DATED, 21, 3, cost=usd((21, "5"), (3, "30"))),
        ),
        said=(
            up(create()), down(begun("resp_1"), over("resp_1", usage(20, 0, 2))),
            up(create()), down(begun("resp_2"), delta("x" * 40)),
            down(over("resp_2", None, "failed", error={"code": "server_error", "message": "Sorry."})),
            up(create()), down(begun("resp_3")),
            down(over("resp_3", usage(20, 0, 16), "incomplete", incomplete_details={"reason": "max_output_tokens"})),
            up(create()), down(begun("resp_4"), delta("x" * 40), over("resp_4", None, "cancelled")),
            up(create(previous_response_id="resp_x")), down(error("previous_response_not_found")),
            up(create()), down(begun("resp_6"), over("resp_6", usage(21, 0, 3))),
        ),
    ),
    # Behind a response on this socket, an estimate counts what that one left in the context.
    Socket(
        "dropped in the middle of the second turn",
        "openai", OPENAI, PATH,
        (
            Told(MODEL, DATED, 9_000, 1_000, cost=usd((9_000, "5"), (1_000, "30"))),
            Told(MODEL, DATED, 10_000 + len(dumps(create(previous_response_id="resp_1"))) // 4, 100,
                 source="estimated", status="unsettled",
                 cost=usd((10_000 + len(dumps(create(previous_response_id="resp_1"))) // 4, "5"), (100, "30"))),
        ),
        said=(
            up(create()), down(begun("resp_1"), over("resp_1", usage(9_000, 0, 1_000))),
            up(create(previous_response_id="resp_1")), down(begun("resp_2"), delta("x" * 400)),
        ),
        ends="upstream",
    ),
    Socket(
        "the socket's hour is over",
        "openai", OPENAI, PATH,
        (
            Told(MODEL, DATED, 20, 2, cost=usd((20, "5"), (2, "30"))),
            nothing(MODEL, status="failed", stop_reason="websocket_connection_limit_reached", note=REFUSED),
        ),
        said=(
            up(create()), down(begun("resp_1"), over("resp_1", usage(20, 0, 2))),
            up(create()), down(error("websocket_connection_limit_reached")),
        ),
    ),
    # Codex writes `generate` behind the input, and of a message only the first megabyte is read.
    Socket(
        "a prewarm that is too long to be read as a whole",
        "openai", OPENAI, PATH,
        (Told(MODEL, DATED, 300_000, 5, cache_read=299_008, cost=usd((992, "5"), (299_008, "0.50"), (5, "30"))),),
        limits={"websocket_message_bytes": 1 << 24},
        said=(
            up(create(input="x" * (1 << 20), generate=False)),
            down(begun("resp_0"), over("resp_0", usage(299_100, 0, 0))),
            up(create(previous_response_id="resp_0")),
            down(begun("resp_1"), delta("Hello"), over("resp_1", usage(300_000, 299_008, 5))),
        ),
    ),
    Socket("nothing but a prewarm", "openai", OPENAI, PATH, (),
           said=(up(create(generate=False)), down(begun("resp_0"), over("resp_0", usage(4_000, 0, 0))))),
    Socket("nothing said", "openai", OPENAI, PATH, (), said=()),
]  # fmt: skip
