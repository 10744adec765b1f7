"""Recorded values as texts for a table: what comes from outside can do nothing to a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

NOTHING = "-"
"""For what is not known or does not apply: so each row has a word in each column."""


def printable(text: str) -> str:
    """
    The text with an escape (``\\x1b``, ``\\u202e``) in place of each character that is not one to look at.

    Those are controls, line breaks, surrogates, and what turns the direction of writing or is not seen at all.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def encodable(text: str, encoding: str | None) -> str:
    """The text with escapes in place of what the encoding of an output lacks."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)


def width(text: str) -> int:
    """Columns of a terminal that a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def text(value: object) -> str:
    """A name, or `NOTHING`."""
    return NOTHING if value is None or value == "" else str(value)


def joined(values: Iterable[object], most: int = 3) -> str:
    """The first few of a list, and how many are left out."""
    found = [str(value) for value in values if value]
    more = [f"+{len(found) - most}"] if len(found) > most else []
    return ", ".join(found[:most] + more) or NOTHING


def count(value: object) -> str:
    """A number with separators, or `NOTHING`."""
    return f"{value:,}" if isinstance(value, int) else text(value)


def percent(share: object) -> str:
    """0 to 1 as ``64.8%``, or `NOTHING`."""
    return f"{share:.1%}" if isinstance(share, int | float) else NOTHING
