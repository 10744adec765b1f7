"""The pages of HTTP calls: their steps told, and what is then on record."""

from __future__ import annotations

from agentproxy.usage import MOST_ASKED
from tests.agents.clients import CLAUDE, PLACE, SESSION, claude_body
from tests.observe.page_case import SSE, BookCase, Sink, answers, asks, dump, events
from tests.observe.socket_case import ASKED, STREAM, USED
from tests.providers import response_shapes as shapes


class HttpTests(BookCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = Sink()
        self.books = self.ledger(self.sink)

    def tearDown(self) -> None:
        self.assert_no_fault()

    def counts(self) -> tuple[int, int]:
        return len(self.sink.turns), len(self.sink.calls)

    def test_a_call(self) -> None:
        """A turn is on record as soon as it has ended, its call once that is over."""
        page = self.http(self.books)
        self.assertTrue(page.reads)
        page.asked(ASKED[:9])
        page.asked(ASKED[9:])
        page.sent()
        page.begin(answers(200, SSE))
        page.feed(STREAM[:-1])
        self.assertEqual(self.counts(), (0, 0))
        page.feed(STREAM[-1:])
        self.assertEqual(self.counts(), (1, 0))
        page.end(True)
        page.ended()
        self.assertEqual(self.counts(), (1, 1))
        [turn], [call] = self.sink.turns, self.sink.calls
        self.assertEqual(
            (turn.source, turn.input_tokens, turn.call_key, turn.degraded), ("reported", 500, page.key, None)
        )
        self.assertEqual((call.key, call.degraded), (page.key, None))

    def test_long_request(self) -> None:
        """Who sends a request of megabytes is read at its end, too."""
        body = claude_body("Hi", "x" * 2 * MOST_ASKED)
        head = asks(b"/v1/messages", (b"User-Agent", CLAUDE.encode()))
        page = self.http(self.books, head, "anthropic")
        for at in range(0, len(body), 65536):
            page.asked(body[at : at + 65536])
        page.sent()
        page.ended()
        [turn] = self.sink.turns
        self.assertEqual((turn.session, turn.session_source, turn.working_directory), (SESSION, "stated", PLACE))
        self.assertEqual(turn.request_model, "claude-sonnet-4-5")

    def test_whole_body(self) -> None:
        """A body in one piece is read at the response's end."""
        page = self.http(self.books)
        page.asked(ASKED)
        page.sent()
        page.begin(answers())
        page.feed(dump(shapes.response("resp_1", "completed", usage=USED)))
        page.end(True)
        page.end(False)
        page.ended()
        self.assertEqual(self.counts(), (1, 1))
        self.assertEqual(self.sink.turns[0].source, "reported")

    def test_no_turn(self) -> None:
        """A call that asks for none has its own record alone, and is not read."""
        for head in (asks(b"/v1/models", method=b"GET"), asks(b"/v1/files"), asks(method=b"DELETE")):
            page = self.http(self.books, head)
            self.assertFalse(page.reads)
            page.asked(ASKED)
            page.sent()
            page.begin(answers(200, SSE))
            page.feed(STREAM)
            page.end(True)
            page.ended()
        self.assertEqual(self.counts(), (0, 3))

    def test_unasked(self) -> None:
        """Nor is there a turn where upstream was never asked."""
        page = self.http(self.books)
        page.asked(ASKED)
        page.sent()
        page.unasked()
        page.ended()
        self.assertEqual(self.counts(), (0, 1))

    def test_refused(self) -> None:
        """What upstream refused costs nothing, and says why."""
        for status in (400, 429, 503, 529):
            page = self.http(self.books)
            page.asked(ASKED)
            page.begin(answers(status))
            page.feed(b'{"error":{"message":"No."}}')
            page.end(True)
            page.ended()
            turn = self.sink.turns.pop()
            self.assertEqual((turn.status, turn.source, turn.input_tokens, turn.cost_micro_usd),
                             ("failed", "missing", None, 0))  # fmt: skip
            self.assertEqual(turn.note, f"upstream refused it with status {status}")
            self.assertEqual(turn.request_model, shapes.MODEL)
        self.assertEqual(self.series("tokens_total"), {})

    def test_broken_off(self) -> None:
        """A call that breaks off, at any step, leaves one turn that is not settled, with an estimate."""
        steps = 5
        for last in range(steps):
            page = self.http(self.books)
            if last > 0:
                page.asked(ASKED)
            if last > 1:
                page.sent()
            if last > 2:
                page.begin(answers(200, SSE))
            if last > 3:
                page.feed(STREAM[:-40])
                page.end(False)
            page.ended()
            turn = self.sink.turns[-1]
            self.assertEqual((turn.status, turn.source), ("unsettled", "estimated"), last)
            self.assertGreater(turn.input_tokens or 0, 0)
        self.assertEqual(self.counts(), (steps, steps))

    def test_nothing_behind_the_end(self) -> None:
        """Once the call is over, nothing that is told makes a turn."""
        page = self.http(self.books)
        page.ended()
        self.assertEqual(self.counts(), (1, 1))
        page.asked(ASKED)
        page.sent()
        page.begin(answers(200, SSE))
        page.feed(STREAM)
        page.end(True)
        page.unasked()
        self.assertEqual((self.counts(), page.degraded, page.reads), ((1, 1), None, False))

    def test_degraded(self) -> None:
        """Why something could not be read is on both records."""
        page = self.http(self.books)
        page.asked(ASKED)
        page.begin(answers(200, SSE))
        page.feed(b"data: nonsense\n\n" + STREAM)
        page.end(True)
        page.ended()
        self.assertEqual([record.degraded for record in (self.sink.turns[0], self.sink.calls[0])],
                         ["an event that is no JSON"] * 2)  # fmt: skip

    def test_other_kinds(self) -> None:
        """Whatever the kind, the path tells what is spoken."""
        stream = events({"type": "message_start", "message": {"id": "m", "model": "claude-opus-4-5", "usage": {
            "input_tokens": 7, "output_tokens": 1}}}, {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 9}}, {"type": "message_stop"})  # fmt: skip
        for kind in ("anthropic", "copilot", "openai"):
            page = self.http(self.books, asks(b"/v1/messages"), kind)
            page.asked(b'{"model":"claude-opus-4-5"}')
            page.begin(answers(200, SSE))
            page.feed(stream)
            page.end(True)
            page.ended()
            turn = self.sink.turns[-1]
            self.assertEqual((turn.operation, turn.input_tokens, turn.output_tokens), ("messages", 7, 9), kind)
