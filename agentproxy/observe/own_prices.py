"""
A user's own prices: a file that lies over the list prices, for a contract, a gateway or a machine of one's own.

An example::

    [models."gpt-5"]          # or the beginning of names: "gpt-5*"
    input = 1250000           # micro-dollars for a million tokens
    output = 10000000
    cache_read = 125000
    web_search = 10000        # micro-dollars for one
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentproxy.config.table import Table, mistake, shown

MOST_MICRO_USD = 10**10
"""The highest price that is taken for one: 10,000 dollars for a million tokens, or for a search."""

_LF = b"\n"


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """
    What a user pays for a model: micro-dollars for a million tokens.

    What is not named costs what the more general does: a cache's read and its write the input's price, a write for an
    hour that of any write, audio that of text.

    :ivar web_search: micro-dollars for one; ``None``: not charged.
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    web_search: int | None = None


def load_own(path: str) -> Mapping[str, OwnPrice]:
    """
    Read a file of one's own prices: a table ``[models."NAME"]`` for each model, keys as in `OwnPrice`.

    :returns: by the model's name in lower case, or the beginning of names, which ends in ``*``.
    :raises ConfigError: the first mistake, in one line.
    """
    table = Table(_read(path), path, "")
    table.only("models")
    models = table.table("models")
    own: dict[str, OwnPrice] = {}
    for name in models:
        if not name.strip() or "*" in name[:-1]:
            raise models.wrong(name, 'a model\'s name, or the beginning of one and "*"', shown(name))
        if name.lower() in own:
            raise models.wrong(name, "each model once, in whatever case", "a second table")
        own[name.lower()] = _own_price(models.table(name))
    return own


def _own_price(table: Table) -> OwnPrice:
    table.only(*OwnPrice.__slots__)

    def price(key: str) -> int:
        return table.integer(key, 0, MOST_MICRO_USD)

    def optional(key: str) -> int | None:
        return price(key) if key in table else None

    return OwnPrice(
        input=price("input"),
        output=price("output"),
        cache_read=optional("cache_read"),
        cache_write=optional("cache_write"),
        cache_write_1h=optional("cache_write_1h"),
        input_audio=optional("input_audio"),
        output_audio=optional("output_audio"),
        web_search=optional("web_search"),
    )


def _read(path: str) -> dict[str, object]:
    want = "a readable TOML file"
    try:
        return tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise mistake(path, "", want, error.strerror or type(error).__name__) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(_LF) + 1
        raise mistake(path, f"line {line}", "UTF-8", "other bytes") from None
    except tomllib.TOMLDecodeError as error:
        raise mistake(path, "", "TOML", str(error)[:1].lower() + str(error)[1:]) from None
    except (ValueError, RecursionError) as error:
        raise mistake(path, "", want, f"one that can't be read ({type(error).__name__})") from None
