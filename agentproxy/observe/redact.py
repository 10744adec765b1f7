"""
Takes secrets out of free text: those that are known, in the forms they travel in, and what looks like a credential.

The last defence of the log, never the first: nothing is to put a secret into a message to begin with.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from agentproxy.observe.credential_shapes import ANY

MARK = "[redacted]"
SHORT = 6
"""Secrets of fewer characters are replaced as whole words only."""

_MEMO_TEXTS = 512
_MEMO_CHARACTERS = 256


class Redactor:
    """Knows the secrets of the process, and cleans texts of them."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._words: set[str] = set()
        self._clean: set[str] = set()

    def add(self, secret: str) -> None:
        """Know this secret from now on; the empty one is none."""
        if len(secret) >= SHORT:
            self._forms.update(_written(secret), _in_base64(secret))
        elif secret:
            self._words.update(_written(secret), (base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode(),))
        self._clean.clear()

    def clean(self, text: str) -> str:
        """The text with `MARK` in place of every secret and of what looks like one."""
        if text in self._clean:
            return text
        spans = sorted(self._spans(text))
        if spans:
            return _marked(text, spans)
        if len(text) <= _MEMO_CHARACTERS:
            if len(self._clean) >= _MEMO_TEXTS:
                self._clean.clear()
            self._clean.add(text)
        return text

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for form in self._forms:
            yield from _places(text, form)
        for word in self._words:
            for start, end in _places(text, word):
                if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
                    yield start, end
        for match in ANY.finditer(text):
            yield match.span(match.lastindex or 0)


def _places(text: str, form: str) -> Iterator[tuple[int, int]]:
    """Where the form is in the text, as start and end. A place inside the last one found adds nothing but its tail."""
    start = text.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = text.find(form, start + 1)


def _marked(text: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    reach = -1
    for start, end in spans:
        if start > reach:
            parts += [text[done:start], MARK]
        reach = done = max(reach, end)
    return "".join((*parts, text[done:]))


def _written(secret: str) -> Iterator[str]:
    """The secret as it is, quoted by JSON or Python, and percent-encoded."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    for encode in (quote, quote_plus):
        for safe in ("", "/"):
            coded = encode(secret, safe=safe, errors="surrogatepass")
            yield coded
            yield re.sub("%..", lambda escape: escape[0].lower(), coded)


def _in_base64(secret: str) -> Iterator[str]:
    """
    The secret in base64 (RFC 4648, 4 and 5), whole or inside something longer.

    Three bytes make four characters, so a secret inside something longer can begin at three places of a group; of a
    group that it shares with its neighbours only the characters that are all its own are known.
    """
    data = secret.encode("utf-8", "surrogatepass")
    whole = base64.b64encode(data).decode()
    forms = [whole, whole.rstrip("=")]
    for ahead in range(3):
        coded = base64.b64encode(bytes(ahead) + data).decode()
        forms.append(coded[-(-ahead * 4 // 3) : (ahead + len(data)) * 4 // 3])
    for form in forms:
        yield form
        yield form.replace("+", "-").replace("/", "_")
