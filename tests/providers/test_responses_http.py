"""Turns of the Responses API over HTTP: streamed, whole, in the background, compacted; and how they end otherwise."""

from __future__ import annotations

from typing import Any

from agentproxy.providers.openai_json import BROKEN, NO_JSON
from agentproxy.providers.openai_usage import NO_COUNT
from agentproxy.providers.response_events import NO_TYPE
from agentproxy.usage import FAILED, REFUSED
from tests.providers.response_shapes import (
    CALL,
    DATED,
    MESSAGE,
    MODEL,
    OPENED,
    SEARCH,
    created,
    delta,
    encoded_cut,
    item,
    over,
    response,
    running,
    usage,
)  # fmt: skip
from tests.providers.turn_case import Reading, TurnCase, encoded

ASK = {"model": MODEL, "input": "hi", "stream": True}


def reading(ask: Any = ASK, path: str = "/v1/responses") -> Reading:
    made = Reading(path)
    if ask is not None:
        made.ask(ask)
    return made


class StreamTests(TurnCase):
    def test_stream(self) -> None:
        """A stream is one turn: its models, its id, its times, its exact tokens."""
        call = reading()
        call.tell(created("resp_1"), running("resp_1"), delta("Hel"), delta("lo\n"), b"[DONE]")
        call.tell(over("resp_1", usage(900, 768, 120, 64)), b"[DONE]")
        (turn,) = call.close()
        self.assert_used(turn, input_tokens=900, cache_read_tokens=768, output_tokens=120, reasoning_tokens=64)
        self.assertEqual((turn.operation, turn.status, turn.model_asked, turn.model_answered, turn.response_id),
                         ("responses", "completed", MODEL, DATED, "resp_1"))  # fmt: skip
        self.assertEqual((turn.started, turn.first_token, turn.ended), (1.0, 4.0, 7.0))
        self.assertEqual((turn.output_characters, turn.input_bytes), (6, len(encoded(ASK))))
        self.assertEqual((turn.tools, turn.stop_reason, turn.note, call.degraded), ([], None, None, None))

    def test_first_token(self) -> None:
        """Any output is a first token: text, thought, a call's arguments, audio, a refusal; no other event is."""
        for kind in (
            "response.output_text.delta",
            "response.reasoning_text.delta",
            "response.reasoning_summary_text.delta",
            "response.function_call_arguments.delta",
            "response.custom_tool_call_input.delta",
            "response.audio.delta",
            "response.refusal.delta",
        ):
            call = reading()
            call.tell(created("resp_1"), {"type": "response.output_item.added", "item": MESSAGE})
            call.tell({"type": "response.shell_call_output_content.delta", "delta": {"stdout": "x"}})
            call.tell(delta("x", kind), delta("y", kind), over("resp_1", usage(1, 0, 1)))
            self.assertEqual(call.turns[0].first_token, 5.0, kind)
        call = reading()
        call.tell(created("resp_1"), item(type="local_shell_call", action={"type": "exec"}))
        call.tell(over("resp_1", usage(1, 0, 1)))
        self.assertEqual((call.turns[0].first_token, call.turns[0].tools), (3.0, ["local_shell"]))

    def test_tools(self) -> None:
        """The tools it called are named in order, whether the response repeats them or not, as ChatGPT's."""
        names = ["shell", "apply_patch", "web_search", "web_search"]
        calls = [CALL, {"type": "custom_tool_call", "name": "apply_patch", "input": "x"}, SEARCH, OPENED]
        for output in ([], [MESSAGE, *calls]):
            call = reading()
            call.tell(created("resp_1"), item(**MESSAGE), *[item(**each) for each in calls])
            call.tell({"type": "response.completed",
                       "response": response("resp_1", "completed", usage=usage(9, 0, 9), output=output)})  # fmt: skip
            self.assertEqual(call.turns[0].tools, names)
            self.assert_used(call.turns[0], input_tokens=9, output_tokens=9, web_searches=1)

    def test_searches(self) -> None:
        """Where the response says how many searches it made, that counts."""
        call = reading()
        last = response("resp_1", "completed", usage=usage(9, 0, 9), output=[SEARCH, SEARCH])
        last["tool_usage"] = {"image_gen": {"input_tokens": 0}, "web_search": {"num_requests": 5}}
        call.tell(created("resp_1"), {"type": "response.completed", "response": last})
        self.assert_used(call.turns[0], input_tokens=9, output_tokens=9, web_searches=5)

    def test_ends(self) -> None:
        """Each way to end has its status and its reason, and the tokens that upstream reported."""
        for status, more, reason in (
            ("completed", {}, None),
            ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens"),
            ("failed", {"error": {"code": "server_error", "message": "x"}}, "server_error"),
            ("cancelled", {}, None),
        ):
            call = reading()
            call.tell(created("resp_1"), delta("x"))
            call.tell({"type": f"response.{status}",
                       "response": response("resp_1", status, usage=usage(10, 0, 2), **more)})  # fmt: skip
            (turn,) = call.close()
            self.assertEqual((turn.status, turn.stop_reason), (status, reason))
            self.assert_used(turn, input_tokens=10, output_tokens=2)

    def test_no_usage(self) -> None:
        """A response that failed or was cancelled without a usage is estimated, never zero."""
        for status in ("completed", "failed", "cancelled", "incomplete"):
            call = reading()
            call.tell(created("resp_1"), delta("x" * 400), over("resp_1", None, status))
            (turn,) = call.close()
            self.assert_guessed(turn, status)
            self.assert_used(turn, "estimated", input_tokens=len(encoded(ASK)) // 4, output_tokens=100)

    def test_cut_off(self) -> None:
        """A stream that broke off is unsettled, with an estimate of what was seen."""
        call = reading()
        call.tell(created("resp_1"), delta("\u00e9" * 400))
        (turn,) = call.close()
        self.assert_guessed(turn)
        self.assertEqual((turn.output_characters, turn.ended, turn.response_id), (400, 4.0, "resp_1"))
        self.assertEqual(call.close(), [turn])

    def test_status_of_the_close(self) -> None:
        """Who ends the call may say how."""
        call = reading()
        (turn,) = call.close("cancelled")
        self.assert_guessed(turn, "cancelled")

    def test_refused(self) -> None:
        """An error in place of an answer is a failed turn, with its code, and says that nothing of it was begun."""
        whole = {"error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": "bad"}}
        call = reading()
        call.tell(whole)
        (turn,) = call.turns
        self.assertEqual((turn.status, turn.source, turn.usage), ("failed", "missing", None))
        self.assertEqual((turn.stop_reason, turn.note), ("bad", REFUSED))
        whole["error"]["type"] = "server_error"
        for message in (whole, {"type": "error", "code": "bad", "message": "No.", "param": None, "sequence_number": 3}):
            call = reading()
            call.tell(message)
            (turn,) = call.turns
            self.assert_guessed(turn, "failed")
            self.assertEqual((turn.stop_reason, turn.note), ("bad", FAILED))
        call = reading()
        (turn,) = call.close("failed")
        self.assertEqual((turn.status, turn.note), ("failed", FAILED))

    def test_error_then_failed(self) -> None:
        """An `error` that a `response.failed` follows is one turn, whether it was created or not."""
        for before in ([created("resp_1"), delta("x" * 40)], []):
            call = reading()
            call.tell(*before, {"type": "error", "error": {"code": "bad"}}, over("resp_1", None, "failed"))
            self.assertEqual([turn.status for turn in call.close()], ["failed"])
            self.assertEqual(call.turns[0].note, None if before else FAILED)

    def test_ids_that_change(self) -> None:
        """Copilot's ids are long, and others in each event: it is one turn."""
        call = reading(path="/responses")
        ids = ["x" * 400 + str(number) for number in range(3)]
        call.tell(created(ids[0]), running(ids[1]), delta("x"), over(ids[2], usage(7, 0, 3)), over(ids[2], None))
        (turn,) = call.close()
        self.assert_used(turn, input_tokens=7, output_tokens=3)
        self.assertIsNone(call.degraded)

    def test_copilot(self) -> None:
        """Copilot's split counts, beside the response or inside it."""
        details = [{"token_type": kind, "token_count": number} for kind, number in
                   (("input", 100), ("cache_read", 512), ("cache_write", 300), ("output", 20))]  # fmt: skip
        split = {"copilot_usage": {"token_details": details}}
        plain = usage(912, 512, 20)
        for inside, beside in ((split, {}), ({}, split), (split, split)):
            call = reading(path="/responses")
            call.tell({"type": "response.completed",
                       "response": response("r", "completed", usage=plain, **inside), **beside})  # fmt: skip
            self.assert_used(
                call.turns[0], input_tokens=912, cache_read_tokens=512, cache_write_tokens=300, output_tokens=20
            )

    def test_not_asked(self) -> None:
        """A stream whose request was not seen is a turn all the same; a call of which nothing was seen is none."""
        call = reading(None)
        call.tell(created("resp_1"), over("resp_1", usage(5, 0, 5)))
        self.assertEqual([(turn.model_asked, turn.model_answered) for turn in call.turns], [(None, DATED)])
        self.assertEqual(reading(None).close(), [])


