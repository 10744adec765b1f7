"""Calls through a port, from end to end: every byte passes as it came, and the books have the right records."""

from tests.observe.page_case import CODINGS
from tests.providers import response_shapes as shapes
from tests.relay.books_case import (
    ASKED,
    CHUNKED,
    JSON,
    SSE,
    STREAM,
    USED,
    WHOLE,
    BookCase,
    ask,
    chunks,
    dump,
    events,
    head,
)
from tests.relay.harness import request, response


class HttpTests(BookCase):
    def test_json(self):
        """A JSON body in one piece: one turn, one call, the same bytes."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED, b"User-Agent: codex_cli_rs/0.99.0", b"session_id: session-1"))
        self.assertEqual(self.asked(harness).body, ASKED)
        harness.settle(2)
        harness.upstream.say(response(WHOLE, JSON, b"x-request-id: req_1"))
        self.assertEqual(self.answer(client).body, WHOLE)
        [turn], [call] = self.records(harness)
        self.assert_exact(
            turn,
            call_key=call.key,
            upstream_request_id="req_1",
            session="session-1",
            agent="codex",
            started_us=2000 * 10**6,
            duration_us=2 * 10**6,
            protocol="http",
            operation="responses",
        )
        self.assertEqual(
            (call.status, call.bytes_in, call.bytes_out, call.error, call.session, call.path, call.duration_us),
            (200, len(ASKED), len(WHOLE), None, "session-1", "/v1/responses", 2 * 10**6),
        )
        self.assertEqual((call.request_id, call.upstream_request_id), (turn.request_id, "req_1"))
        [usage] = harness.events("usage")
        self.assertEqual((usage["id"], usage["input_tokens"], usage["source"]), (turn.request_id, 500, "reported"))
        known = f'model="{shapes.DATED}",provider="one"'
        self.assertEqual(harness.series("tokens_total")[f'{known},type="input"'], 500)

    def test_stream(self):
        """An event stream in chunks, in any coding and any pieces: one turn, the same bytes."""
        for coding, encode in {b"identity": bytes, **CODINGS}.items():
            body = encode(STREAM)
            for size in (1, 50, 1 << 20):
                harness = self.start()
                client = harness.client()
                client.say(ask(ASKED))
                harness.upstream.taken()
                data = head(SSE, CHUNKED, b"Content-Encoding: " + coding) + chunks(body, 99)
                for at in range(0, len(data), size):
                    harness.upstream.say(data[at : at + size])
                answer = self.answer(client)
                self.assertEqual((answer.body, answer.whole), (body, True))
                [turn], [call] = self.records(harness)
                self.assert_exact(turn, tools=["shell"], call_key=call.key)
                self.assertEqual((call.degraded, call.bytes_out), (None, len(body)))

    def test_told_at_once(self):
        """A turn is booked when its last event has passed, while the call goes on; times are upstream's."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED))
        harness.settle(1)
        harness.upstream.say(head(SSE, CHUNKED))
        for value in (shapes.created("resp_1"), shapes.delta("Hello"), shapes.over("resp_1", USED)):
            harness.settle(1)
            data = events(value)
            harness.upstream.say(b"%x\r\n%b\r\n" % (len(data), data))
        turns, calls = self.records(harness)
        self.assertEqual((len(turns), calls), (1, []))
        self.assertEqual((turns[0].first_token_us, turns[0].duration_us), (3 * 10**6, 4 * 10**6))
        harness.settle(1)
        harness.upstream.say(b"0\r\n\r\n")
        [call] = harness.sink.calls
        self.assertEqual((call.duration_us, call.first_byte_us), (5 * 10**6, 10**6))
        self.assertEqual(turns[0].call_key, call.key)

    def test_until_close(self):
        """A response that ends with its connection."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED))
        harness.upstream.say(head(JSON) + WHOLE[:50])
        harness.upstream.say(WHOLE[50:])
        harness.upstream.lost()
        self.assertEqual(self.answer(client).body, WHOLE)
        [turn], [call] = self.records(harness)
        self.assert_exact(turn)
        self.assertIsNone(call.error)

    def test_streamed_upload(self):
        """A request that comes in pieces, by its length or in chunks, plain or in zstd, is the same turn."""
        zipped = CODINGS[b"zstd"](ASKED)
        for body, fields in ((ASKED, ()), (zipped, (b"Content-Encoding: zstd",))):
            for framing, sent in (
                (b"Content-Length: %d" % len(body), body),
                (CHUNKED, chunks(body, 10)),
            ):
                harness = self.start()
                client = harness.client()
                data = request(b"POST /v1/responses", framing, *fields, body=sent)
                for at in range(0, len(data), 7):
                    client.say(data[at : at + 7])
                self.assertEqual(self.asked(harness).body, body)
                harness.upstream.say(response(WHOLE, JSON))
                self.assertEqual(self.answer(client).body, WHOLE)
                [turn], [call] = self.records(harness)
                self.assert_exact(turn)
                self.assertEqual(call.bytes_in, len(body))

    def test_keep_alive(self):
        """Each request on a connection has a page of its own, pipelined or not."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED) + request() + ask(ASKED))
        for body in (WHOLE, b"{}", WHOLE.replace(b"resp_1", b"resp_2")):
            harness.upstream.say(response(body, JSON))
        client.say(ask(ASKED, path=b"/v1/chat/completions"))
        harness.upstream.say(response(dump({"id": "c", "object": "chat.completion", "model": "m", "choices": [],
                                            "usage": {"prompt_tokens": 3, "completion_tokens": 2}}), JSON))  # fmt: skip
        turns, calls = self.records(harness)
        self.assertEqual(
            [(turn.response_id, turn.operation, turn.input_tokens) for turn in turns],
            [("resp_1", "responses", 500), ("resp_2", "responses", 500), ("c", "chat", 3)],
        )
        self.assertEqual([call.method for call in calls], ["POST", "GET", "POST", "POST"])
        self.assertEqual([turn.call_key for turn in turns], [calls[at].key for at in (0, 2, 3)])
        self.assertEqual(len(harness.upstreams), 1)

    def test_no_turn(self):
        """Calls that ask for none have call records alone, whatever comes back."""
        harness = self.start()
        for line in (
            b"GET /v1/models",
            b"HEAD /v1/responses",
            b"DELETE /v1/responses/resp_1",
            b"GET /v1/responses/resp_1",
        ):
            client = harness.client()
            client.say(request(line))
            harness.upstream.say(head(JSON, b"Content-Length: 0") if b"HEAD" in line else response(WHOLE, JSON))
            client.lost()
        turns, calls = self.records(harness)
        self.assertEqual((turns, len(calls)), ([], 4))
