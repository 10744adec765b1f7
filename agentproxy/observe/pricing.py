"""
What a turn costs, in whole micro-dollars: by the list prices of the library genai-prices, a user's own over them.

The prices travel inside the library's package. Nothing is fetched: its updater is never started, and what one that
somebody else started brings in is not looked at. What has no known price costs ``None``, never 0.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import partial

import genai_prices

# Not its snapshot: that one can be replaced at run time, and remembers every name that it was ever asked for.
from genai_prices.data import providers as _SHOPS
from genai_prices.types import ModelInfo, Provider, TieredPrices

from agentproxy.observe.own_prices import OwnPrice, load_own
from agentproxy.usage import Usage

__all__ = ["OwnPrice", "Prices", "load_own"]

_LONGEST_NAME = 256
_MOST_FOUND = 1024
# Digits: ten of a count, and of a price as many as the library cares to give (up to 18 behind the point now).
_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)

_Prices = Mapping[str, Decimal | TieredPrices | None]
"""By the library's keys: dollars for a million tokens (``..._mtok``) or a thousand calls (``..._kcount``)."""
_Tariff = Callable[[datetime], _Prices | None]
"""A model's prices at a time; ``None``: none are known for then."""

# Meters by lists of its own, which lack some of the models that it carries: those go by their maker's.
_COPILOT = "github-copilot"
_BY_ID = {shop.id: shop for shop in _SHOPS}
_BY_KIND = {
    "openai": "openai",
    "chatgpt": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "copilot": _COPILOT,
}
# Models that one company sells: behind a gateway of unknown prices they are reckoned by their maker's. An open model
# costs what its host asks: without a known host its price is not known.
_FAMILIES = (
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "google"),
    (re.compile(r"grok-"), "x-ai"),
    (re.compile(r"(?:chat)?gpt-|o\d|codex-|text-embedding-"), "openai"),
)
_OPEN = ("gpt-oss", "gemma")
# An entry without any price: free where its name says so, else not known.
_FREE = ":free"

# What providers put around a model's name, from the outside in.
_AROUND = (
    # "models/gemini-...", "publishers/google/models/...", "openai/gpt-...", the ARN of an inference profile
    re.compile(r"^.*/"),
    # the window that Claude Code asks for: "claude-sonnet-4-5[1m]"
    re.compile(r"\[\d+[km]\]$"),
    # Bedrock's region and vendor: "us.anthropic.claude-..."
    re.compile(r"^(?:[a-z][a-z-]*\.){1,2}(?=[a-z])"),
    # Bedrock's version: "-v1:0"
    re.compile(r"-v\d+(?::\d+)?$"),
    # "-2025-08-07", "-20250929", Vertex's "@20250929", Gemini's "-001" and "-05-20"
    re.compile(r"[-@](?:20\d\d-\d\d-\d\d|20\d{6}|00\d|\d\d-(?:20)?\d\d|latest|default)$"),
)


class Prices:
    """
    Tells what turns cost.

    :param own: prices by the model's name, or the beginning of names and ``*``, as `load_own` gives them. An entry
        takes the place of the library's as a whole. A name goes before a beginning, a longer one before a shorter.
    :ivar version: which prices these are, for the record: the library's version, and a hash of one's own, if any.
    """

    def __init__(self, own: Mapping[str, OwnPrice] = {}) -> None:
        listed = {name.lower(): _as_listed(price) for name, price in own.items()}
        self._exact = {name: prices for name, prices in listed.items() if not name.endswith("*")}
        beginnings = sorted((name for name in listed if name.endswith("*")), key=len, reverse=True)
        self._beginnings = [(name[:-1], listed[name]) for name in beginnings]
        self._found: dict[tuple[str, str, str], _Tariff | None] = {}
        self.version = f"genai-prices {genai_prices.__version__}"
        if own:
            content = repr(sorted((name.lower(), price) for name, price in own.items()))
            self.version += f" + {hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def cost(self, kind: str, host: str, model: str, usage: Usage, at: datetime) -> int | None:
        """
        What a turn costs at list price; of a subscription: what it would.

        :param kind: the provider's kind; ``host``: of its upstream.
        :param model: the model's name as the provider answered it.
        :param usage: each count a few times `agentproxy.usage.MOST_TOKENS` at most.
        :param at: when it began; without a zone: in UTC. Prices have dates, and some a time of day.
        :returns: micro-dollars, half of one rounded up; ``None`` where no price is known.
        """
        if len(model) > _LONGEST_NAME:
            return None
        key = (kind, host, model)
        if key not in self._found:
            # Names come from outside: what is kept of them has a bound.
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            self._found[key] = self._tariff(kind, host, model)
        tariff = self._found[key]
        prices = None if tariff is None else tariff(at)
        return None if prices is None else _reckon(prices, usage)

    def _tariff(self, kind: str, host: str, model: str) -> _Tariff | None:
        names = _names(model)
        own = self._own(names)
        if own is not None:
            return lambda at: own
        for shop in _shops(kind, host, names):
            for name in names:
                found = shop.find_model(name, all_providers=_SHOPS)
                if found is not None and (_has_prices(found) or found.id.endswith(_FREE)):
                    return partial(_prices_at, found)
        return None

    def _own(self, names: tuple[str, ...]) -> _Prices | None:
        for name in names:
            if name in self._exact:
                return self._exact[name]
        for beginning, prices in self._beginnings:
            if any(name.startswith(beginning) for name in names):
                return prices
        return None


