"""TLS with a call a record: the same bytes and the same ends as Twisted's own, and sessions that are resumed."""

from __future__ import annotations

from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.config import Upstream
from agentproxy.engine.tls import RESUMED_SECONDS, DirectTLSFactory, Records, Sessions
from agentproxy.errors import ProxyError
from agentproxy.simulator.ca import ServerContext
from agentproxy.upstream.connector import Connector
from agentproxy.upstream.tls import Trust
from tests.engine.wires import CA, Creator, Forger, Link, Producer, Remembering, Wire, server_context
from tests.fakes import connected
from tests.upstream.harness import Net, cut, pump

TLS12, TLS13 = SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION
BOTH = (TLS12, TLS13)
RECORD_BYTES = 16384  # RFC 8446, 5.1
BIG = bytes(range(256)) * 4096  # 1 MiB


def header(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2, "big")


class TlsCase(SynchronousTestCase):
    def same(self, got: bytes, wanted: bytes) -> None:
        """Equal; a failure shows no megabytes."""
        self.assertTrue(got == wanted, f"{len(got)} bytes, want {len(wanted)}: {got[:40]!r}, want {wanted[:40]!r}")


class RecordsTests(SynchronousTestCase):
    @settings(max_examples=150)
    @given(st.lists(st.binary(max_size=40) | st.integers(0, 16640).map(bytes), max_size=8), st.data())
    def test_any_cut(self, contents: list[bytes], data: st.DataObject) -> None:
        """However the bytes are cut, after each piece as many records have been counted as have ended by then."""
        records = [header(len(content)) + content for content in contents]
        ends, stream = list(accumulate(map(len, records))), b"".join(records)
        near = st.sampled_from([0, *ends]).flatmap(lambda end: st.integers(end - 6, end + 6))
        places = st.integers(0, len(stream)) | near.map(lambda at: min(max(at, 0), len(stream)))
        counter, counted, seen = Records(), 0, 0
        for piece in cut(stream, data.draw(st.lists(places, max_size=12))):
            counted += counter.whole(piece)
            seen += len(piece)
            self.assertEqual(counted, sum(end <= seen for end in ends))
        self.assertEqual(counted, len(records))

    def test_byte_by_byte(self) -> None:
        """Single bytes are pieces too, and contents that look like headers are none."""
        stream = b"".join(header(len(content)) + content for content in (b"", header(3), b"", header(0) * 3, b"x"))
        counter = Records()
        counts = [counter.whole(stream[at : at + 1]) for at in range(len(stream))]
        self.assertEqual([at for at, count in enumerate(counts) if count], [4, 14, 19, 39, 45])
        self.assertEqual(sum(counts), 5)


