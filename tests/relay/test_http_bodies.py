"""HTTP bodies through a port: framing made anew both ways, every split alike, and what breaks off seen as broken."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.relay.harness import RelayCase, post, request, response
from tests.relay.wires import messages

CHUNKED = b"Transfer-Encoding: chunked"


class RequestBodyTests(RelayCase):
    def test_chunked(self):
        """A chunked body goes up chunked, as it comes; extensions and trailers are dropped."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", CHUNKED, b"Trailer: X-T", body=b"3;ext=1\r\nabc\r\n"))
        self.assertEqual(harness.upstream.value().partition(b"\r\n\r\n")[2], b"3\r\nabc\r\n")
        client.say(b"2\r\nde\r\n0\r\nX-T: secret\r\n\r\n")
        sent = harness.upstream.taken()
        self.assertNotIn(b"secret", sent)
        [asked] = messages(sent)
        self.assertEqual((asked.body, asked.whole, asked.one(b"transfer-encoding")), (b"abcde", True, b"chunked"))
        self.assertIsNone(asked.one(b"content-length"))
        harness.upstream.say(response())
        self.assertEqual(self.answer(client).body, b"hello")

    def test_length_in_pieces(self):
        """A body of known length streams up, its length told beforehand."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 6", body=b"ab"))
        client.say(b"cd")
        self.assertEqual(harness.upstream.value().partition(b"\r\n\r\n")[2], b"abcd")
        client.say(b"ef")
        asked = self.asked(harness)
        self.assertEqual((asked.body, asked.one(b"content-length")), (b"abcdef", b"6"))
        harness.upstream.say(response())
        self.assertFalse(client.half_closed)

    def test_empty(self):
        """Content-Length: 0 is kept; a request without a length gets none."""
        harness = self.start()
        client = harness.client()
        client.say(post(b""))
        self.assertEqual(self.asked(harness).one(b"content-length"), b"0")
        harness.upstream.say(response())
        client.say(request())
        self.assertIsNone(self.asked(harness).one(b"content-length"))

    def test_body_before_upstream_is_there(self):
        """What comes while upstream is being connected to goes behind the head, once."""
        for head, body, wanted in (
            (b"Content-Length: 6", b"abcdef", b"abcdef"),
            (CHUNKED, b"6\r\nabcdef\r\n0\r\n\r\n", b"6\r\nabcdef\r\n0\r\n\r\n"),
        ):
            harness = self.start()
            harness.connector.at_once = False
            client = harness.client()
            client.say(request(b"POST /", head))
            client.say(body)
            harness.connector.made()
            self.assertEqual(harness.upstream.taken().partition(b"\r\n\r\n")[2], wanted)


class ExpectTests(RelayCase):
    def test_continue(self):
        """The expectation goes upstream, upstream's 100 comes back, then the body goes up."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 3", b"Expect: 100-Continue"))
        self.assertEqual(client.taken(), b"", "the proxy makes no 100 of its own")
        asked = harness.upstream.taken()
        self.assertIn(b"\r\nExpect: 100-continue\r\n", asked)
        harness.upstream.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual(self.answer(client).status, 100)
        client.say(b"abc")
        self.assertEqual(harness.upstream.taken(), b"abc")
        harness.upstream.say(response())
        self.assertEqual(self.answer(client).body, b"hello")
        self.assertFalse(client.half_closed)

    def test_final_answer_instead(self):
        """A final answer without a 100 reaches the client; both connections end, as the body may or may not come."""
        harness = self.start()
        client = harness.client()
        client.say(request(b"POST /", b"Content-Length: 3", b"Expect: 100-continue"))
        harness.upstream.say(response(b"no", status=b"403 Forbidden"))
        answer = self.answer(client)
        self.assertEqual((answer.status, answer.body, answer.one(b"connection")), (403, b"no", b"close"))
        self.assertTrue(client.half_closed)
        self.assertTrue(harness.upstream.aborted)
        client.say(b"abc")
        self.assertEqual((client.taken(), len(harness.upstreams)), (b"", 1))

    def test_not_from_1_0(self):
        """A client of HTTP/1.0 can't expect (RFC 9110, 10.1.1): it is not forwarded."""
        harness = self.start()
        harness.client().say(post(b"abc", b"Expect: 100-continue", version=b"HTTP/1.0"))
        self.assertEqual(self.asked(harness).all(b"expect"), [])


