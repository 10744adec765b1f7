"""Which price applies: the name's many forms, whose list it is looked up in, and one's own over the library's."""

from __future__ import annotations

import genai_prices
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.observe import pricing
from agentproxy.observe.pricing import OwnPrice, Prices
from agentproxy.usage import Usage
from tests.observe.pricing_case import (
    ANTHROPIC,
    BEDROCK,
    COPILOT,
    GATEWAY,
    GEMINI,
    MILLION,
    OPENAI,
    PRICES,
    cost,
    dollars,
)


class Names(SynchronousTestCase):
    def test_as_answered(self) -> None:
        """A name finds its price in every form in which providers answer it."""
        for place, model, expected in (
            (OPENAI, "gpt-5-2025-08-07", (1.25, 10)),
            (OPENAI, "GPT-5", (1.25, 10)),
            (OPENAI, "gpt-5-20250807", (1.25, 10)),
            (OPENAI, "gpt-5-mini-2031-01-02", (0.25, 2)),
            (OPENAI, "o4-mini-2025-04-16", (1.1, 4.4)),
            (OPENAI, "gpt-4o-2024-05-13", (5, 15)),
            (OPENAI, "gpt-4o-2024-08-06", (2.5, 10)),
            (("chatgpt", "chatgpt.com"), "gpt-5.1-codex-max", (1.25, 10)),
            (("openai", "eu.api.openai.com"), "gpt-5", (1.25, 10)),
            (("openai", "team.openai.azure.com"), "gpt-5-2025-08-07", (1.25, 10)),
            (("openai", "openrouter.ai"), "openai/gpt-5", (1.25, 10)),
            (("openai", GATEWAY), "openai/gpt-5", (1.25, 10)),
            (("openai", GATEWAY), "anthropic/claude-sonnet-4-5", (3, 15)),
            (("openai", GATEWAY), "vertex_ai/gemini-2.5-pro", (1.25, 10)),
            (ANTHROPIC, "claude-3-5-haiku-latest", (0.8, 4)),
            (ANTHROPIC, "claude-sonnet-4-20250514", (3, 15)),
            (ANTHROPIC, "claude-sonnet-4-5[1m]", (3, 15)),
            (BEDROCK, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", (3, 15)),
            (BEDROCK, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", (3.3, 16.5)),
            (BEDROCK, "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-opus-4-5-v1:0", (5.5, 27.5)),
            (("anthropic", GATEWAY), "us.anthropic.claude-haiku-4-5-20251001-v1:0", (1, 5)),
            (("anthropic", GATEWAY), "anthropic.claude-opus-4-1-20250805-v1:0", (15, 75)),
            (("anthropic", "us-east5-aiplatform.googleapis.com"), "claude-opus-4-1@20250805", (15, 75)),
            (GEMINI, "models/gemini-2.5-pro", (1.25, 10)),
            (GEMINI, "models/gemini-2.5-flash-001", (0.3, 2.5)),
            (GEMINI, "publishers/google/models/gemini-2.5-flash-lite", (0.1, 0.4)),
            (GEMINI, "gemini-2.0-flash-001", (0.1, 0.4)),
            (COPILOT, "claude-opus-4-5", (5, 25)),
            (COPILOT, "gpt-4o", (2.5, 10)),
            (("copilot", "api.business.githubcopilot.com"), "claude-opus-4.8-fast", (10, 50)),
        ):
            self.assertEqual(dollars(place, model), expected, f"{place} {model}")

    def test_unknown(self) -> None:
        """What no price is known for costs None, not 0, however little it used."""
        for place, model in (
            (OPENAI, "gpt-99"),
            (OPENAI, ""),
            (OPENAI, "gpt-5" + "x" * 1_000),
            (OPENAI, "claude-sonnet-4-5"),
            (OPENAI, "ft:gpt-4.1-2025-04-14:org::id"),
            (OPENAI, "*"),
            (OPENAI, "\0\n["),
            # These are charged by the hour or the character.
            (OPENAI, "whisper-1"),
            (OPENAI, "tts-1"),
            # The library knows it, without a price.
            (GEMINI, "gemma-3-27b-it"),
            # An open model costs what its host asks.
            (("openai", "localhost"), "llama3.2"),
            (("openai", "127.0.0.1"), "openai/gpt-oss-20b"),
            (("openai", GATEWAY), "deepseek-chat"),
            # A host of other prices: the name is none of its own.
            (("anthropic", "api.deepseek.com"), "claude-sonnet-4-5"),
            (("another", GATEWAY), "sonnet"),
        ):
            for usage in (MILLION, Usage()):
                self.assertIsNone(cost(place, model, usage), f"{place} {model}")

    def test_free(self) -> None:
        """An entry without prices is free where its name says so."""
        self.assertEqual(cost(("openai", "openrouter.ai"), "openai/gpt-oss-20b:free", MILLION), 0)

    def test_nothing_used(self) -> None:
        """A turn that used nothing of a model whose price is known costs 0."""
        self.assertEqual(cost(OPENAI, "gpt-5", Usage()), 0)

    def test_found_once(self) -> None:
        """A name is looked up once; of names from outside only so many are kept."""
        prices = Prices()
        asked = []
        tariff = prices._tariff

        def looked_up(kind: str, host: str, model: str) -> object:
            asked.append(model)
            return tariff(kind, host, model)

        self.patch(prices, "_tariff", looked_up)
        self.patch(pricing, "_MOST_FOUND", 10)
        for _ in range(3):
            for model in ("gpt-5", "gpt-99"):
                cost(OPENAI, model, MILLION, prices=prices)
        self.assertEqual(asked, ["gpt-5", "gpt-99"])
        for number in range(100):
            cost(OPENAI, f"gpt-{number}00", MILLION, prices=prices)
            self.assertLessEqual(len(prices._found), 10)
        self.assertEqual(cost(OPENAI, "gpt-5", MILLION, prices=prices), 1_250_000)


class Own(SynchronousTestCase):
    def test_over_the_library(self) -> None:
        """An entry takes the library's place as a whole: no step, date or search of the library's is left."""
        prices = Prices({"gemini-2.5-pro": OwnPrice(input=1_000_000, output=2_000_000)})
        usage = Usage(300_000, 1_000, cache_read_tokens=100_000, web_searches=4)
        self.assertEqual(cost(GEMINI, "gemini-2.5-pro", usage, prices=prices), 302_000)
        self.assertEqual(cost(GEMINI, "models/gemini-2.5-pro", usage, prices=prices), 302_000)
        self.assertEqual(dollars(OPENAI, "gpt-5", prices=prices), (1.25, 10))

    def test_each_kind(self) -> None:
        """Each kind of token is charged by its own price, once; a search by its own."""
        own = OwnPrice(
            input=1_000_000,
            output=2_000_000,
            cache_read=3_000_000,
            cache_write=5_000_000,
            cache_write_1h=7_000_000,
            input_audio=11_000_000,
            output_audio=13_000_000,
            web_search=17,
        )
        prices = Prices({"local": own})
        for usage, expected in (
            (Usage(input_tokens=100), 100),
            (Usage(output_tokens=100), 200),
            (Usage(output_tokens=100, reasoning_tokens=100), 200),
            (Usage(100, cache_read_tokens=100), 300),
            (Usage(100, cache_write_tokens=100), 500),
            (Usage(100, cache_write_tokens=100, cache_write_1h_tokens=100), 700),
            (Usage(100, input_audio_tokens=100), 1_100),
            (Usage(0, 100, output_audio_tokens=100), 1_300),
            (Usage(web_searches=100), 1_700),
            (
                Usage(100, 100, 10, 20, 5, 50, 30, 40, 1),
                40 * 1 + 30 * 11 + 10 * 3 + 15 * 5 + 5 * 7 + 60 * 2 + 40 * 13 + 17,
            ),
        ):
            self.assertEqual(cost(("openai", "localhost"), "local", usage, prices=prices), expected, usage)

    def test_not_named(self) -> None:
        """What an entry does not name costs what the more general does."""
        usage = Usage(1_000, 100, 100, 200, 150, 100, 50, 50, 1)
        for own, expected in (
            (OwnPrice(1_000_000, 2_000_000), 1_000 + 200),
            (OwnPrice(1_000_000, 2_000_000, cache_write=3_000_000), 800 + 600 + 200),
            (OwnPrice(0, 0), 0),
        ):
            prices = Prices({"m": own})
            self.assertEqual(cost(OPENAI, "m", usage, prices=prices), expected, own)

    def test_which_entry(self) -> None:
        """A name goes before a beginning, a longer beginning before a shorter, in whatever case and form it is told."""

        def own(price: int) -> OwnPrice:
            return OwnPrice(price * 1_000_000, 0)

        prices = Prices({"gpt-5*": own(2), "GPT-5": own(1), "gpt-5-mini*": own(3), "us.anthropic.*": own(4)})
        for model, expected in (
            ("gpt-5", 1),
            ("gpt-5-2025-08-07", 1),
            ("openai/gpt-5", 1),
            ("gpt-5-nano", 2),
            ("gpt-5.9", 2),
            ("GPT-5-MINI-2025-08-07", 3),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 4),
        ):
            self.assertEqual(cost(OPENAI, model, Usage(1), prices=prices), expected, model)
        everything = Prices({"*": own(9)})
        self.assertEqual(cost(("openai", "localhost"), "llama3.2", Usage(1), prices=everything), 9)

    def test_version(self) -> None:
        """The record can say by which prices it was reckoned."""
        one, other = OwnPrice(1, 2), OwnPrice(1, 3)
        library = f"genai-prices {genai_prices.__version__}"
        self.assertEqual(PRICES.version, library)
        own = Prices({"a": one, "b": other}).version
        self.assertTrue(own.startswith(f"{library} + "), own)
        self.assertEqual(own, Prices({"b": other, "A": one}).version)
        self.assertNotEqual(own, Prices({"a": other, "b": one}).version)