class DataTests(TlsCase):
    def test_sizes(self) -> None:
        """What is written to either end comes out at the other, whatever its size."""
        some = [RECORD_BYTES * count + more for count in range(4) for more in (-1, 0, 1)]
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            for size in [*some[2:], len(BIG)]:
                link.inner.data = link.remote.data = b""
                link.inner.transport.write(BIG[:size])
                link.remote.transport.write(BIG[-size:])
                link.pump()
                self.same(link.remote.data, BIG[:size])
                self.same(link.inner.data, BIG[-size:])
            self.assertIsNone(link.inner.ended)

    def test_empty(self) -> None:
        """Writing nothing says nothing and ends nothing."""
        for version in BOTH:
            for write in (
                lambda link: link.inner.transport.write(b""),
                lambda it: it.inner.transport.writeSequence([]),
            ):
                link = Link(server_context(version)).handshake()
                write(link)
                self.assertEqual((link.client.value(), link.client.disconnecting), (b"", False))
                link.inner.transport.write(b"on")
                link.pump()
                self.assertEqual((link.remote.data, link.inner.ended), (b"on", None))

    def test_many_small(self) -> None:
        """Many small records come in order, whether all at once or in a few reads that end anywhere."""
        pieces = [bytes([at % 256]) * (at % 7 + 1) for at in range(3000)]
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            coded = b"".join(link.coded(*pieces))
            for start in range(0, len(coded), 40001):
                link.down(coded[start : start + 40001])
            self.same(link.inner.data, b"".join(pieces))
            for piece in pieces:
                link.inner.transport.write(piece)
            link.pump()
            self.same(link.remote.data, b"".join(pieces))

    def test_before_handshake(self) -> None:
        """What is written before the handshake's end waits for it, in order; a producer waits too."""
        for version in BOTH:
            link, producer = Link(server_context(version)), Producer()
            link.inner.transport.registerProducer(producer, True)
            link.inner.transport.write(b"first")
            link.inner.transport.writeSequence([b" ", BIG])
            self.assertEqual(set(producer.calls), {"pause"})
            link.handshake()
            self.assertEqual(producer.calls[-1], "resume")
            link.inner.transport.write(b"last")
            link.pump()
            self.same(link.remote.data, b"first " + BIG + b"last")

    def test_ping_pong(self) -> None:
        """An answer from inside of a read leaves with it, once for each."""
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            link.inner.answer = lambda data: link.inner.transport.write(data.upper())
            link.down(b"".join(link.coded(b"a", b"bc", b"d" * RECORD_BYTES)))
            link.pump()
            self.same(link.remote.data, b"ABC" + b"D" * RECORD_BYTES)

    @settings(max_examples=40)
    @given(
        st.sampled_from(BOTH),
        st.lists(st.integers(1, 4000) | st.sampled_from([1, 4, 5, 6, 16406, 40000]), min_size=1, max_size=8),
        st.lists(st.integers(1, 100) | st.integers(1, 40000), max_size=6),
    )
    def test_any_cut(self, version: int, reads: list[int], writes: list[int]) -> None:
        """Whatever the reads' sizes are, in the handshake and behind it, the same bytes come out."""
        sizes = cycle(reads)

        def pieces(data: bytes) -> list[bytes]:
            ends = []
            while (ends[-1] if ends else 0) < len(data):
                ends.append((ends[-1] if ends else 0) + next(sizes))
            return list(cut(data, ends[:-1])) if data else []

        link = Link(server_context(version))
        link.inner.transport.write(b"hello")
        link.pump_cut(pieces)
        wanted = b""
        for at, size in enumerate(writes):
            data = bytes([at]) * size
            wanted += data
            link.remote.transport.write(data)
            link.inner.transport.write(data)
        link.pump_cut(pieces)
        self.same(link.inner.data, wanted)
        self.same(link.remote.data, b"hello" + wanted)
        self.assertIsNone(link.inner.ended)


class ProducerTests(TlsCase):
    def test_paused(self) -> None:
        """A producer above TLS is paused while the system takes no more, and resumed once nothing waits."""
        wire, inner, producer, remote = Wire(), Remembering(), Producer(), Remembering()
        self.addCleanup(wire.close)
        clock = wire.reactor
        tls: Any = DirectTLSFactory(
            Sessions(Creator(), Clock()), Factory.forProtocol(lambda: inner), clock
        ).buildProtocol(None)
        served = TLSMemoryBIOFactory(server_context(), False, Factory.forProtocol(lambda: remote), clock)
        server = connected(served.buildProtocol(None))
        wire.transport.protocol = tls
        tls.makeConnection(wire.transport)
        for _ in range(2):
            server.protocol.dataReceived(wire.taken())
            wire.peer.send(server.taken())
            self.assertIsNone(wire.transport.doRead())
        inner.transport.registerProducer(producer, True)
        inner.transport.write(b"small")
        self.assertEqual(producer.calls, [])
        inner.transport.write(BIG)
        self.assertEqual(producer.calls, ["pause"])
        server.protocol.dataReceived(wire.drained())
        self.assertEqual(producer.calls, ["pause", "resume"])
        self.same(remote.data, b"small" + BIG)
        inner.transport.unregisterProducer()
        inner.transport.write(BIG)
        server.protocol.dataReceived(wire.drained())
        self.assertEqual((producer.calls, len(remote.data)), (["pause", "resume"], 5 + 2 * len(BIG)))

    def test_reader_pauses(self) -> None:
        """A reader that pauses TLS pauses what is below it."""
        link = Link(server_context()).handshake()
        link.inner.transport.pauseProducing()
        self.assertTrue(link.client.paused)
        link.inner.transport.resumeProducing()
        self.assertFalse(link.client.paused)


