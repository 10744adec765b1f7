"""What `wire.frames` passes on, holds back and refuses, against a slow reader of whole streams."""

from __future__ import annotations

import struct
import tracemalloc
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.frames import BINARY, MAX_REASON, TEXT, FrameFollower, close_frame, may_travel
from agentproxy.wire.masking import masked, whole_frame

KEY = b"\x12\x00\xff\x7e"
PING, PONG = 0x9, 0xA


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    width: int | None = None,
    claims: int | None = None,
) -> bytes:
    """A frame by the letter of RFC 6455, 5.2, or against it: any length width (0, 2, 8), any claimed length."""
    size = len(payload) if claims is None else claims
    if width is None:
        width = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size, 2: 126, 8: 127}[width]
    head = bytes([fin << 7 | rsv << 4 | opcode, (key is not None) << 7 | short])
    head += {0: b"", 2: struct.pack(">H", size & 0xFFFF), 8: struct.pack(">Q", size)}[width]
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ mask for byte, mask in zip(payload, cycle(key), strict=False))


def follower(**options: Any) -> FrameFollower:
    return FrameFollower(**{"masked": False, "rsv1": False, "max_message_bytes": 1 << 20, **options})


@dataclass
class Seen:
    """What a stream comes to."""

    passed: bytes
    frames: int
    in_frame: bool
    close: tuple[int, str] | None
    violation: int | None


class Stop(Exception):
    """The reference has read as far as it can."""


class Reference:
    """Reads a whole stream from its beginning, one rule after the other, with no thought of speed."""

    def __init__(self, stream: bytes, *, masked: bool, rsv1: bool, any_rsv: bool, limit: int) -> None:
        self.stream, self.at = stream, 0
        self.masked, self.rsv1, self.any_rsv, self.limit = masked, rsv1, any_rsv, limit
        self.seen = Seen(b"", 0, False, None, None)
        self.message: int | None = None

    def run(self) -> Seen:
        try:
            while self.seen.close is None:
                self.one()
        except Stop:
            pass
        return self.seen

    def take(self, count: int) -> bytes:
        if len(self.stream) - self.at < count:
            raise Stop
        self.at += count
        return self.stream[self.at - count : self.at]

    def rule(self, held: bool, code: int = 1002) -> None:
        if not held:
            self.seen.violation = code
            raise Stop

    def one(self) -> None:
        begin = self.at
        (first,) = self.take(1)
        fin, rsv1, rsv23, opcode = bool(first & 0x80), bool(first & 0x40), bool(first & 0x30), first & 0xF
        control = opcode in (8, 9, 10)
        self.rule(control or opcode in (0, 1, 2))
        self.rule(self.any_rsv or not rsv23)
        self.rule(self.any_rsv or not rsv1 or (self.rsv1 and opcode in (1, 2)))
        self.rule(fin or not control)
        self.rule(opcode != 0 or self.message is not None)
        self.rule(opcode not in (1, 2) or self.message is None)
        (second,) = self.take(1)
        self.rule((second > 127) == self.masked)
        length = second % 128
        self.rule(length < 126 or not control)
        if length == 126:
            (length,) = struct.unpack(">H", self.take(2))
            self.rule(length > 125)
        elif length == 127:
            (length,) = struct.unpack(">Q", self.take(8))
            self.rule(65535 < length < 2**63)
        if not control:
            self.rule((self.message or 0) + length <= self.limit, 1009)
        key = self.take(4) if self.masked else bytes(4)
        if opcode == 8:
            body = bytes(byte ^ mask for byte, mask in zip(self.take(length), cycle(key), strict=False))
            self.closing(body)
        elif not control:
            self.message = None if fin else (self.message or 0) + length
        rest = self.stream[self.at :][:length] if opcode != 8 else b""
        if opcode != 8:
            self.at += len(rest)
        self.seen.passed += self.stream[begin : self.at]
        if opcode != 8 and len(rest) < length:
            self.seen.in_frame = True
            raise Stop
        self.seen.frames += 1

    def closing(self, body: bytes) -> None:
        if not body:
            self.seen.close = (1005, "")
            return
        self.rule(len(body) >= 2)
        code = body[0] * 256 + body[1]
        self.rule(code in {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
        self.seen.close = (code, body[2:].decode(errors="replace"))


def observed(watch: FrameFollower, pieces: list[bytes]) -> Seen:
    passed = b"".join([watch.feed(piece) for piece in pieces])
    assert watch.passed == len(passed)
    violation = watch.violation and watch.violation.code
    return Seen(passed, watch.frames, watch.in_frame, watch.close, violation)


PAYLOADS = st.one_of(
    st.binary(max_size=12), st.sampled_from([0, 1, 124, 125, 126, 127, 300]).map(lambda size: bytes(range(256))[:size])
)
CLOSES = st.one_of(
    st.just(b""),
    st.binary(min_size=1, max_size=1),
    st.tuples(st.integers(0, 5100), st.binary(max_size=6)).map(lambda pair: pair[0].to_bytes(2, "big") + pair[1]),
    st.just((1000).to_bytes(2, "big") + b"x" * 123),
)


@st.composite
def messages(draw: st.DrawFn, key: bytes | None, rsv: st.SearchStrategy[int]) -> bytes:
    """A legal message, in one frame or several, with control frames between them."""
    parts = draw(st.lists(PAYLOADS, min_size=1, max_size=4))
    out = b""
    for index, part in enumerate(parts):
        opcode = draw(st.sampled_from([TEXT, BINARY])) if index == 0 else 0
        bits = draw(rsv) if index == 0 else 0
        out += frame(opcode, part, fin=index == len(parts) - 1, rsv=bits, key=key)
        if draw(st.booleans()):
            out += frame(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=9)), key=key)
    return out


