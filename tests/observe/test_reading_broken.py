"""Bodies that break off, that can't be decoded, and readers that raise: what is still read of them."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.openai_reader import reader
from agentproxy.usage import MOST_TOLD, Alike, Status, Turn
from agentproxy.wire.decoding import MAX_DECODED
from tests.observe.page_case import CODINGS, SSE, answers, events
from tests.observe.reading_case import ASKED, REPORTED, STREAM, USED, WHOLE, Tapped, unread
from tests.providers import response_shapes as shapes
from tests.wire.splits import PROPERTY, cut, places


class BrokenOffTests(SynchronousTestCase):
    def test_no_head(self) -> None:
        """A client, or an upstream, that is gone before the head leaves a turn that is not settled."""
        for body in (ASKED, ASKED[:20], b""):
            tapped = Tapped()
            tapped.tap.asked(body)
            tapped.tap.end(False)
            unread(tapped)
            self.assertEqual(tapped.looked, [body])

    def test_no_body(self) -> None:
        """So does one that ends behind the head, truly or not."""
        for kind in (SSE, b"application/json"):
            for complete in (True, False):
                tapped = Tapped().asked(ASKED)
                tapped.told(answers(200, kind), complete=complete)
                unread(tapped)

    def test_half_a_stream(self) -> None:
        """Of half a stream what was said counts, wherever it breaks."""
        end = STREAM.rindex(b"data: ")
        for at in range(0, len(STREAM), 5):
            tapped = Tapped().asked(ASKED)
            turn = tapped.told(answers(200, SSE), STREAM[:at], complete=False)
            self.assertEqual(turn.status == "unsettled", at <= len(STREAM) - 1, at)
            if at == end - end % 5:
                self.assertEqual(turn.output_characters, len("Hello there, you"))

    def test_half_a_body(self) -> None:
        """Of half a JSON body its length counts, and what stands in it."""
        for at in range(30, len(WHOLE), 5):
            tapped = Tapped().asked(ASKED)
            turn = tapped.told(answers(200), WHOLE[:at], complete=False)
            self.assertEqual((turn.status == "running", turn.source == "missing"), (False, False), at)
            self.assertIsNotNone(turn.usage)
            self.assertIsNotNone(tapped.tap.degraded)

    def test_drop(self) -> None:
        """Where upstream was never asked there is no turn, whatever is told later."""
        for steps in range(2):
            tapped = Tapped()
            tapped.tap.asked(ASKED)
            if steps:
                tapped.tap.sent()
            tapped.tap.drop()
            tapped.tap.asked(ASKED)
            tapped.tap.sent()
            tapped.tap.begin(answers(200, SSE))
            tapped.tap.feed(STREAM)
            tapped.tap.end(False)
            self.assertEqual((tapped.turns, tapped.tap.degraded), ([], None))

    @PROPERTY
    @given(st.sampled_from([SSE, b"application/json"]), st.binary(max_size=60), places(60), st.booleans())
    def test_any_body(self, kind: bytes, body: bytes, at: list[int], complete: bool) -> None:
        """Whatever comes, there is one turn, and nothing is raised."""
        for coding in (b"identity", *CODINGS):
            for data in (body, STREAM + b"data: " + body + b"\n\n", CODINGS.get(coding, bytes)(body)):
                tapped = Tapped().asked(body)
                turn = tapped.told(answers(200, kind, (b"Content-Encoding", coding)), *cut(data, at), complete=complete)
                self.assertIn(turn.source, ("reported", "estimated"))


class BrokenCodingTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """A response of an unknown coding is not read, and says so."""
        for coding in (b"snappy", b"gzip, dcb", b"gzip," * 5):
            tapped = Tapped().asked(ASKED)
            tapped.told(answers(200, SSE, (b"Content-Encoding", coding)), STREAM)
            unread(tapped)
            self.assertEqual(tapped.tap.degraded, "a response of an unknown content coding")

    def test_broken(self) -> None:
        """What came before a coding breaks is read; nothing behind it is."""
        for coding, encode in CODINGS.items():
            data = bytearray(encode(STREAM))
            half = len(data) // 2
            data[half:] = bytes(255 - byte for byte in data[half:])
            tapped = Tapped().asked(ASKED)
            turn = tapped.told(answers(200, SSE, (b"Content-Encoding", coding)), bytes(data), encode(STREAM))
            self.assertIsNotNone(tapped.tap.degraded, coding)
            self.assertIn(turn.status, ("unsettled", "completed"))

    def test_cut_short(self) -> None:
        """A body that ends inside its coding says so, but only where it had come to its end."""
        for coding, encode in CODINGS.items():
            data = encode(STREAM)[:-1]
            for complete in (True, False):
                tapped = Tapped().asked(ASKED)
                tapped.told(answers(200, SSE, (b"Content-Encoding", coding)), data, complete=complete)
                self.assertEqual(tapped.tap.degraded is not None, complete, coding)

    def test_bomb(self) -> None:
        """A response that decodes out of all proportion is read no further."""
        for kind in (SSE, b"application/json"):
            data = zlib.compress(events(shapes.created("resp_1"), shapes.delta("x" * 40)) + bytes(MAX_DECODED))
            tapped = Tapped().asked(ASKED)
            pieces = [data[at : at + 1024] for at in range(0, len(data), 1024)]
            tapped.told(answers(200, kind, (b"Content-Encoding", b"deflate")), *pieces)
            unread(tapped)
            self.assertIsNotNone(tapped.tap.degraded)

    def test_large_body(self) -> None:
        """A body that is too large to be read is given up, and says so."""
        tapped = Tapped().asked(ASKED)
        piece = b" " * (1 << 20)
        turn = tapped.told(answers(200), WHOLE[:-1], *[piece] * (MOST_TOLD >> 20), b"}")
        self.assertEqual(tapped.tap.degraded, "a response too large to read")
        self.assertEqual((turn.status, turn.source), ("completed", "reported"))

    def test_large_event(self) -> None:
        """So is a single event; those behind it are read."""
        tapped = Tapped().asked(ASKED)
        large = b"data: " + b"x" * (1 << 20)
        tapped.tap.begin(answers(200, SSE))
        tapped.tap.feed(events(shapes.created("resp_1")))
        for _ in range(17):
            tapped.tap.feed(large if _ == 0 else large[6:])
        tapped.tap.feed(b"\n\n" + events(shapes.over("resp_1", USED)))
        tapped.tap.end(True)
        self.assertEqual((tapped.used(), tapped.tap.degraded), (REPORTED, "an event too large to read"))

    def test_garbage_in_a_stream(self) -> None:
        """Events that are no JSON say so, however many there are, and those behind them are read."""
        for garbage in (b"x", b"<html>", b"\xff", b"nonsense " * 20):
            data = events(shapes.created("resp_1"), *[garbage] * 500, shapes.over("resp_1", USED))
            for size in (1400, 1 << 20):
                tapped = Tapped().asked(ASKED)
                tapped.told(answers(200, SSE), *(data[at : at + size] for at in range(0, len(data), size)))
                self.assertEqual((tapped.used(), tapped.tap.degraded), (REPORTED, "an event that is no JSON"))
                self.assertEqual(tapped.turns[0].output_characters, 0)


class Broken:
    """A reader that raises in one of its methods, and keeps what it is told then."""

    degraded: str | None = None

    def __init__(self, fault: str) -> None:
        self._fault = fault
        self._raised = False
        self.after: list[str] = []

    def _called(self, name: str) -> None:
        if self._raised:
            self.after.append(name)
        if name == self._fault:
            self._raised = True
            raise ValueError("secret payload")

    def asked(self, data: bytes, at: float) -> None:
        self._called("asked")

    def told(self, data: bytes, at: float) -> Alike | None:
        self._called("told")
        return Alike(b"{")

    def skimmed(self, events: int, size: int) -> None:
        self._called("skimmed")

    def closed(self, at: float, status: Status = "unsettled") -> None:
        self._called("closed")


class FaultTests(SynchronousTestCase):
    def test_broken_reader(self) -> None:
        """A reader that raises is told only that it is over, for what it knows; of its error the type is told alone."""
        for fault in ("asked", "told", "skimmed", "closed"):
            for kind, body in ((SSE, STREAM), (b"application/json", WHOLE)):
                made = Broken(fault)
                tapped = Tapped(turn_reader=made).asked(ASKED)
                tapped.tap.begin(answers(200, kind))
                tapped.tap.feed(body)
                tapped.tap.feed(body)
                tapped.tap.end(True)
                tapped.tap.end(True)
                raised = fault != "skimmed" or kind == SSE
                self.assertEqual(made.after, ["closed"] if raised else [], fault)
                if raised:
                    self.assertEqual(tapped.tap.degraded, "the reader raised ValueError", fault)

    def test_broken_refusal(self) -> None:
        """So it is with one that raises at a refusal."""
        made = Broken("closed")
        tapped = Tapped(turn_reader=made).asked(ASKED)
        tapped.tap.begin(answers(400))
        tapped.tap.end(True)
        self.assertEqual((made.after, tapped.tap.degraded), (["closed"], "the reader raised ValueError"))

    def test_its_turn(self) -> None:
        """The turn that a reader knew of when it raised is booked, as one that is not settled."""
        made: list[Turn] = []
        broken = reader(b"POST", b"/v1/responses", False, made.append)
        assert broken is not None
        tapped = Tapped(turn_reader=broken).asked(ASKED)
        broken.told = Broken("told").told  # type: ignore[method-assign]
        tapped.tap.begin(answers(200, SSE))
        tapped.tap.feed(STREAM)
        tapped.tap.end(True)
        [turn] = made
        self.assertEqual((turn.status, turn.source, turn.model_asked), ("unsettled", "estimated", shapes.MODEL))

    def test_broken_look(self) -> None:
        """Whoever raises at the sight of the body is no reason not to read the turn."""

        def look(body: bytes) -> None:
            raise KeyError("secret payload")

        tapped = Tapped(look=look).asked(ASKED)
        tapped.told(answers(200, SSE), STREAM)
        self.assertEqual(tapped.used(), REPORTED)
