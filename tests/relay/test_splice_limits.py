"""What passes through a spliced WebSocket, what is cut off, and how long it may be quiet."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.relay.harness import MASK
from tests.relay.test_websocket import DEFLATE, WebSocketCase
from tests.relay.test_websocket_closes import CloseCase
from tests.relay.wires import close, closes, frame, frames

ANSWERED = b"Sec-WebSocket-Extensions: permessage-deflate"


def stream(mask):
    """Frames of every legal sort in one direction."""
    return b"".join(
        (
            frame(1, b"text", mask=mask),
            frame(2, b"\xff\x00" * 100, mask=mask),
            frame(1, b"\xff not utf-8", mask=mask),
            frame(1, b"", mask=mask),
            frame(9, b"ping", mask=mask),
            frame(10, b"pong", mask=mask),
            frame(1, b"a", mask=mask, final=False),
            frame(9, b"", mask=mask),
            frame(0, b"b" * 126, mask=mask, final=False),
            frame(0, b"c", mask=mask),
            frame(2, b"x" * 70000, mask=mask),
        )
    )


class PassTests(WebSocketCase):
    def test_unchanged(self):
        """Every legal frame passes as it came, mask and fragmentation and all, both ways, and is counted."""
        harness, client, upstream = self.opened()
        for side, other, mask in ((client, upstream, MASK), (upstream, client, None)):
            data = stream(mask)
            side.say(data)
            self.assertEqual(other.taken(), data)
        client.say(close(mask=MASK))
        upstream.say(close())
        harness.settle()
        ended = harness.ended()
        self.assertEqual((ended["frames_in"], ended["frames_out"]), (12, 12))
        self.assertEqual((ended["bytes_in"], ended["bytes_out"]), (len(stream(MASK)) + 6, len(stream(None)) + 2))
        self.assertEqual(
            harness.series("websocket_frames_total"),
            {'direction="to_upstream",provider="one"': 12, 'direction="to_client",provider="one"': 12},
        )

    @settings(max_examples=40)
    @given(st.lists(st.integers(1, 500), max_size=8), st.booleans())
    def test_splits(self, sizes, by_client):
        """However the bytes are cut, the same ones come out, the payload at once."""
        harness, client, upstream = self.opened()
        side, other, mask = (client, upstream, MASK) if by_client else (upstream, client, None)
        data = rest = stream(mask)
        for size in sizes:
            piece, rest = rest[:size], rest[size:]
            side.say(piece)
            held = len(data) - len(rest) - len(other.value())
            self.assertIn(held, range(14), "only a frame's header may be held back")
        side.say(rest)
        self.assertEqual(other.taken(), data)
        self.nothing_left(harness)

    def test_deflate(self):
        """Where it was negotiated, compressed frames pass; broken ones too, as they are the ends' business."""
        _, client, upstream = self.opened(fields=(DEFLATE,), answered=(ANSWERED,))
        for payload in (b"\xaaV*.)J\xcd\x05\x00", b"no deflate at all"):
            for side, other, mask in ((client, upstream, MASK), (upstream, client, None)):
                sent = frame(1, payload, mask=mask, rsv1=True)
                side.say(sent)
                self.assertEqual(other.taken(), sent)

    def test_running_counts(self):
        """A long call's bytes and frames are counted while it runs."""
        harness, client, _ = self.opened()
        client.say(frame(1, b"x" * 94, mask=MASK))
        harness.factory.progress()
        self.assertEqual(harness.series("bytes_total"), {'direction="to_upstream",provider="one"': 100})
        self.assertEqual(harness.series("active_calls"), {'protocol="websocket",provider="one"': 1})


