"""What turns cost: providers' own price pages worked by hand, and what holds for any turn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from pathlib import Path

import genai_prices
from genai_prices.data import providers as shops
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import Provider
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.observe import pricing
from agentproxy.observe.pricing import OwnPrice, Prices
from agentproxy.usage import MOST_TOKENS, Usage
from tests.observe.pricing_case import (
    ANTHROPIC,
    COPILOT,
    DEEPSEEK,
    GEMINI,
    MILLION,
    NOW,
    OPENAI,
    PERPLEXITY,
    cost,
    dollars,
)
from tests.wire.splits import PROPERTY


class WorkedExamples(SynchronousTestCase):
    def check(self, place: tuple[str, str], table: list[tuple[str, Usage, int]], at: datetime = NOW) -> None:
        for model, usage, expected in table:
            self.assertEqual(cost(place, model, usage, at), expected, f"{model} {usage}")

    def test_openai(self) -> None:
        """
        OpenAI's page, dollars a million: gpt-5 1.25, cached 0.125, out 10; gpt-5-mini 0.25, 0.025, 2; gpt-5-nano 0.05,
        0.005, 0.40; o3 2, 0.50, 8; o4-mini 1.10, 0.275, 4.40; o3-mini 1.10, 0.55, 4.40. Reasoning is output.
        """
        self.check(
            OPENAI,
            [
                # 6,000 x 1.25 + 4,000 x 0.125 + 2,000 x 10
                ("gpt-5", Usage(10_000, 2_000, cache_read_tokens=4_000, reasoning_tokens=1_500), 28_000),
                # 210 x 0.25 + 1,024 x 0.025 + 77 x 2 = 52.5 + 25.6 + 154
                ("gpt-5-mini", Usage(1_234, 77, cache_read_tokens=1_024), 232),
                # 100,000 x 0.05 + 1,000 x 0.4
                ("gpt-5-nano", Usage(100_000, 1_000), 5_400),
                # 500 x 2 + 500 x 0.5 + 2,000 x 8
                ("o3", Usage(1_000, 2_000, cache_read_tokens=500, reasoning_tokens=2_000), 17_250),
                # 1 x 1.1 + 2,000 x 0.275 + 10 x 4.4 = 1.1 + 550 + 44
                ("o4-mini", Usage(2_001, 10, cache_read_tokens=2_000), 595),
                # 3 x 1.1 + 7 x 4.4 = 3.3 + 30.8
                ("o3-mini", Usage(3, 7), 34),
                # 10 a thousand searches; 1,000 x 1.25 + 3 x 10,000
                ("gpt-5", Usage(1_000, web_searches=3), 31_250),
            ],
        )

    def test_openai_cache_write(self) -> None:
        """A cache write has its price since gpt-5.6; the library's gpt-6-sol 2, cached .20, written 2.50, out 10."""
        # 500 x 2 + 2,000 x 0.2 + 1,000 x 2.5 + 100 x 10
        usage = Usage(3_500, 100, cache_read_tokens=2_000, cache_write_tokens=1_000)
        self.check(OPENAI, [("gpt-6-sol", usage, 4_900)])

    def test_openai_realtime(self) -> None:
        """The library's gpt-realtime: text 4, cached 0.40, out 16; audio 32, cached 0.40, out 64."""
        self.check(
            OPENAI,
            [
                # 200 x 4 + 800 x 32 + 50 x 16 + 300 x 64
                ("gpt-realtime", Usage(1_000, 350, input_audio_tokens=800, output_audio_tokens=300), 46_400),
                # All that is fresh is audio; of the cached 900, at least 400 are. 100 x 32 + 900 x 0.4
                ("gpt-realtime", Usage(1_000, input_audio_tokens=500, cache_read_tokens=900), 3_560),
            ],
        )

    def test_anthropic(self) -> None:
        """
        Anthropic's page, dollars a million, as input, written for 5 minutes, for an hour, read, output: Sonnet 4.5 3,
        3.75, 6, 0.30, 15; Opus 4.1 15, 18.75, 30, 1.50, 75; Opus 4.5 5, 6.25, 10, 0.50, 25; Haiku 4.5 1, 1.25, 2,
        0.10, 5. A thousand searches are 10.
        """
        both = Usage(10_000, 500, cache_read_tokens=6_000, cache_write_tokens=3_000, cache_write_1h_tokens=1_000)
        self.check(
            ANTHROPIC,
            [
                # 1,000 x 3 + 6,000 x 0.3 + 2,000 x 3.75 + 1,000 x 6 + 500 x 15
                ("claude-sonnet-4-5-20250929", both, 25_800),
                # 1,000 x 15 + 6,000 x 1.5 + 2,000 x 18.75 + 1,000 x 30 + 500 x 75
                ("claude-opus-4-1-20250805", both, 129_000),
                # 1,000 x 5 + 6,000 x 0.5 + 2,000 x 6.25 + 1,000 x 10 + 500 x 25
                ("claude-opus-4-5-20251101", both, 43_000),
                # 1,000 x 1 + 6,000 x 0.1 + 2,000 x 1.25 + 1,000 x 2 + 500 x 5
                ("claude-haiku-4-5-20251001", both, 8_600),
                # All of the input written for an hour: 1,000 x 6
                ("claude-sonnet-4-5", Usage(1_000, cache_write_tokens=1_000, cache_write_1h_tokens=1_000), 6_000),
                # 100 x 3 + 2 x 10,000
                ("claude-sonnet-4-5", Usage(100, web_searches=2), 20_300),
            ],
        )

    def test_anthropic_long(self) -> None:
        """Sonnet 4.5 over 200,000 tokens of input, cached ones included, costs 6, 7.50, 12, 0.60 and 22.50 for all."""
        over = Usage(200_001, 1_000, cache_read_tokens=190_000, cache_write_tokens=10_000, cache_write_1h_tokens=4_000)
        at = replace(over, input_tokens=200_000)
        self.check(
            ANTHROPIC,
            [
                # 0 + 190,000 x 0.3 + 6,000 x 3.75 + 4,000 x 6 + 1,000 x 15
                ("claude-sonnet-4-5", at, 118_500),
                # 1 x 6 + 190,000 x 0.6 + 6,000 x 7.5 + 4,000 x 12 + 1,000 x 22.5
                ("claude-sonnet-4-5", over, 229_506),
            ],
        )

    def test_gemini(self) -> None:
        """
        Google's page: Gemini 2.5 Pro 1.25, cached 0.125, out 10 up to 200,000 tokens of prompt, above 2.50, 0.25, 15;
        2.5 Flash 0.30, audio 1, out 2.50. Thoughts are output.
        """
        self.check(
            GEMINI,
            [
                # 50,000 x 1.25 + 150,000 x 0.125 + 3,000 x 10
                ("gemini-2.5-pro", Usage(200_000, 3_000, cache_read_tokens=150_000, reasoning_tokens=2_500), 111_250),
                # 50,001 x 2.5 + 150,000 x 0.25 + 3,000 x 15 = 125,002.5 + 37,500 + 45,000
                ("gemini-2.5-pro", Usage(200_001, 3_000, cache_read_tokens=150_000, reasoning_tokens=2_500), 207_503),
                # 900 x 0.3 + 100 x 1 + 10 x 2.5
                ("gemini-2.5-flash", Usage(1_000, 10, input_audio_tokens=100), 395),
            ],
        )

    def test_copilot(self) -> None:
        """
        GitHub's page: Claude Sonnet 4.6 3, written 3.75, read 0.30, out 15; GPT-5 mini 0.25, out 2. GPT-4.1, which is
        on it no more, goes by OpenAI's: 2, out 8.
        """
        self.check(
            COPILOT,
            [
                # 100 x 3 + 800 x 0.3 + 100 x 3.75 + 10 x 15
                ("claude-sonnet-4.6", Usage(1_000, 10, cache_read_tokens=800, cache_write_tokens=100), 1_065),
                ("gpt-5-mini-2025-08-07", Usage(1_000, 10), 270),
                ("gpt-4.1-2025-04-14", Usage(1_000, 10), 2_080),
            ],
        )

    def test_perplexity(self) -> None:
        """
        A request and reasoning can have prices: the library's sonar is 1 and 1, and 0.012 each time;
        sonar-deep-research 2 and 8, reasoning 3, a search 0.005.
        """
        self.check(
            PERPLEXITY,
            [
                ("sonar", Usage(1_000, 100), 13_100),
                # 100 x 2 + 400 x 8 + 600 x 3 + 2 x 5,000
                ("sonar-deep-research", Usage(100, 1_000, reasoning_tokens=600, web_searches=2), 15_200),
            ],
        )

    def test_does_not_add_up(self) -> None:
        """Parts that are more than their whole are charged as they were told, each once."""
        self.check(
            ANTHROPIC,
            [
                # 50 x 3 + 50 x 6: what was written for an hour was written
                ("claude-sonnet-4-5", Usage(100, cache_write_1h_tokens=50), 450),
                # 300 x 0.3 + 100 x 3.75
                ("claude-sonnet-4-5", Usage(100, cache_read_tokens=300, cache_write_tokens=100), 465),
                ("claude-sonnet-4-5", Usage(output_tokens=100, reasoning_tokens=300), 1_500),
            ],
        )

    def test_half_up(self) -> None:
        """Half a micro-dollar counts as one, whether what is before it is odd or even; less counts as none."""
        table = [("gpt-5-mini", Usage(tokens), rounded) for tokens, rounded in ((1, 0), (2, 1), (6, 2), (10, 3))]
        self.check(OPENAI, table)

    def test_dates(self) -> None:
        """A price holds from its date on, in UTC; before the first known one, that one does."""
        for at, expected in (
            (datetime(2025, 6, 9, 23, 59, tzinfo=UTC), (10, 40)),
            (datetime(2025, 6, 10, tzinfo=UTC), (2, 8)),
            (datetime(2025, 6, 10), (2, 8)),
            (datetime(2025, 6, 10, 1, tzinfo=timezone(timedelta(hours=2))), (10, 40)),
            (datetime(2020, 1, 1, tzinfo=UTC), (10, 40)),
        ):
            self.assertEqual(dollars(OPENAI, "o3", at), expected, at)

    def test_times_of_day(self) -> None:
        """DeepSeek's hours: what is looked up once is priced by each turn's own time."""
        for hour, expected in ((12, (0.27, 1.1)), (18, (0.135, 0.55)), (12, (0.27, 1.1))):
            self.assertEqual(dollars(DEEPSEEK, "deepseek-chat", NOW.replace(hour=hour)), expected, hour)

    def test_embeddings(self) -> None:
        """text-embedding-3-small is 0.02, and its output has no price."""
        self.check(OPENAI, [("text-embedding-3-small", Usage(1_000_000, 1), 20_000)])


