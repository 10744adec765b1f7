"""
Credentials by the name that they stand behind: members of JSON, parameters, shells' variables, header lines in a text.

Pure, as `credential_shapes` is. A name alone is not enough everywhere: source code is full of ``token = read()``. What
is quoted as JSON quotes it, is a parameter, or is set as a variable in capitals is believed; else its value has to
look the part, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentproxy.observe.credential_shapes import CREDENTIAL, Pattern, Place, run

# A name's last word, perhaps numbered, and its quote; what stands between it and its value; the value's quote. An
# archive of HTTP calls (HAR) gives name and value as two members.
_QUOTE = rb"\\{0,31}[\"']"
_TAIL = (
    rb"(?P<word>(?:[_-]?[0-9]{1,2})?)(?P<close>" + _QUOTE + rb")?"
    rb"(?P<between>\s{0,16}(?::=?|=>?|%3d)\s{0,16}(?:\[\s{0,16})?|\s{0,8},\s{0,16}\\{0,31}\"value\\{0,31}\"\s{0,8}:\s{0,8})"
    rb"(?P<open>" + _QUOTE + rb")?"
)
_NAMES = tuple(
    re.compile(last + _TAIL)
    for last in (
        rb"key",
        rb"token",
        rb"secret",
        rb"pass(?:w(?:or)?d|phrase)?",
        rb"_pwd",
        rb"auth(?:orization)?",
        rb"cookie",
        rb"credential(?:s)?",
    )
)
_KEY, _PASS = b"key", b"pass"
_PLAINLY = frozenset({b":", b"=", b":=", b"=>", b"%3d"})

_SURE = re.compile(
    rb"(?:passw(?:or)?d|passphrase|[_.-]pass|secret|authorization|cookie"
    rb"|(?:api|access|secret|private|auth)[ _.-]?(?:key|token)"
    rb"|(?:account|encryption|signing|master|subscription|service|app|storage|shared)[_.-]?key"
    rb"|(?:refresh|session|bearer|security|oauth2?|csrf|xsrf|bot|personal|deploy|registration|github|gitlab|login"
    rb"|(?<![a-z])(?:id|client|user|service|web|device|app))[_.-]?token)"
    rb"(?:[_-]?[0-9]{1,2})?\Z"
)
"""Ends of the names whose values are credentials whatever they look like."""
_ASKED = re.compile(rb"(?:\A|[?&#]|\\u0026|%26|%3f|&amp;)([a-z0-9_.\[\]-]{0,40})\Z")
"""What stands before the last word of a parameter's name, in a URL or a form."""
_ASKED_BACK = 48

_BYTE = rb"[^\s\"'\\,;&<>()\[\]{}|`]"
_MIXED = re.compile(rb"(?=%b{0,255}[0-9])(?=%b{0,255}[A-Za-z])%b{6}" % (_BYTE, _BYTE, _BYTE))
_RANDOM = re.compile(rb"(?=[\w.~+/=:-]{0,255}[0-9])(?=[\w.~+/=:-]{0,255}[A-Za-z])[\w.~+/=:-]{16}")
_PLAIN = re.compile(rb"(?:[0-9]{1,5}|true|false|null|none|yes|no|on|off)(?![\w.~+/=-])|[$(<{\[=%*]", re.IGNORECASE)
"""Values of a variable that are none, or stand for another one."""
_QUOTED = re.compile(rb"[^\s\"'\\,(){}\[\]]{4,512}+")
_SINGLE = re.compile(rb"[^'\"\\\r\n]{1,512}+(?=\\{0,31}')")
_SCHEME = re.compile(rb"(?:(?:bearer|basic|token|apikey|negotiate|key)[ \t]{1,4})?", re.IGNORECASE)
_SIGNED = re.compile(rb"AWS4-|(?:Digest|OAuth|Hawk|MAC) ")
_PAIR = re.compile(rb"[^\s=;\"'\\]{1,128}=")

_PARAMETER = re.compile(rb"[^\s\"'&<>\\`]*+")
_CODED_PARAMETER = re.compile(rb"(?:[^\s\"'&<>\\`%]++|%(?!26))*+")
_VARIABLE = re.compile(rb"[^\s\"'<>\\`]*+")
_WORDS = re.compile(_BYTE + rb"*+")
_LINE = re.compile(rb"[^\r\n\"'\\]*+")