def _as_listed(own: OwnPrice) -> _Prices:
    """One's own prices in the library's form."""
    tokens = {
        "input_mtok": own.input,
        "output_mtok": own.output,
        "cache_read_mtok": own.cache_read,
        "cache_write_mtok": own.cache_write,
        "cache_write_1h_mtok": own.cache_write_1h,
        "input_audio_mtok": own.input_audio,
        "output_audio_mtok": own.output_audio,
    }
    prices = {key: Decimal(price).scaleb(-6) for key, price in tokens.items() if price is not None}
    if own.web_search is not None:
        prices["web_searches_kcount"] = Decimal(own.web_search).scaleb(-3)
    return prices


def _names(model: str) -> tuple[str, ...]:
    """A model's name as it was told, then with ever less around it."""
    names = [model.strip().lower()]
    for pattern in _AROUND:
        names.append(pattern.sub("", names[-1]))
    return tuple(dict.fromkeys(name for name in names if name))


def _shops(kind: str, host: str, names: tuple[str, ...]) -> list[Provider]:
    """Whose lists a model is looked up in, in this order."""
    url = f"https://{host}/"
    seller = next((shop for shop in _SHOPS if re.match(shop.api_pattern, url)), None)
    if seller is not None and seller.id != _COPILOT:
        # A known host has prices of its own; another's for the same name would be wrong, perhaps by much.
        return [seller]
    if any(name.startswith(_OPEN) for name in names):
        return []
    ids = [_BY_KIND.get(kind, "") if seller is None else seller.id]
    ids += [family for pattern, family in _FAMILIES if any(pattern.match(name) for name in names)]
    return [_BY_ID[each] for each in dict.fromkeys(ids) if each in _BY_ID]


def _has_prices(model: ModelInfo) -> bool:
    return isinstance(model.prices, list) or bool(vars(model.prices))


def _prices_at(model: ModelInfo, at: datetime) -> _Prices | None:
    prices: _Prices = vars(model.get_prices(at))
    # Some are charged by the hour, the page or the character, which a turn's tokens do not tell.
    return prices if prices.get("input_mtok") is not None or model.id.endswith(_FREE) else None


def _reckon(prices: _Prices, usage: Usage) -> int:
    """
    Each token once, by the most particular price there is.

    Of audio of which it is not told whether it was read from a cache, as much as can be is taken for fresh, so that the
    sum is at most too high.
    """
    read = usage.cache_read_tokens
    write_1h = usage.cache_write_1h_tokens
    write = max(usage.cache_write_tokens, write_1h)
    size = max(usage.input_tokens, read + write)
    fresh = size - read - write
    known = min(usage.cache_read_audio_tokens, usage.input_audio_tokens, read)
    fresh_audio = min(usage.input_audio_tokens - known, fresh)
    read_audio = min(usage.input_audio_tokens - fresh_audio, read)
    output_audio = min(usage.output_audio_tokens, usage.output_tokens)
    reasoning = min(usage.reasoning_tokens, usage.output_tokens - output_audio)
    parts = (
        (fresh - fresh_audio, ("input_mtok",)),
        (fresh_audio, ("input_audio_mtok", "input_mtok")),
        (read - read_audio, ("cache_read_mtok", "input_mtok")),
        (read_audio, ("cache_audio_read_mtok", "cache_read_mtok", "input_audio_mtok", "input_mtok")),
        (write - write_1h, ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok")),
        (write_1h, ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok")),
        (usage.output_tokens - output_audio - reasoning, ("output_mtok",)),
        (output_audio, ("output_audio_mtok", "output_mtok")),
        (reasoning, ("output_reasoning_mtok", "output_mtok")),
        # Dollars for a million tokens are micro-dollars for one; for a thousand calls, thousands of them for one.
        (1000 * usage.web_searches, ("web_searches_kcount",)),
        (1000, ("requests_kcount",)),
    )
    with localcontext(_EXACT):
        total = sum((count * _price(prices, keys, size) for count, keys in parts if count), Decimal(0))
        return int(total.to_integral_value(ROUND_HALF_UP))


def _price(prices: _Prices, keys: tuple[str, ...], size: int) -> Decimal:
    """The first of these prices that there is, at so many input tokens; 0 without any, as an embedding's output has."""
    for key in keys:
        price = prices.get(key)
        if isinstance(price, TieredPrices):
            # A step's price goes for all tokens of a turn that is over it; steps are in ascending order.
            return next((step.price for step in reversed(price.tiers) if size > step.start), price.base)
        if price is not None:
            return price
    return Decimal(0)
