"""How a spliced WebSocket ends: what each side is told, and what is recorded of it."""

from tests.relay.harness import MASK
from tests.relay.test_websocket import WebSocketCase
from tests.relay.wires import close, closes, frame, frames

HELLO = frame(1, b"hello", mask=MASK)


class CloseCase(WebSocketCase):
    def ends(self, harness, side, code, reason="", *, clean):
        """Both transports are gone, and the record says this."""
        self.assertEqual([wire for wire in (*harness.clients, *harness.upstreams) if wire.connected], [])
        self.freed(harness)
        self.assertEqual(harness.timers(), [])
        ended = harness.ended()
        self.assertEqual(ended["close"], {"side": side, "code": code, "reason": reason, "clean": clean})
        self.assertEqual(ended["status"], 101)
        self.assertEqual(harness.series("websocket_closes_total"), {f'code="{code}",provider="one",side="{side}"': 1})

    def sides(self, by_client, **options):
        """(harness, who acts, the other, the mask of who acts)."""
        harness, client, upstream = self.opened(**options)
        return (harness, client, upstream, MASK) if by_client else (harness, upstream, client, None)


class PassedTests(CloseCase):
    def test_passed_through(self):
        """A close passes as it came, and so does its answer; then both connections end at once."""
        cases = [
            (1000, b""), (1000, b"bye"), (1001, b""), (1003, b""), (1007, b""), (1009, b"too big"), (1011, b"x" * 123),
            (1012, b""), (1013, b""), (1014, b""), (3000, b"a"), (4999, "äöü".encode()), (None, b""),
        ]  # fmt: skip
        for by_client in (True, False):
            for code, reason in cases:
                harness, side, other, mask = self.sides(by_client)
                sent, answer = close(code, reason, mask=mask), close(1000, mask=None if mask else MASK)
                side.say(sent)
                self.assertEqual(other.taken(), sent)
                self.assertEqual(side.taken(), b"")
                self.assertTrue(side.connected and other.connected and not other.disconnecting)
                other.say(answer)
                self.assertEqual(side.taken(), answer)
                harness.settle()
                name = "client" if by_client else "upstream"
                self.ends(harness, name, code or 1005, reason.decode(), clean=True)
                self.assertFalse(side.aborted or other.aborted)

    def test_nothing_behind_it(self):
        """Bytes behind a close frame go nowhere."""
        for by_client in (True, False):
            _, side, other, mask = self.sides(by_client)
            side.say(close(1000, mask=mask) + frame(1, b"late", mask=mask))
            side.say(frame(1, b"later", mask=mask))
            self.assertEqual(other.taken(), close(1000, mask=mask))

    def test_in_pieces(self):
        """A close frame passes once it is whole."""
        for by_client in (True, False):
            _, side, other, mask = self.sides(by_client)
            sent = close(1000, b"bye", mask=mask)
            for at in range(len(sent)):
                self.assertEqual(other.value(), b"")
                side.say(sent[at : at + 1])
            self.assertEqual(other.taken(), sent)

    def test_answer_while_data_comes(self):
        """What the other side still sends before it answers a close passes too."""
        harness, client, upstream = self.opened()
        client.say(close(1000, mask=MASK))
        upstream.say(frame(1, b"last words"))
        upstream.say(frame(1, b"more") + close(1000))
        self.assertEqual(client.taken(), frame(1, b"last words") + frame(1, b"more") + close(1000))
        harness.settle()
        self.ends(harness, "client", 1000, clean=True)

    def test_no_answer(self):
        """A side that does not answer a close is dropped within seconds, and who closed is let go."""
        for by_client in (True, False):
            harness, side, other, mask = self.sides(by_client)
            side.say(close(1000, mask=mask))
            harness.settle(9)
            self.assertTrue(other.connected)
            harness.settle(3)
            self.ends(harness, "client" if by_client else "upstream", 1000, clean=True)

    def test_answer_and_no_end(self):
        """Peers that keep their connections open behind the closes are dropped."""
        harness, client, upstream = self.opened()
        client.congested = upstream.congested = True
        client.say(close(1000, mask=MASK))
        upstream.say(close(1000))
        harness.settle(1)
        self.assertTrue(upstream.aborted)
        # The client, which may read slowly, is given up where it takes nothing at all.
        harness.settle(11)
        self.assertTrue(client.aborted)
        self.ends(harness, "client", 1000, clean=True)


