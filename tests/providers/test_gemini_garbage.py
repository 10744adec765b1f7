"""The turns of the Gemini API among garbage: nothing is raised, the reason is kept, and what is good is counted."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.usage import Usage
from tests.providers.booked import JSON, NO_JSON, ODD, dump, used
from tests.providers.test_gemini_turns import ASKED, CHUNKS, TOKENS, WHOLE_PATH, booked, chunk, counts
from tests.wire.splits import PROPERTY


class GarbageTests(SynchronousTestCase):
    def test_no_json(self) -> None:
        """What is no JSON is passed over with a reason that quotes nothing; the stream it came in is counted."""
        for data in NO_JSON:
            for place in range(len(CHUNKS)):
                call = booked().asked(ASKED).told(*CHUNKS[:place], data, *CHUNKS[place:])
                turn = call.closed()
                self.assertEqual((turn.usage, turn.source), (TOKENS, "reported"), data[:20])
                self.assertIsNotNone(call.reader.degraded)
                self.assertNotIn("nonsense", str(call.reader.degraded))
        call = booked().asked(ASKED).told(b"", b" \r\n", *CHUNKS)
        self.assertIsNone(call.reader.degraded)

    def test_half_a_body(self) -> None:
        """Half a body is an estimate of what there is of it."""
        call = booked(WHOLE_PATH).asked(ASKED).told(dump(chunk([{"text": "x" * 900}], counts(9)))[:800])
        turn = call.closed()
        self.assertEqual((used(turn).output_tokens, turn.status, turn.source), (200, "unsettled", "estimated"))
        self.assertIsNotNone(call.reader.degraded)

    def test_unknown(self) -> None:
        """Messages of which nothing is known are passed over with a reason."""
        value: object
        for value in ({}, {"x": 1}, 1, None, "STOP", [1], [[]]):
            call = booked().asked(ASKED).told(value, *CHUNKS)
            self.assertEqual(call.closed().usage, TOKENS)
            self.assertIsNotNone(call.reader.degraded, value)

    def test_odd_counts(self) -> None:
        """A count that is none is not believed: the one before it stays, and is not the last word."""
        for odd in ODD:
            if odd is None:
                continue
            for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount"):
                last = chunk([], {**counts(20, 30, cachedContentTokenCount=768), name: odd}, finishReason="STOP")
                call = booked().asked(ASKED).told(*CHUNKS[:-1], last)
                turn = call.closed()
                said = 34 if name == "candidatesTokenCount" else 50
                self.assertEqual((used(turn).input_tokens, used(turn).output_tokens), (1000, said), (name, odd))
                self.assertEqual((used(turn).cache_read_tokens, turn.source), (768, "estimated"))
                self.assertIsNotNone(call.reader.degraded)
            call = booked().asked(ASKED).told(*CHUNKS[:-1], chunk([], odd), CHUNKS[-1])
            self.assertEqual((call.closed().usage, call.turns[0].source), (TOKENS, "reported"))
            details = {**counts(20), "promptTokensDetails": odd, "candidatesTokensDetails": [{"tokenCount": odd}, odd]}
            call = booked().asked(ASKED).told(chunk([], details, finishReason="STOP"))
            self.assertEqual(call.closed().usage, Usage(1000, 20))

    @PROPERTY
    @given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, len(CHUNKS)))
    def test_any_bytes(self, garbage: list[bytes], place: int) -> None:
        """Bytes that mean nothing change nothing of the turn that they stand in."""
        call = booked().asked(ASKED).told(*CHUNKS[:place], *garbage, *CHUNKS[place:])
        self.assertEqual(call.closed().usage, TOKENS)

    @PROPERTY
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId",
                                 "embedding", "x"]),
                st.sampled_from(["content", "parts", "text", "functionCall", "inlineData", "finishReason",
                                 "blockReason", "groundingMetadata", "totalTokenCount", "trafficType"]),
                JSON,
                st.integers(0, 3),
            ),
            max_size=6,
        )
    )  # fmt: skip
    def test_any_shape(self, odd: list[tuple[str, str, Any, int]]) -> None:
        """Whatever a field holds, nothing is raised, and what is told behind it is counted to the token."""
        call = booked().asked(ASKED)
        for outer, inner, value, shape in odd:
            field = [value, {inner: value}, [{inner: value}], [{"content": {"parts": [{inner: value}, value]}}]][shape]
            call.told({outer: field})
        call.told(*CHUNKS)
        self.assertEqual(call.closed().usage.__class__, Usage)
        self.assertEqual(call.turns[0].usage, TOKENS)