class EndTests(TlsCase):
    def test_close_notify(self) -> None:
        """The server's close_notify ends it cleanly, behind the data that came before, and is answered."""
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            link.remote.transport.write(b"a")
            link.remote.transport.write(b"b")
            link.remote.transport.loseConnection()
            link.down(link.server.taken())
            self.assertEqual((link.inner.data, link.client.disconnecting), (b"ab", True))
            link.inner.transport.write(b"too late")
            link.pump()
            self.assertIs(link.inner.ended.type, ConnectionDone)
            self.assertEqual((link.remote.ended.type, link.remote.data), (ConnectionDone, b""))

    def test_our_close(self) -> None:
        """So does ours, behind what we wrote before it."""
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            link.inner.transport.write(BIG)
            link.inner.transport.loseConnection()
            link.pump()
            self.same(link.remote.data, BIG)
            self.assertEqual((link.inner.ended.type, link.remote.ended.type), (ConnectionDone, ConnectionDone))

    def test_cut(self) -> None:
        """A TCP connection that ends without one is lost, however it ended; whole records have been delivered."""
        for version in BOTH:
            for clean in (True, False):
                link = Link(server_context(version)).handshake()
                whole, half = link.coded(b"whole", b"half")
                link.down(whole + half[:-1])
                self.assertEqual(link.inner.data, b"whole")
                link.client.lost(clean=clean)
                self.assertEqual((link.inner.ended.type, link.inner.data), (ConnectionLost, b"whole"))

    def test_broken(self) -> None:
        """A record that was changed on the way ends it with an error, and nothing behind it is delivered."""
        for version in BOTH:
            for together in (True, False):
                link = Link(server_context(version)).handshake()
                good, broken, late, later = link.coded(b"good", b"broken", b"late", b"later")
                broken = broken[:-1] + bytes([broken[-1] ^ 1])
                for piece in [good + broken + late] if together else [good, broken, late]:
                    link.down(piece)
                self.assertEqual((link.inner.data, link.client.disconnecting), (b"good", True))
                link.down(later)
                link.inner.transport.write(b"never")
                link.pump()
                self.assertIs(link.inner.ended.type, SSL.Error)
                self.assertEqual((link.inner.data, link.remote.data), (b"good", b""))

    def test_no_record(self) -> None:
        """Bytes that can't begin a record end it with an error, without waiting for the rest of that record."""
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            link.down(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            self.assertTrue(link.client.disconnecting)
            link.client.lost()
            self.assertIs(link.inner.ended.type, SSL.Error)

    def test_no_record_ends(self) -> None:
        """They do so at the connection's end at the latest."""
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            link.down(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            link.client.lost()
            self.assertIs(link.inner.ended.type, SSL.Error)

    def test_reader_aborts(self) -> None:
        """Behind an abort from inside of a read nothing is delivered."""
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            link.inner.answer = lambda _: link.inner.transport.abortConnection()
            link.down(b"".join(link.coded(b"a", b"b", b"c")))
            self.assertEqual((link.inner.data, link.client.aborted), (b"a", True))

    def test_reader_closes(self) -> None:
        """Neither is it behind a close."""
        for version in BOTH:
            link = Link(server_context(version)).handshake()
            link.inner.answer = lambda _: link.inner.transport.loseConnection()
            link.down(b"".join(link.coded(b"a", b"b", b"c")))
            self.assertEqual(link.inner.data, b"a")

    def test_aborted(self) -> None:
        """What still arrives behind an abort is not delivered, and no session is kept of it."""
        for version in BOTH:
            context, sessions = server_context(version), Sessions(Creator(), Clock())
            link = Link(context, sessions).handshake()
            link.inner.transport.abortConnection()
            link.down(b"".join(link.coded(b"a", b"b")))
            self.assertEqual(link.inner.data, b"")
            self.assertFalse(resumed(context, sessions))

    def test_reader_raises(self) -> None:
        """What a reader raises goes to whoever calls, who ends the connection with it."""
        link = Link(server_context()).handshake()
        link.inner.answer = lambda _: 1 // 0
        self.assertRaises(ZeroDivisionError, link.down, b"".join(link.coded(b"a", b"b")))
        self.assertEqual(link.inner.data, b"a")
        link.inner.answer = lambda _: None
        link.client.lost(clean=False)
        self.assertIsNotNone(link.inner.ended)


class NoDataTests(TlsCase):
    """Records that hold no data."""

    def forging(self) -> tuple[Link, Forger]:
        """A link, and who can write to its client as the server would."""
        creator = Creator()
        link = Link(server_context(), Sessions(creator, Clock()))
        link.up()
        link.down(link.server.taken())
        link.up()
        tickets = link.server.taken()
        link.down(tickets)
        sent = Records().whole(tickets)
        self.assertGreater(sent, 0)
        self.assertEqual((link.inner.sizes, link.client.disconnecting), ([], False))
        return link, Forger(creator.secrets[b"SERVER_TRAFFIC_SECRET_0"], sent)

    def check(self, link: Link, wanted: bytes) -> None:
        """The client has got this, of which no piece was empty, and what it writes arrives."""
        self.same(link.inner.data, wanted)
        self.assertNotIn(0, link.inner.sizes)
        for size in (1, RECORD_BYTES, 50000):
            link.inner.transport.write(BIG[:size])
        link.up()
        self.same(link.remote.data, BIG[:1] + BIG[:RECORD_BYTES] + BIG[:50000])
        self.assertEqual((link.inner.ended, link.client.disconnecting), (None, False))

    def test_tickets(self) -> None:
        """New tickets between data, in one read with it or alone, disturb nothing."""
        for together in (True, False):
            link, forger = self.forging()
            # Lifetime, what is added to its age, nonce, ticket, no extensions (RFC 8446, 4.6.1).
            ticket = (60).to_bytes(4, "big") + bytes(4) + b"\x01\x07" + b"\0\x20" + bytes(32) + b"\0\0"
            message = b"\x04" + len(ticket).to_bytes(3, "big") + ticket
            wanted = [
                (23, b"a"),
                (22, message),
                (22, message * 2),
                (23, b"b"),
                (22, message),
                (23, b"c"),
                (22, message),
            ]
            records = [forger.record(kind, content) for kind, content in wanted]
            for piece in [b"".join(records)] if together else records:
                link.down(piece)
            self.check(link, b"abc")

    def test_key_update(self) -> None:
        """A new key of the server's is taken and, if asked for, answered with one of ours at once."""
        for answer in (True, False):
            for together in (True, False):
                link, forger = self.forging()
                records = [forger.record(23, b"old"), forger.key_update(answer), forger.record(23, b"new")]
                records += [forger.key_update(answer), forger.key_update(False), forger.record(23, b"newer")]
                for piece in [b"".join(records)] if together else records:
                    link.down(piece)
                self.assertEqual(bool(link.client.value()), answer)
                self.check(link, b"oldnewnewer")

    def test_empty_records(self) -> None:
        """Empty records and padded ones are no data, and hide none."""
        for together in (True, False):
            link, forger = self.forging()
            wanted = [(b"", 0), (b"", 0), (b"a", 0), (b"", 100), (b"b", 16000), (b"c" * RECORD_BYTES, 0), (b"", 0)]
            records = [forger.record(23, content, padding) for content, padding in wanted]
            for piece in [b"".join(records)] if together else records:
                link.down(piece)
            self.check(link, b"ab" + b"c" * RECORD_BYTES)

    def test_new_handshake(self) -> None:
        """TLS 1.2: the server begins another handshake; what either says meanwhile arrives, in order."""
        link = Link(server_context(TLS12)).handshake()
        tls, (before,) = link.server.protocol.getHandle(), link.coded(b"before")
        tls.renegotiate()
        tls.do_handshake()
        link.down(before + tls.bio_read(1 << 16))
        link.inner.transport.write(b"one ")
        link.inner.transport.write(b"two ")
        link.pump()
        link.inner.transport.write(b"three")
        link.remote.transport.write(b" behind")
        link.pump()
        self.assertEqual((link.inner.data, link.remote.data), (b"before behind", b"one two three"))
        self.assertEqual(tls.total_renegotiations(), 1)


def used(context: ServerContext, sessions: Sessions) -> Link:
    """A connection that has carried data."""
    link = Link(context, sessions).handshake()
    for end in (link.inner, link.remote):
        end.transport.write(b"data")
    link.pump()
    assert (link.inner.data, link.remote.data) == (b"data", b"data")
    return link


def resumed(context: ServerContext, sessions: Sessions) -> bool:
    """Whether a connection works and goes on from an earlier one, so that the server need not send its certificate."""
    flights = []
    for each in (sessions, Sessions(Creator(), Clock())):
        link = used(context, each)
        flights.append(len(link.flight))
        # OpenSSL resumes no session of a connection that it has freed without a close_notify of ours.
        link.inner.transport.loseConnection()
        link.pump()
    return flights[0] < flights[1] - 300


class SessionsTests(SynchronousTestCase):
    def test_resumed(self) -> None:
        """The second connection resumes the first one's session, the third the second's, and so on."""
        for version in BOTH:
            context, sessions = server_context(version), Sessions(Creator(), Clock())
            self.assertEqual([resumed(context, sessions) for _ in range(4)], [False, True, True, True])

    def test_ends(self) -> None:
        """However the first has ended, cleanly or by either's close or abort, the second is as good."""
        for version in BOTH:
            for end in ("loseConnection", "abortConnection"):
                for side in ("inner", "remote"):
                    context, sessions = server_context(version), Sessions(Creator(), Clock())
                    link = used(context, sessions)
                    getattr(getattr(link, side).transport, end)()
                    link.pump()
                    self.assertTrue(resumed(context, sessions), (end, side))

    def test_cut(self) -> None:
        """Once a connection was cut the next one works, resumed or not."""
        for version in BOTH:
            context, sessions = server_context(version), Sessions(Creator(), Clock())
            used(context, sessions).client.lost(clean=False)
            resumed(context, sessions)
            self.assertTrue(resumed(context, sessions))

    def test_forget(self) -> None:
        """What is forgotten is not resumed; the next connection's session is kept again."""
        for version in BOTH:
            context, sessions = server_context(version), Sessions(Creator(), Clock())
            self.assertEqual([resumed(context, sessions) for _ in range(2)], [False, True])
            sessions.forget()
            self.assertEqual([resumed(context, sessions) for _ in range(2)], [False, True])

    def test_not_for_ever(self) -> None:
        """After an hour of resuming the certificate is asked for again, and resuming begins anew."""
        for version in BOTH:
            clock = Clock()
            clock.advance(1e6)
            context, sessions = server_context(version), Sessions(Creator(), clock)
            self.assertEqual([resumed(context, sessions) for _ in range(2)], [False, True])
            clock.advance(RESUMED_SECONDS - 1)
            self.assertTrue(resumed(context, sessions))
            clock.advance(1)
            self.assertEqual([resumed(context, sessions) for _ in range(2)], [False, True])

    def test_not_used(self) -> None:
        """A session is not kept of a connection on which nothing was received."""
        for version in BOTH:
            context, sessions = server_context(version), Sessions(Creator(), Clock())
            Link(context, sessions).handshake()
            self.assertFalse(resumed(context, sessions))

    def test_unknown(self) -> None:
        """A server that does not know the session makes a full handshake, and its own session is the next."""
        for before in BOTH:
            for after in BOTH:
                sessions = Sessions(Creator(), Clock())
                self.assertFalse(resumed(server_context(before), sessions))
                context = server_context(after)
                self.assertEqual([resumed(context, sessions) for _ in range(2)], [False, True], (before, after))

    def test_others(self) -> None:
        """What one creator's connections have agreed on is not offered by another's."""
        for version in BOTH:
            context, sessions = server_context(version), Sessions(Creator(), Clock())
            self.assertFalse(resumed(context, sessions))
            self.assertFalse(resumed(context, Sessions(Creator(), Clock())))
            self.assertTrue(resumed(context, sessions))


class Asking(Remembering):
    def connectionMade(self) -> None:
        self.transport.write(b"ask")


class VerifiedTests(SynchronousTestCase):
    """Through `Connector`, which verifies the name."""

    def setUp(self) -> None:
        self.net = Net()
        self.phases: list[str] = []
        # Connections are kept alive: OpenSSL resumes no session of one that it has freed before its end.
        self.kept: list[Any] = []
        self.ca_file = self.mktemp()
        Path(self.ca_file).write_bytes(CA.pem)

    def connector(self, host: str) -> Connector:
        upstream = Upstream("https", host, 443, "")
        return Connector(self.net, upstream, None, Trust(self.ca_file), 10.0, lambda name, _: self.phases.append(name))

    def meet(self, connector: Connector, context: ServerContext) -> tuple[Deferred[Any], int]:
        """Connect, ask, and be answered; returns how many bytes its first ones were."""
        remote = Remembering()
        remote.answer = lambda _: remote.transport.write(b"answer")
        waiting = connector.connect(Factory.forProtocol(Asking))
        transport = self.net.take()
        factory = TLSMemoryBIOFactory(context, False, Factory.forProtocol(lambda: remote), self.net)
        server = connected(factory.buildProtocol(None))
        server.protocol.dataReceived(transport.taken())
        flight = server.taken()
        transport.protocol.dataReceived(flight)
        pump(self.net, transport, server)
        self.kept.append((transport, server))
        return waiting, len(flight)

    def refused(self, waiting: Deferred[Any]) -> None:
        error: ProxyError = self.failureResultOf(waiting, ProxyError).value
        self.assertEqual(error.phase, "tls")
        self.assertIn("the certificate is for another name", error.message)

    def test_again(self) -> None:
        """A connection that resumes a session is verified too, by the certificate that the session remembers."""
        for version in BOTH:
            context, connector = server_context(version), self.connector("api.example")
            first, full = self.meet(connector, context)
            second, short = self.meet(connector, context)
            self.assertEqual([self.successResultOf(each).data for each in (first, second)], [b"answer"] * 2)
            self.assertLess(short, full - 300)
            self.assertEqual(self.phases[-4:], ["connect", "tls"] * 2)
            # Were it for another name all at once, it would be seen, and the session be gone.
            endpoint: Any = connector._endpoint
            endpoint.host = "other.example"
            third, short = self.meet(connector, context)
            self.refused(third)
            self.assertLess(short, full - 300)
            endpoint.host = "api.example"
            fourth, size = self.meet(connector, context)
            self.assertEqual(self.successResultOf(fourth).data, b"answer")
            self.assertGreater(size, full - 100)

    def test_wrong_name(self) -> None:
        """No session is kept of a connection to a server with another name: each is a full handshake, and refused."""
        for version in BOTH:
            context, connector = server_context(version), self.connector("other.example")
            sizes = []
            for _ in range(3):
                waiting, size = self.meet(connector, context)
                self.refused(waiting)
                sizes.append(size)
            self.assertGreater(min(sizes), max(sizes) - 100)
            self.assertNotIn("tls", self.phases)

    def test_another_host(self) -> None:
        """A session with one host is not offered to another, were it the same server."""
        for version in BOTH:
            context = server_context(version)
            first, full = self.meet(self.connector("api.example"), context)
            self.successResultOf(first)
            second, size = self.meet(self.connector("other.example"), context)
            self.refused(second)
            self.assertGreater(size, full - 100)
