"""Streams of which most events are passed over give the same turns as if each had been told."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers import anthropic_turns, gemini_turns, openai_reader
from agentproxy.usage import Ended, TurnReader
from tests.providers import response_shapes as shapes
from tests.providers import test_anthropic_turns as claude
from tests.providers import test_chat_turns as chat
from tests.providers.skimmed import Make, Read, stream, without_guess
from tests.providers.test_openai_usage import CHAT_USAGE
from tests.wire.splits import PROPERTY, cut, places

WORDS = ["the", " quick", " brown", " fox", "\n", ",", " jumps", " \u00e9t\u00e9", ' "x"', " incomprehensibly", "{}]"]
SAID = [WORDS[number * 7 % len(WORDS)] for number in range(200)]
SIZES = (1, 700, 1400, 16384, 1 << 20)


def of_responses(ended: Ended) -> TurnReader | None:
    return openai_reader.reader(b"POST", b"/v1/responses", False, ended)


def of_chat(ended: Ended) -> TurnReader | None:
    return openai_reader.reader(b"POST", b"/v1/chat/completions", False, ended)


def of_messages(ended: Ended) -> TurnReader | None:
    return anthropic_turns.reader(b"POST", b"/v1/messages", False, ended)


def of_gemini(ended: Ended) -> TurnReader | None:
    return gemini_turns.reader(b"POST", b"/v1beta/models/gemini-2.5-pro:streamGenerateContent", False, ended)


def responses_stream(*, padded: bool = False) -> list[Any]:
    """What Codex gets: thoughts, text, a call's arguments, and the usage."""
    summary = "response.reasoning_summary_text.delta"
    arguments = "response.function_call_arguments.delta"
    deltas = [shapes.delta(word, summary) for word in SAID[:30]]
    deltas.append(shapes.item(type="reasoning", summary=[]))
    deltas += [shapes.delta(word, logprobs=[]) for word in SAID]
    deltas.append(shapes.item(**shapes.MESSAGE))
    deltas += [{"type": arguments, "item_id": "fc_1", "output_index": 2, "delta": word} for word in SAID[:20]]
    deltas.append(shapes.item(**shapes.CALL))
    for number, each in enumerate(deltas):
        each["sequence_number"] = number + 2
        if padded:
            each["obfuscation"] = "x" * (16 - len(each.get("delta", "")) % 16)
    return [shapes.created("resp_1"), shapes.running("resp_1"), *deltas]


