"""
Takes credentials out of recorded content: bodies, messages and heads, before they touch the disk.

Long contents are looked at a window at a time: no call into the matcher holds the interpreter for long, since the
reactor waits for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from urllib.parse import unquote_to_bytes

from agentproxy.observe.credential_names import named
from agentproxy.observe.credential_shapes import AHEAD, BEHIND, Pattern, Place, shapes
from agentproxy.observe.redact import MARK, Redactor
from agentproxy.providers import CREDENTIAL_HEADERS, CREDENTIAL_SUBPROTOCOLS, KINDS

WINDOW = 32 * 1024
"""Bytes that are looked at in one go, besides to what is around them."""

_MARK = MARK.encode()
_NEEDLE = 8
_MEMO_WINDOWS = 4096
_MEMO_PLACES = 16
_MEMO_LEAST = 2048

# A count of tokens is none, nor is an author or authority.
_HEADER = re.compile(
    rb"token(?!s)|secret|api-?key|auth(?!or(?!iz))|passw|passphrase|cookie|credential|(?:access|function|subscription)s?-key"
)
_QUERY = frozenset({b"key", b"sig", b"signature", b"code", b"pass", b"x-amz-signature", b"x-goog-signature"}).union(
    *(kind.credential_query for kind in KINDS.values())
)
_PARAMETER = re.compile(
    rb"token(?!s)|secret|api[_-]?key|access[_-]?key|auth(?!or(?!iz))|passw|passphrase|cookie|credential"
)
_SUBPROTOCOL = re.compile(rb"(?i:(%b))[^\s,]+" % b"|".join(map(re.escape, CREDENTIAL_SUBPROTOCOLS)))


class _Known:
    """
    The process' secrets as they are searched for. It never changes: when the redactor learns more, a new one is made.

    :ivar longest: the longest form's length, in bytes.
    :ivar memo: places in windows that were looked at lately, by `ContentRedactor`: an agent sends the same again and
        again.
    """

    def __init__(self, forms: Iterable[str], words: Iterable[str]) -> None:
        groups: dict[bytes, list[bytes]] = {}
        for text in forms:
            form = text.encode("utf-8", "surrogatepass")
            # JSON may escape slashes.
            for written in {form, form.replace(b"/", b"\\/")}:
                groups.setdefault(written[:_NEEDLE], []).append(written)
        # A secret's forms have beginnings in common, and what is short is found faster.
        self._groups = tuple(groups.items())
        self.longest = max((len(form) for group in groups.values() for form in group), default=0)
        coded = [re.escape(word.encode("utf-8", "surrogatepass")) for word in sorted(words, key=len, reverse=True)]
        alone = rb"(?<![A-Za-z0-9\x80-\xff])(?:%b)(?![A-Za-z0-9\x80-\xff])"
        self._words = re.compile(alone % b"|".join(coded)) if coded else None
        self.memo: dict[tuple[bytes, int, int, bool], list[Place]] = {}

    def places(self, raw: bytes, start: int, stop: int) -> Iterator[Place]:
        """Where they begin in ``raw[start:stop]``."""
        for needle, forms in self._groups:
            at = raw.find(needle, start)
            while 0 <= at < stop:
                for form in forms:
                    if raw.startswith(form, at):
                        yield at, at + len(form), None
                at = raw.find(needle, at + 1)
        if self._words is not None:
            for match in self._words.finditer(raw, start):
                if match.start() >= stop:
                    break
                yield match.start(), match.end(), None


class ContentRedactor:
    """
    Cleans contents of the process' secrets, in the forms they travel in, and of what looks like a credential.

    What it looks at is one piece of content, such as a whole body: a secret that comes in two events of a stream, or in
    two messages of a WebSocket, is whole in neither, and stays. Any thread may use it.

    :param window: bytes to look at in one go.
    :ivar between: called between two windows, since a large body takes long.
    """

    def __init__(self, redactor: Redactor, *, window: int = WINDOW) -> None:
        self._redactor = redactor
        self._window = window
        self.between: Callable[[], object] = int
        self._known = _Known((), ())
        self._counts = (0, 0)

    def clean(self, data: bytes) -> bytes:
        """
        The data with `MARK` in place of every credential: JSON stays JSON, events stay events.

        Bytes that are no text pass as they are. Outside a JSON string only a secret of the process can go, as one that
        is a number.
        """
        known = self._up_to_date()
        out: list[bytes] = []
        size = len(data)
        done = covered = 0
        marked = -1
        for begin in range(0, size, self._window):
            self.between()
            end = min(begin + self._window, size)
            first = max(begin - BEHIND, 0)
            raw = data[first : end + max(AHEAD, known.longest)]
            # What is inside a value goes with it; only the process' secrets are looked for there, too.
            looked = min(max(begin, covered), end)
            spans: list[tuple[int, int]] = []
            for start, stop, rest in self._places(
                known, raw, begin - first, looked - first, end - first, first + len(raw) == size
            ):
                last = first + stop if rest is None else _end(rest, data, first + stop)
                if last > first + start:
                    spans.append((first + start, last))
                    covered = max(covered, last)
            parts: list[bytes] = []
            for start, stop in sorted(spans):
                if start > marked:
                    parts += (data[done:start], _MARK)
                marked = done = max(marked, stop)
            out.append(b"".join(parts))
        if marked < 0:
            return data
        out.append(data[done:])
        return b"".join(out)

    def _up_to_date(self) -> _Known:
        # Secrets are added and never taken away, by the reactor's thread, and to copy a set is one step.
        forms, words = self._redactor._forms, self._redactor._words
        counts = (len(forms), len(words))
        if counts != self._counts:
            self._known = _Known(tuple(forms), tuple(words))
            self._counts = counts
        return self._known

    def _places(self, known: _Known, raw: bytes, begin: int, looked: int, end: int, whole: bool) -> Iterable[Place]:
        if len(raw) < _MEMO_LEAST:
            return list(_all_places(known, raw, begin, looked, end, whole))
        # To digest this much lets go of the interpreter, so that the reactor has its turn between any two windows.
        key = (blake2b(raw, digest_size=16).digest(), begin, looked, whole)
        found = known.memo.get(key)
        if found is None:
            found = list(_all_places(known, raw, begin, looked, end, whole))
            if len(found) <= _MEMO_PLACES and all(place[2] is None for place in found):
                if len(known.memo) >= _MEMO_WINDOWS:
                    known.memo.clear()
                known.memo[key] = found
        return found


def _all_places(known: _Known, raw: bytes, begin: int, looked: int, end: int, whole: bool) -> Iterator[Place]:
    yield from known.places(raw, begin, end)
    if looked < end:
        low = raw.lower()
        yield from shapes(raw, low, looked, end, whole)
        yield from named(raw, low, looked, end, whole)


def _end(rest: Pattern, data: bytes, at: int) -> int:
    """Where what the rest matches from there ends, in steps of a window."""
    while True:
        stop = min(at + WINDOW, len(data))
        found = rest.match(data, at, stop)
        end = found.end() if found is not None else at
        if end < stop or stop == len(data):
            return end
        # What these mean depends on what comes behind them.
        back = len(data[at:end].rstrip(b"\\-%")) + at
        at = back if back > at else end


def head_json(
    fields: Iterable[tuple[bytes, bytes]],
    *,
    method: bytes | None = None,
    target: bytes | None = None,
    status: int | None = None,
) -> bytes:
    """
    A head as it is recorded: ``{"method", "target", "status", "fields": [[name, value], ...]}``, in UTF-8, without what
    is not given. Fields and query parameters whose names are a credential's have `MARK` for their values; the rest is
    still to be cleaned as any content is.

    Bytes that are not UTF-8 are taken for latin-1.
    """
    head: dict[str, object] = {}
    if method is not None:
        head["method"] = _text(method)
    if target is not None:
        head["target"] = _text(_marked_query(target))
    if status is not None:
        head["status"] = status
    head["fields"] = [[_text(name), _text(_marked_value(name.lower(), value))] for name, value in fields]
    return json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _marked_value(name: bytes, value: bytes) -> bytes:
    if name in CREDENTIAL_HEADERS or _HEADER.search(name):
        return _MARK
    return _SUBPROTOCOL.sub(rb"\1" + _MARK, value) if name == b"sec-websocket-protocol" else value


def _marked_query(target: bytes) -> bytes:
    path, mark, query = target.partition(b"?")
    parts = []
    for part in query.split(b"&"):
        name, equals, value = part.partition(b"=")
        plain = unquote_to_bytes(name.replace(b"+", b" ")).strip().lower()
        named = plain in _QUERY or _PARAMETER.search(plain) is not None
        parts.append(name + equals + _MARK if value and named else part)
    return path + mark + b"&".join(parts)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
