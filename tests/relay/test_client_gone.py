"""A client that goes away, at every point of a call: upstream is freed at once and nothing is left running."""

from tests.relay.harness import RelayCase, request, response, upgrade

BODY = (b"POST /", b"Transfer-Encoding: chunked")


def connecting(harness, client):
    harness.connector.at_once = False
    client.say(request())


def connecting_with_a_body(harness, client):
    harness.connector.at_once = False
    client.say(request(*BODY, body=b"1\r\na\r\n"))


def handshaking(harness, client):
    client.say(upgrade())


def connecting_a_websocket(harness, client):
    harness.connector.at_once = False
    client.say(upgrade())


def waiting(harness, client):
    client.say(request())


def uploading(harness, client):
    client.say(request(*BODY, body=b"1\r\na\r\n"))


def uploading_against_a_full_upstream(harness, client):
    client.say(request(*BODY, body=b"1\r\na\r\n"))
    harness.upstream.fill()


def head_of_the_answer(harness, client):
    client.say(request())
    harness.upstream.say(b"HTTP/1.1 200 OK\r\nContent-Le")


def downloading(harness, client):
    client.say(request())
    harness.upstream.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")


def downloading_with_pipelined(harness, client):
    client.say(request() + request(b"GET /next") + b"GET /half")
    harness.upstream.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")


def downloading_while_full(harness, client):
    client.say(request())
    harness.upstream.say(b"HTTP/1.1 200 OK\r\n\r\nabc")
    client.fill()


def both_ways(harness, client):
    client.say(request(*BODY, body=b"1\r\na\r\n"))
    harness.upstream.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")


def refusal_of_an_upgrade(harness, client):
    client.say(upgrade())
    harness.upstream.say(b"HTTP/1.1 429 Slow\r\nContent-Length: 9\r\n\r\nabc")


PHASES = [
    connecting, connecting_with_a_body, handshaking, connecting_a_websocket, waiting, uploading,
    uploading_against_a_full_upstream, head_of_the_answer, downloading, downloading_with_pipelined,
    downloading_while_full, both_ways, refusal_of_an_upgrade,
]  # fmt: skip


class ClientGoneTests(RelayCase):
    def test_every_phase(self):
        """Whether by FIN or by reset: upstream dropped at once, the call ended as `client_gone`, no timer left."""
        for phase in PHASES:
            for go in (lambda client: client.fin(), lambda client: client.lost(clean=False)):
                harness = self.start()
                client = harness.client()
                phase(harness, client)
                go(client)
                harness.settle()
                self.assertFalse(client.connected, phase)
                self.assertEqual([wire for wire in harness.upstreams if wire.connected], [], phase)
                self.assertEqual((harness.connector.waiting, len(harness.upstreams) <= 1), ([], True), phase)
                self.freed(harness)
                self.assertEqual(harness.timers(), [], phase)
                ended = harness.ended()
                self.assertEqual((ended["error"], ended["close"]), ("client_gone", None), phase)
                self.assertEqual(len(harness.events("call.end")), 1)

    def test_between_calls(self):
        """A client that goes between calls leaves upstream's connection in the pool, for the next one."""
        harness = self.start()
        client = harness.client()
        client.say(request())
        harness.upstream.say(response())
        client.fin()
        harness.settle()
        self.assertTrue(harness.upstream.connected)
        self.assertIsNone(harness.ended()["error"])
        other = harness.client()
        other.say(request())
        self.assertEqual(len(harness.upstreams), 1)

    def test_half_a_head(self):
        """One that goes in the middle of a head made no call."""
        harness = self.start()
        client = harness.client()
        client.say(b"GET /")
        client.fin()
        harness.settle()
        self.assertEqual(harness.events("call.start"), [])
        self.assertEqual(harness.timers(), [])

    def test_answer_then_fin(self):
        """A client that closes its half behind its last answer still gets all of that."""
        harness = self.start()
        client = harness.client()
        client.congested = True
        client.say(request())
        harness.upstream.say(response())
        client.fin()
        harness.settle()
        self.assertFalse(client.aborted)
        client.drain()
        harness.settle()
        self.assertEqual((self.answer(client).body, client.connected), (b"hello", False))
