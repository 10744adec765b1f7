"""What `wire.messages` makes of the frames that pass, and that nothing it meets ever reaches the connection."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.deflate import Inflater
from agentproxy.wire.frames import FrameFollower
from agentproxy.wire.masking import masked
from agentproxy.wire.messages import BINARY, TEXT, MessageReader

KEY = b"\x01\x80\xfe\x33"
PING = 0x9


class Sender:
    """One end's frames: masked or not, compressed or not, in as many fragments as asked for."""

    def __init__(self, key: bytes | None = None, *, no_context_takeover: bool = False) -> None:
        self._key = key
        self._anew = no_context_takeover
        self._stream = zlib.compressobj(wbits=-15)

    def frame(self, opcode: int, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
        size = len(payload)
        bit = 0x80 if self._key else 0
        head = bytes([fin << 7 | rsv1 << 6 | opcode])
        if size < 126:
            head += bytes([bit | size])
        elif size < 65536:
            head += bytes([bit | 126]) + size.to_bytes(2, "big")
        else:
            head += bytes([bit | 127]) + size.to_bytes(8, "big")
        return head + (self._key + masked(payload, self._key) if self._key else payload)

    def message(self, opcode: int, payload: bytes, *, compress: bool = False, fragment: int = 1 << 30) -> bytes:
        data = self.deflated(payload) if compress else payload
        parts = [data[at : at + fragment] for at in range(0, len(data), fragment)] or [b""]
        out = b""
        for index, part in enumerate(parts):
            first, last = index == 0, index == len(parts) - 1
            out += self.frame(opcode if first else 0, part, fin=last, rsv1=compress and first)
            if not last:
                out += self.frame(PING, b"between")
        return out

    def deflated(self, payload: bytes) -> bytes:
        if self._anew:
            self._stream = zlib.compressobj(wbits=-15)
        return (self._stream.compress(payload) + self._stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Watched:
    """A follower with a reader as its tap, and what the reader reported."""

    def __init__(
        self, *, key: bytes | None = None, deflate: bool = False, anew: bool = False, max_bytes: int = 1 << 20
    ) -> None:
        self.heard: list[tuple[bool, bytes, bool]] = []
        inflate = Inflater(window_bits=15, no_context_takeover=anew) if deflate else None
        self.reader = MessageReader(lambda _: max_bytes, self.hear, inflate=inflate)
        self.follower = FrameFollower(masked=key is not None, rsv1=True, max_message_bytes=1 << 28, tap=self.reader)

    def hear(self, is_text: bool, payload: bytes, truncated: bool) -> None:
        self.heard.append((is_text, payload, truncated))

    def feed(self, data: bytes, piece: int = 1 << 30) -> None:
        """Everything passes, whatever the reader makes of it."""
        out = b"".join([self.follower.feed(data[at : at + piece]) for at in range(0, len(data), piece)])
        assert out == data
        assert self.follower.violation is None


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([TEXT, BINARY]),
        st.one_of(st.binary(max_size=20), st.binary(min_size=1, max_size=9).map(lambda part: part * 40)),
        st.booleans(),
        st.integers(1, 60),
    ),
    max_size=6,
)


