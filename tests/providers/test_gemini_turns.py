"""The turns of the Gemini API over HTTP: tokens to the last one, however they are streamed and wherever that ends."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.gemini_turns import reader
from agentproxy.usage import Usage
from tests.providers.booked import Booked, dump, used
from tests.simulator.support import QUIET, Link, events, request, split

STREAM_PATH = b"/v1beta/models/gemini-2.5-pro:streamGenerateContent"
WHOLE_PATH = b"/v1beta/models/gemini-2.5-pro:generateContent"
ASKED = {"contents": [{"role": "user", "parts": [{"text": "x" * 400}]}]}


def chunk(parts: list[Any], usage: object, **candidate: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0, **candidate}],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-pro-002",
        "responseId": "r1",
    }


def counts(said: int, thoughts: int = 0, **more: int) -> dict[str, Any]:
    """As they come: what is 0 is left out."""
    found = {"promptTokenCount": 1000, "candidatesTokenCount": said, "thoughtsTokenCount": thoughts,
             "totalTokenCount": 1000 + said + thoughts, **more}  # fmt: skip
    return {name: value for name, value in found.items() if value} | {
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 960}, {"modality": "AUDIO", "tokenCount": 40}]
    }


CALL = {"functionCall": {"name": "run_shell_command", "args": {"command": "ls -la", "description": "list"}}}
CHUNKS = [
    chunk([{"text": "Let me think", "thought": True}], counts(0, 5)),
    chunk([{"text": "Hello, "}], counts(2, 30, cachedContentTokenCount=768)),
    chunk([{"text": "world!"}], counts(4, 30, cachedContentTokenCount=768)),
    chunk([CALL], counts(20, 30, cachedContentTokenCount=768, toolUsePromptTokenCount=7), finishReason="STOP"),
]
TOKENS = Usage(1007, 50, 768, reasoning_tokens=30, input_audio_tokens=40)


def booked(path: bytes = STREAM_PATH) -> Booked:
    return Booked(lambda ended: reader(b"POST", path, False, ended))


class ReaderTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """What makes something is a turn, its model named by the path; counting tokens and all else is none."""
        for method, path, found in (
            (b"POST", STREAM_PATH, ("generate_content", "gemini-2.5-pro")),
            (b"POST", STREAM_PATH + b"?alt=sse&x=/models/a:countTokens", ("generate_content", "gemini-2.5-pro")),
            (b"POST", WHOLE_PATH, ("generate_content", "gemini-2.5-pro")),
            (b"POST", b"/v1beta/models/gemini-2.5-pro%3AgenerateContent", ("generate_content", "gemini-2.5-pro")),
            (b"POST", b"/v1beta/tunedModels/mine:generateContent", ("generate_content", "mine")),
            (b"POST", b"/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
             ("generate_content", "g")),
            (b"POST", b"/v1beta/models/gemini-embedding-001:embedContent", ("embeddings", "gemini-embedding-001")),
            (b"POST", b"/v1beta/models/e:batchEmbedContents", ("embeddings", "e")),
            (b"POST", b"/v1beta/models/%ff%0a:generateContent", ("generate_content", None)),
            (b"POST", b"/v1beta/models/gemini-2.5-pro:countTokens", None),
            (b"POST", b"/v1beta/models/g:batchGenerateContent", None),
            (b"POST", b"/v1beta/openai/chat/completions", None),
            (b"POST", b"/v1beta/cachedContents", None),
            (b"GET", b"/v1beta/models/gemini-2.5-pro", None),
            (b"GET", WHOLE_PATH, None),
            (b"POST", b"/", None),
        ):  # fmt: skip
            turns: list[Any] = []
            made = reader(method, path, False, turns.append)
            self.assertEqual(made is not None, found is not None, path)
            if made is not None:
                made.asked(b"{}", 1.0)
                made.closed(2.0)
                self.assertEqual((turns[0].operation, turns[0].model_asked), found)


class StreamTests(SynchronousTestCase):
    def check(self, call: Booked) -> None:
        turn = call.closed()
        self.assertEqual(turn.usage, TOKENS)
        self.assertEqual((turn.status, turn.source, turn.stop_reason), ("completed", "reported", "STOP"))
        self.assertEqual((turn.model_asked, turn.model_answered), ("gemini-2.5-pro", "gemini-2.5-pro-002"))
        self.assertEqual(
            (turn.response_id, turn.tools, turn.operation), ("r1", ["run_shell_command"], "generate_content")
        )
        self.assertIsNone(call.reader.degraded)

    def test_events(self) -> None:
        """Of a stream the last counts stand for all; thoughts are output, the results of tools are input."""
        call = booked().asked(ASKED).told(*CHUNKS)
        self.check(call)
        (turn,) = call.turns
        self.assertEqual((turn.started, turn.first_token, turn.ended), (1.0, 2.0, 5.0))

    def test_array(self) -> None:
        """Without `alt=sse` the stream is an array, read as a whole, in pieces, and as far as it goes."""
        written = [dump(one) for one in CHUNKS]
        array = b"[" + b",\r\n".join(written) + b"]"
        self.check(booked().asked(ASKED).told(array))
        self.check(booked().asked(ASKED).told(json.dumps(CHUNKS, indent=1).encode()))
        self.check(booked().asked(ASKED).told(b"[" + written[0], *(b",\r\n" + one for one in written[1:]), b"]"))
        self.check(booked().asked(ASKED).told(array[:-1]))
        for size in range(1, len(array) - 1, 7):
            call = booked().asked(ASKED).told(array[:size])
            turn = call.closed()
            whole = sum(len(b"".join(written[:n])) + 3 * (n - 1) + 1 <= size for n in range(1, 5))
            self.assertEqual(turn.status == "completed", whole == 4)
            self.assertEqual(turn.source, "reported" if whole == 4 else "estimated")
            self.assertEqual(used(turn).input_tokens, 1007 if whole == 4 else 1000 if whole else len(dump(ASKED)) // 4)

    def test_whole(self) -> None:
        """An answer in one body says the same; when its first token came is not known."""
        call = booked(WHOLE_PATH).asked(ASKED).told(CHUNKS[-1])
        self.check(call)
        self.assertIsNone(call.turns[0].first_token)

    def test_behind_the_reason(self) -> None:
        """Chunks behind the one with a reason to finish still count."""
        last = {"usageMetadata": counts(25, 30)}
        turn = booked().asked(ASKED).told(*CHUNKS, last).closed()
        self.assertEqual((used(turn).output_tokens, turn.status, turn.ended), (55, "completed", 5.0))

    def test_counts(self) -> None:
        """Each count in its place; what is not named is 0, and a usage without counts says nothing."""
        for usage, tokens, source in (
            ({"promptTokenCount": 9, "candidatesTokenCount": 4}, Usage(9, 4), "reported"),
            ({"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2},
             Usage(9, 6, reasoning_tokens=2), "reported"),
            ({"promptTokenCount": 9, "responseTokenCount": 4}, Usage(9, 4), "reported"),
            ({"promptTokenCount": 9, "candidatesTokenCount": 4, "cachedContentTokenCount": 5},
             Usage(9, 4, 5), "reported"),
            ({"promptTokenCount": 9, "candidatesTokenCount": 4, "toolUsePromptTokenCount": 5},
             Usage(14, 4), "reported"),
            ({"promptTokenCount": 9, "candidatesTokenCount": 4, "trafficType": "ON_DEMAND",
              "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}, {"modality": "AUDIO", "tokenCount": 4}],
              "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}]},
             Usage(9, 4, input_audio_tokens=7, output_audio_tokens=2), "reported"),
            # Something was said and none of it counted.
            ({"promptTokenCount": 9}, Usage(9, 3), "estimated"),
            ({}, Usage(1000, 2, reasoning_tokens=2), "reported"),
            ({"trafficType": "ON_DEMAND"}, Usage(1000, 2, reasoning_tokens=2), "reported"),
            (None, Usage(1000, 2, reasoning_tokens=2), "reported"),
        ):  # fmt: skip
            before = {"usageMetadata": {"promptTokenCount": 1000, "thoughtsTokenCount": 2}}
            call = booked().asked(ASKED).told(before, chunk([{"text": "Hello, world"}], usage, finishReason="STOP"))
            self.assertEqual((call.closed().usage, call.turns[0].source), (tokens, source), usage)
            self.assertIsNone(call.reader.degraded)

    def test_reasons(self) -> None:
        """All reasons but STOP cut an answer short; a prompt that is blocked has input and no output."""
        for reason, status in (("STOP", "completed"), ("MAX_TOKENS", "incomplete"), ("SAFETY", "incomplete"),
                               ("MALFORMED_FUNCTION_CALL", "incomplete")):  # fmt: skip
            turn = booked().asked(ASKED).told(chunk([], counts(3), finishReason=reason)).closed()
            self.assertEqual((turn.status, turn.stop_reason, turn.source), (status, reason, "reported"))
        blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 8}}
        turn = booked().asked(ASKED).told(blocked).closed()
        self.assertEqual((turn.status, turn.stop_reason), ("incomplete", "SAFETY"))
        self.assertEqual((turn.usage, turn.source), (Usage(8, 0), "reported"))

    def test_searches(self) -> None:
        """Searches are counted once, though each chunk names them again."""
        queries = {"webSearchQueries": ["a", "b"]}
        told = [chunk([{"text": "x"}], counts(3), groundingMetadata=queries) for _ in range(3)]
        turn = booked().asked(ASKED).told(*told, CHUNKS[-1]).closed()
        self.assertEqual(used(turn).web_searches, 2)

    def test_embeddings(self) -> None:
        """Embeddings have no output; older models do not count their input either."""
        path = b"/v1beta/models/gemini-embedding-001:embedContent"
        for answer, tokens, source in (
            ({"embedding": {"values": [0.1] * 9}, "usageMetadata": {"promptTokenCount": 7}}, Usage(7), "reported"),
            ({"embeddings": [{"values": [0.1]}] * 2}, Usage(len(dump(ASKED)) // 4), "estimated"),
        ):
            call = booked(path).asked(ASKED).told(answer)
            turn = call.closed()
            self.assertEqual((turn.usage, turn.source, turn.status), (tokens, source, "completed"))
            self.assertEqual((turn.operation, call.reader.degraded), ("embeddings", None))
        turn = booked(path).asked(ASKED).closed()
        self.assertEqual((turn.usage, turn.status), (Usage(len(dump(ASKED)) // 4), "unsettled"))

    def test_simulated(self) -> None:
        """What the simulator sends is read to the token: events, array and whole, its cache warm and cold."""
        link = Link(script=QUIET)
        ask = {"contents": [{"parts": [{"text": "x" * 4000}]}]}
        base = "/v1beta/models/gemini-2.5-flash"
        for target in (
            f"{base}:streamGenerateContent?alt=sse",
            f"{base}:streamGenerateContent",
            f"{base}:generateContent",
        ):
            _, _, body = split(link.send(request(target, ask)))
            sse = target.endswith("sse")
            chunks = events(body) if sse else json.loads(body)
            usage = (chunks[-1] if isinstance(chunks, list) else chunks)["usageMetadata"]
            turn = booked(target.encode()).asked(ask).told(*(chunks if sse else [body])).closed()
            self.assertEqual(
                turn.usage,
                Usage(usage["promptTokenCount"], usage["candidatesTokenCount"] + 8,
                      usage.get("cachedContentTokenCount", 0), reasoning_tokens=8),
            )  # fmt: skip
            self.assertEqual((turn.source, turn.status, turn.stop_reason), ("reported", "completed", "STOP"))
        self.assertGreater(used(turn).cache_read_tokens, 0)


class BreakOffTests(SynchronousTestCase):
    def test_everywhere(self) -> None:
        """Wherever a stream breaks off its turn is booked once: with what was reported, and an estimate of the rest."""
        for told in range(len(CHUNKS)):
            for status in ((), ("cancelled",)):
                call = booked().asked(ASKED).told(*CHUNKS[:told])
                turn = call.closed(*status)
                self.assertEqual((turn.status, turn.source), ((*status, "unsettled")[0], "estimated"))
                self.assertEqual(
                    (used(turn).input_tokens, used(turn).output_tokens),
                    [(len(dump(ASKED)) // 4, 1), (1000, 5), (1000, 32), (1000, 34)][told],
                )
                self.assertEqual(used(turn).cache_read_tokens, 768 if told > 1 else 0)

    def test_much_was_said(self) -> None:
        """More that was said than was counted is estimated."""
        turn = booked().asked(ASKED).told(chunk([{"text": "x" * 400}], counts(2))).closed()
        self.assertEqual(used(turn).output_tokens, 100)

    def test_not_asked(self) -> None:
        """A call of which nothing was seen is no turn; closing twice books nothing twice."""
        call = booked()
        call.reader.closed(1.0)
        self.assertEqual(call.turns, [])
        call.asked(ASKED).closed()
        call.closed()

    def test_errors(self) -> None:
        """An error is the turn's end, as a body, an event or an array, first or in the middle."""
        error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
        for told in ([error], [[error]]):
            turn = booked().asked(ASKED).told(*told).closed()
            self.assertEqual((turn.status, turn.stop_reason, turn.source), ("failed", "UNAVAILABLE", "missing"))
        turn = booked().asked(ASKED).told({"error": {"code": 500, "status": "INTERNAL"}}).closed()
        self.assertEqual((turn.status, turn.stop_reason, turn.source), ("failed", "INTERNAL", "estimated"))
        self.assertEqual((used(turn).input_tokens, turn.note is None), (len(dump(ASKED)) // 4, False))
        for told in ([CHUNKS[1], error], [[CHUNKS[1], error]], [CHUNKS[1], error, CHUNKS[1]]):
            turn = booked().asked(ASKED).told(*told).closed()
            self.assertEqual((turn.status, turn.stop_reason, turn.source), ("failed", "UNAVAILABLE", "estimated"))
            self.assertEqual((used(turn).input_tokens, used(turn).output_tokens, turn.note), (1000, 32, None))
        turn = booked().asked(ASKED).told({"error": "no object"}).closed("unsettled")
        self.assertEqual((turn.status, turn.stop_reason), ("failed", "error"))
