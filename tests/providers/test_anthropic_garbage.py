"""The turns of Anthropic's API among garbage: nothing is raised, the reason is kept, and what is good is counted."""

from __future__ import annotations

import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.usage import Usage
from tests.providers.booked import JSON, NO_JSON, ODD, dump, used
from tests.providers.test_anthropic_turns import (
    ASKED,
    CALLS,
    DELTA,
    END,
    SAID,
    START,
    STREAM,
    TOKENS,
    USAGE,
    booked,
    with_usage,
)
from tests.wire.splits import PROPERTY


class GarbageTests(SynchronousTestCase):
    def test_asked(self) -> None:
        """The model is found in a request's beginning where it stands first; else its absence is said."""
        whole = dump(ASKED)
        for data, model in (
            (whole, "claude-opus-4-5"),
            (whole[:60], "claude-opus-4-5"),
            (dump({"stream": True, **ASKED}), "claude-opus-4-5"),
            (dump({"stream": True, **ASKED})[:60], None),
            (b'{"messages":[{"content":"\\"model\\":\\"no\\""}]}', None),
            (b"", None),
            (b"[]", None),
            *((data, None) for data in NO_JSON),
            *((dump({"model": odd}), None) for odd in ODD if odd != "7"),
        ):
            call = booked().asked(data)
            turn = call.closed()
            self.assertEqual(turn.model_asked, model, data[:60])
            self.assertEqual(call.reader.degraded is None, model is not None, data[:60])
            self.assertEqual(turn.input_bytes, len(data))

    def test_no_json(self) -> None:
        """What is no JSON is passed over with a reason that quotes nothing; the stream it came in is counted."""
        for data in NO_JSON:
            call = booked().asked(ASKED).told(START, data, *STREAM[1:])
            (turn,) = call.turns
            self.assertEqual((turn.usage, turn.source), (TOKENS, "reported"), data[:20])
            self.assertIsNotNone(call.reader.degraded)
            self.assertNotIn("nonsense", str(call.reader.degraded))
        for data in (b"", b" \n", b"[DONE]"):
            self.assertIsNone(booked().asked(ASKED).told(*STREAM, data).reader.degraded)

    def test_unknown(self) -> None:
        """Messages of unknown types, or of none, are passed over with a reason."""
        value: object
        for value in ({"type": "content_block_delta2"}, {"type": "x"}, {}, [], 1, None, "message_stop",
                      *({"type": odd} for odd in ODD)):  # fmt: skip
            call = booked().asked(ASKED).told(START, value, *STREAM[1:])
            self.assertEqual([turn.usage for turn in call.turns], [TOKENS], value)
            self.assertIsNotNone(call.reader.degraded, value)

    def test_half_a_body(self) -> None:
        """Half a body is an estimate of what there is of it."""
        body = dump({"id": "m", "type": "message", "content": [{"type": "text", "text": "y" * 800}], "usage": USAGE})
        call = booked().asked(ASKED).told(body[:600])
        turn = call.closed()
        self.assertEqual((used(turn).output_tokens, turn.status, turn.source), (150, "unsettled", "estimated"))
        self.assertIsNotNone(call.reader.degraded)
        call = booked().asked(ASKED).told(START, dump(SAID)[:-10])
        self.assertIsNotNone(call.reader.degraded)

    def test_odd_counts(self) -> None:
        """A count of another type, below 0 or beyond all reason is not believed: what was known before it stays."""
        for odd in ODD:
            if odd is None:
                continue
            delta = with_usage({"input_tokens": odd, "cache_read_input_tokens": odd, "output_tokens": 9})
            call = booked().asked(ASKED).told(START, delta, END)
            self.assertEqual(call.turns[0].usage, Usage(21004, 9, 20000, 1000, 600), odd)
            self.assertEqual((call.turns[0].source, call.reader.degraded is None), ("reported", False))
            call = booked().asked(ASKED).told(START, *[SAID] * 9, with_usage({"output_tokens": odd}), END)
            self.assertEqual(call.turns[0].usage, Usage(21004, 27, 20000, 1000, 600), odd)
            self.assertEqual((call.turns[0].source, call.reader.degraded is None), ("estimated", False))
            call = booked().asked(ASKED).told({"type": "message", "usage": {"input_tokens": odd, "output_tokens": 4}})
            self.assertEqual(call.turns[0].usage, Usage(len(dump(ASKED)) // 4, 4), odd)
            self.assertEqual((call.turns[0].source, call.reader.degraded is None), ("estimated", False))

    def test_two_messages(self) -> None:
        """Two messages inside each other, or behind each other, are two turns."""
        call = booked().asked(ASKED).told(START, SAID, *STREAM)
        first, second = call.turns
        self.assertEqual((first.status, first.source, second.usage), ("unsettled", "estimated", TOKENS))
        self.assertIsNotNone(call.reader.degraded)
        call = booked().asked(ASKED).told(*STREAM, *STREAM)
        self.assertEqual([turn.usage for turn in call.turns], [TOKENS, TOKENS])
        self.assertIsNone(call.reader.degraded)

    def test_outside(self) -> None:
        """Events outside of any message are nobody's, and say so."""
        for event in (SAID, CALLS, DELTA, END, {"type": "error", "error": {}}):
            call = booked().asked(ASKED).told(*STREAM, event)
            call.closed()
            self.assertIsNotNone(call.reader.degraded)

    def test_bounded(self) -> None:
        """Nothing grows with a stream's length, and a delta of 64 MiB is not copied."""
        call = booked().asked(ASKED).told(START)
        delta, big = dump(SAID), b'{"type":"content_block_delta","delta":{"text":"' + b"x" * (64 << 20) + b'"}}'
        call.told(*[delta] * 100)
        tracemalloc.start()
        try:
            call.told(*[delta] * 5000)
            call.told(big)
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(now, 20_000)
        self.assertLess(peak, 200_000)
        call.told(DELTA, END)
        self.assertEqual(used(call.turns[0]).output_tokens, 89)
        self.assertGreater(call.turns[0].output_characters, 64 << 20)

    @PROPERTY
    @given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, len(STREAM)))
    def test_any_bytes(self, garbage: list[bytes], place: int) -> None:
        """Bytes that mean nothing change nothing of the turn that they stand in."""
        call = booked().asked(ASKED).told(*STREAM[:place], *garbage, *STREAM[place:])
        self.assertEqual(call.closed().usage, TOKENS)

    @PROPERTY
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["message_start", "content_block_start", "content_block_delta", "message_delta",
                                 "message_stop", "message", "error", "completion", "ping"]),
                st.sampled_from(["message", "usage", "delta", "content_block", "content", "error", "completion",
                                 "stop_reason", "id", "model", "index"]),
                JSON,
                st.booleans(),
            ),
            max_size=6,
        )
    )  # fmt: skip
    def test_any_shape(self, odd: list[tuple[str, str, Any, bool]]) -> None:
        """Whatever a field holds, nothing is raised, and the message behind it is counted to the token."""
        call = booked().asked(ASKED)
        for kind, field, value, nested in odd:
            call.told({"type": kind, field: {field: value, "usage": value, "content": [value]} if nested else value})
        call.told(*STREAM)
        call.reader.closed(1e9)
        self.assertEqual(call.turns[-1].usage, TOKENS)
        self.assertEqual(call.turns[-1].source, "reported")