@st.composite
def odd_frames(draw: st.DrawFn, key: bytes | None) -> bytes:
    """A frame with anything in it."""
    payload = draw(PAYLOADS)
    width = draw(st.sampled_from([None, None, 2, 8]))
    claims = draw(st.sampled_from([None, None, None, 126, 65536, 2**63, 2**64 - 1])) if width == 8 else None
    return frame(
        draw(st.integers(0, 15)),
        payload,
        fin=draw(st.booleans()),
        rsv=draw(st.sampled_from([0, 0, 0, 1, 2, 4, 7])),
        key=draw(st.sampled_from([key, key, key, None, KEY])),
        width=2 if width is None and len(payload) > 125 else width,
        claims=claims,
    )


@st.composite
def streams(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """The options of a follower, and what it may have to follow."""
    mask, rsv1, any_rsv = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from([False, False, True]))
    key = KEY if mask else None
    rsv = st.sampled_from([0, 4]) if rsv1 else st.just(0)
    legal = messages(key, rsv)
    closing = CLOSES.map(lambda body: frame(8, body, key=key))
    parts = draw(st.lists(st.one_of(legal, legal, legal, odd_frames(key), closing), max_size=5))
    limit = draw(st.sampled_from([0, 10, 125, 400, 1 << 20]))
    return {"masked": mask, "rsv1": rsv1, "any_rsv": any_rsv, "limit": limit}, b"".join(parts)


def made(options: dict[str, Any], **more: Any) -> FrameFollower:
    known = {name: value for name, value in options.items() if name != "limit"}
    return FrameFollower(max_message_bytes=options["limit"], **known, **more)


class NullTap:
    """Hears everything, keeps nothing."""

    def begin(self, opcode: int, compressed: bool) -> None:
        pass

    def payload(self, data: bytes, start: int, end: int, key: bytes | None, offset: int) -> None:
        assert 0 <= start < end <= len(data)

    def end(self) -> None:
        pass

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        assert first & 0x80
        assert 0 <= start <= end <= len(data)


