"""
A turn as a line: JSON, or CSV for a spreadsheet.

Much of a turn is said by agents and providers. In CSV a text that a spreadsheet would take for a formula gets an
apostrophe before it, and a character that is not one to look at becomes an escape, so that a turn is always one line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping

from agentproxy.cli.texts import printable
from agentproxy.cli.words import as_json

COLUMNS = (
    "id", "call_id", "request_id", "session", "session_source", "agent", "agent_version", "sub_agent",
    "working_directory", "provider", "protocol", "operation", "lane", "request_model", "response_model", "started",
    "first_token_s", "duration_s", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "web_searches",
    "cost_micro_usd", "price_version", "source", "status", "stop_reason", "tools", "response_id",
    "upstream_request_id", "close", "note", "degraded",
)  # fmt: skip
"""A turn's keys, as the columns of the CSV: more may come at the end, so that who reads by place goes on."""

# Spreadsheets compute what begins so, some of them behind blanks or in full-width characters, too.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|\t")


def json_line(turn: Mapping[str, object]) -> str:
    return as_json(turn) + "\n"


def csv_head() -> str:
    return _line(["close_code" if name == "close" else name for name in COLUMNS])


def csv_line(turn: Mapping[str, object]) -> str:
    """Tools are words in one cell, of a WebSocket's close there is the code."""
    return _line([_cell(_FLAT[name](turn[name]) if name in _FLAT else turn[name]) for name in COLUMNS])


def _code(close: object) -> object:
    return close.get("code") if isinstance(close, Mapping) else None


def _words(tools: object) -> object:
    return " ".join(map(str, tools)) if isinstance(tools, list) else tools


# What is no single value in a turn, and how it becomes one.
_FLAT: Mapping[str, Callable[[object], object]] = {"tools": _words, "close": _code}


def _cell(value: object) -> str:
    if value is None:
        return ""
    # A number of ours is no formula, whatever its sign.
    return harmless(value) if isinstance(value, str) else str(value)


def harmless(text: str) -> str:
    """A text that is only a text in a spreadsheet, and on one line."""
    return printable(f"'{text}" if _FORMULA.match(text) else text)


def _line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