class ReaderTests(SynchronousTestCase):
    @settings(max_examples=250)
    @given(MESSAGES, st.booleans(), st.booleans(), st.integers(1, 100), st.sampled_from([0, 7, 200, 1000]))
    def test_conversations(
        self, messages: list[tuple[int, bytes, bool, int]], mask: bool, anew: bool, piece: int, room: int
    ) -> None:
        """Every message is reported as it was sent: masked, fragmented, compressed, cut anywhere, up to the room."""
        key = KEY if mask else None
        sender, watched = (
            Sender(key, no_context_takeover=anew),
            Watched(key=key, deflate=True, anew=anew, max_bytes=room),
        )
        stream = b"".join(
            sender.message(opcode, payload, compress=compress, fragment=fragment)
            for opcode, payload, compress, fragment in messages
        )
        watched.feed(stream, piece)
        want = [(opcode == TEXT, payload[:room], len(payload) > room) for opcode, payload, _, _ in messages if room]
        self.assertEqual(watched.heard, want)
        self.assertEqual((watched.reader.degraded, watched.follower.degraded), (None, None))

    def test_context_takeover(self) -> None:
        """Compressed messages build on each other, plain ones between them do not matter."""
        sender, watched = Sender(), Watched(deflate=True)
        text = bytes(range(256)) * 3
        for compress in (True, True, False, True):
            watched.feed(sender.message(TEXT, text, compress=compress))
        self.assertEqual(watched.heard, [(True, text, False)] * 4)

    def test_context_survives_a_truncated_message(self) -> None:
        """Of a message over the room only the beginning is kept, and the next one is still understood."""
        sender, watched = Sender(KEY), Watched(key=KEY, deflate=True, max_bytes=600)
        text = bytes(range(256)) * 1000
        watched.feed(sender.message(BINARY, text, compress=True), 100)
        watched.feed(sender.message(TEXT, text[-512:], compress=True), 100)
        self.assertEqual(watched.heard, [(False, text[:600], True), (True, text[-512:], False)])

    def test_unfinished(self) -> None:
        """A message is reported when it is whole, not before."""
        watched = Watched()
        data = Sender().message(TEXT, b"hello", fragment=2)
        watched.feed(data[:-1])
        self.assertEqual(watched.heard, [])
        watched.feed(data[-1:])
        self.assertEqual(watched.heard, [(True, b"hello", False)])

    def test_many_fragments_in_bounded_memory(self) -> None:
        """A message of many tiny fragments costs what is kept of it, whatever its size."""
        watched = Watched(max_bytes=100_000)
        sender = Sender()
        middle = sender.frame(0, b"ab", fin=False) * 100
        watched.feed(sender.frame(TEXT, b"", fin=False))
        tracemalloc.start()
        try:
            for _ in range(1000):
                watched.feed(middle)
            self.assertLess(tracemalloc.get_traced_memory()[1], 500_000)
        finally:
            tracemalloc.stop()
        watched.feed(sender.frame(0, b""))
        self.assertEqual(watched.heard, [(True, b"ab" * 50_000, True)])


class DegradedTests(SynchronousTestCase):
    def test_invalid_deflate(self) -> None:
        """With context takeover, nothing is reported from a message on that can't be inflated."""
        sender, watched = Sender(), Watched(deflate=True)
        watched.feed(sender.message(TEXT, b"one", compress=True))
        watched.feed(sender.frame(TEXT, b"\xff\xff\xff", rsv1=True, fin=False) + sender.frame(0, b"more"))
        watched.feed(sender.message(TEXT, b"two", compress=True) + sender.message(TEXT, b"three"))
        self.assertEqual(watched.heard, [(True, b"one", False)])
        self.assertEqual(watched.reader.degraded, "invalid deflate data")
        self.assertIsNone(watched.follower.degraded)

    def test_recovery(self) -> None:
        """Without context takeover, reading goes on with the next message, and the reason stays."""
        sender, watched = Sender(no_context_takeover=True), Watched(deflate=True, anew=True)
        watched.feed(sender.frame(TEXT, b"\xff\xff\xff", rsv1=True, fin=False) + sender.frame(0, b"more"))
        watched.feed(sender.message(TEXT, b"two", compress=True) + sender.message(TEXT, b"three"))
        self.assertEqual(watched.heard, [(True, b"two", False), (True, b"three", False)])
        self.assertEqual(watched.reader.degraded, "invalid deflate data")

    def test_first_reason(self) -> None:
        """Where reading goes on, the first reason is the one that stays."""
        sender, watched = Sender(no_context_takeover=True), Watched(deflate=True, anew=True)
        watched.feed(sender.frame(TEXT, b"\xff\xff\xff", rsv1=True) + sender.frame(TEXT, b"\x03\x00" * 99, rsv1=True))
        self.assertEqual((watched.heard, watched.reader.degraded), ([], "invalid deflate data"))

    def test_compression_unheard_of(self) -> None:
        """A compressed message where no inflater was given ends the reading."""
        watched = Watched()
        watched.feed(Sender().message(TEXT, b"one", compress=True) + Sender().message(TEXT, b"two"))
        self.assertEqual(watched.heard, [])
        self.assertEqual(watched.reader.degraded, "a compressed message where no compression was negotiated")

    def test_bomb(self) -> None:
        """A hundred megabytes of zeros pass; the reader gives up on them, in bounded memory."""
        sender, watched = Sender(KEY), Watched(key=KEY, deflate=True)
        bomb = sender.message(BINARY, bytes(100_000_000), compress=True)
        tracemalloc.start()
        try:
            watched.feed(bomb, 16384)
            self.assertLess(tracemalloc.get_traced_memory()[1], 8_000_000)
        finally:
            tracemalloc.stop()
        self.assertEqual(watched.heard, [])
        self.assertEqual(watched.reader.degraded, "messages that inflate out of all proportion")

    def test_bomb_without_takeover(self) -> None:
        """Without context takeover a bomb is a truncated message like any other."""
        sender, watched = Sender(no_context_takeover=True), Watched(deflate=True, anew=True, max_bytes=10)
        watched.feed(sender.message(BINARY, bytes(100_000_000), compress=True), 16384)
        watched.feed(sender.message(TEXT, b"next", compress=True))
        self.assertEqual(watched.heard, [(False, bytes(10), True), (True, b"next", False)])
        self.assertIsNone(watched.reader.degraded)


