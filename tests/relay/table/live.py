"""Gemini Live: JSON, the server's in binary frames; sound and text each at its price."""

from __future__ import annotations

from typing import Any

from tests.providers.test_gemini_live_turns import (
    ASK,
    CALL,
    DONE,
    GENERATED,
    GO_AWAY,
    HEARD,
    INTERRUPTED,
    RESULT,
    SET_UP,
    SOUND,
    said,
    usage,
)
from tests.relay.table.row import BINARY, GEMINI, Socket, Told, dumps, up, usd
from tests.relay.table.row import down as down_frames

PATH = b"/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
MODEL = "gemini-2.5-flash-native-audio-preview-09-2025"
SETUP = {"setup": {"model": f"models/{MODEL}", "generationConfig": {"responseModalities": ["AUDIO"]}}}
SPOKEN = {
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}, {"modality": "AUDIO", "tokenCount": 200}],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
}


def down(*messages: Any) -> Any:
    """As Google sends them."""
    return down_frames(*messages, opcode=BINARY)


OPEN = (up(SETUP), down(SET_UP))
# 0.50, out 2; sound 3, out 12.
SAID_ONCE = Told(MODEL, None, 20, 6, cost=usd((20, "0.50"), (6, "2")))
CONTEXT = len(dumps(SETUP)) + len(dumps(ASK))

ROWS = [
    Socket(
        "two turns of text",
        "gemini", GEMINI, PATH + b"?key=",
        (SAID_ONCE, Told(MODEL, None, 45, 5, reasoning=2, cost=usd((45, "0.50"), (5, "2")))),
        said=(
            *OPEN, up(ASK), down(said(), said(), {**DONE, **usage(20, 6)}), up(ASK),
            down(said(), {**DONE, **usage(40, 3, toolUsePromptTokenCount=5, thoughtsTokenCount=2)}),
        ),
    ),
    Socket(
        "sound",
        "gemini", GEMINI, PATH,
        (Told(MODEL, None, 300, 30, input_audio=200, output_audio=30,
              cost=usd((100, "0.50"), (200, "3"), (30, "12"))),),
        said=(*OPEN, up(HEARD, HEARD), down(SOUND, SOUND, GENERATED, {**DONE, **usage(300, 30, **SPOKEN)})),
        ends="closed",
    ),
    Socket("in text frames", "gemini", GEMINI, PATH, (SAID_ONCE,),
           said=(up(SETUP), down_frames(SET_UP), up(ASK), down_frames(said(), {**DONE, **usage(20, 6)}))),
    # The tool's result asks the model anew within the turn: its counts are added.
    Socket(
        "a tool",
        "gemini", GEMINI, PATH,
        (Told(MODEL, None, 2_507 + 2_570, 12 + 40, tools=("look",), cost=usd((5_077, "0.50"), (52, "2"))),),
        said=(*OPEN, up(HEARD), down(usage(2_507, 12), CALL), up(RESULT),
              down(SOUND, GENERATED, {**DONE, **usage(2_570, 40)})),
    ),
    Socket(
        "interrupted",
        "gemini", GEMINI, PATH,
        (
            Told(MODEL, None, 20, 4, status="cancelled", stop_reason="interrupted", cost=usd((20, "0.50"), (4, "2"))),
            Told(MODEL, None, 40, 3, cost=usd((40, "0.50"), (3, "2"))),
        ),
        said=(*OPEN, up(ASK), down(said(), said()), up(ASK), down(INTERRUPTED, {**DONE, **usage(20, 4)}),
              down(said(), {**DONE, **usage(40, 3)})),
    ),
    # 24 characters were said.
    Socket(
        "interrupted without counts is not zero",
        "gemini", GEMINI, PATH,
        (Told(MODEL, None, CONTEXT // 4, 6, status="cancelled", stop_reason="interrupted", source="estimated",
              cost=usd((CONTEXT // 4, "0.50"), (6, "2"))),),
        said=(*OPEN, up(ASK), down(said(), said(), INTERRUPTED, DONE)),
    ),
    Socket(
        "it goes away",
        "gemini", GEMINI, PATH,
        (
            SAID_ONCE,
            Told(MODEL, None, (CONTEXT + len(dumps(ASK)) + 12) // 4, 3, status="unsettled", source="estimated",
                 note="upstream had announced that it would close the socket",
                 cost=usd(((CONTEXT + len(dumps(ASK)) + 12) // 4, "0.50"), (3, "2"))),
        ),
        said=(*OPEN, up(ASK), down(said(), {**DONE, **usage(20, 6)}), down(GO_AWAY), up(ASK), down(said())),
        ends="upstream",
    ),
]  # fmt: skip
