"""
What passed, made ready for the disk: its content coding undone, cleaned, cut into blobs with a digest each, compressed.

An agent sends its instructions, its tools and all that was said before again with each request. The cuts fall where
the content itself says, so that what was there before is cut as before, whatever was put in or grew around it, and a
blob that is stored already needs no room.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, pairwise

import zstandard

from agentproxy.records.values import ContentRecord, Part
from agentproxy.wire.decoding import DecodeError, decoder

MAX_KEPT = 16 * 1024 * 1024
"""Bytes, decoded, that are kept of one piece of content."""
MAX_BLOB = 64 * 1024
"""Bytes of the largest blob; more at once would hold up the reactor, too."""
NEAR = 2048
"""Bytes between two cuts at least. With more there are fewer blobs, and more is stored again where little changes."""

_LEAST = 256
_LOOK = 128
_LONGEST_MARK = 192
_LONGEST_WORD = 4096

# Where a content may be cut. In rising order of what a cut there is worth: a paragraph of a text; a member that is
# often long; an object in a list, as messages and tools are; what a request consists of. A group tells which it was:
# one that came before a literal would cost the matcher its speed.
_MARKS = re.compile(
    rb"\\n\\n()|\n\n()"
    rb"|\"(?:text|content|arguments|output|description|parameters|input_schema|parts|data|thinking)\"\s{0,4}:()"
    rb"|\[\s{0,64}\{\s{0,64}\"()|,\s{0,64}\{\s{0,64}\"()"
    rb"|\"(?:messages|input|contents|system|instructions|system_?[iI]nstruction|tools)\"\s{0,4}:\s{0,4}"
    rb"(?:[\[\"]|\{\s{0,4}\"parts\")()"
)
_WORTH = (0, 1, 1, 2, 3, 3, 4)
_OBJECTS = (4, 5)
_WORD_ENDS = (b" ", b"\n", b'"', b"'", b",", b"&", b";")
_MAGIC = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}

_local = threading.local()


@dataclass(slots=True)
class Packed:
    """
    A piece of content as it is stored.

    :ivar size: bytes that passed.
    :ivar kept: bytes stored of it, decoded and cleaned.
    :ivar note: why not all of it was kept, or ``None``.
    :ivar blobs: each as its digest (BLAKE2b, 32 bytes, of what `unpack` gives) and what is stored, in order.
    """

    call_key: str
    number: int
    part: Part
    at_us: int
    size: int
    kept: int
    note: str | None
    is_text: bool
    blobs: list[tuple[bytes, bytes]]


def pack(record: ContentRecord, clean: Callable[[bytes], bytes]) -> Packed:
    """
    Make a piece of content ready for the disk. Of what can't be decoded nothing is kept: it can't be cleaned either.

    :param clean: takes credentials out; what it raises passes.
    """
    data, note = _decoded(record)
    data = clean(data)
    return Packed(
        call_key=record.call_key,
        number=record.number,
        part=record.part,
        at_us=record.at_us,
        size=record.size,
        kept=len(data),
        note=note,
        is_text=record.is_text,
        blobs=[(blake2b(blob, digest_size=32).digest(), _compressor().compress(blob)) for blob in cut(data)],
    )


def unpack(compressed: Iterable[bytes]) -> bytes:
    """
    The content that was packed into these blobs, in order.

    :raises ValueError: they are damaged.
    """
    blobs: list[bytes] = []
    try:
        for data in compressed:
            if not 0 <= zstandard.frame_content_size(data) <= MAX_BLOB:
                raise ValueError("a blob of no known size")
            blobs.append(zstandard.ZstdDecompressor().decompress(data))
    except zstandard.ZstdError:
        raise ValueError("a damaged blob") from None
    return b"".join(blobs)


def cut(data: bytes) -> Iterator[bytes]:
    """Cut it at marks that stand out among those near them, and at `MAX_BLOB` bytes where there is none."""
    # Lazily: to compress one blob lets go of the interpreter, before the next is looked for.
    for start, stop in pairwise(chain((0,), _cuts(data), (len(data),))):
        for at in range(start, stop, MAX_BLOB):
            yield data[at : min(at + MAX_BLOB, stop)]


def _cuts(data: bytes) -> Iterator[int]:
    """
    Marks that are worth more than any within `NEAR` bytes before them, and no less than any so near behind them.

    Whether a mark is one depends on nothing farther away than that.
    """
    # Marks that may still be one, by falling worth; whether one of them was outdone from before it.
    near: deque[tuple[int, int, bool]] = deque()
    for place, worth in _marks(data):
        while near and near[0][0] < place - NEAR:
            first, _, best = near.popleft()
            if best:
                yield first
        while near and near[-1][1] < worth:
            near.pop()
        near.append((place, worth, not near))
    for place, _, best in near:
        if best:
            yield place


def _marks(data: bytes) -> Iterator[tuple[int, int]]:
    """Each mark's place and worth; among those of a kind it is as good as random, by what stands there."""
    end = len(data) - _LEAST
    at = 0
    for begin in range(0, end, MAX_BLOB):
        limit = min(begin + MAX_BLOB, end)
        for match in _MARKS.finditer(data, max(at, begin), limit + _LONGEST_MARK):
            place, at = match.span()
            if place >= limit:
                at = place
                break
            kind = match.lastindex or 0
            # An object begins behind what it follows.
            place += kind in _OBJECTS
            if place >= _LEAST:
                yield place, _WORTH[kind] << 32 | zlib.crc32(data[place : place + _LOOK])


def _decoded(record: ContentRecord) -> tuple[bytes, str | None]:
    """What there is to keep of it, decoded, and why that is not all."""
    undo = decoder(record.coding, max_decoded=MAX_KEPT)
    if undo is None:
        return b"", "not decoded: unknown content coding"
    kept: list[bytes] = []
    room = MAX_KEPT
    note = None
    try:
        for piece in record.pieces:
            out = undo.feed(piece)
            kept.append(out[:room])
            room -= len(kept[-1])
            if len(kept[-1]) < len(out):
                return _shortened(kept)
    except DecodeError as error:
        if undo.decoded < MAX_KEPT:
            return b"", f"not decoded: {error}"
        return _shortened([*kept, error.before])
    came = sum(map(len, record.pieces))
    data = b"".join(kept)
    if came < record.size:
        data, note = _whole_words(data), f"cut at {came} bytes"
    else:
        try:
            undo.finish()
        except DecodeError as error:
            note = str(error)
    # What is compressed but does not say so hides what is in it, too.
    for magic, coding in _MAGIC.items():
        if data.startswith(magic):
            return b"", f"not decoded: looks like {coding}"
    return data, note


def _shortened(kept: list[bytes]) -> tuple[bytes, str]:
    return _whole_words(b"".join(kept)), f"cut at {MAX_KEPT} bytes"


def _whole_words(data: bytes) -> bytes:
    """Without what may be the beginning of a word that is not known for a secret without its end."""
    tail = data[-_LONGEST_WORD:]
    return data[: len(data) - len(tail) + max(tail.rfind(end) for end in _WORD_ENDS) + 1]


def _compressor() -> zstandard.ZstdCompressor:
    # One for each thread: none may be used by two at a time.
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=3)
    compressor: zstandard.ZstdCompressor = _local.compressor
    return compressor