def chat_stream(**more: Any) -> list[Any]:
    """Chunks of text, and a call's arguments, each with these members besides."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "shell", "arguments": ""}}
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in SAID), {"tool_calls": [call]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": word}}]} for word in SAID[:20]]
    chunks = [chat.chunk(delta, **more) for delta in deltas]
    for each in chunks:
        if each["usage"] is ...:
            del each["usage"]
    return chunks


def messages_stream() -> list[Any]:
    def delta(index: int, **said: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": said}

    return [
        claude.START,
        claude.PING,
        claude.THINKS,
        *(delta(0, type="thinking_delta", thinking=word) for word in SAID[:50]),
        claude.SIGNED,
        claude.STOP,
        claude.TEXT,
        *(delta(1, type="text_delta", text=word) for word in SAID),
        claude.STOP,
        claude.CALLS,
        *(delta(2, type="input_json_delta", partial_json=word) for word in SAID[:20]),
        claude.STOP,
    ]


def gemini_stream() -> list[Any]:
    return [{"candidates": [{"content": {"parts": [{"text": word}]}}], "responseId": "r"} for word in SAID]


PADDED = {"obfuscation": "x" * 7}
RUNNING = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
FINISH = chat.chunk({}, "tool_calls")
FINISH_USED = chat.chunk({}, "stop", usage=CHAT_USAGE)
LAST = chat.last(CHAT_USAGE)
NO_KEY: Any = ...
# (what it is, its reader, what was asked, its events, whether most of them may be passed over)
STREAMS: list[tuple[str, Make, Any, list[Any], bool]] = [
    ("responses", of_responses, shapes.create(),
     [*responses_stream(), shapes.over("resp_1", shapes.usage(500, 100, 400, 40))], True),
    ("responses, padded", of_responses, shapes.create(),
     [*responses_stream(padded=True), shapes.over("resp_1", shapes.usage(500, 100, 400, 40))], True),
    ("responses, failed", of_responses, shapes.create(),
     [*responses_stream(), shapes.over("resp_1", None, "failed")], True),
    ("responses, incomplete", of_responses, shapes.create(),
     [*responses_stream(), shapes.over("resp_1", shapes.usage(5, 1, 4), "incomplete")], True),
    ("responses, an error", of_responses, shapes.create(), [*responses_stream(), shapes.error("server_error")], True),
    ("responses, broken off", of_responses, shapes.create(), responses_stream(), True),
    ("chat, usage null", of_chat, chat.WITH_USAGE, [*chat_stream(), FINISH, LAST, b"[DONE]"], True),
    ("chat, no usage", of_chat, chat.ASK, [*chat_stream(usage=NO_KEY), FINISH, b"[DONE]"], True),
    ("chat, no usage until the last", of_chat, chat.WITH_USAGE,
     [*chat_stream(usage=NO_KEY), FINISH, LAST, b"[DONE]"], True),
    ("chat, padded", of_chat, chat.WITH_USAGE, [*chat_stream(**PADDED), FINISH, LAST, b"[DONE]"], True),
    ("chat, padded, no usage", of_chat, chat.ASK, [*chat_stream(usage=NO_KEY, **PADDED), FINISH, b"[DONE]"], True),
    ("chat, usage on every chunk", of_chat, chat.WITH_USAGE,
     [*chat_stream(usage=RUNNING), FINISH_USED, b"[DONE]"], False),
    ("chat, usage on the finishing chunk", of_chat, chat.ASK,
     [*chat_stream(usage=NO_KEY), FINISH_USED, b"[DONE]"], True),
    ("chat, usage null, then on the finishing chunk", of_chat, chat.ASK,
     [*chat_stream(), FINISH_USED, b"[DONE]"], True),
    ("chat, cut short", of_chat, chat.ASK, [*chat_stream(), chat.chunk({}, "length"), b"[DONE]"], True),
    ("chat, no [DONE]", of_chat, chat.WITH_USAGE, [*chat_stream(), FINISH, LAST], True),
    ("chat, broken off", of_chat, chat.WITH_USAGE, chat_stream(), True),
    ("chat, an error", of_chat, chat.ASK, [*chat_stream(), {"error": {"code": "server_error"}}], True),
    ("messages", of_messages, claude.ASKED, [*messages_stream(), claude.DELTA, claude.END], True),
    ("messages, an error", of_messages, claude.ASKED,
     [*messages_stream(), {"type": "error", "error": {"type": "overloaded_error", "message": "No."}}], True),
    ("messages, broken off", of_messages, claude.ASKED, messages_stream(), True),
    ("messages, the end missing", of_messages, claude.ASKED, [*messages_stream(), claude.DELTA], True),
    ("gemini", of_gemini, {"contents": []},
     [*gemini_stream(), {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 7}}], False),
]  # fmt: skip


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


class AlikeTests(SynchronousTestCase):
    def test_same_turn(self) -> None:
        """Every stream gives the same turn, whether all of it is told or not, and however it is cut."""
        for what, make, asked, values, alike in STREAMS:
            data = stream(values, named=make in (of_responses, of_messages))
            want = Read(make, asked, [data], skips=False)
            (turn,) = want.turns
            self.assertEqual((want.told, want.degraded), (len(values), None), what)
            for size in SIZES:
                read = Read(make, asked, pieces(data, size), skips=True)
                self.assertEqual(list(map(without_guess, read.turns)), [without_guess(turn)], (what, size))
                self.assertEqual((read.told + read.skimmed, read.degraded), (len(values), None), (what, size))
            # A few at a time, as they come from afar, most need not be told.
            read = Read(make, asked, pieces(data, 1400), skips=True)
            self.assertEqual(read.told < len(values) / 3, alike, (what, read.told))

    def test_guess(self) -> None:
        """What was passed over counts for an estimate as it would have, within what such an estimate is worth."""
        for what, make, asked, values, _ in STREAMS:
            data = stream(values, named=make in (of_responses, of_messages))
            exact = Read(make, asked, [data], skips=False).turns[0].output_characters
            for size in SIZES:
                (turn,) = Read(make, asked, pieces(data, size), skips=True).turns
                # Where events come a few at a time, each piece brings the share of what is not text up to date.
                near = 1.2 if size < 2000 else 2
                self.assertTrue(exact / near <= turn.output_characters <= exact * near, (what, size, turn, exact))

    def test_exact_guess(self) -> None:
        """Where the events differ in their text alone, none of it is lost."""
        for make, asked, values in (
            (of_responses, shapes.create(), [shapes.created("resp_1"), *(shapes.delta("x" * n) for n in range(50))]),
            (of_chat, chat.ASK, [chat.ROLE, *(chat.said("x" * n) for n in range(50))]),
            (of_messages, claude.ASKED, [claude.START, *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * n}}
                for n in range(50))]),
        ):  # fmt: skip
            for size in SIZES:
                (turn,) = Read(make, asked, pieces(stream(values), size), skips=True).turns
                self.assertEqual((turn.output_characters, turn.source), (sum(range(50)), "estimated"), (make, size))

    @PROPERTY
    @given(st.integers(0, len(STREAMS) - 1), st.data(), places(10_000))
    def test_any_split(self, number: int, data: st.DataObject, at: list[int]) -> None:
        """So it is with any part of a stream, in any pieces."""
        _, make, asked, values, _ = STREAMS[number]
        some = [values[number] for number in sorted(data.draw(st.sets(st.integers(0, len(values) - 1), max_size=40)))]
        whole = stream(some, named=make in (of_responses, of_messages))
        want = Read(make, asked, [whole], skips=False)
        read = Read(make, asked, cut(whole, at), skips=True)
        self.assertEqual(list(map(without_guess, read.turns)), list(map(without_guess, want.turns)))
        self.assertEqual((read.told + read.skimmed, read.degraded), (len(some), want.degraded))

    def test_several_choices(self) -> None:
        """Chunks of several choices, one after the other or in one, lose neither text nor the reason to stop."""

        def choice(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
            return {"index": index, "delta": {"content": text}, "finish_reason": finish}

        single = [{**chat.HEAD, "choices": [choice(number % 2, "ab")]} for number in range(40)]
        both = [{**chat.HEAD, "choices": [choice(0, "ab"), choice(1, "cd")]} for _ in range(40)]
        end = {**chat.HEAD, "choices": [choice(0, "", "length"), choice(1, "", "length")]}
        for values, said in (([*single, end], 80), ([*single, *both, end], 240), ([*both, *single, end], 240)):
            for size in SIZES:
                (turn,) = Read(of_chat, chat.ASK, pieces(stream([*values, b"[DONE]"]), size), skips=True).turns
                self.assertEqual((turn.status, turn.stop_reason), ("incomplete", "length"))
                self.assertGreaterEqual(turn.output_characters, said)

    def test_text_that_looks_like_the_end(self) -> None:
        """Text that quotes what ends a chunk is text."""
        texts = ['"},"finish_reason":"stop"}]', '"usage":{"prompt_tokens":1}', "[DONE]", '{"type":"message_stop"}'] * 10
        for make, asked, values in (
            (of_chat, chat.ASK, [chat.ROLE, *map(chat.said, texts)]),
            (of_responses, shapes.create(), [shapes.created("resp_1"), *map(shapes.delta, texts)]),
        ):
            for size in SIZES:
                read = Read(make, asked, pieces(stream(values), size), skips=True)
                (turn,) = read.turns
                self.assertEqual((turn.status, turn.stop_reason, read.degraded), ("unsettled", None, None))

    def test_nothing_said_at_first(self) -> None:
        """Chunks that say nothing yet, as gateways send while a model thinks, do not hide when the first word came."""
        empty = chat.chunk({"role": "assistant", "content": ""})
        said = [chat.chunk({"role": "assistant", "content": "word"}) for _ in range(50)]
        for size in SIZES:
            read = Read(of_chat, chat.ASK, [stream([empty, empty]), *pieces(stream(said), size)], skips=True)
            self.assertEqual(read.turns[0].first_token, 2.0)
