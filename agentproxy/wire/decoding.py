"""
Content codings (RFC 9110, 8.4.1): decoding a copy of a body within bounds, so that it can be read.

What passes through the proxy passes as it came; nothing here encodes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

from agentproxy.wire.deflate import MAX_RATIO, SLACK

MAX_DECODED = 64 * 1024 * 1024
"""Bytes that one body may decode to. All codings together may besides to `SLACK` and `MAX_RATIO` times what was fed."""
MAX_CODINGS = 4
"""Codings, one over the other, that are undone; more than one is rare, and each takes its own window."""
MAX_ZSTD_WINDOW = 8 * 1024 * 1024
"""What a sender may ask for (RFC 9659, 3), in bytes; zstd could ask for far more."""

_INPUT = 16384
_STEP = 65536
# zstandard has no bound on what a call brings, but zstd has: a block takes 4 bytes and brings 128 KiB (RFC 8878,
# 3.1.1.2), so a call for this many bytes brings about 4 MiB. Half as many would cost half as much time again.
_ZSTD_INPUT = 128


class DecodeError(Exception):
    """
    A body that can't be decoded. Its text is short and quotes nothing of it.

    :ivar before: what the bytes last fed had brought before they failed.
    """

    def __init__(self, reason: str, before: bytes = b"") -> None:
        super().__init__(reason)
        self.before = before


class _Coding(Protocol):
    """Undoes one coding, in steps of bounded memory."""

    name: str

    @property
    def whole(self) -> bool:
        """Whether the body may end here; before its first byte it may."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        What comes out, in pieces.

        :raises DecodeError: invalid data.
        """


class _Gzip:
    """gzip (RFC 1952): one member or several in a row."""

    name = "gzip"

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None

    @property
    def whole(self) -> bool:
        return self._stream is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in _pieces(data, _INPUT):
            while piece:
                stream = self._stream = self._stream or zlib.decompressobj(31)
                yield from _inflated(stream, piece, self.name)
                if stream.eof:
                    self._stream = None
                piece = stream.unused_data


class _Deflate:
    """deflate: zlib's format (RFC 1950), or, as some send it, the bare one (RFC 1951)."""

    name = "deflate"

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None
        self._head = b""

    @property
    def whole(self) -> bool:
        return not self._head if self._stream is None else self._stream.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        if stream is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            # zlib's first two bytes (RFC 1950, 2.2). A bare block that begins so would be a stored one, its padding
            # not zero: no compressor writes that.
            wrapped = data[0] & 15 == 8 and data[0] >> 4 <= 7 and int.from_bytes(data[:2], "big") % 31 == 0
            stream = self._stream = zlib.decompressobj(15 if wrapped else -15)
        for piece in _pieces(data, _INPUT):
            if not stream.eof:
                yield from _inflated(stream, piece, self.name)
                piece = stream.unused_data
            if piece:
                raise DecodeError("bytes behind the end of deflate data")