def _member(depth: int) -> Pattern:
    # Nothing is unescaped, so that nothing moves. A quote behind n backslashes belongs to the JSON text that is as
    # deep inside others' strings as n, in binary, has ones at its end: 0, 2, 4 to the outermost, 1, 5, 9 to one in a
    # string of that. A value ends at a quote of its own depth, or of a lesser one, which ends the string around it.
    turn = 2 << depth
    inside = rb"(?:[^\"\\\r\n]++|(?:\\{%d})*+\\{%d}\"|\\++(?![\"\\]))*+" % (turn, turn - 1)
    # Backslashes before the quote that ends it that are not the quote's own.
    return re.compile(inside + rb"(?:(?:\\{%d})++(?=\\{%d}\"))?" % (turn, turn // 2 - 1))


_MEMBERS = tuple(_member(depth) for depth in range(6))


def named(raw: bytes, low: bytes, start: int, stop: int, whole: bool) -> Iterator[Place]:
    """
    Where values are whose names end in ``raw[start:stop]`` and say that they are credentials, in no order.

    :param raw, low, whole: as `credential_shapes.shapes` takes them.
    """
    for pattern in _NAMES:
        reach = 0
        for match in pattern.finditer(low, start):
            if match.start() >= stop:
                break
            # What is inside a value goes with it: looked at once more each, they could cost their number squared.
            if match.end() >= reach and (place := _value(raw, low, match, whole)) is not None:
                yield place
                reach = place[1] if place[2] is None else len(raw)


def _value(raw: bytes, low: bytes, match: re.Match[bytes], whole: bool) -> Place | None:
    close, between, opened = match["close"], match["between"], match["open"]
    at, value = match.start(), match.end()
    sure = _SURE.search(low, max(at - 24, 0), match.end("word")) is not None
    capital = raw[at : match.end("word")].isupper()
    if low.startswith((_KEY, _PASS), at) and not sure:
        capital = capital and low[at - 1 : at] == b"_"
        if low.startswith(_KEY, at) and not capital and (close or opened):
            return None
    likely = sure or capital
    if close is not None:
        if opened != close or not (likely or _RANDOM.match(raw, value)):
            return None
        if opened.endswith(b"'"):
            single = _SINGLE.match(raw, value)
            return None if single is None else (value, single.end(), None)
        return run(_MEMBERS[_depth(len(opened) - 1)], raw, value, whole)
    if between.strip(b" \t") not in _PLAINLY:
        return None
    if opened is not None:
        # The quote may be the end of a string that ends with the name, too.
        quoted = _QUOTED.match(raw, value)
        if quoted is None or not raw.startswith(opened, quoted.end()) or _PLAIN.match(raw, value):
            return None
        return (value, quoted.end(), None) if likely or _RANDOM.match(raw, value) else None
    if between in (b"=", b"%3d"):
        asked = _ASKED.search(low, max(at - _ASKED_BACK, 0), at)
        # Not "monkey", nor "compass".
        if asked is not None and (likely or not asked[1] or not low.startswith((_KEY, _PASS), at)):
            return run(_PARAMETER if between == b"=" else _CODED_PARAMETER, raw, value, whole)
        if capital:
            return None if _PLAIN.match(raw, value) else run(_VARIABLE, raw, value, whole)
    return _in_text(raw, low, at, value, likely, whole)


def _in_text(raw: bytes, low: bytes, at: int, value: int, likely: bool, whole: bool) -> Place | None:
    """A value without quotes, as in a header's line or in YAML; it may well be source code."""
    if low.startswith(b"cookie", at):
        return run(_LINE, raw, value, whole) if _PAIR.match(raw, value) else None
    if low.startswith(b"authorization", at):
        if _SIGNED.match(raw, value):
            return run(_LINE, raw, value, whole)
        scheme = _SCHEME.match(raw, value)
        value = value if scheme is None else scheme.end()
        return run(_WORDS, raw, value, whole) if CREDENTIAL.match(raw, value) else None
    if low.startswith(_KEY, at) and not likely:
        return None
    if not (_MIXED if likely else _RANDOM).match(raw, value):
        return None
    place = run(_WORDS, raw, value, whole)
    return None if place[2] is None and raw[place[1] : place[1] + 1] in (b"(", b"[") else place


def _depth(backslashes: int) -> int:
    return (~backslashes & (backslashes + 1)).bit_length() - 1
