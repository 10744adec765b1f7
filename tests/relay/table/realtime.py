"""OpenAI Realtime: text and sound, each at its price; transcriptions are turns of another model."""

from __future__ import annotations

from typing import Any

from agentproxy.usage import REFUSED
from tests.providers.test_openai_usage import REALTIME_USAGE
from tests.providers.test_realtime_turns import CALL, CREATE, created, delta, done, error
from tests.relay.table.row import OPENAI, Socket, Told, down, dumps, nothing, up, usd

MODEL = "gpt-realtime"
PATH = b"/v1/realtime?model=gpt-realtime"
SPOKE = {"type": "input_audio_buffer.append", "audio": "A" * 64_000}
SESSION = {"type": "session.created", "event_id": "event_0", "session": {"object": "realtime.session", "model": MODEL}}
# Text 4, cached 0.40, out 16; sound 32, out 64. Of the 132 heard 13 were sound, of the rest 64 cached.
COST = usd((55, "4"), (64, "0.40"), (13, "32"), (30, "16"), (91, "64"))
TURN = Told(MODEL, None, 132, 121, cache_read=64, input_audio=13, output_audio=91, cost=COST)
ASKED = len(dumps(CREATE))


def heard(usage: Any) -> dict[str, Any]:
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "event_id": "event_5",
        "item_id": "item_1",
        "content_index": 0,
        "transcript": "Hey, can you hear me?",
        "usage": usage,
    }


TRANSCRIBES = {"type": "session.updated", "event_id": "event_1", "session": {
    "object": "realtime.session", "model": MODEL,
    "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}}  # fmt: skip

# Nearly all that was heard before is cached: of the 400 fresh 300 are sound, of the 600 cached 500.
CACHED_SOUND = {
    "total_tokens": 1_050, "input_tokens": 1_000, "output_tokens": 50,
    "input_token_details": {"text_tokens": 200, "audio_tokens": 800, "cached_tokens": 600,
                            "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 500}},
    "output_token_details": {"text_tokens": 50, "audio_tokens": 0},
}  # fmt: skip

ROWS = [
    Socket(
        "cached sound",
        "openai", OPENAI, PATH,
        (Told(MODEL, None, 1_000, 50, cache_read=600, input_audio=800,
              cost=usd((100, "4"), (300, "32"), (600, "0.40"), (50, "16"))),),
        said=(down(SESSION), up(CREATE), down(created("resp_1"), done("resp_1", CACHED_SOUND))),
    ),
    Socket(
        "two responses on one socket",
        "openai", OPENAI, PATH,
        (
            Told(MODEL, None, 132, 121, cache_read=64, input_audio=13, output_audio=91, tools=("look_up",), cost=COST),
            Told(MODEL, None, 200, 10, cost=usd((200, "4"), (10, "16"))),
        ),
        said=(
            down(SESSION), up(CREATE),
            down(created("resp_1"), delta("resp_1", "A" * 8_000, "response.output_audio.delta")),
            down(delta("resp_1", "Hello", "response.output_audio_transcript.delta"), done("resp_1", output=[CALL])),
            up(CREATE),
            down(created("resp_2"), done("resp_2", {"total_tokens": 210, "input_tokens": 200, "output_tokens": 10})),
        ),
    ),
    # Nobody asked: it heard the end of speech.
    Socket(
        "begun by what it heard",
        "openai", OPENAI, PATH,
        (TURN,),
        said=(
            down(SESSION), up(SPOKE, SPOKE), down({"type": "input_audio_buffer.speech_stopped", "event_id": "event_1"}),
            down(created("resp_1"), done("resp_1")),
        ),
        ends="closed",
    ),
    *(
        Socket(
            f"{status} keeps its counts",
            "openai", OPENAI, PATH,
            (Told(MODEL, None, 132, 121, cache_read=64, input_audio=13, output_audio=91, status=status,
                  stop_reason=reason, cost=COST),),
            said=(down(SESSION), up(CREATE), down(created("resp_1"), delta("resp_1", "x" * 400)),
                  down(done("resp_1", status=status, status_details=details))),
        )
        for status, details, reason in (
            ("cancelled", {"type": "cancelled", "reason": "turn_detected"}, "turn_detected"),
            ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"}, "max_output_tokens"),
            ("failed", {"type": "failed", "error": {"type": "server_error", "code": "overloaded"}}, "overloaded"),
        )
    ),
    *(
        Socket(
            f"cancelled without counts is not zero: {name}",
            "openai", OPENAI, PATH,
            (Told(MODEL, None, ASKED // 4, 100, status="cancelled", stop_reason="client_cancelled", source="estimated",
                  cost=usd((ASKED // 4, "4"), (100, "16"))),),
            said=(
                down(SESSION), up(CREATE), down(created("resp_1"), delta("resp_1", "x" * 400)),
                up({"type": "response.cancel"}),
                down(done("resp_1", used, "cancelled",
                          status_details={"type": "cancelled", "reason": "client_cancelled"})),
            ),
        )
        for name, used in (
            ("none", None), ("zeros", {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}),
        )
    ),
    Socket(
        "a transcription",
        "openai", OPENAI, PATH,
        (
            Told("gpt-4o-transcribe", None, 23, 9, input_audio=13, cost=usd((10, "2.50"), (13, "6"), (9, "10"))),
            TURN,
            nothing("gpt-4o-transcribe", note="charged by its duration"),
        ),
        said=(
            down(TRANSCRIBES), up(SPOKE),
            down(heard({"type": "tokens", "total_tokens": 32, "input_tokens": 23, "output_tokens": 9,
                        "input_token_details": {"text_tokens": 10, "audio_tokens": 13}})),
            down(created("resp_1"), done("resp_1")),
            down(heard({"type": "duration", "seconds": 3.5})),
        ),
    ),
    Socket(
        "refused while one runs",
        "openai", OPENAI, PATH,
        (
            nothing(MODEL, status="failed", stop_reason="conversation_already_has_active_response", note=REFUSED),
            TURN,
        ),
        said=(
            down(SESSION), up(CREATE), down(created("resp_1")), up({**CREATE, "event_id": "my_1"}),
            down(error("conversation_already_has_active_response", "my_1"), done("resp_1")),
        ),
    ),
    Socket(
        "responses at once, told apart by their ids",
        "openai", OPENAI, PATH,
        (
            Told(MODEL, None, 132, 121, cache_read=64, input_audio=13, output_audio=91, cost=COST),
            Told(MODEL, None, 2 * ASKED // 4, 10, status="unsettled", source="estimated",
                 cost=usd((2 * ASKED // 4, "4"), (10, "16"))),
        ),
        said=(
            down(SESSION), up(CREATE, CREATE), down(created("resp_1"), created("resp_2")),
            down(delta("resp_2", "x" * 40), delta("resp_1", "y"), done("resp_1", REALTIME_USAGE)),
        ),
    ),
]  # fmt: skip
