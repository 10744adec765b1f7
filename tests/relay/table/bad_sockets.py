"""
Sockets on which something is said that is not what it should be: it passes as it came, the records say what could not
be read, and the turns behind it are counted.
"""

from __future__ import annotations

import zlib
from typing import Any

from agentproxy.providers.openai_json import BROKEN, NO_JSON
from agentproxy.providers.openai_usage import NO_COUNT
from agentproxy.providers.response_types import NO_RESPONSE, NO_TYPE
from tests.providers.response_shapes import create
from tests.providers.test_gemini_live_turns import ASK as LIVE_ASK
from tests.providers.test_gemini_live_turns import DONE
from tests.providers.test_gemini_live_turns import said as live_said
from tests.providers.test_gemini_live_turns import usage as live_usage
from tests.providers.test_realtime_turns import CREATE, created, done
from tests.relay.harness import MASK
from tests.relay.table import live, realtime
from tests.relay.table.bad import HTML, NO_COUNTS, NO_USAGES
from tests.relay.table.responses_said import DATED, MODEL, begun, delta, over, usage
from tests.relay.table.row import BINARY, GEMINI, OPENAI, TEXT, Deflated, Socket, Step, Told, down, dumps, up, usd
from tests.relay.wires import frame

PATH = b"/v1/responses"
SIZE = len(dumps(create())) // 4
LARGE = b"x" * (64 << 20)
LARGE_TOO = {"websocket_message_bytes": 1 << 27}
INVALID, BOMB = "invalid deflate data", "messages that inflate out of all proportion"


def counted(degraded: str | None = None, *, asked: str | None = MODEL) -> Told:
    """A turn that is counted to the token."""
    return Told(asked, DATED, 20, 2, cost=usd((20, "5"), (2, "30")), degraded=degraded)


def guessed(degraded: str, output: int, status: str = "completed", model: str | None = DATED) -> Told:
    cost = usd((SIZE, "5"), (output, "30"))
    return Told(MODEL, model, SIZE, output, source="estimated", status=status, cost=cost, degraded=degraded)


def turn(identity: str, up: Any = up, down: Any = down) -> tuple[Step, ...]:
    return up(create()), down(begun(identity), over(identity, usage(20, 0, 2)))


def between(name: str, reason: str, *said: Step) -> Socket:
    """Said between turns, and again inside one: all are counted to the token."""
    asks, (_, tells) = turn("resp_2")
    inside = (asks, *said, (False, tells))
    turns = (counted(), counted(reason), counted(reason))
    said = (*turn("resp_1"), *said, *inside, *turn("resp_3"))
    return Socket(name, "openai", OPENAI, PATH, turns, reason, LARGE_TOO, said=said)


def ended(name: str, reason: str, told: Told, *events: Any) -> Socket:
    """A turn that ends so, and turns before it and behind it."""
    said = (*turn("resp_1"), up(create()), down(*events), *turn("resp_3"))
    return Socket(name, "openai", OPENAI, PATH, (counted(), told, counted(reason)), reason, LARGE_TOO, said=said)


def garbled(opcode: int = TEXT, mask: bytes | None = None) -> bytes:
    """A frame that says that it is compressed, and can't be inflated: a block of a type that there is none of."""
    data: bytes = frame(opcode, b"\xff" * 20, mask=mask, rsv1=True)
    return data