KINDS = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "cache_read": ("input_tokens", "cache_read_tokens"),
    "cache_write": ("input_tokens", "cache_write_tokens"),
    "cache_write_1h": ("input_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    "reasoning": ("output_tokens", "reasoning_tokens"),
    "input_audio": ("input_tokens", "input_audio_tokens"),
    "output_audio": ("output_tokens", "output_audio_tokens"),
    "web_search": ("web_searches",),
}
"""What one more token of a kind adds to: what holds it counts it too."""
MODELS = (
    (OPENAI, "gpt-5"),
    (OPENAI, "gpt-6-sol"),
    (OPENAI, "gpt-realtime"),
    (OPENAI, "gpt-audio"),
    (ANTHROPIC, "claude-sonnet-4-5"),
    (ANTHROPIC, "claude-haiku-5-5"),
    (GEMINI, "gemini-2.5-pro"),
    (GEMINI, "gemini-2.5-flash"),
    (COPILOT, "gpt-5.6-luna"),
    (PERPLEXITY, "sonar-deep-research"),
)
COUNTS = st.one_of(st.integers(0, 400_000), st.integers(0, MOST_TOKENS))


@st.composite
def usages(draw: st.DrawFn, counts: st.SearchStrategy[int] = COUNTS) -> Usage:
    """Usage that adds up: parts of the input and of the output within them."""
    added = {kind: draw(counts) // 8 for kind in KINDS}
    usage = Usage()
    for kind, amount in added.items():
        usage = more(usage, kind, amount)
    return usage


def more(usage: Usage, kind: str, amount: int) -> Usage:
    return replace(usage, **{name: getattr(usage, name) + amount for name in KINDS[kind]})


class AnyTurn(SynchronousTestCase):
    @PROPERTY
    @given(st.sampled_from(MODELS), usages(), st.sampled_from(sorted(KINDS)), st.integers(1, 300_000))
    def test_monotonic(self, model: tuple[tuple[str, str], str], usage: Usage, kind: str, amount: int) -> None:
        """More tokens of any kind never cost less."""
        before, after = cost(*model, usage), cost(*model, more(usage, kind, amount))
        assert before is not None
        assert after is not None
        self.assertLessEqual(before, after)

    @PROPERTY
    @given(st.sampled_from(MODELS), st.builds(Usage, *[COUNTS] * len(fields(Usage))))
    def test_does_not_add_up(self, model: tuple[tuple[str, str], str], usage: Usage) -> None:
        """Parts that are more than their whole give no error and no negative price."""
        found = cost(*model, usage)
        self.assertIs(type(found), int)
        self.assertGreaterEqual(found or 0, 0)

    @PROPERTY
    @given(st.lists(st.tuples(st.sampled_from(MODELS), usages()), max_size=20))
    def test_sums(self, turns: list[tuple[tuple[tuple[str, str], str], Usage]]) -> None:
        """The sum over turns is an exact integer, in whatever order they are added."""
        costs = [cost(*model, usage) or 0 for model, usage in turns]
        self.assertTrue(all(type(each) is int for each in costs))
        self.assertEqual(sum(costs), sum(reversed(costs)))

    @PROPERTY
    @given(usages())
    def test_exact(self, usage: Usage) -> None:
        """By prices in whole micro-dollars a token, the cost is the sum of whole numbers, to the last digit."""
        own = OwnPrice(3_000_000, 5_000_000, 1_000_000, 7_000_000, 11_000_000, web_search=13)
        fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
        self.assertEqual(
            cost(OPENAI, "m", usage, prices=Prices({"m": own})),
            3 * fresh
            + 5 * usage.output_tokens
            + usage.cache_read_tokens
            + 7 * (usage.cache_write_tokens - usage.cache_write_1h_tokens)
            + 11 * usage.cache_write_1h_tokens
            + 13 * usage.web_searches,
        )

    def test_largest(self) -> None:
        """No digit is lost of a great count at a high price."""
        count, price = 987_654_321, 9_876_543_211
        prices = Prices({"m": OwnPrice(price, price)})
        expected = (2 * 2 * count * price + 10**6) // (2 * 10**6)
        self.assertEqual(cost(OPENAI, "m", Usage(count, count), prices=prices), expected)

    @PROPERTY
    @given(
        st.sampled_from([shop for shop in shops if shop.id in ("openai", "anthropic", "google", "deepseek")]),
        st.integers(0),
        usages(st.integers(0, 2_000_000)),
        st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),
    )
    def test_as_the_library(self, shop: Provider, pick: int, usage: Usage, at: datetime) -> None:
        """Without audio the library's own arithmetic gives the same, for every model and date."""
        usage = replace(
            usage,
            input_tokens=usage.input_tokens - usage.input_audio_tokens,
            output_tokens=usage.output_tokens - usage.output_audio_tokens,
            input_audio_tokens=0,
            output_audio_tokens=0,
        )
        model = shop.models[pick % len(shop.models)]
        prices = pricing._prices_at(model, at)
        if prices is None:
            return
        theirs = genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            output_reasoning_tokens=usage.reasoning_tokens,
            web_searches=usage.web_searches,
        )
        with localcontext(Context(prec=100)):
            total = model.calc_price(theirs, shop, genai_request_timestamp=at).total_price * Decimal(1_000_000)
        self.assertEqual(pricing._reckon(prices, usage), int(total.to_integral_value(ROUND_HALF_UP)))


class NothingFetched(SynchronousTestCase):
    def test_other_prices_do_not_come_in(self) -> None:
        """Prices that the library's updater brought in are not looked at: a record means what its version says."""
        self.addCleanup(set_custom_snapshot, None)
        set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=True))
        self.assertEqual(cost(OPENAI, "gpt-5", MILLION, prices=Prices()), 1_250_000)

    def test_no_network_and_no_thread(self) -> None:
        """A process that prices a turn opens no socket, looks up no name and starts no thread."""
        program = """
import sys, threading

def hook(event, arguments):
    if event.startswith("socket."):
        print(event, file=sys.stderr)

sys.addaudithook(hook)
from datetime import datetime
from agentproxy.observe.pricing import Prices
from agentproxy.usage import Usage
cost = Prices().cost("openai", "api.openai.com", "gpt-5", Usage(1000000), datetime(2026, 11, 21))
print(cost, threading.active_count())
"""
        root = Path(pricing.__file__).resolve().parents[2]
        ran = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60)
        self.assertEqual((ran.stdout, ran.stderr), ("1250000 1\n", ""))