class SplitTests(SynchronousTestCase):
    @settings(max_examples=400)
    @given(streams())
    def test_every_cut(self, case: tuple[dict[str, Any], bytes]) -> None:
        """Cut at every place, fed byte by byte or whole, a stream comes to what the reference says."""
        options, stream = case
        want = Reference(stream, **options).run()
        cuts = [[stream[:cut], stream[cut:]] for cut in range(0, len(stream) + 1, 1 + len(stream) // 200)]
        for pieces in ([stream], [bytes([byte]) for byte in stream], *cuts):
            self.assertEqual(observed(made(options), pieces), want)

    @settings(max_examples=600)
    @given(streams(), st.lists(st.integers(0, 800), max_size=8), st.booleans())
    def test_many_cuts(self, case: tuple[dict[str, Any], bytes], cuts: list[int], tapped: bool) -> None:
        """Several cuts, with a tap or without, change nothing either."""
        options, stream = case
        places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
        pieces = [stream[begin:end] for begin, end in pairwise(places)]
        watch = made(options, tap=NullTap() if tapped else None)
        self.assertEqual(observed(watch, pieces), Reference(stream, **options).run())
        self.assertIsNone(watch.degraded)

    @settings(max_examples=300)
    @given(st.binary(max_size=40), st.booleans())
    def test_garbage(self, stream: bytes, mask: bool) -> None:
        """Any bytes whatever come to what the reference says."""
        options = {"masked": mask, "rsv1": True, "any_rsv": False, "limit": 100}
        self.assertEqual(observed(made(options), [stream]), Reference(stream, **options).run())

    def test_headers_at_every_byte(self) -> None:
        """Of a header that is cut nothing passes until it is whole; of each length form, masked and not."""
        for key in (None, KEY):
            for size in (0, 125, 126, 65535, 65536):
                whole = frame(BINARY, bytes(size), key=key)
                header = len(whole) - size
                for cut in range(header):
                    watch = follower(masked=key is not None)
                    self.assertEqual(watch.feed(whole[:cut]), b"")
                    self.assertFalse(watch.in_frame)
                    self.assertEqual(watch.feed(whole[cut:]), whole)
                    self.assertEqual(watch.frames, 1)


class PassingTests(SynchronousTestCase):
    def test_same_object(self) -> None:
        """What is legal and ends no header early comes back as the very object that came."""
        watch = follower()
        whole = frame(TEXT, b"a" * 64) * 3 + frame(PING, b"p") + frame(BINARY, b"b" * 3000)
        for data in (whole, whole[:-1000], whole[-1000:], whole + frame(TEXT, b"c" * 70000)[:20]):
            self.assertIs(watch.feed(data), data)

    def test_empty_read(self) -> None:
        """A read of nothing changes nothing, in the middle of a frame or between two, and no tap hears of it."""
        watch = follower(tap=NullTap())
        for data in (b"", frame(TEXT, b"hello")[:4], b"", frame(TEXT, b"hello")[4:], b""):
            self.assertEqual(watch.feed(data), data)
        self.assertEqual((watch.frames, watch.in_frame, watch.degraded), (1, False, None))

    def test_frames_and_boundaries(self) -> None:
        """Frames count when they are whole; in between there is no place for another one."""
        watch = follower()
        watch.feed(frame(TEXT, b"hello")[:4])
        self.assertEqual((watch.frames, watch.in_frame), (0, True))
        watch.feed(frame(TEXT, b"hello")[4:])
        self.assertEqual((watch.frames, watch.in_frame), (1, False))

    def test_inside_a_message(self) -> None:
        """Between the fragments of a message control frames pass."""
        watch = follower(max_message_bytes=6)
        parts = [
            frame(TEXT, b"ab", fin=False), frame(PING, b"x" * 125), frame(0, b"cd", fin=False), frame(PONG),
            frame(0, b"", fin=False), frame(0, b"ef"),
        ]  # fmt: skip
        for part in parts[:-1]:
            self.assertIs(watch.feed(part), part)
            self.assertFalse(watch.in_frame)
        self.assertIs(watch.feed(parts[-1]), parts[-1])
        self.assertEqual(watch.frames, 6)
        self.assertIsNone(watch.violation)

    def test_large_frame(self) -> None:
        """A frame of 16 MiB in pieces of 64 KiB passes piece by piece, and nothing of it is kept."""
        watch = follower(max_message_bytes=1 << 24)
        piece = bytes(65536)
        header = frame(BINARY, b"", claims=1 << 24)
        self.assertIs(watch.feed(header), header)
        tracemalloc.start()
        try:
            for _ in range(255):
                assert watch.feed(piece) is piece
            self.assertTrue(watch.in_frame)
            assert watch.feed(piece) is piece
            self.assertLess(tracemalloc.get_traced_memory()[1], 10000)
        finally:
            tracemalloc.stop()
        self.assertEqual((watch.frames, watch.in_frame), (1, False))
        self.assertEqual(watch.passed, len(header) + (1 << 24))


class CloseTests(SynchronousTestCase):
    def test_held_until_whole(self) -> None:
        """A close frame passes whole or not at all, and nothing behind it passes."""
        for key in (None, KEY):
            whole = close_frame(1001, "goodbye", mask=key)
            for cut in range(1, len(whole)):
                watch = follower(masked=key is not None)
                self.assertEqual(watch.feed(whole[:cut]), b"")
                self.assertIsNone(watch.close)
                self.assertEqual(watch.feed(whole[cut:] + b"behind"), whole)
                self.assertEqual(watch.close, (1001, "goodbye"))
                self.assertEqual(watch.feed(b"more"), b"")
                self.assertEqual((watch.passed, watch.frames), (len(whole), 1))

    def test_inside_a_message(self) -> None:
        """A close frame may come between fragments."""
        watch = follower()
        data = frame(TEXT, b"ab", fin=False) + close_frame(None, mask=None)
        self.assertIs(watch.feed(data), data)
        self.assertEqual(watch.close, (1005, ""))

    def test_reason_is_not_judged(self) -> None:
        """A reason that is not UTF-8 passes, and is read as far as it can be."""
        data = frame(8, (4000).to_bytes(2, "big") + b"a\xff")
        watch = follower()
        self.assertIs(watch.feed(data), data)
        self.assertEqual(watch.close, (4000, "a\ufffd"))

    def test_codes(self) -> None:
        """Only codes that may travel pass."""
        legal = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
        for code in (*range(0, 5100), 65535):
            self.assertEqual(may_travel(code), code in legal)
            watch = follower()
            watch.feed(frame(8, code.to_bytes(2, "big")))
            self.assertEqual(watch.violation is None, code in legal)
            self.assertEqual(watch.close is not None, code in legal)


class ViolationTests(SynchronousTestCase):
    CASES = [
        (frame(3), {}, "reserved opcode"),
        (frame(0xB), {}, "reserved opcode"),
        (frame(TEXT, rsv=4), {}, "reserved bit set"),
        (frame(TEXT, rsv=2), {"rsv1": True}, "reserved bit set"),
        (frame(PING, rsv=4), {"rsv1": True}, "reserved bit set"),
        (frame(TEXT, fin=False) + frame(0, rsv=4), {"rsv1": True}, "reserved bit set"),
        (frame(TEXT, key=KEY), {}, "masked frame"),
        (frame(TEXT), {"masked": True}, "unmasked frame"),
        (frame(PING, fin=False), {}, "fragmented control frame"),
        (frame(PING, bytes(126)), {}, "control frame of more than 125 bytes"),
        (frame(8, bytes(126)), {}, "control frame of more than 125 bytes"),
        (frame(0), {}, "continuation frame without a message"),
        (frame(TEXT, fin=False) + frame(TEXT), {}, "data frame inside a fragmented message"),
        (frame(TEXT, claims=2**63), {}, "frame length with its top bit set"),
        (frame(TEXT, bytes(125), width=2), {}, "frame length not in its shortest form"),
        (frame(TEXT, claims=65535, width=8), {}, "frame length not in its shortest form"),
        (frame(8, b"\x03"), {}, "close payload of one byte"),
        (frame(8, (1006).to_bytes(2, "big")), {}, "close code 1006 may not travel"),
    ]

    def test_reasons(self) -> None:
        """Each break of the rules is a 1002 with its own reason; what came before passes, what follows does not."""
        for broken, options, reason in self.CASES:
            watch = follower(**options)
            before = frame(BINARY, b"before", key=KEY if options.get("masked") else None)
            passed = watch.feed(before + broken + b"behind") + watch.feed(b"more")
            self.assertTrue((before + broken).startswith(passed) and passed.startswith(before), reason)
            self.assertEqual(watch.passed, len(passed))
            assert watch.violation is not None, reason
            self.assertEqual((watch.violation.code, watch.violation.reason), (1002, reason))
            self.assertEqual((watch.in_frame, watch.close), (False, None))

    def test_reserved_bits_of_unknown_extensions(self) -> None:
        """With an extension that is not known here, every reserved bit passes, on every frame."""
        for rsv in range(8):
            watch = follower(any_rsv=True)
            data = frame(TEXT, b"a", rsv=rsv, fin=False) + frame(PING, rsv=rsv) + frame(0, rsv=rsv) + frame(8, rsv=rsv)
            self.assertIs(watch.feed(data), data)

    def test_message_too_large(self) -> None:
        """A message over the limit is a 1009 at the header that says so, however it is cut into frames."""
        for limit in (5, 200, 70000):
            exact, over = bytes(limit), bytes(limit + 1)
            watch = follower(max_message_bytes=limit)
            for data in (
                frame(TEXT, exact),
                frame(TEXT, exact[1:], fin=False),
                frame(PING, bytes(100)),
                frame(0, b"a"),
            ):
                self.assertIs(watch.feed(data), data)
            self.assertEqual(watch.feed(frame(TEXT, over)), b"")
            assert watch.violation is not None
            self.assertEqual(
                (watch.violation.code, watch.violation.reason), (1009, f"message of more than {limit} bytes")
            )
            watch = follower(max_message_bytes=limit)
            first = frame(TEXT, exact, fin=False)
            self.assertEqual(watch.feed(first + frame(0, b"a", fin=False)), first)
            assert watch.violation is not None
            self.assertEqual(watch.violation.code, 1009)


class BuilderTests(SynchronousTestCase):
    def test_text(self) -> None:
        """A text frame of any size is one that its direction's follower passes, and reads back."""
        for size in (0, 5, 125, 126, 65535, 65536):
            for key in (None, KEY):
                built = whole_frame(TEXT, bytes(size), key)
                self.assertEqual(built, frame(TEXT, bytes(size), key=key))
                self.assertIs(follower(masked=key is not None).feed(built), built)

    def test_close(self) -> None:
        """A close frame carries code and reason, or nothing at all."""
        self.assertEqual(close_frame(1000, mask=None), b"\x88\x02\x03\xe8")
        self.assertEqual(close_frame(None, "unheard", mask=None), b"\x88\x00")
        self.assertEqual(close_frame(1011, "é", mask=KEY), frame(8, b"\x03\xf3" + "é".encode(), key=KEY))

    def test_close_reason_is_cut_at_a_character(self) -> None:
        """A long reason is cut to at most 123 bytes, at a character; what is no text does not fail."""
        for reason, size in (("x" * 200, 123), ("é" * 100, 122), ("x" + "é" * 100, 123), ("\U0001f600" * 40, 120)):
            text = close_frame(1001, reason, mask=None)[4:]
            self.assertEqual(len(text), size)
            self.assertLessEqual(size, MAX_REASON)
            self.assertTrue(reason.startswith(text.decode()))
        self.assertEqual(close_frame(1001, "\ud800", mask=None)[4:], b"?")

    def test_close_code_that_may_not_travel(self) -> None:
        """A close frame with a code that may not travel can't be built."""
        for code in (999, 1004, 1005, 1006, 1015, 2999, 5000):
            with self.assertRaises(ValueError):
                close_frame(code, mask=None)

    @given(st.binary(max_size=80), st.binary(min_size=4, max_size=4), st.integers(0, 9), st.integers(0, 3))
    def test_masking(self, payload: bytes, key: bytes, offset: int, times: int) -> None:
        """Masking is XOR with the key from its phase on, whatever the size, and undoes itself."""
        payload = payload * (1 + times * 300)
        phase = offset % 4
        keys = cycle(key[phase:] + key[:phase])
        want = bytes(byte ^ mask for byte, mask in zip(payload, keys, strict=False))
        self.assertEqual(masked(payload, key, offset), want)
        self.assertEqual(masked(want, key, offset), payload)

    def test_whole_frame(self) -> None:
        """Any opcode can be put into a frame."""
        self.assertEqual(whole_frame(PING, b"p", None), frame(PING, b"p"))
