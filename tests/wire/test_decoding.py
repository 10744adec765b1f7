"""What `wire.decoding` brings out of each coding at every split, and what bombs, broken and cut bodies come to."""

from __future__ import annotations

import functools
import random
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.decoding import MAX_CODINGS, MAX_ZSTD_WINDOW, DecodeError, Decoder, decoder
from agentproxy.wire.deflate import MAX_RATIO, SLACK
from tests.wire.splits import PROPERTY, cut, every_split, places

MIB = 1 << 20


def squeezed(bits: int, body: bytes, level: int = 6) -> bytes:
    stream = zlib.compressobj(level, wbits=bits)
    return stream.compress(body) + stream.flush()


def brotlied(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=4))


def zstandarded(body: bytes, window_log: int = 20) -> bytes:
    """As a sender does that does not know how much comes: without the body's size, with a checksum."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, write_checksum=True)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return stream.compress(body) + stream.flush()


ENCODE: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", functools.partial(squeezed, 31)),
    "deflate": (b"deflate", functools.partial(squeezed, 15)),
    "deflate, bare": (b"deflate", functools.partial(squeezed, -15)),
    "brotli": (b"br", brotlied),
    "zstd": (b"zstd", zstandarded),
    "zstd, size known": (b"zstd", zstandard.ZstdCompressor().compress),
}
"""What a coding is called here: its name on the wire, and how a body is put in it."""
TEXTS = [
    b"",
    b"a",
    b'{"usage":{"input_tokens":12,"output_tokens":3}}',
    b'data: {"type":"delta","text":"hello, hello"}\n\n' * 9,
]


def the(encodings: bytes | None, max_decoded: int = 1 << 40) -> Decoder:
    found = decoder(encodings, max_decoded=max_decoded)
    assert found is not None
    return found


def decoded(encodings: bytes | None, pieces: list[bytes]) -> bytes:
    """A whole body, its end included."""
    reader = the(encodings)
    out = b"".join([reader.feed(piece) for piece in pieces])
    reader.finish()
    assert reader.decoded == len(out)
    return out


def failing(reader: Decoder, pieces: list[bytes]) -> tuple[bytes, str | None]:
    """What comes out until it fails, and why it does."""
    out = b""
    try:
        for piece in pieces:
            out += reader.feed(piece)
        reader.finish()
    except DecodeError as error:
        return out + error.before, str(error)
    return out, None


def lines(count: int) -> bytes:
    """Text that compresses about as JSON does."""
    dice = random.Random(7)
    return b"".join(b'{"type":"delta","n":%d,"id":"%x"}' % (n, dice.getrandbits(64)) for n in range(count))


def rle_bomb(blocks: int) -> bytes:
    """A zstd frame of the densest kind: blocks of 4 bytes that are 128 KiB each (RFC 8878, 3.1.1.2)."""
    block = struct.pack("<I", 128 * 1024 << 3 | 1 << 1)[:3] + b"A"
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(23 - 10) << 3]) + block * blocks


class DecoderTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Codings are found whatever their case and the blanks around them; no coding is a body as it is."""
        for encodings in (None, b"", b"identity", b" Identity , ", b","):
            self.assertEqual(decoded(encodings, [b"a", b"", b"b"]), b"ab", encodings)
        packed = squeezed(31, b"body")
        for encodings in (b"gzip", b"GZip", b"x-gzip", b"\tgzip ", b"identity, gzip", b",gzip,,identity"):
            self.assertEqual(decoded(encodings, [packed]), b"body", encodings)

    def test_unknown(self) -> None:
        """Unknown codings, alone or among others, and more than can be meant, are not decoded."""
        for encodings in (b"compress", b"gzip, dcb", b"aws-chunked,gzip", b"gzip;q=1", b"gzip br", b"\xff", b"*"):
            self.assertIsNone(decoder(encodings), encodings)
        self.assertIsNotNone(decoder(b", ".join([b"gzip"] * MAX_CODINGS)))
        self.assertIsNone(decoder(b", ".join([b"gzip"] * (MAX_CODINGS + 1))))

    def test_passes(self) -> None:
        """Without a coding bytes are given back as they are, not copied, and end anywhere."""
        reader, data = the(None, 1), bytes(range(256))
        self.assertIs(reader.feed(data), data)
        reader.finish()

    def test_every_split(self) -> None:
        """A short body comes out whole, byte by byte, and in two at every place."""
        for what, (name, encode) in ENCODE.items():
            for text in TEXTS:
                for pieces in every_split(encode(text)):
                    self.assertEqual(decoded(name, pieces), text, (what, pieces))

    @PROPERTY
    @given(st.sampled_from(sorted(ENCODE)), st.binary(max_size=3000), st.integers(1, 60), places(4000))
    def test_any_split(self, what: str, body: bytes, times: int, at: list[int]) -> None:
        """However a coded body is cut, it comes out."""
        name, encode = ENCODE[what]
        self.assertEqual(decoded(name, cut(encode(body * times), at)), body * times)

    def test_long(self) -> None:
        """Bodies of many steps come out, those that fill their steps exactly too."""
        text = lines(40000)
        for what, (name, encode) in ENCODE.items():
            for body in (
                text,
                text[:65536],
                text[:131072],
                *(b"a" * size for size in range(65536, 65541)),
                b"ab" * MIB,
            ):
                packed = encode(body)
                for step in (len(packed), 1448, 65536):
                    pieces = [packed[at : at + step] for at in range(0, len(packed), step)]
                    self.assertEqual(decoded(name, pieces), body, (what, len(body), step))

    def test_flushed(self) -> None:
        """What a sender has flushed comes out at once, before the body ends: events are not to wait."""
        deflater = zlib.compressobj(wbits=31)
        brotlier = brotli.Compressor()
        zstd = zstandard.ZstdCompressor().compressobj()

        def zstandarder(data: bytes) -> bytes:
            return zstd.compress(data) + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

        for name, flushed in (
            (b"gzip", lambda data: deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)),
            (b"br", lambda data: brotlier.process(data) + brotlier.flush()),
            (b"zstd", zstandarder),
        ):
            reader = the(name)
            for number in range(50):
                event = b"data: %d\n\n" % number
                self.assertEqual(reader.feed(flushed(event)), event, name)

    def test_in_a_row(self) -> None:
        """gzip members and zstd frames that follow each other are one body, empty and skippable ones too."""
        skipped = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"
        gzip, zstd = functools.partial(squeezed, 31), zstandarded
        for name, packed in (
            (b"gzip", gzip(b"one, ") + gzip(b"") + gzip(b"two, ") + gzip(b"three")),
            (b"zstd", skipped + zstd(b"one, ") + zstd(b"") + skipped * 2 + zstd(b"two, ") + zstd(b"three") + skipped),
        ):
            for pieces in every_split(packed):
                self.assertEqual(decoded(name, pieces), b"one, two, three", pieces)

    def test_several(self) -> None:
        """Codings are undone from the last to the first."""
        for text in TEXTS:
            packed = zstandarded(brotlied(squeezed(15, squeezed(31, text))))
            for pieces in every_split(packed):
                self.assertEqual(decoded(b"gzip, deflate, br, zstd", pieces), text)

    def test_truncated(self) -> None:
        """Of a body that ends early its beginning comes out, and its end says so; nothing at all is an empty body."""
        for what, (name, encode) in ENCODE.items():
            for text in TEXTS:
                packed = encode(text)
                for size in range(1, len(packed)):
                    out, why = failing(the(name), [packed[:size]])
                    self.assertTrue(text.startswith(out), what)
                    self.assertRegex(why or "", "^a body that ends inside [a-z]+ data$", (what, size))
            self.assertEqual(failing(the(name), []), (b"", None))
            self.assertEqual(failing(the(name), [b""]), (b"", None))

    def test_truncated_outside(self) -> None:
        """Where an outer coding is whole, an inner one that is not is still found."""
        why = failing(the(b"br, gzip"), [squeezed(31, brotlied(b"body")[:-1])])[1]
        self.assertEqual(why, "a body that ends inside brotli data")

    def test_corrupt(self) -> None:
        """A byte changed anywhere does no harm: the body fails, or comes out as something."""
        for what, (name, encode) in ENCODE.items():
            packed = encode(TEXTS[-1])
            for at in range(len(packed)):
                for change in (1, 0x80, 0xFF):
                    broken = packed[:at] + bytes([packed[at] ^ change]) + packed[at + 1 :]
                    for pieces in ([broken], [broken[:at], broken[at:]]):
                        out, _ = failing(the(name, 1000), pieces)
                        self.assertLessEqual(len(out), 1000, (what, at))

    @PROPERTY
    @given(st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"gzip, zstd"]), st.binary(max_size=300), places(300))
    def test_junk(self, name: bytes, junk: bytes, at: list[int]) -> None:
        """Any bytes are decoded or refused, with a reason that quotes nothing and is the same ever after."""
        for data in (junk, b"\x1f\x8b\x08\x00" + junk, b"\x78\x9c" + junk, b"\x28\xb5\x2f\xfd" + junk):
            reader = the(name, 1000)
            out, why = failing(reader, cut(data, at))
            self.assertLessEqual(len(out), 1000)
            if why is not None:
                self.assertRegex(why, r"^[a-zA-Z0-9 ]+$")
            if why is not None and "ends inside" not in why:
                for again in (b"", data):
                    with self.assertRaises(DecodeError) as raised:
                        reader.feed(again)
                    self.assertEqual((str(raised.exception), raised.exception.before), (why, b""))
                self.assertRaises(DecodeError, reader.finish)

    def test_behind(self) -> None:
        """What stands behind a body's end is no part of it and is told, after the body."""
        for what, (name, encode) in ENCODE.items():
            for text in TEXTS:
                packed = encode(text)
                out, why = failing(the(name), [packed, b"more of it"])
                self.assertEqual(out, text, what)
                self.assertRegex(why or "", "^(bytes behind the end of|invalid) [a-z]+ data$", what)
                out, why = failing(the(name), [packed + b"more of it"])
                self.assertIsNotNone(why, what)
                self.assertEqual(out, b"" if name == b"br" else text, what)

    def test_before(self) -> None:
        """What the same bytes brought before they turned invalid comes with the error."""
        packed = zstandarded(b"one") + zstandarded(b"two") + b"not zstd at all"
        for pieces in every_split(packed):
            self.assertEqual(failing(the(b"zstd"), pieces), (b"onetwo", "invalid zstd data"))

    def test_max(self) -> None:
        """A body may decode to so many bytes and no more; they come out, however it was cut."""
        for what, (name, encode) in ENCODE.items():
            packed = encode(b"a" * 1000)
            for pieces in every_split(packed):
                self.assertEqual(failing(the(name, 1000), pieces), (b"a" * 1000, None), what)
                out, why = failing(the(name, 999), pieces)
                self.assertEqual((out, why), (b"a" * 999, "a body that decodes to more than 999 bytes"), what)

    def test_zstd_window(self) -> None:
        """A zstd frame may ask for the window of RFC 9659 and for no more memory than that."""
        self.assertEqual(decoded(b"zstd", [zstandarded(b"body", 23)]), b"body")
        for log in (24, 27, 31):
            self.assertEqual(failing(the(b"zstd"), [zstandarded(b"body", log)]), (b"", "invalid zstd data"))
        single = zstandard.ZstdCompressor(level=22).compress(b"a" * (MAX_ZSTD_WINDOW + 1))
        self.assertEqual(failing(the(b"zstd"), [single]), (b"", "invalid zstd data"))