class WholeTests(TurnCase):
    def test_whole(self) -> None:
        """A JSON body is one turn."""
        call = reading({"model": MODEL, "input": "hi"})
        call.tell(response("resp_1", "completed", usage=usage(50, 32, 4), output=[MESSAGE, CALL]))
        (turn,) = call.close()
        self.assert_used(turn, input_tokens=50, cache_read_tokens=32, output_tokens=4)
        self.assertEqual((turn.status, turn.tools, turn.first_token, turn.output_characters),
                         ("completed", ["shell"], 2.0, 24))  # fmt: skip

    def test_background(self) -> None:
        """What goes on in the background is unsettled: its end is another call's."""
        for status in ("queued", "in_progress"):
            call = reading({"model": MODEL, "input": "hi", "background": True})
            call.tell(response("resp_1", status))
            (turn,) = call.close()
            self.assert_guessed(turn)
            self.assertEqual((turn.response_id, turn.note), ("resp_1", "runs in the background"))

    def test_compaction(self) -> None:
        """A compaction is charged as a response is."""
        call = reading({"model": MODEL, "input": []}, "/v1/responses/compact")
        call.tell({"id": "cmp_1", "object": "response.compaction", "output": [MESSAGE], "usage": usage(800, 0, 90)})
        (turn,) = call.turns
        self.assert_used(turn, input_tokens=800, output_tokens=90)
        self.assertEqual((turn.operation, turn.status, turn.model_asked), ("compact", "completed", MODEL))

    def test_cut_short(self) -> None:
        """Of half a body what stands before the cut counts; the rest is estimated, and it says so."""
        body = encoded(response("resp_1", "completed", output=[MESSAGE] * 50, usage=usage(50, 0, 4)))
        call = reading({"model": MODEL, "input": "hi"})
        call.tell(body[: len(body) // 2])
        (turn,) = call.turns
        self.assert_guessed(turn, "completed")
        self.assertEqual((turn.response_id, turn.output_characters), ("resp_1", len(body) // 2))
        self.assertEqual(call.degraded, BROKEN)


class OddTests(TurnCase):
    def test_request_cut_short(self) -> None:
        """Of a request whose beginning is known the model is."""
        call = reading(encoded({"model": MODEL, "input": "x" * 1000})[:100])
        self.assertEqual((call.close()[0].model_asked, call.degraded), (MODEL, None))

    def test_request_that_is_none(self) -> None:
        """A request that can't be read is a turn of a model that is not known."""
        call = reading(b"\x28\xb5\x2f\xfd")
        call.tell(created("resp_1"), over("resp_1", usage(5, 0, 5)))
        self.assert_used(call.turns[0], input_tokens=5, output_tokens=5)
        self.assertEqual((call.turns[0].model_asked, call.degraded), (None, NO_JSON))

    def test_garbage_between(self) -> None:
        """Whatever stands between the events, the turn is counted, and it says why something was not read."""
        for odd, reason in (
            (b"nonsense", NO_JSON),
            (b"\xff\xfe\x00", NO_JSON),
            (b"[1]", NO_JSON),
            (b'{"type":"response.created","response":{"id":"resp_', BROKEN),
            (b'{"type":"response.created"', BROKEN),
            (b'{"no":"type"}', NO_TYPE),
            (b'{"type":["x"]}', NO_TYPE),
            (b'{"type":"made.up"}', NO_TYPE),
            (b'{"type":"' + b"x" * 5000 + b'"}', NO_TYPE),
            (b'{"type":"response.new_in_2027","x":1}', None),
            (b'{"type":"codex.rate_limits"}', None),
            (b"", None),
            (b" \n", None),
        ):
            call = reading()
            call.tell(created("resp_1"), odd, over("resp_1", usage(5, 0, 5)))
            self.assert_used(call.turns[0], input_tokens=5, output_tokens=5)
            self.assertEqual((len(call.close()), call.degraded), (1, reason), odd[:40])

    def test_invalid_utf8(self) -> None:
        """A terminal event that is no UTF-8 is read as far as it is."""
        call = reading()
        message = encoded(over("resp_1", usage(5, 0, 5), text="?")).replace(b"?", b"\xff")
        call.tell(created("resp_1"), message)
        self.assert_used(call.turns[0], input_tokens=5, output_tokens=5)
        self.assertEqual(call.degraded, BROKEN)

    def test_escaped(self) -> None:
        """A delta whose type is written with escapes is read, and others of its kind are skimmed as ever."""
        call = reading()
        odd = encoded(delta("hello")).replace(b"output_text", b"output\\u005ftext")
        call.tell(created("resp_1"), odd)
        self.assertIsNotNone(call.reader.told(encoded(delta(" there")), call.at))
        call.tell(odd)
        (turn,) = call.close()
        self.assertEqual((turn.output_characters, call.degraded), (16, None))

    def test_absurd_usage(self) -> None:
        """A count that is none is estimated; the other one stands."""
        call = reading()
        call.tell(created("resp_1"), over("resp_1", {"input_tokens": -4, "output_tokens": 7}))
        self.assert_used(call.turns[0], "estimated", input_tokens=len(encoded(ASK)) // 4, output_tokens=7)
        self.assertEqual(call.degraded, NO_COUNT)

    def test_fields_of_other_types(self) -> None:
        """No field may be taken for what it is not."""
        for odd in (None, True, 7, -1.5, [], ["x"], {}, {"id": {}}, "\ud800", "a\nb", "x" * 5000):
            call = reading({"model": odd, "stream": odd, "background": odd, "stream_id": odd})
            call.tell({"type": "response.created", "response": {"id": odd, "model": odd}, "stream_id": odd})
            call.tell({"type": "response.created", "response": odd}, created("resp_other"))
            call.tell({"type": "response.output_text.delta", "delta": odd})
            call.tell({"type": "response.output_item.done", "item": {"type": "x_call", "name": odd, "action": odd}})
            call.tell({"type": "response.output_item.done", "item": odd, "note": "x_call"})
            call.tell({"type": "response.completed", "stream_id": odd, "copilot_usage": odd,
                       "response": {"id": odd, "model": odd, "usage": odd, "output": odd, "error": odd,
                                    "incomplete_details": odd, "status_details": odd, "tool_usage": odd}})  # fmt: skip
            (turn,) = call.close()
            self.assert_guessed(turn, "completed")
            for name in (turn.model_asked, turn.model_answered, turn.response_id, turn.stop_reason, *turn.tools):
                self.assertTrue(name is None or (len(name) <= 256 and name.isprintable()))

    def test_any_cut(self) -> None:
        """A terminal event that is cut anywhere ends the turn, reported or estimated, and never as zero."""
        message = over("resp_1", usage(500, 128, 70))
        for cut in encoded_cut(message):
            call = reading()
            call.tell(created("resp_1"), delta("x" * 40), cut)
            (turn,) = call.close()
            if turn.source == "reported":
                self.assert_used(turn, input_tokens=500, cache_read_tokens=128, output_tokens=70)
            assert turn.usage is not None
            self.assertGreater(turn.usage.output_tokens, 0)