class _Brotli:
    """Brotli (RFC 7932)."""

    name = "brotli"

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._begun = False

    @property
    def whole(self) -> bool:
        return not self._begun or bool(self._stream.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        for piece in _pieces(data, _INPUT):
            self._begun = True
            more = True
            while more:
                try:
                    # A call may bring half as much again as its limit, no more. Behind the end of a stream it fails.
                    out: bytes = stream.process(piece, output_buffer_limit=_STEP)
                except brotli.error:
                    raise _invalid(self.name) from None
                if out:
                    yield out
                piece = b""
                # With all of the input taken there may be output left, if the limit was reached.
                more = not stream.is_finished() and (len(out) >= _STEP or not stream.can_accept_more_data())


class _Zstd:
    """zstd (RFC 8878): one frame or several in a row, skippable ones too."""

    name = "zstd"

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
        self._stream: zstandard.ZstdDecompressionObj | None = None

    @property
    def whole(self) -> bool:
        return self._stream is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for piece in _pieces(data, _ZSTD_INPUT):
            while piece:
                stream = self._stream
                if stream is None:
                    stream = self._stream = self._context.decompressobj(write_size=_STEP, read_across_frames=False)
                try:
                    out = stream.decompress(piece)
                except zstandard.ZstdError:
                    raise _invalid(self.name) from None
                if out:
                    yield out
                if stream.eof:
                    self._stream = None
                piece = stream.unused_data


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def _inflated(stream: zlib._Decompress, piece: bytes, name: str) -> Iterator[bytes]:
    """All that a piece brings, up to the end of the stream if that is in it."""
    more = True
    while more:
        try:
            out = stream.decompress(piece, _STEP)
        except zlib.error:
            raise _invalid(name) from None
        if out:
            yield out
        piece = stream.unconsumed_tail
        # A step that is full may have left something inside zlib.
        more = not stream.eof and (bool(piece) or len(out) == _STEP)


def _invalid(name: str) -> DecodeError:
    return DecodeError(f"invalid {name} data")


class Decoder:
    """
    Undoes the codings of one body, fed as it comes, in steps of bounded memory.

    Bytes that were decoded without error but belong to a body that later turns out to be invalid are given out: a
    checksum stands at the end, and an event stream can't wait for it.

    :param codings: the last one put on first; none: the body passes as it is, unbounded.
    :param max_decoded: bytes that it may decode to.
    :ivar decoded: bytes that it has decoded to so far.
    """

    __slots__ = ("_allowed", "_codings", "_failed", "_max", "decoded")

    def __init__(self, codings: list[_Coding], max_decoded: int) -> None:
        self._codings = codings
        self._max = max_decoded
        self._allowed = SLACK
        self._failed: str | None = None
        self.decoded = 0

    def feed(self, data: bytes) -> bytes:
        """
        Decode the body's next bytes.

        :raises DecodeError: invalid data, or over a limit; from then on it is raised for whatever is fed.
        """
        if not self._codings:
            self.decoded += len(data)
            return data
        if self._failed is not None:
            raise DecodeError(self._failed)
        self._allowed += MAX_RATIO * len(data)
        outs: Iterable[bytes] = (data,)
        for coding in self._codings:
            outs = self._undone(coding, outs)
        kept: list[bytes] = []
        try:
            for out in outs:
                kept.append(out[: self._max - self.decoded])
                self.decoded += len(kept[-1])
                if len(kept[-1]) < len(out):
                    raise DecodeError(f"a body that decodes to more than {self._max} bytes")
        except DecodeError as error:
            self._failed = str(error)
            raise DecodeError(self._failed, b"".join(kept)) from None
        return kept[0] if len(kept) == 1 else b"".join(kept)

    def finish(self) -> None:
        """
        The body has ended.

        :raises DecodeError: not where its codings may end, or it was invalid before.
        """
        if self._failed is not None:
            raise DecodeError(self._failed)
        for coding in self._codings:
            if not coding.whole:
                raise DecodeError(f"a body that ends inside {coding.name} data")

    def _undone(self, coding: _Coding, datas: Iterable[bytes]) -> Iterator[bytes]:
        for data in datas:
            for out in coding.feed(data):
                self._allowed -= len(out)
                if self._allowed < 0:
                    raise DecodeError("a body that decodes out of all proportion")
                yield out


_CODINGS: dict[bytes, Callable[[], _Coding]] = {
    b"gzip": _Gzip,
    b"x-gzip": _Gzip,
    b"deflate": _Deflate,
    b"br": _Brotli,
    b"zstd": _Zstd,
}


def decoder(encodings: bytes | None, *, max_decoded: int = MAX_DECODED) -> Decoder | None:
    """
    What undoes a ``Content-Encoding``: codings in the order in which they were put on, several fields joined by commas.

    :param max_decoded: bytes that the body may decode to.
    :returns: ``None`` where a coding is unknown, or there are more than `MAX_CODINGS`.
    """
    names = [name.strip(b" \t").lower() for name in (encodings or b"").split(b",")]
    names = [name for name in names if name not in (b"", b"identity")]
    if len(names) > MAX_CODINGS or any(name not in _CODINGS for name in names):
        return None
    return Decoder([_CODINGS[name]() for name in reversed(names)], max_decoded)
