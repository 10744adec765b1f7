"""
permessage-deflate (RFC 7692): reading what was negotiated, and inflating a copy of the messages within bounds.

Nothing here compresses: what passes through the proxy passes as it came.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

DEFLATE = b"permessage-deflate"

MAX_INFLATED = 64 * 1024 * 1024
"""Bytes that one message may inflate to."""
SLACK = 16 * 1024 * 1024
"""Bytes that a direction's messages may inflate to whatever was fed."""
MAX_RATIO = 64
"""Bytes more that they may inflate to for each byte fed; text seldom comes to a third of that."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(rb"[ \t]*(%b)[ \t]*" % _TOKEN)
_QUOTED = rb'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e])*)"'
_PARAMETER = re.compile(rb";[ \t]*(%b)[ \t]*(?:=[ \t]*(?:(%b)|%b)[ \t]*)?" % (_TOKEN, _TOKEN, _QUOTED))
_IS_TOKEN = re.compile(_TOKEN)
_WINDOW_BITS = re.compile(rb"[89]|1[0-5]")

_INPUT = 16384
_STEP = 65536
_MAX_FINAL_BLOCKS = 16
_TAIL = b"\x00\x00\xff\xff"  # what the sender of a message took off its end (RFC 7692, 7.2.1)

Extension = tuple[bytes, dict[bytes, bytes | None]]
"""An extension: its name, and its parameters with their values, ``None`` where there is none. Names in lower case."""


def parse_extensions(value: bytes) -> list[Extension]:
    """
    Read a ``Sec-WebSocket-Extensions`` (RFC 6455, 9.1), several fields joined by commas.

    :returns: the extensions in order; one name may come more than once, as alternatives.
    :raises ValueError: it breaks the grammar, is empty, or gives a parameter twice.
    """
    extensions: list[Extension] = []
    at = 0
    while True:
        name = _NAME.match(value, at)
        if name is None:
            raise ValueError("an extension without a name")
        parameters: dict[bytes, bytes | None] = {}
        at = name.end()
        while (parameter := _PARAMETER.match(value, at)) is not None:
            key = parameter[1].lower()
            if key in parameters:
                raise ValueError("an extension parameter given twice")
            parameters[key] = _value(parameter[2], parameter[3])
            at = parameter.end()
        extensions.append((name[1].lower(), parameters))
        if at == len(value):
            return extensions
        if value[at : at + 1] != b",":
            raise ValueError("an extension that is not well-formed")
        at += 1


def _value(token: bytes | None, quoted: bytes | None) -> bytes | None:
    if quoted is None:
        return token
    text = re.sub(rb"\\(.)", rb"\1", quoted)
    if _IS_TOKEN.fullmatch(text) is None:
        raise ValueError("a quoted extension parameter that is no token")
    return text


@dataclass(frozen=True, slots=True)
class DeflateParams:
    """
    How two ends compress to each other (RFC 7692, 7.1).

    :ivar client_window_bits: the base-2 logarithm of the client's window in bytes, 8 to 15.
    :ivar client_no_context_takeover: whether the client begins each message with an empty window.
    """

    client_window_bits: int = 15
    server_window_bits: int = 15
    client_no_context_takeover: bool = False
    server_no_context_takeover: bool = False


def deflate_params(answered: bytes | None) -> DeflateParams | None:
    """
    What a server's ``Sec-WebSocket-Extensions`` says of permessage-deflate.

    :returns: ``None`` where it was not negotiated.
    :raises ValueError: bad grammar, or parameters that no answer may have.
    """
    if answered is None:
        return None
    for name, parameters in parse_extensions(answered):
        if name == DEFLATE:
            if not _answer_is_legal(parameters):
                raise ValueError("permessage-deflate parameters that are not legal in an answer")
            return DeflateParams(
                int(parameters.get(b"client_max_window_bits") or 15),
                int(parameters.get(b"server_max_window_bits") or 15),
                b"client_no_context_takeover" in parameters,
                b"server_no_context_takeover" in parameters,
            )
    return None


def negotiation_allowed(offered: bytes | None, answered: bytes | None) -> bool:
    """
    Whether a server may answer so (RFC 6455, 4.1; RFC 7692, 5.1 and 7.1).

    Every extension must have been offered, permessage-deflate comes once at most, with known parameters and legal
    values, and ``client_max_window_bits`` only where the client offered it. An offer that is malformed offers nothing.
    """
    if answered is None:
        return True
    try:
        answers = parse_extensions(answered)
        offers = parse_extensions(offered or b"")
    except ValueError:
        return False
    if not {name for name, _ in answers} <= {name for name, _ in offers}:
        return False
    deflates = [parameters for name, parameters in answers if name == DEFLATE]
    if not deflates:
        return True
    sizes_offered = any(name == DEFLATE and b"client_max_window_bits" in parameters for name, parameters in offers)
    (answer, *more) = deflates
    return not more and _answer_is_legal(answer) and (sizes_offered or b"client_max_window_bits" not in answer)


def _answer_is_legal(parameters: dict[bytes, bytes | None]) -> bool:
    for key, value in parameters.items():
        if key in (b"client_no_context_takeover", b"server_no_context_takeover"):
            if value is not None:
                return False
        elif key in (b"client_max_window_bits", b"server_max_window_bits"):
            if value is None or _WINDOW_BITS.fullmatch(value) is None:
                return False
        else:
            return False
    return True


class InflateError(Exception):
    """A compressed message that can't be read. Its text quotes nothing of it."""


