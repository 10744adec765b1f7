"""What `wire.deflate` reads of a negotiation, and how it inflates: conversations, invalid data, bombs."""

from __future__ import annotations

import contextlib
import random
import tracemalloc
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.deflate import (
    DeflateParams,
    InflateError,
    Inflater,
    deflate_params,
    negotiation_allowed,
    parse_extensions,
)

EVERYTHING = 1 << 30


class Deflater:
    """A sender's half of permessage-deflate (RFC 7692, 7.2.1)."""

    def __init__(self, *, window_bits: int = 15, no_context_takeover: bool = False) -> None:
        self._bits, self._anew = -window_bits, no_context_takeover
        self._stream = zlib.compressobj(wbits=self._bits)

    def message(self, payload: bytes) -> bytes:
        if self._anew:
            self._stream = zlib.compressobj(wbits=self._bits)
        data = self._stream.compress(payload) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(b"\x00\x00\xff\xff")
        return data[:-4]


def final(payload: bytes) -> bytes:
    """A message of one final block and the empty one behind it (RFC 7692, 7.2.3.4)."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(payload) + stream.flush() + b"\x00"


def inflated(inflater: Inflater, data: bytes, room: int = EVERYTHING, piece: int = 1 << 30) -> bytes:
    """One whole message."""
    inflater.begin()
    out = b""
    for at in range(0, len(data), piece):
        out += inflater.feed(data[at : at + piece], room - len(out))
    return out + inflater.finish(room - len(out))


def lines(count: int) -> bytes:
    """Text that compresses about as JSON does."""
    dice = random.Random(7)
    return b"".join(b'{"type":"delta","n":%d,"id":"%x"}' % (n, dice.getrandbits(64)) for n in range(count))


class ExtensionTests(SynchronousTestCase):
    def test_grammar(self) -> None:
        """Names are in lower case, values as they are, quoted ones without their quotes."""
        for value, want in (
            (b"foo", [(b"foo", {})]),
            (b"Foo; A; b=C", [(b"foo", {b"a": None, b"b": b"C"})]),
            (b' foo ; a = "1\\5" , bar;x="y"', [(b"foo", {b"a": b"15"}), (b"bar", {b"x": b"y"})]),
            (b"foo,foo;a", [(b"foo", {}), (b"foo", {b"a": None})]),
            (b"foo\t;\ta=1", [(b"foo", {b"a": b"1"})]),
        ):
            self.assertEqual(parse_extensions(value), want)

    def test_bad_grammar(self) -> None:
        """What RFC 6455, 9.1 does not allow is a ValueError, and so is a parameter that comes twice."""
        for value in (
            b"", b" ", b",", b"foo,", b",foo", b"foo,,bar", b";a", b"foo;", b"foo;;a", b"foo;a=", b"foo bar",
            b"foo;a b", b"foo;a=b=c", b'foo;a="', b'foo;a=""', b'foo;a="b c"', b'foo;a="b"c', b'foo;"a"', b"foo;a;A=1",
            b"f\x00o", b"foo;a=\xff", b'foo;a="\\', b"foo/1",
        ):  # fmt: skip
            with self.assertRaises(ValueError, msg=repr(value)):
                parse_extensions(value)

    @settings(max_examples=300)
    @given(st.text(alphabet='ab=;," \\\t', max_size=20).map(str.encode))
    def test_any_bytes(self, value: bytes) -> None:
        """Whatever the value, it parses or is a ValueError; what parses means the same when written out."""
        try:
            parsed = parse_extensions(value)
        except ValueError:
            return
        written = b", ".join(
            b"; ".join([name, *(key if text is None else key + b"=" + text for key, text in parameters.items())])
            for name, parameters in parsed
        )
        self.assertEqual(parse_extensions(written), parsed)


class NegotiationTests(SynchronousTestCase):
    ALLOWED = [
        (None, None),
        (b"foo", None),
        (b"bro ken", None),
        (b"foo", b"foo"),
        (b"foo, bar", b"bar; x=1"),
        (b"foo", b"FOO"),
        (b"permessage-deflate", b"permessage-deflate"),
        (b"permessage-deflate", b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=8"),
        (b"permessage-deflate; client_max_window_bits", b"permessage-deflate; client_max_window_bits=15"),
        (b"permessage-deflate; client_max_window_bits", b'permessage-deflate; client_max_window_bits="10"'),
        (b"permessage-deflate; client_max_window_bits, permessage-deflate", b"permessage-deflate"),
        (b"permessage-deflate, x-webkit-deflate-frame", b"x-webkit-deflate-frame"),
    ]
    REFUSED = [
        (None, b"permessage-deflate"),
        (b"", b"permessage-deflate"),
        (b"foo", b""),
        (b"foo", b"bar"),
        (b"foo", b"foo, bar"),
        (b"foo", b"foo;"),
        (b"foo; a; a", b"foo"),
        (b"permessage-deflate, permessage-deflate", b"permessage-deflate, permessage-deflate"),
        (b"permessage-deflate", b"permessage-deflate; client_max_window_bits=15"),
        (b"permessage-deflate; client_max_window_bits", b"permessage-deflate; client_max_window_bits"),
        (b"permessage-deflate; client_max_window_bits", b"permessage-deflate; client_max_window_bits=7"),
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits"),
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=7"),
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=16"),
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=08"),
        (b"permessage-deflate", b"permessage-deflate; server_no_context_takeover=1"),
        (b"permessage-deflate", b"permessage-deflate; level=9"),
        (b"permessage-deflate; level=9", b"permessage-deflate; level=9"),
        (b"foo; client_max_window_bits, permessage-deflate", b"permessage-deflate; client_max_window_bits=9"),
    ]

    def test_allowed(self) -> None:
        """An answer that takes up what was offered is allowed."""
        for offered, answered in self.ALLOWED:
            self.assertTrue(negotiation_allowed(offered, answered), (offered, answered))

    def test_refused(self) -> None:
        """An answer that was not offered, or is malformed, is not."""
        for offered, answered in self.REFUSED:
            self.assertFalse(negotiation_allowed(offered, answered), (offered, answered))

    def test_params(self) -> None:
        """The answer says how both directions are compressed."""
        self.assertIsNone(deflate_params(None))
        self.assertIsNone(deflate_params(b"foo; server_max_window_bits=9"))
        self.assertEqual(deflate_params(b"permessage-deflate"), DeflateParams(15, 15, False, False))
        answer = b"foo, PerMessage-Deflate; client_max_window_bits=10; server_max_window_bits=9; "
        self.assertEqual(deflate_params(answer + b"server_no_context_takeover"), DeflateParams(10, 9, False, True))
        self.assertEqual(deflate_params(answer + b"client_no_context_takeover"), DeflateParams(10, 9, True, False))

    def test_bad_params(self) -> None:
        """What no server may answer is a ValueError."""
        for answer in (
            b"",
            b"permessage-deflate;",
            b"permessage-deflate; x",
            b"permessage-deflate; server_max_window_bits",
        ):
            with self.assertRaises(ValueError):
                deflate_params(answer)


class InflaterTests(SynchronousTestCase):
    def test_conversations(self) -> None:
        """Messages come out as they went in: with takeover or without, of any window, in any pieces."""
        payloads = [
            b"hello",
            b"hello",
            b"",
            lines(3000),
            b"hello",
            lines(10),
            bytes(300000),
            random.Random(1).randbytes(99999),
        ]
        for anew in (False, True):
            for bits in (9, 12, 15):
                for piece in (7, 4096, 1 << 30):
                    sender = Deflater(window_bits=bits, no_context_takeover=anew)
                    inflater = Inflater(window_bits=bits, no_context_takeover=anew)
                    for payload in payloads:
                        self.assertEqual(inflated(inflater, sender.message(payload), piece=piece), payload)
                        self.assertEqual(inflater.inflated, len(payload))

    def test_known_bytes(self) -> None:
        """The examples of RFC 7692, 7.2.3: a fixed block, a shared window, a stored block, a final one, two blocks."""
        inflater = Inflater(window_bits=15, no_context_takeover=False)
        for sent in ("f2 48 cd c9 c9 07 00", "f2 00 11 00 00", "00 05 00 fa ff 48 65 6c 6c 6f 00"):
            self.assertEqual(inflated(inflater, bytes.fromhex(sent)), b"Hello")
        for sent in ("f3 48 cd c9 c9 07 00 00", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00"):
            self.assertEqual(inflated(inflater, bytes.fromhex(sent)), b"Hello")
        self.assertEqual(inflated(inflater, b"\x00"), b"")

    def test_smallest_window(self) -> None:
        """A sender that was allowed 256 bytes but takes 512, as zlib does, is still understood."""
        data = random.Random(3).randbytes(200) * 3
        sender, inflater = Deflater(window_bits=9), Inflater(window_bits=8, no_context_takeover=False)
        for _ in range(3):
            self.assertEqual(inflated(inflater, sender.message(data)), data)

    def test_room(self) -> None:
        """Only the first bytes are kept, and with takeover the next message is still understood."""
        text = lines(5000)
        for anew in (False, True):
            sender = Deflater(no_context_takeover=anew)
            inflater = Inflater(window_bits=15, no_context_takeover=anew)
            for room in (0, 1, 1000, 65536, len(text) - 1, len(text)):
                self.assertEqual(inflated(inflater, sender.message(text), room, piece=3000), text[:room])
                self.assertEqual(inflater.inflated > room, len(text) > room)

    def test_room_that_ends_with_a_step(self) -> None:
        """That there was more than the room is known even where the room is used up without anything over."""
        for anew in (False, True):
            for room in (16384, 65536, 131072):
                sender = Deflater(no_context_takeover=anew)
                inflater = Inflater(window_bits=15, no_context_takeover=anew)
                for size in (room, room + 1, room * 3):
                    self.assertEqual(inflated(inflater, sender.message(bytes(size)), room), bytes(room))
                    self.assertEqual(inflater.inflated > room, size > room)

    def test_final_blocks(self) -> None:
        """A final block ends nothing but itself, whether or not its sender went by the letter behind it."""
        inflater = Inflater(window_bits=15, no_context_takeover=False)
        for piece in (1, 1 << 30):
            self.assertEqual(inflated(inflater, final(b"one"), piece=piece), b"one")
            self.assertEqual(inflated(inflater, final(b"two")[:-1], piece=piece), b"two")
            self.assertEqual(inflated(inflater, final(b"a")[:-1] + final(b"b"), piece=piece), b"ab")
            self.assertEqual(inflated(inflater, Deflater().message(b"three"), piece=piece), b"three")

    def test_endless_final_blocks(self) -> None:
        """Empty final blocks, each of which makes zlib begin anew, can't go on for ever."""
        inflater = Inflater(window_bits=15, no_context_takeover=True)
        for _ in range(20):
            self.assertEqual(inflated(inflater, final(b"one")), b"one")
        with self.assertRaises(InflateError):
            inflated(inflater, b"\x03\x00" * 100000)
        self.assertEqual(inflated(inflater, Deflater().message(b"next")), b"next")

    def test_invalid(self) -> None:
        """Invalid data is an error that quotes nothing; without takeover the next message is understood again."""
        inflater = Inflater(window_bits=15, no_context_takeover=True)
        for bad in (b"\xff", b"\x07secret", Deflater().message(lines(50))[20:]):
            with self.assertRaises(InflateError) as caught:
                inflated(inflater, bad)
            self.assertEqual(str(caught.exception), "invalid deflate data")
            self.assertEqual(inflated(inflater, Deflater().message(b"next")), b"next")

    def test_bomb(self) -> None:
        """A hundred megabytes of zeros cost a megabyte of memory at most, and are an error over the limit."""
        bomb = Deflater().message(bytes(100_000_000))
        self.assertLess(len(bomb), 100_000)
        tracemalloc.start()
        try:
            inflater = Inflater(window_bits=15, no_context_takeover=False)
            with self.assertRaises(InflateError):
                inflated(inflater, bomb, 1000)
            self.assertLess(tracemalloc.get_traced_memory()[1], 1_000_000)
        finally:
            tracemalloc.stop()

    def test_out_of_proportion(self) -> None:
        """Small bombs one after the other are an error once they come to more than their sender pays for."""
        sender, inflater = Deflater(), Inflater(window_bits=15, no_context_takeover=False)
        with self.assertRaises(InflateError) as caught:
            for _ in range(100):
                inflated(inflater, sender.message(bytes(1_000_000)), 100)
        self.assertIn("proportion", str(caught.exception))
        self.assertLess(inflater.inflated, 2_000_000)
        sender, inflater = Deflater(), Inflater(window_bits=15, no_context_takeover=False)
        text = lines(20_000)
        for _ in range(60):
            self.assertEqual(inflated(inflater, sender.message(text), 10), text[:10])

    def test_bomb_without_takeover(self) -> None:
        """Without takeover, what is not wanted of a message is not inflated at all."""
        inflater = Inflater(window_bits=15, no_context_takeover=True)
        inflater.begin()
        self.assertEqual(inflater.feed(Deflater().message(bytes(100_000_000)), 1000), bytes(1000))
        self.assertLess(inflater.inflated, 100_000)

    @settings(max_examples=300)
    @given(st.binary(max_size=60), st.integers(0, 50))
    def test_any_bytes(self, data: bytes, room: int) -> None:
        """Whatever comes is inflated within its room or is an `InflateError`."""
        inflater = Inflater(window_bits=15, no_context_takeover=False, max_inflated=10000)
        with contextlib.suppress(InflateError):
            self.assertLessEqual(len(inflated(inflater, data, room)), room)