class LostTests(CloseCase):
    def test_codex(self):
        """A client that just drops TCP ends its upstream with a masked 1001; no close frame is made up for it."""
        for clean in (True, False):
            harness, client, upstream = self.opened()
            client.say(HELLO)
            upstream.say(frame(1, b"done"))
            upstream.taken()
            client.lost(clean=clean)
            [(masked, code, reason)] = closes(upstream.taken())
            self.assertEqual((masked, code), (True, 1001))
            self.assertLessEqual(len(reason), 123)
            upstream.say(close(1001))
            harness.settle()
            self.ends(harness, "client", 1006, clean=False)

    def test_copilot(self):
        """A client's empty close stays empty, and is recorded as 1005."""
        harness, client, upstream = self.opened()
        client.say(close(mask=MASK))
        self.assertEqual(frames(upstream.taken()), [(0x88, True, b"")])
        upstream.say(close())
        self.assertEqual(client.taken(), close())
        harness.settle()
        self.ends(harness, "client", 1005, clean=True)

    def test_upstream_lost(self):
        """Upstream lost without a close: the client gets 1011, unmasked."""
        for clean in (True, False):
            harness, client, upstream = self.opened()
            upstream.say(frame(1, b"part"))
            upstream.lost(clean=clean)
            [(masked, code, _)] = closes(client.taken())
            self.assertEqual((masked, code), (False, 1011))
            client.say(close(1011, mask=MASK))
            harness.settle()
            self.ends(harness, "upstream", 1006, clean=False)

    def test_other_does_not_answer(self):
        """The side that is left is dropped within a second where it says nothing."""
        for by_client in (True, False):
            harness, side, other, _ = self.sides(by_client)
            side.lost()
            self.assertTrue(other.connected)
            harness.settle(1.5)
            self.ends(harness, "client" if by_client else "upstream", 1006, clean=False)

    def test_in_mid_frame(self):
        """Lost in the middle of a frame there is no place for a close: the other connection is dropped."""
        for by_client in (True, False):
            harness, side, other, mask = self.sides(by_client)
            half = frame(2, b"x" * 50, mask=mask)[:20]
            side.say(half)
            self.assertEqual(other.taken(), half)
            side.lost()
            self.assertTrue(other.disconnecting)
            self.assertEqual(other.taken(), b"")
            harness.settle()
            self.ends(harness, "client" if by_client else "upstream", 1006, clean=False)

    def test_in_mid_header(self):
        """Half a frame's header was not passed on, so there is a place; between fragments there is one too."""
        for by_client in (True, False):
            for part in (b"head", b"fragment"):
                _, side, other, mask = self.sides(by_client)
                side.say(
                    frame(2, b"x" * 50, mask=mask)[:1] if part == b"head" else frame(1, b"a", mask=mask, final=False)
                )
                other.taken()
                side.lost()
                self.assertEqual([each[1] for each in closes(other.taken())], [1001 if by_client else 1011])

    def test_fin_for_an_answer(self):
        """A client that answers upstream's close with FIN only (as Codex does) is a normal end."""
        harness, client, upstream = self.opened()
        upstream.say(close(1000, b"done"))
        client.fin()
        self.assertEqual([each[:2] for each in closes(upstream.taken())], [(True, 1001)])
        harness.settle()
        self.ends(harness, "upstream", 1000, "done", clean=True)

    def test_fin_behind_a_close(self):
        """A side that goes right behind its own close: what it said counts, and nothing more is said."""
        for by_client in (True, False):
            harness, side, other, mask = self.sides(by_client)
            side.say(close(1000, mask=mask))
            side.lost()
            self.assertEqual(other.taken(), close(1000, mask=mask))
            harness.settle(1.5)
            self.ends(harness, "client" if by_client else "upstream", 1000, clean=True)

    def test_both_lost(self):
        """Both at once end it once."""
        harness, client, upstream = self.opened()
        client.lost()
        upstream.lost()
        self.ends(harness, "client", 1006, clean=False)
        self.assertEqual(len(harness.events("call.end")), 1)


class NeverOnTheWireTests(CloseCase):
    def test_reserved_codes(self):
        """1004, 1005, 1006, 1015 and other codes that may not travel never do: who sends one broke the rules."""
        for by_client in (True, False):
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
                harness, side, other, mask = self.sides(by_client)
                side.say(close(code, mask=mask))
                self.assertEqual([each[1] for each in closes(side.taken())], [1002], code)
                self.assertEqual([each[1] for each in closes(other.taken())], [1001 if by_client else 1011], code)
                harness.settle(1.5)
                self.assertEqual(harness.ended()["close"]["code"], 1002)
