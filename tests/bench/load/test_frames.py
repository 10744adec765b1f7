"""WebSocket frames as RFC 6455 and RFC 7692 give them."""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from bench.load.frames import (
    CLOSE,
    PING,
    BadFrame,
    Frames,
    client_frame,
    deflate,
    header,
    inflate,
    server_frame,
    unmask,
)  # fmt: skip
from bench.load.upgrade import accept_of
from tests.wire.splits import PROPERTY, cut, places

MASKED = bytes.fromhex("818537fa213d7f9f4d5158")
HALVES = bytes.fromhex("010348656c") + server_frame(b"?", PING) + bytes.fromhex("80026c6f")


class FrameTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """RFC 6455, 5.7."""
        self.assertEqual(server_frame(b"Hello"), bytes.fromhex("810548656c6c6f"))
        self.assertEqual(Frames(masked=True).feed(MASKED), [(1, False, b"Hello")])
        self.assertEqual(Frames(masked=False).feed(HALVES), [(PING, False, b"?"), (1, False, b"Hello")])
        self.assertEqual(header(256, 2, masked=False), bytes.fromhex("827e0100"))
        self.assertEqual(header(65536, 2, masked=False), bytes.fromhex("827f0000000000010000"))
        self.assertEqual(accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

    def test_deflated(self) -> None:
        """RFC 7692, 7.2.3.1: what is compressed comes back, and the example is read."""
        self.assertEqual(inflate(bytes.fromhex("f248cdc9c90700")), b"Hello")
        self.assertEqual(inflate(deflate(b"Hello" * 100)), b"Hello" * 100)
        self.assertEqual(header(7, masked=False, deflated=True), bytes.fromhex("c107"))
        self.assertRaises(BadFrame, inflate, b"\xff\xff\xff")

    def test_sizes(self) -> None:
        """Each form of the length, both ways."""
        for size in (0, 1, 125, 126, 65535, 65536):
            payload = bytes(size)
            self.assertEqual(Frames(masked=True).feed(client_frame(payload, 2)), [(2, False, payload)])
            self.assertEqual(Frames(masked=False).feed(server_frame(payload, 2)), [(2, False, payload)])

    @PROPERTY
    @given(places(2 * len(HALVES)))
    def test_split(self, at: list[int]) -> None:
        """Any split gives the same."""
        frames = Frames(masked=False)
        found = [message for piece in cut(HALVES * 2, at) for message in frames.feed(piece)]
        self.assertEqual(found, [(PING, False, b"?"), (1, False, b"Hello")] * 2)

    def test_mask(self) -> None:
        """A mask is put on as it is taken off, whatever the size."""
        for size in range(9):
            data = bytes(range(65, 65 + size))
            self.assertEqual(unmask(unmask(data, b"\1\2\3\4"), b"\1\2\3\4"), data)

    def test_bad(self) -> None:
        """Frames that break the rules."""
        for masked, data in (
            (True, server_frame(b"a")),
            (False, client_frame(b"a")),
            (False, b"\xa1\x00"),
            (False, server_frame(b"a", 0)),
            (False, b"\x01\x01a\x81\x01b"),
        ):
            self.assertRaises(BadFrame, Frames(masked=masked).feed, data)
        self.assertEqual(Frames(masked=False).feed(server_frame(b"\x03\xe8", CLOSE)), [(CLOSE, False, b"\x03\xe8")])
