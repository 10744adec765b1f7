"""The turns of Gemini Live: one after the other on one socket, asked for or begun by the model, each counted once."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.gemini_turns import reader
from agentproxy.usage import Usage
from tests.providers.booked import Booked, dump, used
from tests.simulator.support import QUIET
from tests.simulator.test_websocket import Client

PATH = b"/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SETUP = {"setup": {"model": "models/gemini-3.1-flash-live-preview", "generationConfig": {}}}
SET_UP: dict[str, Any] = {"setupComplete": {}}
ASK = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "hi"}]}], "turnComplete": True}}
HEARD = {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": "A" * 4266}}}
SOUND = {"serverContent": {"modelTurn": {"parts": [
    {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "A" * 6400}}]}}}  # fmt: skip
GENERATED = {"serverContent": {"generationComplete": True}}
DONE = {"serverContent": {"turnComplete": True}}
INTERRUPTED = {"serverContent": {"interrupted": True}}
RESULT = {"toolResponse": {"functionResponses": [{"id": "1", "name": "look", "response": {}}]}}
CALL = {"toolCall": {"functionCalls": [{"id": "1", "name": "look", "args": {"at": "x" * 38}}]}}
GO_AWAY = {"goAway": {"timeLeft": "9s"}}


def said(text: str = "Hello, world") -> dict[str, Any]:
    return {"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": text}]}}}


def usage(prompt: int, response: int, **more: Any) -> dict[str, Any]:
    counts = {"promptTokenCount": prompt, "responseTokenCount": response, "totalTokenCount": prompt + response, **more}
    return {"usageMetadata": {name: value for name, value in counts.items() if value}}


def booked() -> Booked:
    return Booked(lambda ended: reader(b"GET", PATH, True, ended)).asked(SETUP).told(SET_UP)


class SessionTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """Live's sockets are understood, with a key or a token, on Vertex too; others are not."""
        for path, found in (
            (PATH, True),
            (PATH + b"?key=x", True),
            (b"/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained", True),
            (b"/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent", True),
            (b"/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateMusic", False),
            (b"/v1beta/models/g:generateContent", False),
            (b"/", False),
        ):
            self.assertEqual(reader(b"GET", path, True, print) is not None, found, path)

    def test_turns(self) -> None:
        """Turns on one socket are counted one by one, and what is not named in the second is not the first's."""
        call = booked()
        call.asked(ASK).told(said(), said(), {**DONE, **usage(20, 6, cachedContentTokenCount=8, thoughtsTokenCount=2)})
        call.asked(ASK).told(said(), {**DONE, **usage(40, 3, toolUsePromptTokenCount=5)})
        first, second = call.turns
        self.assertEqual(first.usage, Usage(20, 8, 8, reasoning_tokens=2))
        self.assertEqual(second.usage, Usage(45, 3))
        for turn in call.turns:
            self.assertEqual((turn.status, turn.source, turn.operation), ("completed", "reported", "realtime"))
            self.assertEqual(turn.model_asked, "gemini-3.1-flash-live-preview")
        self.assertEqual((first.started, first.first_token, first.ended), (3.0, 4.0, 6.0))
        self.assertIsNone(call.reader.degraded)
        call.reader.closed(99.0)
        self.assertEqual(len(call.turns), 2)

    def test_spellings(self) -> None:
        """Clients write their names in camel case or with underscores."""
        ask = {"client_content": {"turns": [], "turn_complete": True}}
        call = booked().asked({"realtime_input": {"audio_stream_end": True}}, ask, {"tool_response": {}})
        turn = call.told(said(), {**DONE, **usage(20, 6)}).closed()
        self.assertEqual((turn.started, turn.usage, call.reader.degraded), (4.0, Usage(20, 6), None))

    def test_heard(self) -> None:
        """Where the client only speaks, a turn begins when the model does; its sound is counted as sound."""
        details = {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 200}],
                   "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}]}  # fmt: skip
        heard = {"serverContent": {"inputTranscription": {"text": "Hola."}}}
        call = booked().asked(HEARD, HEARD).told({"serverContent": {}}, heard).asked(HEARD)
        call.told(SOUND, SOUND, GENERATED, {**DONE, **usage(300, 30, **details)})
        turn = call.closed()
        self.assertEqual(turn.usage, Usage(300, 30, input_audio_tokens=200, output_audio_tokens=30))
        self.assertEqual((turn.started, turn.first_token, turn.source), (8.0, 8.0, "reported"))
        self.assertIsNone(call.reader.degraded)

    def test_counts_anywhere(self) -> None:
        """The counts come before a turn, within it, at its end or behind it, and an empty one takes none away."""
        for told in (
            [{"serverContent": {}, **usage(20, 6)}, SOUND, GENERATED, {**DONE, "usageMetadata": {}}],
            [SOUND, usage(10, 1), usage(20, 6), GENERATED, DONE],
            [{**SOUND, **usage(20, 6)}, DONE],
            [SOUND, {"sessionResumptionUpdate": {}, **usage(20, 6)}, DONE],
            [SOUND, DONE, usage(20, 6)],
            [SOUND, GENERATED, DONE, {"sessionResumptionUpdate": {}, **usage(20, 6)}],
        ):
            call = booked().asked(HEARD).told(*told, {**SOUND, **usage(30, 9)}, DONE)
            self.assertEqual([turn.usage for turn in call.turns], [Usage(20, 6), Usage(30, 9)], told)
            self.assertEqual([turn.source for turn in call.turns], ["reported"] * 2)
            self.assertIsNone(call.reader.degraded)

    def test_not_all_counted(self) -> None:
        """Some models leave out what they said: it is estimated from the sound, 25 tokens a second."""
        call = booked().asked(HEARD).told({"serverContent": {}, **usage(960, 0)}, *[SOUND] * 10, DONE)
        turn = call.closed()
        self.assertEqual((used(turn).input_tokens, turn.status, turn.source), (960, "completed", "estimated"))
        self.assertAlmostEqual(used(turn).output_tokens, 25, delta=1)

    def test_tools(self) -> None:
        """A tool's result asks the model anew within the turn: its counts are added to those before."""
        call = booked().asked(HEARD)
        call.told(usage(2507, 12), CALL).asked(RESULT).told(usage(2570, 0), SOUND, usage(2570, 40), GENERATED, DONE)
        turn = call.closed()
        self.assertEqual((turn.usage, turn.source), (Usage(5077, 52), "reported"))
        self.assertEqual((turn.tools, turn.status), (["look"], "completed"))
        # Others count once, at the end, and some end the turn with the call.
        call = booked().asked(ASK).told(CALL).asked(RESULT).told(said(), {**DONE, **usage(90, 9)})
        self.assertEqual([turn.usage for turn in call.turns], [Usage(90, 9)])
        call = booked().asked(ASK).told(CALL, {**DONE, **usage(80, 8)}).asked(RESULT)
        call.told(said(), {**DONE, **usage(90, 9)})
        self.assertEqual([turn.usage for turn in call.turns], [Usage(80, 8), Usage(90, 9)])

    def test_interrupted(self) -> None:
        """A turn that the client interrupts is cancelled, keeps its counts, and the next one is its own."""
        for between in ([], [{**DONE, **usage(20, 4)}], [usage(20, 4)], [DONE, usage(20, 4)]):
            call = booked().asked(ASK).told(said(), said()).asked(ASK).told(INTERRUPTED, *between)
            call.told(said(), {**DONE, **usage(40, 3)})
            first, second = call.turns
            self.assertEqual((first.status, first.stop_reason), ("cancelled", "interrupted"), between)
            self.assertEqual(first.source, "reported" if between else "estimated")
            self.assertEqual(used(first).output_tokens, 4 if between else 6)
            self.assertEqual((second.status, second.usage, second.started), ("completed", Usage(40, 3), 6.0))

    def test_asked_twice(self) -> None:
        """What is asked before anything was said is one turn with what was asked before."""
        call = booked().asked(ASK, ASK).told(said(), {**DONE, **usage(40, 3)})
        self.assertEqual((call.closed().started, call.turns[0].usage), (3.0, Usage(40, 3)))
        not_yet = {"clientContent": {"turns": [], "turnComplete": False}}
        call = booked().asked(not_yet)
        call.reader.closed(9.0)
        self.assertEqual((call.turns, call.reader.degraded), ([], None))

    def test_reasons(self) -> None:
        """A reason to complete a turn is kept; most say that it was cut short."""
        for reason, status in (
            (None, "completed"),
            ("NEED_MORE_INPUT", "completed"),
            ("RESPONSE_REJECTED", "incomplete"),
            ("MALFORMED_FUNCTION_CALL", "incomplete"),
        ):
            done = {"serverContent": {"turnComplete": True, "turnCompleteReason": reason}, **usage(20, 6)}
            turn = booked().asked(ASK).told(said(), done).closed()
            self.assertEqual((turn.status, turn.stop_reason), (status, reason))

    def test_searches(self) -> None:
        """Searches are counted once, though they are named again."""
        grounded = {"serverContent": {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}}
        turn = booked().asked(ASK).told(said(), grounded, grounded, {**DONE, **usage(20, 6)}).closed()
        self.assertEqual(turn.usage, Usage(20, 6, web_searches=2))

    def test_simulated(self) -> None:
        """What the simulator sends is read to the token, turn by turn."""
        client, call = Client(PATH.decode(), script=QUIET), Booked(lambda ended: reader(b"GET", PATH, True, ended))
        for asked in (SETUP, ASK, ASK):
            told = client.say(asked)
            call.asked(asked).told(*told)
            if asked is ASK:
                counts = told[-1]["usageMetadata"]
                turn = call.turns[-1]
                self.assertEqual(turn.usage, Usage(counts["promptTokenCount"], counts["responseTokenCount"]))
                self.assertEqual((turn.status, turn.source), ("completed", "reported"))
        self.assertEqual((len(call.turns), call.reader.degraded), (2, None))


