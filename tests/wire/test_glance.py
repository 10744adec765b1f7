"""How much of a message is wanted is asked once, by its first bytes, whatever frames it comes in."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.deflate import Inflater
from agentproxy.wire.frames import FrameFollower
from agentproxy.wire.messages import BINARY, GLANCE, TEXT, MessageReader
from tests.wire.test_messages import KEY, Sender

HUGE = 1 << 62
WANTS = st.sampled_from([0, 1, 5, GLANCE - 1, GLANCE, GLANCE + 1, 200, 1000, HUGE])
SIZES = st.sampled_from([0, 1, 10, GLANCE - 1, GLANCE, GLANCE + 1, 2 * GLANCE, 500, 3000])
MESSAGES = st.lists(st.tuples(SIZES, WANTS, st.booleans(), st.sampled_from([1, 7, 100, 1 << 20])), max_size=5)


class Glances:
    """
    Followed messages of one direction, of each of which its own number of bytes is wanted.

    :ivar asked: what it was asked by; ``heard``: what was reported, in order.
    """

    def __init__(
        self, wants: list[int], *, key: bytes | None = None, deflate: bool = False, anew: bool = False
    ) -> None:
        self._wants = iter(wants)
        self.asked: list[bytes] = []
        self.heard: list[tuple[bool, bytes, bool]] = []
        inflate = Inflater(window_bits=15, no_context_takeover=anew) if deflate else None
        self.reader = MessageReader(self._wanted, lambda *said: self.heard.append(said), inflate=inflate)
        self.follower = FrameFollower(masked=key is not None, rsv1=True, max_message_bytes=1 << 30, tap=self.reader)

    def _wanted(self, beginning: bytes) -> int:
        assert type(beginning) is bytes
        self.asked.append(beginning)
        return next(self._wants)

    def feed(self, data: bytes, piece: int = 1 << 30) -> None:
        """Everything passes, whatever is wanted of it."""
        passed = b"".join([self.follower.feed(data[at : at + piece]) for at in range(0, len(data), piece)])
        assert passed == data
        assert (self.follower.violation, self.follower.degraded) == (None, None)


def payload(size: int, number: int = 0) -> bytes:
    """Bytes of which every stretch of some length is another one."""
    return (b"%d." % number + b"".join(b"%x," % count for count in range(size // 2 + 1)))[:size]


class GlanceTests(SynchronousTestCase):
    @settings(max_examples=200)
    @given(MESSAGES, st.booleans(), st.booleans(), st.sampled_from([1, 3, 64, 1000, 1 << 20]))
    @example([(GLANCE, 0, True, 1)], True, False, 1)
    def test_any_message(self, messages: list[tuple[int, int, bool, int]], mask: bool, anew: bool, piece: int) -> None:
        """It is asked once a message, by its first bytes; and just what is wanted is reported, if that is anything."""
        key = KEY if mask else None
        sender = Sender(key, no_context_takeover=anew)
        seen = Glances([want for _, want, _, _ in messages], key=key, deflate=True, anew=anew)
        payloads = [payload(size, number) for number, (size, _, _, _) in enumerate(messages)]
        for data, (_, _, compress, fragment) in zip(payloads, messages, strict=True):
            seen.feed(sender.message(TEXT, data, compress=compress, fragment=fragment), piece)
        self.assertEqual(seen.asked, [data[:GLANCE] for data in payloads])
        self.assertEqual(
            seen.heard,
            [
                (True, data[:want], len(data) > want)
                for data, (_, want, _, _) in zip(payloads, messages, strict=True)
                if want
            ],
        )
        self.assertIsNone(seen.reader.degraded)

    def ways(self) -> list[tuple[str, bytes | None, bool, bool, int]]:
        """Every way in which a message can come: (what it is, key, compressed, without takeover, fragments' size)."""
        return [
            (f"{key!r} {compress} {anew} {fragment}", key, compress, anew, fragment)
            for key in (None, KEY)
            for compress in (False, True)
            for anew in ((False, True) if compress else (False,))
            for fragment in (1 << 30, 50)
        ]

    def each_way(self, wants: list[int], check: Callable[[str, Sender, Glances, bool, int], None]) -> None:
        for what, key, compress, anew, fragment in self.ways():
            sender = Sender(key, no_context_takeover=anew)
            check(what, sender, Glances(wants, key=key, deflate=compress, anew=anew), compress, fragment)

    def test_nothing_wanted(self) -> None:
        """A message of which nothing is wanted is not reported, and those behind it are."""

        def check(what: str, sender: Sender, seen: Glances, compress: bool, fragment: int) -> None:
            for size in (0, 10, GLANCE, 5000):
                seen.feed(sender.message(TEXT, payload(size), compress=compress, fragment=fragment))
            seen.feed(sender.message(BINARY, b"next", compress=compress, fragment=fragment))
            self.assertEqual(seen.heard, [(False, b"next", False)], what)
            self.assertEqual(len(seen.asked), 5, what)

        self.each_way([0, 0, 0, 0, 9], check)

    def test_all_wanted(self) -> None:
        """However much is wanted, no more is reported than came."""

        def check(what: str, sender: Sender, seen: Glances, compress: bool, fragment: int) -> None:
            for size in (0, 10, GLANCE, 5000):
                seen.feed(sender.message(TEXT, payload(size), compress=compress, fragment=fragment))
            self.assertEqual(seen.heard, [(True, payload(size), False) for size in (0, 10, GLANCE, 5000)], what)

        self.each_way([HUGE] * 4, check)

    def test_less_than_a_glance(self) -> None:
        """Less may be wanted than was looked at."""

        def check(what: str, sender: Sender, seen: Glances, compress: bool, fragment: int) -> None:
            for size in (5, 10, GLANCE, 5000):
                seen.feed(sender.message(TEXT, payload(size), compress=compress, fragment=fragment))
            self.assertEqual(seen.heard, [(True, payload(size)[:5], size > 5) for size in (5, 10, GLANCE, 5000)], what)

        self.each_way([5] * 4, check)

    def test_decided_at_the_glance(self) -> None:
        """It is asked as soon as that much is here, not only at the message's end."""
        for key in (None, KEY):
            seen = Glances([1000], key=key)
            data = Sender(key).message(TEXT, payload(5000))
            head = len(data) - 5000
            seen.feed(data[: head + GLANCE - 1])
            self.assertEqual(seen.asked, [])
            seen.feed(data[head + GLANCE - 1 : head + GLANCE])
            self.assertEqual((seen.asked, seen.heard), ([payload(5000)[:GLANCE]], []))
            seen.feed(data[head + GLANCE :])
            self.assertEqual(seen.heard, [(True, payload(5000)[:1000], True)])

    def test_lost(self) -> None:
        """Of a message that can't be inflated from its beginning nothing is asked."""
        seen = Glances([], deflate=True)
        sender = Sender()
        seen.feed(sender.frame(TEXT, b"\xff\xff\xff", rsv1=True) + sender.message(TEXT, b"plain"))
        self.assertEqual((seen.asked, seen.heard, seen.reader.degraded), ([], [], "invalid deflate data"))


class MemoryTests(SynchronousTestCase):
    def peak(self, seen: Glances, head: bytes, size: int) -> int:
        """The most that was held while a message of zeros of this size passed."""
        piece = bytes(65536)
        seen.feed(head)
        tracemalloc.start()
        try:
            for _ in range(size // len(piece)):
                seen.follower.feed(piece)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_long_frame(self) -> None:
        """A frame of 64 MiB passes, and of it no more is held than is wanted."""
        size = 64 << 20
        for key in (None, KEY):
            first = bytes([0x82, 127 | (0x80 if key else 0)]) + size.to_bytes(8, "big") + (key or b"")
            for want in (0, 5, 100_000):
                seen = Glances([want], key=key)
                self.assertLess(self.peak(seen, first, size), 2 * want + 400_000, (key, want))
                self.assertEqual([(len(data), cut) for _, data, cut in seen.heard], [(want, True)] if want else [])
                self.assertEqual(len(seen.asked), 1)

    def test_long_compressed_message(self) -> None:
        """So does a compressed one, with and without takeover."""
        data = payload(100_000) * 100
        for anew in (False, True):
            sender = Sender(no_context_takeover=anew)
            message = sender.message(TEXT, data, compress=True)
            behind = sender.message(TEXT, data[:300], compress=True)
            for want in (0, 5, 100_000):
                seen = Glances([want, 9], deflate=True, anew=anew)
                tracemalloc.start()
                try:
                    for at in range(0, len(message), 16384):
                        seen.follower.feed(message[at : at + 16384])
                    held = tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()
                self.assertLess(held, 2 * want + 2_500_000, (anew, want))
                seen.feed(behind)
                self.assertEqual(seen.heard[-1], (True, data[:9], True), (anew, want))
                self.assertEqual(len(seen.asked), 2)
