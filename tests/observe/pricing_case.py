"""What the tests of prices share: places, a time, and turns priced."""

from __future__ import annotations

from datetime import UTC, datetime

from agentproxy.observe.pricing import Prices
from agentproxy.usage import Usage

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRICES = Prices()
OPENAI = ("openai", "api.openai.com")
ANTHROPIC = ("anthropic", "api.anthropic.com")
GEMINI = ("gemini", "generativelanguage.googleapis.com")
COPILOT = ("copilot", "api.githubcopilot.com")
PERPLEXITY = ("openai", "api.perplexity.ai")
GATEWAY = "llm.corp.example"
DEEPSEEK = ("openai", "api.deepseek.com")
BEDROCK = ("anthropic", "bedrock-runtime.us-east-1.amazonaws.com")

MILLION = Usage(input_tokens=1_000_000)


def cost(place: tuple[str, str], model: str, usage: Usage, at: datetime = NOW, prices: Prices = PRICES) -> int | None:
    return prices.cost(*place, model, usage, at)


def dollars(
    place: tuple[str, str], model: str, at: datetime = NOW, prices: Prices = PRICES
) -> tuple[float, ...] | None:
    """Dollars for a million tokens of input and of output, of turns below every step in the prices."""
    input_ = cost(place, model, Usage(input_tokens=10_000), at, prices)
    output = cost(place, model, Usage(output_tokens=10_000), at, prices)
    return None if input_ is None or output is None else (input_ / 10_000, output / 10_000)
