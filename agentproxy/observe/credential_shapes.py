"""
What credentials look like by themselves: vendors' keys, tokens behind a scheme's name, private keys, user information.

Pure: a stretch of bytes in, places out. Every pattern begins with a literal, which the matcher finds at the speed of
a plain search, and reads a bounded number of bytes for each place at which it could begin. For short texts there is
`ANY`, which knows the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Pattern = re.Pattern[bytes]
Place = tuple[int, int, Pattern | None]
"""Start, end, and, where the stretch ended before the credential surely did, what matches the rest of it there."""

AHEAD = 1024
"""Bytes from its first one on that a pattern reads to make sure; behind them is only the rest of a run."""
BEHIND = 64
"""Bytes before its first one that a pattern looks back."""

# An escape ends in a letter or digit, and yet a key may begin right behind it.
_START = rb"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt])|(?<=\\u[0-9A-Fa-f]{4}))"

_WORD = re.compile(rb"\w*+")
_DASHED = re.compile(rb"[\w-]*+")
_DOTTED = re.compile(rb"[\w.-]*+")
_BASE64 = re.compile(rb"[\w.~+/=-]*+")
# Lines of a key, their ends escaped or not; the line behind its last begins with dashes.
_ARMOUR = re.compile(rb"(?:[A-Za-z0-9+/=:,.\s]++|\\++[nrt]|-(?!----))*+")
_NOTHING = re.compile(rb"")

CREDENTIAL = re.compile(rb"(?=[\w.~+/-][a-z._~+/-]{0,256}[0-9A-Z=])[\w.~+/=-]{8,}+")
"""Anything but a plain word, as in "Bearer authentication"."""


def _apart(literal: bytes, then: bytes) -> bytes:
    """A literal with nothing before it that it could be a part of."""
    # Looking back from behind it leaves the literal the first thing in the pattern.
    return literal + rb"(?<=" + _START + literal + rb")" + then


_USER = rb"([^\s/?#\"'\\<>@:]{0,256}:[^\s/?#\"'\\<>]{1,512}|[^\s/?#\"'\\<>@:]{20,512})@"
_SHAPES: tuple[tuple[Pattern, Pattern], ...] = tuple(
    (re.compile(pattern), rest)
    for pattern, rest in (
        (rb"sk-(?:(?:ant|proj|svcacct|admin|or)-[\w-]{4,}+|(?<=" + _START + rb"sk-)[\w-]{8,}+)", _DASHED),
        (_apart(rb"ek_", rb"[\w-]{8,}+"), _DASHED),
        (_apart(rb"eyJ", rb"[\w-]{8,}+(?:\.[\w-]++){0,4}+"), _DOTTED),
        (rb"AIza[\w-]{16,}+", _DASHED),
        (rb"ya29\.[\w.-]{8,}+", _DOTTED),
        (rb"gh[oprsu]_[A-Za-z0-9]{10,}+", _WORD),
        (rb"github_pat_\w{10,}+", _WORD),
        (rb"glpat-[\w.-]{10,}+", _DOTTED),
        (_apart(rb"AKIA", rb"[0-9A-Z]{16}(?![0-9A-Za-z])"), _NOTHING),
        (_apart(rb"ASIA", rb"[0-9A-Z]{16}(?![0-9A-Za-z])"), _NOTHING),
        (rb"xox[abeoprs][.-][\w.-]{8,}+", _DOTTED),
        (rb"xapp-[0-9][\w-]{8,}+", _DASHED),
        (_apart(rb"npm_", rb"[A-Za-z0-9]{20,}+"), _WORD),
        (rb"pypi-(?=[a-z-]{0,8}[A-Z0-9_])[\w-]{16,}+", _DASHED),
        (_apart(rb"hf_", rb"[A-Za-z0-9]{20,}+"), _WORD),
        (_apart(rb"gsk_", rb"[A-Za-z0-9]{20,}+"), _WORD),
        (_apart(rb"xai-", rb"[A-Za-z0-9]{20,}+"), _WORD),
        (rb"sk_(?:live|test)_\w{8,}+", _WORD),
        (rb"rk_(?:live|test)_\w{8,}+", _WORD),
        (rb"whsec_[\w+/=-]{16,}+", _BASE64),
        (rb"://" + _USER, _NOTHING),
        # A slash may be escaped in JSON.
        (rb":\\/\\/" + _USER, _NOTHING),
    )
)
"""Each with the rest of it. A group is the credential, where the whole match is not."""

_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_SPACE = rb"(?:[ \t]{1,4}|%20)"
_SCHEMES = tuple(re.compile(name + _SPACE) for name in (rb"bearer", rb"basic"))

ANY = re.compile(
    b"|".join(
        (
            *(pattern.pattern for pattern, _ in _SHAPES),
            _PRIVATE_KEY.pattern + b"(" + _ARMOUR.pattern + b")",
            rb"[Bb](?i:earer|asic)" + _SPACE + b"(" + CREDENTIAL.pattern + b")",
        )
    ).decode(),
    re.ASCII,
)
"""All of them in one. The group that took part is the credential, where the whole match is not."""


def run(rest: Pattern, raw: bytes, at: int, whole: bool) -> Place:
    """The place that the rest takes from there on, left open where the stretch ends first."""
    found = rest.match(raw, at)
    end = found.end() if found is not None else at
    return (at, end, None) if whole or end < len(raw) else (at, at, rest)


def shapes(raw: bytes, low: bytes, start: int, stop: int, whole: bool) -> Iterator[Place]:
    """
    Where credentials are that begin in ``raw[start:stop]``, in no order.

    :param raw: from `BEHIND` bytes before ``start``, or the content's beginning, to `AHEAD` bytes behind ``stop``.
    :param low: the same in lower case.
    :param whole: whether it goes to the content's end.
    """
    for pattern, rest in _SHAPES:
        for match in pattern.finditer(raw, start):
            if match.start() >= stop:
                break
            first, last = match.span(pattern.groups)
            yield first, last, rest if last == len(raw) and not whole else None
    for match in _PRIVATE_KEY.finditer(raw, start):
        if match.start() >= stop:
            break
        yield run(_ARMOUR, raw, match.end(), whole)
    for scheme in _SCHEMES:
        for match in scheme.finditer(low, start):
            if match.start() >= stop:
                break
            if CREDENTIAL.match(raw, match.end()):
                yield run(_BASE64, raw, match.end(), whole)
