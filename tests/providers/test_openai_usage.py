"""The usage objects that OpenAI, Copilot and those that speak like them send, and what is no usage."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.openai_usage import CHAT, INCONSISTENT, NO_COUNT, RESPONSES, Names, counted, settle
from agentproxy.usage import MOST_TOKENS, Turn, Usage
from tests.wire.splits import PROPERTY

RESPONSES_USAGE = {
    "input_tokens": 20480,
    "input_tokens_details": {"cached_tokens": 19968, "cache_write_tokens": 256},
    "output_tokens": 300,
    "output_tokens_details": {"reasoning_tokens": 192},
    "total_tokens": 20780,
}
CHAT_USAGE = {
    "prompt_tokens": 1117,
    "completion_tokens": 46,
    "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 7},
    "completion_tokens_details": {
        "reasoning_tokens": 12,
        "audio_tokens": 3,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
REALTIME_USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
DEEPSEEK_USAGE = {
    "prompt_tokens": 500,
    "completion_tokens": 20,
    "total_tokens": 520,
    "prompt_cache_hit_tokens": 448,
    "prompt_cache_miss_tokens": 52,
}
XAI_USAGE = {
    "prompt_tokens": 37,
    "completion_tokens": 530,
    "total_tokens": 800,
    "completion_tokens_details": {"reasoning_tokens": 233},
}


def copilot(**counts: Any) -> dict[str, Any]:
    """A ``copilot_usage`` as Copilot sends it."""
    details = [
        {"batch_size": 1000000, "cost_per_batch": 2, "token_count": number, "token_type": kind}
        for kind, number in counts.items()
    ]
    return {"token_details": details, "total_nano_aiu": 6390000}


SHAPES: list[tuple[str, Names, Any, Any, Usage]] = [
    ("responses", RESPONSES, RESPONSES_USAGE, None, Usage(20480, 300, 19968, 256, reasoning_tokens=192)),
    ("responses, bare", RESPONSES, {"input_tokens": 5, "output_tokens": 2}, None, Usage(5, 2)),
    (
        "responses, details null",
        RESPONSES,
        {"input_tokens": 5, "input_tokens_details": None, "output_tokens": 2, "total_tokens": None},
        None,
        Usage(5, 2),
    ),
    (
        "chat",
        CHAT,
        CHAT_USAGE,
        None,
        Usage(1117, 46, 1024, reasoning_tokens=12, input_audio_tokens=7, output_audio_tokens=3),
    ),
    ("chat, both names", CHAT, {**CHAT_USAGE, "input_tokens": 0, "output_tokens": 0}, None,
     Usage(1117, 46, 1024, reasoning_tokens=12, input_audio_tokens=7, output_audio_tokens=3)),
    ("chat under the other's names", CHAT, RESPONSES_USAGE, None, Usage(20480, 300, 19968, 256, reasoning_tokens=192)),
    ("realtime", RESPONSES, REALTIME_USAGE, None, Usage(132, 121, 64, input_audio_tokens=13, output_audio_tokens=91)),
    ("embeddings", CHAT, {"prompt_tokens": 8, "total_tokens": 8}, None, Usage(8, 0)),
    ("deepseek", CHAT, DEEPSEEK_USAGE, None, Usage(500, 20, 448)),
    ("moonshot", CHAT, {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 10}, None,
     Usage(19, 13, 10)),
    ("xai, reasoning beside the completion", CHAT, XAI_USAGE, None, Usage(37, 763, reasoning_tokens=233)),
    ("zeros", RESPONSES, {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, None, Usage()),
    (
        "copilot: the prompt has the cache writes",
        CHAT,
        {"prompt_tokens": 16396, "completion_tokens": 362, "total_tokens": 16758},
        copilot(input=3857, cache_read=0, cache_write=12539, output=362),
        Usage(16396, 362, 0, 12539),
    ),
    (
        "copilot: reads and writes, each in the input once",
        RESPONSES,
        {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 600}, "output_tokens": 10},
        copilot(input=100, cache_read=600, cache_write=300, output=10),
        Usage(1000, 10, 600, 300),
    ),
    ("copilot alone", CHAT, None, copilot(input=1, cache_read=2, cache_write=4, output=8), Usage(7, 8, 2, 4)),
    (
        "copilot without the input",
        RESPONSES,
        {"input_tokens": 32110, "output_tokens": 2, "total_tokens": 32112},
        copilot(cache_read=32000, cache_write=100),
        Usage(32110, 2, 32000, 100),
    ),
    (
        "copilot, several entries of a type, and one that is not known",
        CHAT,
        {"prompt_tokens": 9, "completion_tokens": 9},
        {"token_details": [
            {"token_type": "input", "token_count": 3}, {"token_type": "input", "token_count": 4},
            {"token_type": "output", "token_count": 5}, {"token_type": "image", "token_count": 99},
        ]},
        Usage(7, 5),
    ),
    ("copilot says nothing", CHAT, CHAT_USAGE, {"total_nano_aiu": 1},
     Usage(1117, 46, 1024, reasoning_tokens=12, input_audio_tokens=7, output_audio_tokens=3)),
    ("copilot of a model that costs nothing", CHAT, {"prompt_tokens": 9, "completion_tokens": 3},
     copilot(input=0, cache_read=0, output=0), Usage(9, 3)),
]  # fmt: skip

# What can't be believed: the usage, what is kept of it, and whether input and output are upstream's.
ABSURD: list[tuple[Any, Usage, bool, bool]] = [
    ({"input_tokens": "100", "output_tokens": 5}, Usage(0, 5), False, True),
    ({"input_tokens": 100, "output_tokens": -5}, Usage(100, 0), True, False),
    ({"input_tokens": 1.5, "output_tokens": True}, Usage(), False, False),
    ({"input_tokens": [], "output_tokens": {}}, Usage(), False, False),
    ({"input_tokens": MOST_TOKENS + 1, "output_tokens": 10**30}, Usage(), False, False),
    ({"input_tokens": float("inf"), "output_tokens": float("nan")}, Usage(), False, False),
    ({"input_tokens": 9, "output_tokens": 3, "input_tokens_details": "all"}, Usage(9, 3), True, True),
    ({"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": -1}}, Usage(9, 3), True, True),
    ({"input_tokens": 9, "output_tokens": 3, "total_tokens": "12"}, Usage(9, 3), True, True),
    ("many", Usage(), False, False),
    ([1, 2], Usage(), False, False),
    (7, Usage(), False, False),
]


class UsageTests(SynchronousTestCase):
    def test_shapes(self) -> None:
        """Each provider's usage has exactly these tokens; cached and written ones are in the input once."""
        for name, names, value, split, expected in SHAPES:
            read = counted(value, names, split)
            assert read is not None, name
            self.assertEqual((read.usage, read.input, read.output, read.flaw), (expected, True, True, None), name)

    def test_absent(self) -> None:
        """Where nothing is said there is no usage."""
        for value in (None, {}, {"total_tokens": 12}, {"cost": 1}):
            self.assertIsNone(counted(value, RESPONSES))
        self.assertIsNone(counted(None, CHAT, {"token_details": []}))
        self.assertIsNone(counted(None, CHAT, "no"))

    def test_absurd(self) -> None:
        """A count that is none is left out, with the reason; the others stand."""
        for value, expected, put, said in ABSURD:
            read = counted(value, RESPONSES)
            assert read is not None, value
            self.assertEqual((read.usage, read.input, read.output, read.flaw), (expected, put, said, NO_COUNT), value)

    def test_copilot_absurd(self) -> None:
        """Of a split that can't be believed nothing is taken: the usage beside it stands."""
        for entry in ({"token_type": "input", "token_count": "3"}, {"token_type": 7, "token_count": 3}, {}, "input"):
            read = counted({"prompt_tokens": 9, "completion_tokens": 3}, CHAT, {"token_details": [entry]})
            assert read is not None
            self.assertEqual((read.usage, read.flaw), (Usage(9, 3), NO_COUNT), entry)

    def test_copilot_most(self) -> None:
        """However many entries there are, no sum is beyond a count's bound."""
        entries = [{"token_type": kind, "token_count": MOST_TOKENS} for kind in ("input", "output", "output")]
        read = counted({"prompt_tokens": 9, "completion_tokens": 3}, CHAT, {"token_details": entries})
        assert read is not None
        self.assertEqual((read.usage.input_tokens, read.usage.output_tokens), (MOST_TOKENS, MOST_TOKENS))

    def test_parts(self) -> None:
        """No part is more than its whole."""
        value = {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 8, "audio_tokens": 11},
            "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 6},
        }
        read = counted(value, CHAT)
        assert read is not None
        self.assertEqual(read.usage, Usage(10, 5, 8, 2, 0, 5, 10, 5))
        self.assertEqual(read.flaw, INCONSISTENT)

    def test_settled(self) -> None:
        """What upstream did not report is estimated, and says so."""
        for value, expected, source in (
            ({"input_tokens": 9, "output_tokens": 3}, Usage(9, 3), "reported"),
            ({"input_tokens": "x", "output_tokens": 3}, Usage(100, 3), "estimated"),
            ({"input_tokens": 9}, Usage(9, 50), "estimated"),
            (None, Usage(100, 50), "estimated"),
            ("x", Usage(100, 50), "estimated"),
        ):
            turn = Turn("responses", 1.0, input_bytes=400, output_characters=200)
            settle(turn, counted(value, RESPONSES))
            self.assertEqual((turn.usage, turn.source), (expected, source))

    def test_nothing_reported_of_something(self) -> None:
        """Zeros are upstream's word only where no output was seen."""
        zeros = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        turn = Turn("realtime", 1.0, input_bytes=400)
        settle(turn, counted(zeros, RESPONSES))
        self.assertEqual((turn.usage, turn.source), (Usage(), "reported"))
        turn = Turn("realtime", 1.0, input_bytes=400, first_token=2.0, output_characters=40)
        settle(turn, counted(zeros, RESPONSES))
        self.assertEqual((turn.usage, turn.source), (Usage(100, 10), "estimated"))

    @PROPERTY
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "input_tokens",
                            "prompt_tokens",
                            "output_tokens",
                            "completion_tokens",
                            "total_tokens",
                            "input_tokens_details",
                            "prompt_tokens_details",
                            "completion_tokens_details",
                            "cached_tokens",
                            "cache_write_tokens",
                            "reasoning_tokens",
                            "token_details",
                            "token_type",
                            "token_count",
                        ]
                    ),
                    inner,
                    max_size=6,
                )
            ),
            max_leaves=12,
        ),
        st.sampled_from([RESPONSES, CHAT]),
        st.booleans(),
    )
    def test_any(self, value: Any, names: Names, beside: bool) -> None:
        """Of whatever JSON there may be, what comes out is counts, and no part more than its whole."""
        read = counted(value, names, value if beside else None)
        if read is None:
            return
        usage = read.usage
        turn = Turn("chat", 1.0)
        settle(turn, read)
        self.assertIsNotNone(turn.usage)
        self.assertGreaterEqual(usage.input_tokens, usage.cache_read_tokens + usage.cache_write_tokens)
        self.assertGreaterEqual(usage.output_tokens, usage.reasoning_tokens)
        self.assertGreaterEqual(min(usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens), 0)