class BombTests(SynchronousTestCase):
    @functools.cached_property
    def bombs(self) -> dict[bytes, bytes]:
        zeros = bytes(64 * MIB)
        bombs = {name: encode(zeros) for name, encode in ENCODE.values()}
        bombs[b"zstd"] = rle_bomb(512)
        bombs[b"gzip, br"] = brotlied(bombs[b"gzip"])
        bombs[b"br, br"] = brotlied(bombs[b"br"])
        bombs[b"gzip, gzip"] = squeezed(31, bombs[b"gzip"])
        return bombs

    def test_proportion(self) -> None:
        """A bomb stops where its few bytes are used up, however it is cut."""
        for name, bomb in self.bombs.items():
            for step in (len(bomb), 100):
                pieces = [bomb[at : at + step] for at in range(0, len(bomb), step)]
                out, why = failing(the(name), pieces)
                self.assertEqual(why, "a body that decodes out of all proportion", name)
                self.assertLessEqual(len(out), SLACK + MAX_RATIO * len(bomb), name)

    def test_memory(self) -> None:
        """A bomb takes no more memory than its limit and a few steps."""
        for name, bomb in self.bombs.items():
            reader = the(name, MIB)
            tracemalloc.start()
            out, why = failing(reader, [bomb])
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertEqual((len(out), why), (MIB, f"a body that decodes to more than {MIB} bytes"), name)
            self.assertLess(peak, 12 * MIB, name)

    def test_honest(self) -> None:
        """A long stream that compresses as text does never meets the limit of proportion."""
        reader, stream = the(b"gzip"), zlib.compressobj(1, wbits=31)
        text = lines(2000) * 8
        total = 0
        for _ in range(60):
            total += len(reader.feed(stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH)))
        self.assertEqual(total, 60 * len(text))
        self.assertGreater(total, SLACK)

    def test_time(self) -> None:
        """Members, frames and empty blocks without end take time in proportion to their bytes."""
        for name, packed in (
            (b"gzip", squeezed(31, b"") * 10000),
            (b"zstd", zstandarded(b"") * 20000),
            (b"deflate", b"\x00\x00\x00\xff\xff" * 40000),
            (b"gzip", b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 2 * MIB),
            (b"zstd", b"\x50\x2a\x4d\x18\xff\xff\xff\xff" + bytes(2 * MIB)),
        ):
            began = time.process_time()
            out, _ = failing(the(name), [packed])
            self.assertEqual(out, b"")
            self.assertLess(time.process_time() - began, 3, name)
