"""Turns of Chat Completions, streamed and whole, of the older Completions, and of Embeddings."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentproxy.providers.chat_turns import NOT_ASKED
from agentproxy.providers.openai_json import BROKEN, NO_JSON
from agentproxy.providers.openai_usage import NO_COUNT
from agentproxy.usage import FAILED
from tests.providers.booked import JSON
from tests.providers.booked import NO_JSON as GARBAGE
from tests.providers.test_openai_usage import CHAT_USAGE, DEEPSEEK_USAGE, copilot
from tests.providers.turn_case import Reading, TurnCase, encoded
from tests.wire.splits import PROPERTY

CHAT = "/v1/chat/completions"
ASK = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}], "stream": True}
WITH_USAGE = {**ASK, "stream_options": {"include_usage": True}}
EXACT = {
    "input_tokens": 1117,
    "output_tokens": 46,
    "cache_read_tokens": 1024,
    "reasoning_tokens": 12,
    "input_audio_tokens": 7,
    "output_audio_tokens": 3,
}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1758000000, "model": "gpt-4.1-2025-04-14"}
DONE = b"[DONE]"


def reading(ask: Any = ASK, path: str = CHAT) -> Reading:
    made = Reading(path)
    if ask is not None:
        made.ask(ask)
    return made


def chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**HEAD, "choices": [choice], "usage": None, **more}


def said(text: str) -> dict[str, Any]:
    return chunk({"content": text})


def last(used: Any, **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [], "usage": used, **more}


ROLE = chunk({"role": "assistant", "content": ""})


class StreamTests(TurnCase):
    def test_stream(self) -> None:
        """A stream that has its usage in the last chunk is one turn, with its exact tokens and times."""
        call = reading(WITH_USAGE)
        call.tell(ROLE, said("Hel"), said("lo\n\u00e9"), chunk({}, "stop"), last(CHAT_USAGE), DONE)
        (turn,) = call.turns
        self.assert_used(turn, **EXACT)
        self.assertEqual((turn.operation, turn.status, turn.model_asked, turn.model_answered, turn.response_id),
                         ("chat", "completed", "gpt-4.1", "gpt-4.1-2025-04-14", "chatcmpl-1"))  # fmt: skip
        self.assertEqual((turn.started, turn.first_token, turn.ended, turn.output_characters), (1.0, 3.0, 7.0, 7))
        self.assertEqual((turn.stop_reason, turn.note, call.degraded, call.close()), ("stop", None, None, [turn]))

    def test_not_asked(self) -> None:
        """Where a streaming client did not ask for usage, the turn says so, and is estimated."""
        for options in ({}, {"stream_options": None}, {"stream_options": {"include_usage": False}}):
            call = reading({**ASK, **options})
            call.tell(ROLE, said("x" * 400), chunk({}, "stop"), DONE)
            (turn,) = call.turns
            self.assert_guessed(turn, "completed")
            self.assertEqual((turn.note, turn.usage and turn.usage.output_tokens), (NOT_ASKED, 100))

    def test_asked_in_vain(self) -> None:
        """Where it did ask, or it is not known, nothing is said of it."""
        cut = encoded({"model": "gpt-4.1", "messages": "x" * 900, "stream": True})[:300]
        for ask in (WITH_USAGE, cut, None):
            call = reading(ask)
            call.tell(said("x" * 400), chunk({}, "stop"), DONE)
            self.assert_guessed(call.turns[0], "completed")
            self.assertIsNone(call.turns[0].note)

    def test_where_usage_stands(self) -> None:
        """On the chunk that finishes, in its choice, in a member of its own, or on every chunk: the last one counts."""
        finish = chunk({}, "stop")
        inside = chunk({}, "stop")
        inside["choices"][0]["usage"] = DEEPSEEK_USAGE
        before = {"prompt_tokens": 500, "completion_tokens": 1, "total_tokens": 501}
        for stream in (
            [said("x"), chunk({}, "stop", usage=DEEPSEEK_USAGE)],
            [said("x"), inside],
            [said("x"), {**finish, "x_groq": {"id": "req_1", "usage": DEEPSEEK_USAGE}}],
            [chunk({"content": "x"}, usage=before), chunk({"content": "y"}, usage=before),
             chunk({}, "stop", usage=DEEPSEEK_USAGE)],
            [said("x"), finish, last(DEEPSEEK_USAGE)],
        ):  # fmt: skip
            for end in ([DONE], []):
                call = reading()
                call.tell(*stream, *end)
                (turn,) = call.close()
                self.assert_used(turn, input_tokens=500, output_tokens=20, cache_read_tokens=448)
                self.assertEqual((turn.status, turn.note), ("completed", None))

    def test_copilot(self) -> None:
        """Copilot's split counts: what was written to the cache is in the input, once."""
        used = {"prompt_tokens": 16396, "completion_tokens": 362, "total_tokens": 16758,
                "prompt_tokens_details": {"cached_tokens": 0}}  # fmt: skip
        split = copilot(input=3857, cache_read=0, cache_write=12539, output=362)
        for end in (last(used, copilot_usage=split), chunk({}, "stop", usage=used, copilot_usage=split)):
            call = reading(path="/chat/completions")
            # Its members come sorted.
            call.tell(said("x"), json.dumps(end, sort_keys=True).encode(), DONE)
            self.assert_used(call.turns[0], input_tokens=16396, output_tokens=362, cache_write_tokens=12539)

    def test_tools(self) -> None:
        """Tools are named once each, in order, and a call's beginning is a first token."""

        def call_of(index: int, **function: Any) -> dict[str, Any]:
            return chunk({"tool_calls": [{"index": index, "function": function}]})

        call = reading(WITH_USAGE)
        call.tell(
            ROLE, call_of(0, name="shell", arguments=""), call_of(0, arguments='{"cmd":"'), call_of(0, arguments='"}')
        )
        call.tell(call_of(1, name="apply_patch", arguments="{}"), chunk({"function_call": {"name": "old"}}))
        call.tell(chunk({}, "tool_calls"), last(CHAT_USAGE), DONE)
        (turn,) = call.turns
        self.assertEqual((turn.tools, turn.stop_reason, turn.first_token),
                         (["shell", "apply_patch", "old"], "tool_calls", 3.0))  # fmt: skip

    def test_reasoning(self) -> None:
        """What is thought aloud is output."""
        call = reading()
        call.tell(ROLE, chunk({"content": None, "reasoning_content": "hm"}), chunk({"reasoning": "well"}), DONE)
        self.assertEqual((call.turns[0].first_token, call.turns[0].output_characters), (3.0, 6))

    def test_cut_short_by_upstream(self) -> None:
        """A stream that ends for its length or its content is incomplete."""
        for reason in ("length", "content_filter"):
            call = reading()
            call.tell(said("x"), chunk({}, reason), DONE)
            self.assertEqual((call.turns[0].status, call.turns[0].stop_reason), ("incomplete", reason))

    def test_broken_off(self) -> None:
        """A stream that breaks off is unsettled; one that had finished is complete, if not counted."""
        call = reading(WITH_USAGE)
        call.tell(ROLE, said("x" * 80))
        self.assert_guessed(call.close()[0])
        call = reading(WITH_USAGE)
        call.tell(said("x" * 80), chunk({}, "stop"))
        self.assert_guessed(call.close("cancelled")[0], "completed")
        call = reading()
        self.assert_guessed(call.close("cancelled")[0], "cancelled")

    def test_error(self) -> None:
        """An error ends the turn as failed, in place of an answer or in the midst of one."""
        wrong = {"error": {"message": "Sorry about that!", "type": "server_error", "code": None}}
        for before, message, note in (
            ([], wrong, FAILED),
            ([ROLE, said("x")], wrong, None),
            ([said("x")], {**chunk({}, "error"), **wrong}, None),
        ):
            call = reading(WITH_USAGE)
            call.tell(*before, message, said("y"), DONE)
            (turn,) = call.close()
            self.assert_guessed(turn, "failed")
            self.assertEqual((turn.stop_reason, turn.note), ("server_error", note))

    def test_azure(self) -> None:
        """Azure's first chunk has no choice, no id and no model; what comes behind has."""
        first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
        call = reading(WITH_USAGE, "/openai/deployments/d/chat/completions?api-version=2026-01-01")
        call.tell(first, ROLE, said("x"), chunk({}, "stop"), last(CHAT_USAGE), DONE)
        (turn,) = call.turns
        self.assertEqual((turn.response_id, turn.model_answered), ("chatcmpl-1", "gpt-4.1-2025-04-14"))
        self.assert_used(turn, **EXACT)

    @PROPERTY
    @given(
        st.lists(st.text(max_size=8) | st.sampled_from(['"usage":{', "finish_reason", '"}]}', "\\", "usage", "error"]))
    )
    def test_any_text(self, texts: list[str]) -> None:
        """Whatever the text is, and however its chunks are written, its characters and its end are seen."""
        for spaced in (False, True):
            for plain in (False, True):
                call = reading(WITH_USAGE)
                for value in (ROLE, *map(said, texts), chunk({}, "stop"), last(CHAT_USAGE)):
                    separators = (", ", ": ") if spaced else (",", ":")
                    data = json.dumps(value, ensure_ascii=plain, separators=separators)
                    call.tell(data.encode("utf-8", "surrogatepass"))
                call.tell(DONE)
                (turn,) = call.turns
                self.assertEqual(turn.output_characters, sum(map(len, texts)))
                self.assertEqual((turn.stop_reason, call.degraded), ("stop", None))
                self.assert_used(turn, **EXACT)


