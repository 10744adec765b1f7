"""WebSockets through a port, from end to end: every frame passes as it came, and the books have the right records."""

import zlib

from agentproxy.errors import UpstreamUnreachable
from tests.relay.books_case import CHUNKED, CREATE, CREATED, DELTA, DONE, JSON, BookCase, chunks, dump, head
from tests.relay.harness import MASK, response, upgrade
from tests.relay.test_websocket import DEFLATE, WebSocketCase
from tests.relay.wires import close, frame


class SocketTests(BookCase, WebSocketCase):
    def ends(self, harness, client, upstream):
        """The client closes, and all is over."""
        client.say(close(1000, b"bye", mask=MASK))
        upstream.say(close(1000))
        harness.settle(2)

    def test_plain(self):
        """Each response is a turn, the socket a call; the frames pass as they came."""
        harness, client, upstream = self.opened()
        mine = (
            frame(1, CREATE[:20], mask=MASK, final=False)
            + frame(9, b"ping", mask=MASK)
            + frame(0, CREATE[20:], mask=MASK)
        )
        for identity, size in ((b"resp_1", 1 << 20), (b"resp_2", 5)):
            theirs = b"".join(frame(1, said.replace(b"resp_1", identity)) for said in (CREATED, DELTA, DONE))
            for side, other, data in ((client, upstream, mine), (upstream, client, theirs)):
                for at in range(0, len(data), size):
                    side.say(data[at : at + size])
                self.assertEqual(other.taken(), data)
        turns, calls = self.records(harness)
        self.assertEqual(calls, [])
        self.ends(harness, client, upstream)
        [call] = harness.sink.calls
        self.assert_exact(turns[0], protocol="websocket", call_key=call.key)
        self.assertEqual(
            [(turn.response_id, turn.source, turn.input_tokens, turn.call_key) for turn in turns],
            [(identity, "reported", 500, call.key) for identity in ("resp_1", "resp_2")],
        )
        self.assertEqual(
            (call.protocol, call.status, call.close_side, call.close_code, call.close_reason),
            ("websocket", 101, "client", 1000, "bye"),
        )
        self.assertEqual((call.frames_in, call.frames_out, call.degraded), (7, 7, None))
        self.assertEqual(call.bytes_in, 2 * len(mine) + len(close(1000, b"bye", mask=MASK)))

    def test_deflated(self):
        """So it is with compressed messages, with and without takeover, in any pieces."""
        for parameters in (
            b"",
            b"; client_no_context_takeover; server_no_context_takeover",
            b"; server_max_window_bits=10",
        ):
            for size in (1 << 20, 3):
                harness, client, upstream = self.opened(
                    fields=(DEFLATE,), answered=(b"Sec-WebSocket-Extensions: permessage-deflate" + parameters,)
                )
                packers = {}
                for number in range(3):
                    for side, other, mask, said in (
                        (client, upstream, MASK, CREATE),
                        (upstream, client, None, CREATED),
                        (upstream, client, None, DELTA),
                        (upstream, client, None, DONE),
                    ):
                        if b"takeover" in parameters or mask not in packers:
                            packers[mask] = zlib.compressobj(wbits=-10 if b"bits" in parameters and not mask else -15)
                        said = said.replace(b"resp_1", b"resp_%d" % (number + 1))
                        packed = (packers[mask].compress(said) + packers[mask].flush(zlib.Z_SYNC_FLUSH))[:-4]
                        data = frame(1, packed, mask=mask, rsv1=True)
                        for at in range(0, len(data), size):
                            side.say(data[at : at + size])
                        self.assertEqual(other.taken(), data)
                self.ends(harness, client, upstream)
                turns, [call] = self.records(harness)
                self.assertEqual([(turn.response_id, turn.input_tokens, turn.degraded) for turn in turns],
                                 [(f"resp_{number}", 500, None) for number in (1, 2, 3)])  # fmt: skip
                self.assertIsNone(call.degraded)

    def test_broken_deflate(self):
        """What can't be inflated passes as it came, and the books say what they could not read."""
        harness, client, upstream = self.opened(
            fields=(DEFLATE,), answered=(b"Sec-WebSocket-Extensions: permessage-deflate",)
        )
        client.say(frame(1, CREATE, mask=MASK))
        upstream.taken()
        data = frame(1, b"no deflate at all", rsv1=True) + frame(1, DONE)
        upstream.say(data)
        self.assertEqual(client.taken(), data)
        self.ends(harness, client, upstream)
        [turn], [call] = self.records(harness)
        self.assert_guessed(turn)
        self.assertEqual([turn.degraded, call.degraded], ["invalid deflate data"] * 2)

    def test_cut_off(self):
        """A socket that is lost in the middle of a response leaves a turn that is not settled, whoever was lost."""
        for lost in (0, 1):
            harness, client, upstream = self.opened()
            client.say(frame(1, CREATE, mask=MASK))
            upstream.say(frame(1, CREATED) + frame(1, DELTA))
            (client, upstream)[lost].lost(clean=False)
            harness.settle(2)
            [turn], [call] = self.records(harness)
            self.assert_guessed(turn)
            self.assertEqual(
                (call.close_side, call.close_code, call.close_clean), (("client", "upstream")[lost], 1006, False)
            )

    def test_behind_the_head(self):
        """Messages that come right behind the handshakes are read, too."""
        harness = self.start()
        client, upstream = self.asks(harness)
        client.say(frame(1, dump({"type": "response.create"}), mask=MASK))
        hello = frame(1, dump({"type": "session.created", "session": {"model": "gpt-realtime-2"}}))
        self.accepts(upstream, surplus=hello)
        self.assertTrue(client.taken().endswith(hello))
        upstream.say(frame(1, CREATED) + frame(1, DONE))
        self.ends(harness, client, upstream)
        [turn], _ = self.records(harness)
        self.assertEqual(
            (turn.operation, turn.request_model, turn.status, turn.input_tokens),
            ("realtime", "gpt-realtime-2", "completed", 500),
        )

    def test_refused_upgrade(self):
        """An upgrade that upstream refuses is a call, and no turn."""
        for answer in (
            response(b'{"error":{}}', JSON, status=b"401 Unauthorized"),
            head(JSON, CHUNKED, status=b"403 Forbidden") + chunks(b'{"error":{}}', 5),
            response(b"hello", status=b"200 OK"),
        ):
            harness = self.start()
            client, upstream = self.asks(harness)
            upstream.say(answer)
            harness.settle(1)
            status = self.answer(client).status
            client.lost()
            turns, [call] = self.records(harness)
            self.assertEqual((turns, call.status, call.protocol), ([], status, "websocket"))
            self.assertEqual((call.frames_in, call.frames_out, call.close_code), (0, 0, None))

    def test_denied_upgrade(self):
        """So is one that the proxy refuses, and one whose upstream can't be reached."""
        harness = self.start(websocket=False)
        client = harness.client()
        client.say(upgrade())
        client.lost()
        harness.settle(1)
        turns, [call] = self.records(harness)
        self.assertEqual((turns, call.protocol), ([], "websocket"))
        self.assertGreaterEqual(call.status, 400)
        harness = self.start()
        harness.connector.at_once = False
        client = harness.client()
        client.say(upgrade())
        harness.connector.refused(UpstreamUnreachable("No.", phase="connect"))
        client.lost()
        harness.settle(1)
        turns, [call] = self.records(harness)
        self.assertEqual((turns, call.status, call.phase), ([], 502, "connect"))
