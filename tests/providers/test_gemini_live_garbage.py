"""The turns of Gemini Live among garbage: nothing is raised, the reason is kept, and what is good is counted."""

from __future__ import annotations

import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.usage import Usage
from tests.providers.booked import JSON, NO_JSON, ODD, dump, used
from tests.providers.test_gemini_live_turns import (
    ASK,
    CALL,
    DONE,
    GENERATED,
    GO_AWAY,
    HEARD,
    INTERRUPTED,
    RESULT,
    SETUP,
    SOUND,
    booked,
    said,
    usage,
)
from tests.wire.splits import PROPERTY


class GarbageTests(SynchronousTestCase):
    def test_no_json(self) -> None:
        """What is no JSON, from either side, is passed over with a reason; later turns are counted."""
        for data in NO_JSON:
            for side in ("asked", "told"):
                call = booked()
                getattr(call, side)(data)
                call.asked(ASK).told(said(), {**DONE, **usage(20, 6)})
                self.assertEqual(call.closed().usage, Usage(20, 6), data[:20])
                self.assertIsNotNone(call.reader.degraded)
                self.assertNotIn("nonsense", str(call.reader.degraded))

    def test_unknown(self) -> None:
        """Messages of which nothing is known are passed over with a reason."""
        for value in ({}, {"x": 1}, 1, None, "turnComplete", [1], [DONE]):
            for side in ("asked", "told"):
                call = booked()
                getattr(call, side)(value)
                call.asked(ASK).told(said(), {**DONE, **usage(20, 6)})
                self.assertEqual(call.closed().usage, Usage(20, 6))
                self.assertIsNotNone(call.reader.degraded, (side, value))

    def test_odd(self) -> None:
        """Fields of another type than theirs mean nothing."""
        for odd in ODD:
            call = booked().asked({"setup": odd}, SETUP, {"clientContent": odd}, {"toolResponse": odd})
            call.told({"setupComplete": odd}, {"serverContent": odd}, {"goAway": odd}, {"usageMetadata": odd})
            call.told({"serverContent": {"interrupted": odd and 1, "generationComplete": 1, "turnComplete": 1}})
            call.asked(ASK).told({"serverContent": {"modelTurn": odd}}, {"toolCall": odd})
            call.told({"serverContent": {"modelTurn": {"parts": [odd, {"text": odd}, {"inlineData": odd}]}}})
            call.told({"toolCall": {"functionCalls": [odd, {"name": odd, "args": odd}]}})
            call.told(usage(20, 6), {**DONE, "usageMetadata": {"promptTokenCount": 20, "responseTokenCount": odd}})
            turn = call.closed()
            self.assertEqual((used(turn).input_tokens, turn.status), (20, "completed"), odd)
            self.assertEqual(call.reader.degraded is None, odd is None, odd)

    def test_stray(self) -> None:
        """An end without a turn ends nothing."""
        call = booked().told({**DONE, "usageMetadata": {}}, INTERRUPTED, GENERATED).asked(RESULT)
        call.reader.closed(9.0)
        self.assertEqual((call.turns, call.reader.degraded), ([], None))

    def test_breaks_off(self) -> None:
        """Sound of which the end is missing is sound, and said to be cut."""
        call = booked().asked(HEARD).told(dump(SOUND)[:4000], {**DONE, **usage(20, 6)})
        self.assertEqual((call.closed().usage, call.reader.degraded is None), (Usage(20, 6), False))

    def test_bounded(self) -> None:
        """Nothing grows with a session's length, and 64 MiB of sound are not copied."""
        sound, heard = dump(SOUND), dump(HEARD)
        big = dump(SOUND).replace(b"AAAA", b"A" * (64 << 20), 1)
        call = booked().asked(heard).told(sound)
        tracemalloc.start()
        try:
            for _ in range(2000):
                call.asked(heard).told(sound)
            call.told(big)
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(now, 20_000)
        self.assertLess(peak, 200_000)
        for _ in range(300):
            call.told(CALL)
        self.assertLessEqual(len(call.told({**DONE, **usage(20, 6)}).closed().tools), 256)

    @PROPERTY
    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=6))
    def test_any_bytes(self, garbage: list[tuple[bool, bytes]]) -> None:
        """Bytes that mean nothing are no turns."""
        call = booked()
        for from_client, data in garbage:
            (call.asked if from_client else call.told)(data)
        call.asked(ASK).told(said(), {**DONE, **usage(20, 6)})
        self.assertEqual(call.closed().usage, Usage(20, 6))

    @PROPERTY
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["serverContent", "toolCall", "usageMetadata", "setup", "clientContent",
                                 "toolResponse", "goAway", "realtimeInput"]),
                st.sampled_from(["modelTurn", "turnComplete", "interrupted", "generationComplete", "functionCalls",
                                 "promptTokenCount", "responseTokenCount", "model", "turnCompleteReason"]),
                JSON | st.just(True) | st.integers(1, 99),
                st.booleans(),
            ),
            max_size=8,
        )
    )  # fmt: skip
    def test_any_shape(self, odd: list[tuple[str, str, Any, bool]]) -> None:
        """Whatever a field holds, nothing is raised, and a turn that comes later is counted to the token."""
        call = booked()
        for outer, inner, value, from_client in odd:
            (call.asked if from_client else call.told)({outer: {inner: value}})
        call.told(DONE, GO_AWAY).asked(ASK).told({**said(), **usage(20, 6)}, DONE)
        self.assertEqual(call.turns[-1].usage, Usage(20, 6))
        call.reader.closed(1e9)