class WholeTests(TurnCase):
    def test_whole(self) -> None:
        """A JSON body is one turn."""
        message = {"role": "assistant", "content": "Hello", "refusal": None,
                   "tool_calls": [{"type": "function", "function": {"name": "shell", "arguments": "{}"}},
                                  {"type": "custom", "custom": {"name": "patch", "input": "abc"}}]}  # fmt: skip
        body = {**HEAD, "object": "chat.completion", "usage": CHAT_USAGE,
                "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}  # fmt: skip
        for ask in ({**ASK, "stream": False}, ASK, None):
            call = reading(ask)
            call.tell(json.dumps(body, indent=2).encode())
            (turn,) = call.turns
            self.assert_used(turn, **EXACT)
            self.assertEqual(
                (turn.status, turn.tools, turn.stop_reason), ("completed", ["shell", "patch"], "tool_calls")
            )

    def test_completions(self) -> None:
        """The older Completions, whole and streamed, name both the same."""
        used = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "davinci-002"}
        whole = {**head, "choices": [{"text": "abc", "index": 0, "finish_reason": "length"}], "usage": used}
        call = reading({"model": "davinci-002", "prompt": "hi"}, "/v1/completions")
        call.tell(whole)
        (turn,) = call.turns
        self.assert_used(turn, input_tokens=5, output_tokens=7)
        self.assertEqual((turn.operation, turn.status, turn.output_characters), ("text_completion", "incomplete", 3))
        call = reading({"model": "davinci-002", "prompt": "hi", "stream": True}, "/v1/completions")
        call.tell({**head, "choices": [{"text": "ab", "index": 0, "finish_reason": None}]})
        call.tell({**head, "choices": [{"text": "c", "index": 0, "finish_reason": "stop"}]}, DONE)
        (turn,) = call.turns
        self.assertEqual((turn.status, turn.output_characters, turn.note), ("completed", 3, NOT_ASKED))

    def test_embeddings(self) -> None:
        """Embeddings have an input only, which is found behind their numbers; some servers write it before them."""
        used = {"prompt_tokens": 8, "total_tokens": 8}
        data = [{"object": "embedding", "index": 0, "embedding": [0.1] * 3000}]
        for body in (
            {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": used},
            {"model": "text-embedding-3-small", "object": "list", "data": data, "usage": used},
            {"model": "text-embedding-3-small", "object": "list", "usage": used, "data": data},
            {"object": "list", "usage": used, "model": "text-embedding-3-small", "data": data},
        ):
            call = reading({"model": "text-embedding-3", "input": "hi"}, "/v1/embeddings")
            call.tell(body)
            (turn,) = call.turns
            self.assert_used(turn, input_tokens=8)
            self.assertEqual((turn.operation, turn.status, turn.model_asked, turn.model_answered),
                             ("embeddings", "completed", "text-embedding-3", "text-embedding-3-small"))  # fmt: skip

    def test_embeddings_unsettled(self) -> None:
        """Embeddings whose usage did not come are estimated by their input, without any output."""
        ask = {"model": "m", "input": "x" * 400}
        for messages in ([], [{"object": "list", "data": []}], [b"nonsense"], [{"error": {"code": "bad"}}]):
            call = reading(ask, "/v1/embeddings")
            call.tell(*messages)
            (turn,) = call.close()
            self.assert_used(turn, "estimated", input_tokens=len(encoded(ask)) // 4)

    def test_cut_short(self) -> None:
        """Of half a body the beginning counts; how it ended is not known."""
        body = {
            **HEAD,
            "object": "chat.completion",
            "choices": [{"message": {"content": "x" * 900}}],
            "usage": CHAT_USAGE,
        }
        data = encoded(body)[:500]
        call = reading({**ASK, "stream": False})
        call.tell(data)
        (turn,) = call.turns
        self.assert_guessed(turn)
        self.assertEqual((turn.response_id, turn.output_characters, call.degraded), ("chatcmpl-1", 500, BROKEN))


class OddTests(TurnCase):
    def test_garbage_between(self) -> None:
        """Whatever stands between the chunks, the turn is counted, and it says why something was not read."""
        for odd in (*GARBAGE, b"[1]", b'{"id":'):
            call = reading(WITH_USAGE)
            call.tell(ROLE, odd, said("x"), odd, chunk({}, "stop"), last(CHAT_USAGE), DONE)
            (turn,) = call.turns
            self.assert_used(turn, **EXACT)
            self.assertIn(call.degraded, (NO_JSON, BROKEN), odd[:20])

    def test_absurd_usage(self) -> None:
        """A count that is none is estimated; the other one stands."""
        call = reading(WITH_USAGE)
        call.tell(said("x" * 40), chunk({}, "stop"), last({"prompt_tokens": 12, "completion_tokens": -1}), DONE)
        self.assert_used(call.turns[0], "estimated", input_tokens=12, output_tokens=10)
        self.assertEqual(call.degraded, NO_COUNT)

    def test_request_that_is_none(self) -> None:
        """A request that can't be read is a turn of a model that is not known."""
        call = reading(b"\x28\xb5\x2f\xfd")
        call.tell(said("x"), last(CHAT_USAGE), DONE)
        self.assert_used(call.turns[0], **EXACT)
        self.assertEqual((call.turns[0].model_asked, call.degraded), (None, NO_JSON))

    def test_nothing(self) -> None:
        """A call of which nothing was seen is no turn."""
        self.assertEqual(reading(None).close(), [])

    @PROPERTY
    @given(
        st.sampled_from([CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses"]),
        JSON | st.binary(max_size=20),
        st.lists(
            st.binary(max_size=20)
            | JSON
            | st.fixed_dictionaries(
                {},
                optional={
                    "id": JSON,
                    "object": st.sampled_from(["chat.completion", "chat.completion.chunk", "list", "response"]) | JSON,
                    "model": JSON,
                    "status": st.sampled_from(["completed", "queued", "failed"]) | JSON,
                    "choices": st.lists(
                        JSON
                        | st.fixed_dictionaries(
                            {}, optional={"delta": JSON, "message": JSON, "finish_reason": JSON, "usage": JSON}
                        ),
                        max_size=3,
                    ),
                    "usage": JSON,
                    "copilot_usage": JSON,
                    "x_groq": JSON,
                    "error": JSON,
                    "output": JSON,
                },
            ),
            max_size=5,
        ),
    )
    def test_anything(self, path: str, ask: Any, messages: list[Any]) -> None:
        """Whatever comes, nothing is raised, and the call has its one turn, which is not left running."""
        call = Reading(path)
        call.ask(ask)
        call.tell(*messages)
        (turn,) = call.close()
        self.assertNotEqual(turn.status, "running")
        self.assertIsNotNone(turn.usage)
        self.assertFalse((call.degraded or "").startswith("the reader raised"), call.degraded)