class FaultyTap:
    """A tap that raises at one of its methods, and counts its calls."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.after = 0
        self.raised = False

    def _called(self, name: str) -> None:
        self.after += self.raised
        if name == self.fault:
            self.raised = True
            raise ValueError("secret payload")

    def begin(self, opcode: int, compressed: bool) -> None:
        self._called("begin")

    def payload(self, data: bytes, start: int, end: int, key: bytes | None, offset: int) -> None:
        self._called("payload")

    def end(self) -> None:
        self._called("end")

    def whole(self, first: int, data: bytes, start: int, end: int, key: bytes | None) -> None:
        self._called("whole")


class GuardTests(SynchronousTestCase):
    def test_faulty_taps(self) -> None:
        """A tap that raises is dropped for good, and everything passes as if it had never been."""
        sender = Sender()
        data = sender.message(TEXT, b"hello") + sender.message(BINARY, b"x" * 300, fragment=100)
        for fault in ("begin", "payload", "end"):
            for piece in (1, 3, 50, 1000):
                tap: Any = FaultyTap(fault)
                follower = FrameFollower(masked=False, rsv1=False, max_message_bytes=1000, tap=tap)
                passed = b"".join([follower.feed(data[at : at + piece]) for at in range(0, len(data), piece)])
                self.assertEqual(passed, data)
                self.assertEqual((follower.frames, follower.in_frame, follower.violation), (6, False, None))
                self.assertEqual((tap.raised, tap.after), (True, 0))
                self.assertEqual(follower.degraded, "the tap raised ValueError")
        tap = FaultyTap("whole")
        follower = FrameFollower(masked=False, rsv1=False, max_message_bytes=1000, tap=tap)
        self.assertEqual(follower.feed(data), data)
        self.assertEqual((tap.raised, tap.after), (True, 0))

    def test_faulty_callback(self) -> None:
        """What `on_message` raises ends the watching only."""

        def fail(is_text: bool, payload: bytes, truncated: bool) -> None:
            raise KeyError("secret payload")

        reader = MessageReader(lambda _: 10, fail, inflate=None)
        follower = FrameFollower(masked=False, rsv1=False, max_message_bytes=1000, tap=reader)
        data = Sender().message(TEXT, b"hello") * 3
        self.assertIs(follower.feed(data), data)
        self.assertEqual((follower.frames, follower.degraded), (3, "the tap raised KeyError"))

    def test_nothing_of_broken_messages(self) -> None:
        """Of a message that is broken off, and of control frames, nothing is reported."""
        watched = Watched()
        sender = Sender()
        data = sender.frame(TEXT, b"half", fin=False) + sender.frame(PING, b"ping")
        self.assertEqual(watched.follower.feed(data + sender.frame(TEXT, b"other")), data)
        self.assertIsNotNone(watched.follower.violation)
        self.assertEqual(watched.heard, [])
