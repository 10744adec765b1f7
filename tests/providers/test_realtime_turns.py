"""Turns of a Realtime socket: asked for or begun by the server, with sound and text, and what is heard besides."""

from __future__ import annotations

from typing import Any

from agentproxy.providers.flights import MOST_FLIGHTS, TOO_MANY
from agentproxy.providers.openai_json import BROKEN, NO_JSON
from agentproxy.providers.openai_usage import NO_COUNT
from agentproxy.usage import REFUSED
from tests.providers.booked import NO_JSON as GARBAGE
from tests.providers.test_openai_usage import REALTIME_USAGE
from tests.providers.turn_case import Reading, TurnCase, encoded

CREATE = {"type": "response.create"}
EXACT = {
    "input_tokens": 132,
    "output_tokens": 121,
    "cache_read_tokens": 64,
    "input_audio_tokens": 13,
    "output_audio_tokens": 91,
}
CALL = {"object": "realtime.item", "type": "function_call", "name": "look_up", "arguments": "{}"}


def socket(path: str = "/v1/realtime?model=gpt-realtime") -> Reading:
    return Reading(path, upgrade=True)


def created(identity: str) -> dict[str, Any]:
    response = {"object": "realtime.response", "id": identity, "status": "in_progress", "output": [], "usage": None}
    return {"type": "response.created", "event_id": "event_1", "response": response}


def delta(identity: str, text: str, kind: str = "response.output_text.delta") -> dict[str, Any]:
    return {"type": kind, "event_id": "event_2", "response_id": identity, "item_id": "item_1", "delta": text}


def done(identity: str, used: Any = REALTIME_USAGE, status: str = "completed", **more: Any) -> dict[str, Any]:
    response = {"object": "realtime.response", "id": identity, "status": status, "usage": used, "output": [], **more}
    return {"type": "response.done", "event_id": "event_3", "response": response}


def error(code: str, event_id: str | None = None) -> dict[str, Any]:
    inner = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None, "event_id": event_id}
    return {"type": "error", "event_id": "event_4", "error": inner}


class TurnTests(TurnCase):
    def test_many(self) -> None:
        """Of too many in flight the oldest is given up, and it says so."""
        call = socket()
        for _ in range(MOST_FLIGHTS + 1):
            call.ask(CREATE)
        self.assertEqual(call.degraded, TOO_MANY)

    def test_turn(self) -> None:
        """A response is one turn, with its exact text, audio and cached tokens."""
        call = socket()
        call.tell({"type": "session.created", "session": {"object": "realtime.session", "model": "gpt-realtime-2"}})
        call.ask({"type": "session.update", "session": {"instructions": "Be brief."}})
        call.ask(CREATE)
        call.tell(created("resp_1"), delta("resp_1", "x" * 8000, "response.output_audio.delta"))
        call.tell(delta("resp_1", "Hello", "response.output_audio_transcript.delta"), done("resp_1", output=[CALL]))
        (turn,) = call.close()
        self.assert_used(turn, **EXACT)
        self.assertEqual((turn.operation, turn.status, turn.model_asked, turn.response_id, turn.tools),
                         ("realtime", "completed", "gpt-realtime-2", "resp_1", ["look_up"]))  # fmt: skip
        self.assertEqual((turn.started, turn.first_token, turn.ended, turn.output_characters), (3.0, 5.0, 7.0, 15))
        self.assertIsNone(call.degraded)

    def test_server_begins(self) -> None:
        """A response that the server began by itself, having heard speech, is a turn too; the path names the model."""
        call = socket()
        call.ask({"type": "input_audio_buffer.append", "audio": "A" * 64000})
        call.tell({"type": "input_audio_buffer.speech_stopped"}, created("resp_1"), done("resp_1"))
        call.tell(created("resp_2"))
        first, second = call.close()
        self.assert_used(first, **EXACT)
        self.assertEqual((first.started, first.model_asked), (3.0, "gpt-realtime"))
        self.assert_guessed(second)
        self.assertEqual(second.usage and second.usage.input_tokens, 10)

    def test_ends(self) -> None:
        """How it ended and why are upstream's words, and so are its tokens, cancelled or not."""
        for status, details, reason in (
            ("completed", None, None),
            ("cancelled", {"type": "cancelled", "reason": "turn_detected"}, "turn_detected"),
            ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"}, "max_output_tokens"),
            ("failed", {"type": "failed", "error": {"type": "server_error", "code": "overloaded"}}, "overloaded"),
        ):
            call = socket()
            call.ask(CREATE)
            call.tell(created("resp_1"), done("resp_1", status=status, status_details=details))
            (turn,) = call.close()
            self.assert_used(turn, **EXACT)
            self.assertEqual((turn.status, turn.stop_reason), (status, reason))

    def test_cancelled_as_zero(self) -> None:
        """A cancelled response that spoke is not zero, whether upstream says nothing or nothing but zeros."""
        zeros = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}
        for used in (None, zeros):
            call = socket()
            call.ask(CREATE)
            call.tell(created("resp_1"), delta("resp_1", "x" * 400), done("resp_1", used, "cancelled"))
            (turn,) = call.close()
            self.assert_guessed(turn, "cancelled")
            self.assertEqual(turn.usage and turn.usage.output_tokens, 100)

    def test_at_once(self) -> None:
        """Responses that run at once are told apart by the ids in their events."""
        call = socket()
        for _ in range(2):
            call.ask(CREATE)
        call.tell(created("resp_1"), created("resp_2"), delta("resp_2", "abc"), delta("resp_1", "d"))
        call.tell({"type": "response.output_item.done", "response_id": "resp_2", "item": CALL})
        call.tell(done("resp_2", {"input_tokens": 2, "output_tokens": 2}), done("resp_2"))
        call.tell(done("resp_1", {"input_tokens": 1, "output_tokens": 1}))
        second, first = call.close()
        self.assertEqual([second.response_id, first.response_id], ["resp_2", "resp_1"])
        self.assertEqual([second.output_characters, first.output_characters], [3, 1])
        self.assertEqual([second.first_token, first.first_token, second.tools], [5.0, 6.0, ["look_up"]])
        self.assert_used(first, input_tokens=1, output_tokens=1)

    def test_unsettled(self) -> None:
        """A socket that drops leaves an estimate of all that was heard: each response reads the whole conversation."""
        call = socket()
        item = {"type": "conversation.item.create", "item": {"type": "message", "content": "x" * 4000}}
        call.ask(item)
        call.ask(CREATE)
        (turn,) = call.close()
        self.assert_guessed(turn)
        self.assertEqual(turn.input_bytes, len(encoded(item)) + len(encoded(CREATE)))