BEGUN, SAID = begun("resp_2"), delta("x" * 40)
CUT = dumps(over("resp_2", usage(20, 0, 2)))
PACKED, CLIENTS, BLOWN, FORGETFUL = Deflated(), Deflated(), Deflated(), Deflated(takeover=False)
BLOB = zlib.compressobj(wbits=-15)
BOMB_FRAME = frame(TEXT, (BLOB.compress(b'{"type":"x"' + LARGE) + BLOB.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv1=True)
TAKEOVER = b"permessage-deflate"
NO_TAKEOVER = b"permessage-deflate; client_no_context_takeover; server_no_context_takeover"

ROWS = [
    between("no JSON from upstream", NO_JSON, down(HTML)),
    between("no JSON from the client", NO_JSON, up(HTML)),
    between("nothing in a message", NO_JSON, down(b""), up(b"")),
    between("no object", NO_JSON, down([1, 2]), down("a string"), down(7)),
    between("binary noise", NO_JSON, down(b"\x00\x01\xff\xfe" * 50, opcode=BINARY)),
    between("bytes that are no UTF-8", NO_JSON, down(b"\xff\xfe{}"), up(b"\xc3\x28")),
    between("an unknown type", NO_TYPE, down({"type": "surprise", "usage": usage(7, 0, 7)})),
    between("no type", NO_TYPE, down({"surprise": 1}, {"type": 7}, {"type": None})),
    between("nested too deeply", BROKEN, down(b'{"type":' + b"[" * 100_000)),
    between("64 MiB that are no JSON", NO_JSON, down(LARGE)),
    between("64 MiB of JSON that means nothing", BROKEN, down(b'{"x":"' + LARGE + b'"}')),
    # Its end is told, not its tokens: 40 characters were seen.
    ended("half a JSON", BROKEN, guessed(BROKEN, 10), BEGUN, SAID, CUT[: len(CUT) // 2]),
    ended("an end in 64 MiB", BROKEN, guessed(BROKEN, 10), BEGUN, SAID,
          CUT.replace(b'"error"', b'"x":"' + LARGE + b'","error"', 1)),
    ended("an end without its response", NO_RESPONSE, guessed(NO_RESPONSE, 10), BEGUN, SAID,
          {"type": "response.completed"}),
    ended("an end whose response is a list", NO_RESPONSE, guessed(NO_RESPONSE, 10), BEGUN, SAID,
          {"type": "response.completed", "response": [1]}),
    ended("a byte inside that is no UTF-8", BROKEN, counted(BROKEN), BEGUN,
          CUT.replace(b'"created_at"', b'"x":"\xff","created_at"', 1)),
    *(
        ended(f"a count that is {name}", NO_COUNT, guessed(NO_COUNT, 10), BEGUN, SAID,
              over("resp_2", {"input_tokens": odd, "output_tokens": odd}))
        for name, odd in NO_COUNTS.items()
    ),
    *(
        ended(f"a usage that is {name}", NO_COUNT, guessed(NO_COUNT, 10), BEGUN, SAID, over("resp_2", odd))
        for name, odd in NO_USAGES.items()
    ),
    # A delta of which only the length would have mattered is not degraded; of 64 KiB it is counted.
    Socket("a delta of 64 MiB", "openai", OPENAI, PATH, (counted(), counted()),
           said=(up(create()), down(BEGUN, delta(LARGE.decode()), over("resp_2", usage(20, 0, 2))), *turn("resp_3")),
           limits=LARGE_TOO),
    # Two turns without lanes at once, told apart by their ids.
    Socket(
        "two turns interleaved", "openai", OPENAI, PATH,
        (
            Told(MODEL, DATED, 30, 3, cost=usd((30, "5"), (3, "30"))),
            Told(MODEL, DATED, 20, 2, cost=usd((20, "5"), (2, "30"))),
            counted(),
        ),
        said=(
            up(create(), create()), down(begun("resp_1"), begun("resp_2"), delta("a"), delta("b")),
            down(over("resp_2", usage(30, 0, 3)), over("resp_1", usage(20, 0, 2))), *turn("resp_3"),
        ),
    ),
    Socket(
        "half a JSON at the end", "openai", OPENAI, PATH,
        (counted(), guessed(BROKEN, 10)), BROKEN,
        said=(*turn("resp_1"), up(create()), down(BEGUN, SAID, CUT[: len(CUT) // 2])), ends="upstream",
    ),
    # The frame itself breaks off, so that its message was never there.
    Socket(
        "half a frame at the end", "openai", OPENAI, PATH,
        (counted(), Told(MODEL, DATED, SIZE, 10, source="estimated", status="unsettled",
                         cost=usd((SIZE, "5"), (10, "30")), degraded="a message that breaks off")),
        "a message that breaks off",
        said=(*turn("resp_1"), up(create()), down(BEGUN, SAID), (False, frame(TEXT, CUT)[:-100])), ends="upstream",
    ),
    # Without takeover the next message stands for itself.
    Socket(
        "invalid deflate without takeover", "openai", OPENAI, PATH,
        (counted(), counted(INVALID), counted(INVALID)), INVALID,
        said=(
            *turn("resp_1", FORGETFUL.up, FORGETFUL.down), (False, garbled()), (True, garbled(mask=MASK)),
            *turn("resp_2", FORGETFUL.up, FORGETFUL.down), *turn("resp_3", FORGETFUL.up, FORGETFUL.down),
        ),
        extensions=NO_TAKEOVER,
    ),
    # With it, nothing that upstream says behind it can be read: the client's turns are counted, by an estimate.
    Socket(
        "invalid deflate from upstream", "openai", OPENAI, PATH,
        (counted(), guessed(INVALID, 1, "unsettled", None), guessed(INVALID, 1, "unsettled", None)), INVALID,
        said=(
            *turn("resp_1", PACKED.up, PACKED.down), (False, garbled()), *turn("resp_2", PACKED.up, PACKED.down),
            *turn("resp_3", PACKED.up, PACKED.down),
        ),
        extensions=TAKEOVER,
    ),
    # Nor what the client says: what upstream says of a turn is all that is known of it.
    Socket(
        "invalid deflate from the client", "openai", OPENAI, PATH,
        (counted(), counted(INVALID, asked=None), counted(INVALID, asked=None)), INVALID,
        said=(
            *turn("resp_1", CLIENTS.up, CLIENTS.down), (True, garbled(mask=MASK)),
            *turn("resp_2", CLIENTS.up, CLIENTS.down), *turn("resp_3", CLIENTS.up, CLIENTS.down),
        ),
        extensions=TAKEOVER,
    ),
    Socket(
        "64 MiB deflated into nothing", "openai", OPENAI, PATH,
        (counted(), guessed(BOMB, 1, "unsettled", None)), BOMB,
        said=(*turn("resp_1", BLOWN.up, BLOWN.down), (False, BOMB_FRAME), *turn("resp_2", BLOWN.up, BLOWN.down)),
        extensions=TAKEOVER,
    ),
    *(
        Socket(
            f"realtime: {name}", "openai", OPENAI, realtime.PATH,
            (realtime.TURN, Told(**{**vars(realtime.TURN), "degraded": reason})), reason,
            said=(
                down(realtime.SESSION), up(CREATE), down(created("resp_1"), done("resp_1")), *said,
                up(CREATE), down(created("resp_2"), done("resp_2")),
            ),
        )
        for name, reason, said in (
            ("no JSON", NO_JSON, (down(HTML), up(HTML))),
            ("an unknown type", NO_TYPE, (down({"type": "surprise"}),)),
            ("half a JSON", BROKEN, (down(dumps(created("resp_9"))[:70]),)),
        )
    ),
    *(
        Socket(
            f"live: {name}", "gemini", GEMINI, live.PATH,
            (live.SAID_ONCE, Told(**{**vars(live.SAID_ONCE), "degraded": reason})), reason,
            said=(
                *live.OPEN, up(LIVE_ASK), live.down(live_said(), {**DONE, **live_usage(20, 6)}), *said,
                up(LIVE_ASK), live.down(live_said(), {**DONE, **live_usage(20, 6)}),
            ),
        )
        for name, reason, said in (
            ("no JSON", "a message that is no JSON", (live.down(HTML),)),
            ("half a JSON", "a message that is no JSON", (live.down(b'{"serverContent":{"turnCom'),)),
            ("an unknown type", "a message of an unknown type", (live.down({"surprise": 1}),)),
            ("no UTF-8", "a message that is no JSON", (live.down(b'{"serverContent":"\xff"}'),)),
            ("the client's of an unknown type", "a message of the client of an unknown type", (up({"surprise": 1}),)),
            ("a usage that is a string", "a usage that is no object", (live.down({"usageMetadata": "20"}),)),
        )
    ),
]  # fmt: skip