class BreakOffTests(SynchronousTestCase):
    def test_everywhere(self) -> None:
        """Wherever a socket is lost the running turn is booked once, with what was reported and an estimate."""
        told = [said(), {"usageMetadata": usage(200, 1)["usageMetadata"]}, said(), said("x" * 76)]
        for size in range(len(told) + 1):
            for status in ((), ("cancelled",)):
                call = booked().asked(ASK).told(*told[:size])
                turn = call.closed(*status)
                self.assertEqual((turn.status, turn.source), ((*status, "unsettled")[0], "estimated"))
                asked = len(dump(SETUP)) + len(dump(ASK))
                self.assertEqual(used(turn).input_tokens, 200 if size > 1 else asked // 4)
                self.assertEqual(used(turn).output_tokens, [1, 3, 3, 6, 25][size])

    def test_after_the_end(self) -> None:
        """A client that leaves while it plays what was generated leaves a completed turn."""
        turn = booked().asked(ASK).told({**said(), **usage(20, 6)}, GENERATED).closed()
        self.assertEqual((turn.status, turn.source, turn.usage), ("completed", "reported", Usage(20, 6)))
        turn = booked().asked(ASK).told(said(), DONE).closed()
        self.assertEqual((turn.status, turn.source, turn.ended), ("completed", "estimated", 5.0))
        turn = booked().asked(ASK).told(said(), INTERRUPTED).closed()
        self.assertEqual((turn.status, turn.source), ("cancelled", "estimated"))

    def test_two(self) -> None:
        """A turn that was asked for behind the running one is booked too; nothing is booked twice."""
        call = booked().asked(ASK).told(said()).asked(ASK)
        call.reader.closed(9.0)
        call.reader.closed(10.0)
        self.assertEqual([(turn.status, turn.started, turn.ended) for turn in call.turns],
                         [("unsettled", 3.0, 9.0), ("unsettled", 5.0, 9.0)])  # fmt: skip

    def test_go_away(self) -> None:
        """That upstream had said it would go is noted of what it cut off, not of what was whole."""
        turn = booked().asked(ASK).told(GO_AWAY, said()).closed()
        self.assertEqual((turn.status, turn.note is None), ("unsettled", False))
        turn = booked().asked(ASK).told(GO_AWAY, said(), {**DONE, **usage(20, 6)}).closed()
        self.assertEqual((turn.status, turn.note), ("completed", None))

    def test_context(self) -> None:
        """An estimate's input is all of the session so far, what the model said included."""
        call = booked().asked(ASK).told(said("x" * 4000), {**DONE, **usage(20, 1000)}).asked(ASK)
        call.reader.closed(9.0)
        asked = len(dump(SETUP)) + 2 * len(dump(ASK))
        self.assertEqual(used(call.turns[1]).input_tokens, (asked + 4000) // 4)