class Inflater:
    """
    Inflates one direction's messages, in steps of bounded memory.

    :param window_bits: the sender's, 8 to 15.
    :param no_context_takeover: whether each message begins with an empty window.
    :param max_inflated: bytes that one message may inflate to. All of them together may to `SLACK` and `MAX_RATIO`
        times what was fed: reading a copy is not to cost more than its sender pays for.
    :ivar inflated: bytes that the current message has inflated to so far.
    """

    __slots__ = ("_allowed", "_bits", "_enough", "_finals", "_max", "_stream", "inflated", "no_context_takeover")

    def __init__(self, *, window_bits: int, no_context_takeover: bool, max_inflated: int = MAX_INFLATED) -> None:
        self._bits = -window_bits
        self._max = max_inflated
        self._stream: zlib._Decompress | None = None
        self._finals = 0
        self._enough = False
        self._allowed = SLACK
        self.no_context_takeover = no_context_takeover
        self.inflated = 0

    def begin(self) -> None:
        """A message begins."""
        self.inflated = 0
        self._finals = 0
        if self.no_context_takeover:
            self._stream = None
            self._enough = False

    def peek(self, data: bytes, most: int) -> bytes:
        """
        The first bytes of a message that needs none before it, without taking them: ``data`` is its beginning, and is
        to be fed all the same. Fewer than ``most`` where it has fewer, or is broken.
        """
        try:
            return zlib.decompressobj(self._bits).decompress(data, most)
        except zlib.error:
            return b""

    def feed(self, data: bytes, room: int) -> bytes:
        """
        Inflate the message's next bytes.

        What is more than ``room`` is inflated all the same, for the sake of the messages that follow, and thrown away;
        without context takeover the rest of the data is not even looked at.

        :param room: how many bytes of what comes out are wanted, from its beginning.
        :raises InflateError: invalid data, or over the limit; from then on the context is lost.
        """
        if self._enough:
            return b""
        kept: list[bytes] = []
        most = min(max(room, 0) + 1, _STEP) if self.no_context_takeover else _STEP
        self._allowed += MAX_RATIO * len(data)
        for at in range(0, len(data), _INPUT):
            piece = data[at : at + _INPUT]
            while piece:
                out, piece = self._step(piece, most)
                if room > 0:
                    kept.append(out[:room])
                room -= len(out)
                if room < 0 and self.no_context_takeover:
                    self._enough = True
                    return b"".join(kept)
        return kept[0] if len(kept) == 1 else b"".join(kept)

    def finish(self, room: int) -> bytes:
        """The message is whole: what its end still brings, as `feed` gives it."""
        # A final block (RFC 7692, 7.2.3.4) with nothing behind it has nothing left to be told apart.
        return self.feed(_TAIL, room) if self._stream is not None else b""

    def _step(self, piece: bytes, most: int) -> tuple[bytes, bytes]:
        """
        Inflate at most ``most`` bytes: (what came out, what is left of the piece).

        zlib may keep back some output where the piece ends; it comes with the next one, of which the tail is the last.
        """
        stream = self._stream
        if stream is None:
            stream = self._stream = zlib.decompressobj(self._bits)
        try:
            out = stream.decompress(piece, most)
        except zlib.error:
            raise InflateError("invalid deflate data") from None
        self.inflated += len(out)
        self._allowed -= len(out)
        if self._allowed < 0:
            raise InflateError("messages that inflate out of all proportion")
        if self.inflated > self._max:
            raise InflateError(f"a message that inflates to more than {self._max} bytes")
        if not stream.eof:
            return out, stream.unconsumed_tail
        # Behind a final block zlib begins anew, and so do the compressors that write one.
        self._finals += 1
        if self._finals > _MAX_FINAL_BLOCKS:
            raise InflateError(f"a message of more than {_MAX_FINAL_BLOCKS} final blocks")
        self._stream = None
        return out, stream.unused_data