class ErrorTests(TurnCase):
    def test_refused(self) -> None:
        """An error about the event that asked for a turn ends it, at no cost; what is asked for next is counted."""
        for event_id in ("my_1", None):
            call = socket()
            call.ask(CREATE if event_id is None else {**CREATE, "event_id": event_id})
            call.tell(error("conversation_already_has_active_response", event_id))
            (turn,) = call.turns
            self.assertEqual((turn.status, turn.source, turn.usage), ("failed", "missing", None))
            self.assertEqual((turn.stop_reason, turn.note), ("conversation_already_has_active_response", REFUSED))
            call.ask(CREATE)
            call.tell(created("resp_2"), done("resp_2"))
            self.assert_used(call.close()[1], **EXACT)

    def test_not_its_error(self) -> None:
        """An error about something else ends no turn: the socket goes on, and the response with it."""
        for event_id, wrong in (
            ("my_1", error("bad", "my_2")),
            ("my_1", error("bad")),
            (None, error("input_audio_buffer_commit_empty")),
            (None, error("response_cancel_not_active")),
            (None, error("bad", "my_2")),
        ):
            call = socket()
            call.ask(CREATE if event_id is None else {**CREATE, "event_id": event_id})
            call.tell(wrong, created("resp_1"), wrong, error("bad", event_id), done("resp_1"))
            (turn,) = call.close()
            self.assert_used(turn, **EXACT)


class TranscriptionTests(TurnCase):
    def heard(self, used: Any) -> dict[str, Any]:
        return {
            "type": "conversation.item.input_audio_transcription.completed",
            "event_id": "event_5",
            "item_id": "item_1",
            "transcript": "Hey, can you hear me?",
            "usage": used,
        }

    def test_tokens(self) -> None:
        """A transcription is a turn of the model that made it, as the session names it."""
        used = {"type": "tokens", "total_tokens": 22, "input_tokens": 13, "output_tokens": 9,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 13}}  # fmt: skip
        for session in (
            {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}},
            {"input_audio_transcription": {"model": "gpt-4o-transcribe"}},
        ):
            call = socket("/v1/realtime?intent=transcription")
            call.tell({"type": "session.updated", "session": session})
            call.tell({"type": "conversation.item.input_audio_transcription.delta", "delta": "Hey"}, self.heard(used))
            (turn,) = call.close()
            self.assert_used(turn, input_tokens=13, output_tokens=9, input_audio_tokens=13)
            self.assertEqual((turn.operation, turn.model_asked, turn.status), ("transcription", "gpt-4o-transcribe",
                                                                               "completed"))  # fmt: skip

    def test_duration(self) -> None:
        """One that is charged by its seconds has no tokens, and says so."""
        call = socket()
        call.tell(self.heard({"type": "duration", "seconds": 3.5}))
        (turn,) = call.close()
        self.assertEqual((turn.usage, turn.source, turn.note), (None, "missing", "charged by its duration"))

    def test_none(self) -> None:
        """One without a usage, or with one that can't be believed, is none."""
        call = socket()
        call.tell(self.heard(None), self.heard({"type": "tokens", "input_tokens": "x", "output_tokens": 2}))
        self.assertEqual((call.close(), call.degraded), ([], NO_COUNT))


class GarbageTests(TurnCase):
    def test_garbage(self) -> None:
        """Garbage from either side is told as a reason, and the turns before and behind it are counted."""
        for odd in GARBAGE:
            call = socket()
            call.ask(CREATE)
            call.ask(odd)
            call.tell(created("resp_1"), odd, done("resp_1"))
            call.tell(created("resp_2"), done("resp_2"))
            for turn in call.close():
                self.assert_used(turn, **EXACT)
            self.assertEqual(len(call.turns), 2)
            self.assertIn(call.degraded, (BROKEN, NO_JSON), odd[:20])
