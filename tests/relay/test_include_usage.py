"""A provider whose streamed chat completions are made to ask for their usage."""

from tests.relay.harness import RelayCase, request, response

LINE = b"POST /v1/chat/completions"
BODY = b'{"model":"gpt-4o","stream":true,"messages":[]}'
ASKED = b'{"stream_options":{"include_usage":true},' + BODY[1:]


def post(body, *fields, line=LINE):
    return request(line, b"Content-Length: %d" % len(body), *fields, body=body)


class IncludeUsageTests(RelayCase):
    def sent(self, data, pieces=1):
        """What upstream gets: (header fields by name, body)."""
        harness = self.start(include_usage=True)
        client = harness.client()
        step = -(-len(data) // pieces)
        for at in range(0, len(data), step):
            client.say(data[at : at + step])
        head, _, body = harness.upstream.taken().partition(b"\r\n\r\n")
        return harness, client, head, body

    def test_asked(self):
        """Whole or in pieces, the body goes up with the question, and with its new length."""
        for pieces in (1, 2, 7, 1000):
            harness, client, head, body = self.sent(post(BODY), pieces)
            self.assertEqual(body, ASKED)
            self.assertIn(b"Content-Length: %d" % len(ASKED), head)
            harness.upstream.say(response(b"hello"))
            self.assertEqual(self.answer(client).body, b"hello")

    def test_left_alone(self):
        """Other calls, and those that have said what they want, go up as they came."""
        quiet = BODY[:-1] + b',"stream_options":{"include_usage":false}}'
        for data, want in (
            (post(quiet), quiet),
            (post(BODY, line=b"POST /v1/responses"), BODY),
            (post(b"{}"), b"{}"),
            (post(BODY, b"Content-Encoding: gzip"), BODY),
            (post(BODY, b"Expect: 100-continue"), BODY),
        ):
            for pieces in (1, 3):
                self.assertEqual(self.sent(data, pieces)[3], want)

    def test_off_by_default(self):
        """Without the option bytes are not touched."""
        harness = self.start()
        harness.client().say(post(BODY))
        self.assertEqual(harness.upstream.taken().partition(b"\r\n\r\n")[2], BODY)

    def test_pipelined(self):
        """What follows a held body is the next request's."""
        harness, client, _, body = self.sent(post(BODY) + request(), 3)
        self.assertEqual(body, ASKED)
        harness.upstream.say(response(b"one"))
        harness.upstream.say(response(b"two"))
        self.assertEqual(client.taken().count(b"HTTP/1.1 200"), 2)

    def test_stops_on_the_way(self):
        """A body that is kept back and does not come on ends with 408; one whose client goes asks nothing of anyone."""
        harness = self.start(include_usage=True)
        client = harness.client()
        client.say(post(BODY)[:-5])
        harness.settle(301)
        self.assertEqual(self.answer(client).status, 408)
        self.assertEqual(harness.upstreams, [])
        client = harness.client()
        client.say(post(BODY)[:-5])
        client.lost()
        harness.settle()
        self.assertEqual(harness.upstreams, [])
        self.assertEqual([each["error"] for each in harness.events("call.end")], ["request_timeout", "client_gone"])
        self.assertEqual(harness.sink.turns, [])
