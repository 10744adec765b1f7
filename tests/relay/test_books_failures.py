"""Calls that fail, at every point: what the books then have of them."""

from agentproxy.errors import UpstreamUnreachable
from tests.relay.books_case import ASKED, CHUNKED, JSON, SSE, STREAM, BookCase, ask, chunks, dump, head
from tests.relay.harness import request, response


class FailureTests(BookCase):
    def test_not_connected(self):
        """An upstream that can't be reached was never asked: a call of 502, and no turn."""
        for body in (ask(ASKED), request(b"POST /v1/responses", CHUNKED, body=chunks(ASKED, 9))):
            harness = self.start()
            harness.connector.at_once = False
            client = harness.client()
            client.say(body)
            harness.connector.refused(UpstreamUnreachable("No.", phase="connect"))
            self.assertEqual(self.answer(client).status, 502)
            client.lost()
            turns, [call] = self.records(harness)
            self.assertEqual((turns, call.status, call.phase), ([], 502, "connect"))
            self.assertEqual(call.error, UpstreamUnreachable.code)
            self.assertEqual(harness.events("usage"), [])

    def test_denied(self):
        """What the proxy's own policy refused is a call, and no turn."""
        for options, line in (
            ({"secrets": {}}, ask(ASKED)),
            ({"limits": {"body_bytes": 10}}, ask(ASKED)),
            ({"limits": {"body_bytes": 10}}, request(b"POST /v1/responses", CHUNKED, body=chunks(ASKED, 5))),
        ):
            harness = self.start(**options)
            client = harness.client()
            client.say(line)
            status = self.answer(client).status
            client.lost()
            turns, [call] = self.records(harness)
            self.assertEqual((turns, call.status), ([], status))
            self.assertGreaterEqual(status, 400)
            self.assertIsNotNone(call.error)

    def test_refused(self):
        """What upstream refused is a turn that failed and cost nothing, whole or streamed."""
        error = dump({"error": {"message": "No.", "code": "rate_limit_exceeded"}})
        for status in (b"400 Bad Request", b"401 Unauthorized", b"429 Too Many Requests", b"503 Service Unavailable"):
            for answer in (response(error, JSON, status=status), head(JSON, CHUNKED, status=status) + chunks(error, 9)):
                harness = self.start()
                client = harness.client()
                client.say(ask(ASKED))
                harness.upstream.say(answer)
                self.assertEqual(self.answer(client).body, error)
                [turn], [call] = self.records(harness)
                self.assertEqual((turn.status, turn.source, turn.input_tokens), ("failed", "missing", None))
                self.assertEqual(
                    (call.status, turn.note),
                    (int(status[:3]), "upstream refused it with status " + status[:3].decode()),
                )

    def test_broken_in_the_middle(self):
        """A stream that upstream breaks off is not settled, and says so on its call."""
        for at in (1, len(STREAM) // 2, len(STREAM) - 1):
            harness = self.start()
            client = harness.client()
            client.say(ask(ASKED))
            harness.upstream.say(head(SSE, CHUNKED) + b"%x\r\n%b\r\n" % (at, STREAM[:at]))
            harness.upstream.lost(clean=False)
            harness.settle(1)
            answer = self.answer(client)
            self.assertEqual((answer.body, answer.whole), (STREAM[:at], False))
            [turn], [call] = self.records(harness)
            self.assert_guessed(turn)
            self.assertEqual((call.error, call.status), ("upstream_broken", 200))

    def test_broken_behind_the_end(self):
        """A stream that breaks behind its last event has cost what it said."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED))
        harness.upstream.say(head(SSE, CHUNKED) + b"%x\r\n%b\r\n" % (len(STREAM), STREAM))
        harness.upstream.lost(clean=False)
        harness.settle(1)
        [turn], [call] = self.records(harness)
        self.assert_exact(turn)
        self.assertEqual(call.error, "upstream_broken")

    def test_broken_before_the_head(self):
        """An upstream that goes without an answer may have done anything."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED))
        harness.upstream.lost(clean=False)
        harness.settle(1)
        self.assertEqual(self.answer(client).status, 502)
        [turn], [call] = self.records(harness)
        self.assert_guessed(turn)
        self.assertEqual(call.status, 502)

    def test_client_gone(self):
        """A client that goes, before the answer or in the middle of it, leaves a turn that is not settled."""
        for told in (b"", head(SSE, CHUNKED), head(SSE, CHUNKED) + b"%x\r\n%b\r\n" % (300, STREAM[:300])):
            harness = self.start()
            client = harness.client()
            client.say(ask(ASKED))
            if told:
                harness.upstream.say(told)
            client.lost()
            harness.settle(1)
            [turn], [call] = self.records(harness)
            self.assert_guessed(turn)
            self.assertEqual((call.error, call.status), ("client_gone", 200 if told else 0))

    def test_client_gone_while_asking(self):
        """A request that never was whole asked for nothing."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED)[:-9])
        client.lost()
        harness.settle(1)
        turns, [call] = self.records(harness)
        self.assertEqual((turns, call.error), ([], "client_gone"))

    def test_broken_request(self):
        """Nor did one whose body broke the rules on the way."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /v1/responses", CHUNKED, body=b'5\r\n{"a":\r\nnonsense\r\n'))
        self.assertEqual(self.answer(client).status, 400)
        client.lost()
        turns, [call] = self.records(harness)
        self.assertEqual((turns, call.status), ([], 400))

    def test_early_refusal(self):
        """A refusal while the request is still coming is the turn's; the rest of the request is not read."""
        harness = self.start()
        client = harness.client()
        client.say(ask(ASKED)[:-9])
        harness.upstream.say(response(b"{}", JSON, status=b"413 Content Too Large"))
        self.assertEqual(self.answer(client).status, 413)
        client.lost()
        harness.settle(1)
        [turn], [call] = self.records(harness)
        self.assertEqual((turn.status, turn.source, call.status), ("failed", "missing", 413))

    def test_client_gone_while_connecting(self):
        """A client that goes while its call waits for a connection has cost nothing: upstream was never asked."""
        harness = self.start()
        harness.connector.at_once = False
        client = harness.client()
        client.say(ask(ASKED))
        client.lost()
        harness.settle(1)
        self.assertEqual(harness.upstreams, [])
        self.assertEqual((harness.sink.turns, harness.sink.calls[0].error), ([], "client_gone"))