class ViolationTests(CloseCase):
    BROKEN = [
        ("reserved opcode", lambda mask: frame(3, b"", mask=mask)),
        ("reserved control opcode", lambda mask: frame(11, b"", mask=mask)),
        ("RSV1 not negotiated", lambda mask: frame(1, b"x", mask=mask, rsv1=True)),
        ("RSV2", lambda mask: bytes((0xA1,)) + frame(1, b"x", mask=mask)[1:]),
        ("mask rule", lambda mask: frame(1, b"x", mask=None if mask else MASK)),
        ("length not minimal", lambda mask: bytes((0x81, (0x80 if mask else 0) | 126, 0, 5)) + b"\0" * 9),
        ("long length not minimal", lambda mask: bytes((0x81, (0x80 if mask else 0) | 127)) + b"\0" * 7 + b"\x05" * 9),
        ("top bit of the length", lambda mask: bytes((0x81, (0x80 if mask else 0) | 127, 0x80)) + b"\0" * 12),
        ("long control frame", lambda mask: frame(9, b"x" * 126, mask=mask)),
        ("fragmented control frame", lambda mask: frame(9, b"", mask=mask, final=False)),
        ("stray continuation", lambda mask: frame(0, b"", mask=mask)),
        ("close of one byte", lambda mask: frame(8, b"x", mask=mask)),
        ("data inside a message", lambda mask: frame(1, b"y", mask=mask)),
    ]

    def test_table(self):
        """The sender gets 1002, the other side what a lost peer gives; nothing of the frame passes, nor behind it."""
        for by_client in (True, False):
            for name, broken in self.BROKEN:
                harness, side, other, mask = self.sides(by_client)
                before = b""
                if name == "data inside a message":
                    before = frame(1, b"a", mask=mask, final=False)
                    side.say(before)
                side.say(broken(mask) + frame(1, b"behind", mask=mask))
                theirs, passed = frames(side.taken()), other.taken()
                self.assertEqual(passed[: len(before)], before)
                self.assertEqual(
                    [each[1] for each in closes(passed[len(before) :])], [1001 if by_client else 1011], name
                )
                [(first, masked, payload)] = theirs
                self.assertEqual((first, masked, payload[:2]), (0x88, not by_client, b"\x03\xea"), name)
                harness.settle(1.5)
                ended = harness.ended()
                self.assertEqual((ended["close"]["code"], ended["close"]["side"]), (1002, "proxy"), name)
                self.assertEqual(ended["error"], "websocket_violation")
                self.assertFalse(side.connected or other.connected)

    def test_rsv1_in_a_wrong_place(self):
        """With deflate, RSV1 is right on a message's first frame only."""
        for broken in (
            frame(1, b"a", mask=MASK, final=False) + frame(0, b"b", mask=MASK, rsv1=True),
            frame(9, b"", mask=MASK, rsv1=True),
        ):
            harness, client, _ = self.opened(fields=(DEFLATE,), answered=(ANSWERED,))
            client.say(broken)
            self.assertEqual([each[1] for each in closes(client.taken())], [1002])
            harness.settle(1.5)

    def test_while_the_other_is_in_a_frame(self):
        """A side that is in the middle of a frame gets no close frame into it."""
        harness, client, upstream = self.opened()
        half = frame(2, b"x" * 50)[:20]
        upstream.say(half)
        client.say(frame(3, b"", mask=MASK))
        self.assertEqual(client.taken(), half)
        self.assertEqual([each[1] for each in closes(upstream.taken())], [1001])
        harness.settle(1.5)
        self.ends(harness, "proxy", 1002, "reserved opcode", clean=True)


class MessageLimitTests(CloseCase):
    def test_over(self):
        """A message over the limit is 1009 to who sends it, at its header or at the fragment that goes over."""
        for by_client in (True, False):
            for fragments in ((101,), (60, 41), (1, 0, 100)):
                harness, side, other, mask = self.sides(by_client, limits={"websocket_message_bytes": 100})
                for index, size in enumerate(fragments):
                    last = index == len(fragments) - 1
                    side.say(frame(0 if index else 2, b"x" * size, mask=mask, final=last))
                self.assertEqual([each[1] for each in closes(side.taken())], [1009])
                self.assertEqual(frames(other.taken())[-1][2][:2], b"\x03\xe9" if by_client else b"\x03\xf3")
                harness.settle(1.5)
                self.assertEqual(harness.ended()["close"]["code"], 1009)

    def test_at(self):
        """One of exactly the limit passes, control frames inside it not counted; and so does the next."""
        for by_client in (True, False):
            _, side, other, mask = self.sides(by_client, limits={"websocket_message_bytes": 100})
            sent = frame(2, b"x" * 60, mask=mask, final=False) + frame(9, b"y" * 125, mask=mask)
            sent += frame(0, b"x" * 40, mask=mask) + frame(1, b"x" * 100, mask=mask)
            side.say(sent)
            self.assertEqual(other.taken(), sent)
            self.assertEqual(side.taken(), b"")


class IdleTests(CloseCase):
    def test_quiet(self):
        """Nothing in either direction for idle_websocket: both get 1001 "idle timeout"."""
        harness, client, upstream = self.opened(timeouts={"idle_websocket": 60})
        for side, mask in ((client, MASK), (upstream, None)):
            harness.settle(59)
            side.say(frame(9, b"", mask=mask))
        client.taken(), upstream.taken()
        harness.settle(59)
        self.assertEqual(client.taken() + upstream.taken(), b"")
        harness.settle(2)
        self.assertEqual(closes(client.taken()), [(False, 1001, b"idle timeout")])
        self.assertEqual(closes(upstream.taken()), [(True, 1001, b"idle timeout")])
        harness.settle(1)
        self.ends(harness, "proxy", 1001, "idle timeout", clean=True)

    def test_answered(self):
        """A side that answers such a close is let go at once, without a reset."""
        harness, client, upstream = self.opened(timeouts={"idle_websocket": 60})
        harness.settle(60)
        client.say(close(1001, mask=MASK))
        upstream.say(close(1001))
        harness.settle()
        self.assertFalse(client.aborted or upstream.aborted)
        self.ends(harness, "proxy", 1001, "idle timeout", clean=True)

    def test_never(self):
        """0 is never: agents keep quiet sockets open."""
        harness, client, upstream = self.opened()
        harness.settle(10000)
        self.assertEqual(client.taken() + upstream.taken(), b"")
        self.assertTrue(client.connected and upstream.connected)