class ResponseBodyTests(RelayCase):
    def reply(self, *pieces, version=b"HTTP/1.1", line=b"GET /"):
        harness = self.start()
        client = harness.client()
        client.say(request(line, version=version))
        for piece in pieces:
            harness.upstream.say(piece)
        return harness, client

    def test_chunked_to_chunked(self):
        """Each piece passes when it comes, and the end is told; trailers are dropped."""
        harness, client = self.reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.taken()
        harness.upstream.say(b"3\r\nabc\r\n")
        self.assertEqual(client.taken(), b"3\r\nabc\r\n")
        harness.upstream.say(b"2\r\nde\r\n0\r\nX-T: 1\r\n\r\n")
        self.assertEqual(client.taken(), b"2\r\nde\r\n0\r\n\r\n")
        self.freed(harness)
        self.assertFalse(client.half_closed)
        self.assertFalse(harness.upstream.disconnecting)

    def test_until_close_to_chunked(self):
        """A body that ends with upstream's connection reaches HTTP/1.1 in chunks, and its connection lives on."""
        harness, client = self.reply(b"HTTP/1.1 200 OK\r\n\r\nabc", b"de")
        harness.upstream.lost()
        answer = self.answer(client)
        self.assertEqual((answer.body, answer.whole, answer.one(b"transfer-encoding")), (b"abcde", True, b"chunked"))
        self.assertFalse(client.half_closed)

    def test_chunked_to_1_0(self):
        """HTTP/1.0 gets it without chunks, ended by the connection."""
        _, client = self.reply(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", version=b"HTTP/1.0"
        )
        answer = self.answer(client)
        self.assertEqual((answer.body, answer.all(b"transfer-encoding")), (b"abc", []))
        self.assertEqual(answer.one(b"connection"), b"close")
        self.assertTrue(client.half_closed)
        self.assertFalse(client.aborted)

    def broken(self, head, body, version=b"HTTP/1.1", *, clean=True):
        harness, client = self.reply(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body, version=version)
        harness.upstream.lost(clean=clean)
        self.freed(harness)
        self.assertEqual(harness.ended()["error"], "upstream_broken")
        return client

    def test_broken_chunks(self):
        """Upstream broken in mid-body: no last chunk, and the connection closes."""
        client = self.broken(CHUNKED + b"\r\n", b"3\r\nabc\r\n")
        self.assertTrue(client.half_closed)
        answer = self.answer(client)
        self.assertEqual((answer.body, answer.whole), (b"abc", False))

    def test_broken_framing(self):
        """The same where upstream's chunks are none."""
        harness, client = self.reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n")
        self.assertTrue(client.half_closed)
        self.assertFalse(self.answer(client).whole)
        self.assertEqual(harness.ended()["error"], "upstream_broken")
        self.assertTrue(harness.upstream.aborted)

    def test_broken_length(self):
        """A body shorter than its length: the connection closes."""
        client = self.broken(b"Content-Length: 9\r\n", b"abc")
        self.assertTrue(client.half_closed)
        self.assertFalse(self.answer(client).whole)

    def test_broken_until_close(self):
        """A reset is no end: a chunked client sees no last chunk, one of HTTP/1.0 a reset."""
        self.assertFalse(self.answer(self.broken(b"", b"abc", clean=False)).whole)
        for head, clean in ((b"", False), (CHUNKED + b"\r\n", True)):
            body = b"3\r\nabc\r\n" if head else b"abc"
            self.assertTrue(self.broken(head, body, b"HTTP/1.0", clean=clean).aborted)


class SplitTests(RelayCase):
    STREAM = (
        request(b"POST /a", CHUNKED, b"x-request-id: i", body=b"3\r\nabc\r\n1;x\r\nd\r\n0\r\nT: 1\r\n\r\n")
        + post(b"0123456789", b"x-request-id: i")
        + request(b"GET /health", b"x-request-id: i")
        + request(b"GET /b", b"x-request-id: i")
    )
    ANSWERS = (
        response(b"one")
        + b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
        + response(b"three")
    )

    def run_split(self, up, down):
        """The stream cut at ``up``, the answers at ``down``: (requests seen, answers seen)."""
        harness = self.start()
        client = harness.client()
        for start, end in zip([0, *up], [*up, len(self.STREAM)], strict=True):
            client.say(self.STREAM[start:end])
        rest, sent = self.ANSWERS, b""
        cuts = iter(down)
        for size in (len(response(b"one")), len(self.ANSWERS) - len(response(b"one") + response(b"three")), None):
            answer, rest = rest[:size], rest[size or len(rest) :]
            sent += harness.upstream.taken()
            cut = next(cuts) % (len(answer) + 1)
            for piece in (answer[:cut], answer[cut:]):
                if piece:
                    harness.upstream.say(piece)
        self.assertEqual(len(harness.upstreams), 1)
        asked = [(each.line, each.fields, each.body, each.whole) for each in messages(sent)]
        # Pieces of a chunked body may come as several chunks: what counts is the body.
        return asked, [(each.line, each.fields, each.body, each.whole) for each in self.answers(client)]

    def test_every_split(self):
        """Wherever the client's and upstream's bytes are cut, both get the same messages, in the same order."""
        whole = self.run_split([], [0, 0, 0])
        self.assertEqual(
            [line for line, *_ in whole[0]], [b"POST /a HTTP/1.1", b"POST /v1/responses HTTP/1.1", b"GET /b HTTP/1.1"]
        )
        self.assertEqual([body for _, _, body, _ in whole[1]], [b"one", b"", b"two", b'{"status":"ok"}', b"three"])
        for at in range(1, len(self.STREAM)):
            self.assertEqual(self.run_split([at], [at, at, at]), whole)

    @settings(max_examples=60)
    @given(
        st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=12).map(sorted),
        st.lists(st.integers(0, 500), min_size=3, max_size=3),
    )
    def test_many_splits(self, up, down):
        """The same for several cuts at once."""
        self.assertEqual(self.run_split(up, down), self.run_split([], [0, 0, 0]))
