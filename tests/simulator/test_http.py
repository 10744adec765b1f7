"""The simulator's HTTP: framing in and out, the scripted paths, and every way in which they fail."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.simulator import Script
from agentproxy.wire.body import LAST_CHUNK, chunk
from tests.simulator.support import Link, request, split


class ReadingTests(SynchronousTestCase):
    def test_requests_of_one_connection(self) -> None:
        """Requests sent at once are answered in order, and each is in the journal with its body."""
        link = Link()
        link.send(request("/simulator/echo", b"one") + request("/simulator/echo", b"two"))
        self.assertEqual([seen.body for seen in link.simulator.requests], [b"one", b"two"])
        self.assertEqual([seen.outcome for seen in link.simulator.requests], ["answered", "answered"])
        self.assertEqual(link.simulator.requests[0].connection, 1)

    @settings(max_examples=50)
    @given(cuts=st.lists(st.integers(0, 400), max_size=6))
    def test_any_split(self, cuts: list[int]) -> None:
        """How the bytes are cut makes no difference to the answers, streamed ones and chunked uploads among them."""
        upload = b"POST /simulator/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        data = (
            request("/simulator/sse?events=2", None)
            + upload + chunk(b"some") + chunk(b"bytes") + LAST_CHUNK
            + request("/simulator/echo", b"last")
        )  # fmt: skip
        whole, cut = Link(), Link()
        expected = whole.send(data)
        places = sorted({0, len(data), *(at for at in cuts if at < len(data))})
        got = b"".join([cut.send(data[a:b]) for a, b in pairwise(places)])
        self.assertEqual(got, expected)
        self.assertEqual(cut.simulator.requests[1].body, b"somebytes")

    def test_expect(self) -> None:
        """A client that waits for it gets its 100 before the body is read."""
        link = Link()
        head = b"POST /simulator/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        self.assertEqual(link.send(head), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertTrue(link.send(b"ok").endswith(b"\r\n\r\nok"))

    def test_malformed(self) -> None:
        """What is no request gets 400, and the connection ends."""
        link = Link()
        self.assertTrue(link.send(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n").startswith(b"HTTP/1.1 400 "))
        self.assertTrue(link.wire.disconnecting)

    def test_head(self) -> None:
        """HEAD is answered 200 without a body, whatever the path."""
        for target in ("/", "/v1/responses", "/simulator/bytes?n=10"):
            status, _, body = split(Link().send(request(target, None, "HEAD")))
            self.assertEqual((status, body), (200, b""))

    def test_gone(self) -> None:
        """A client that leaves before its answer has ended is seen to have left, and nothing goes on."""
        link = Link()
        link.send(request("/simulator/sse?events=5&pace=1", None))
        link.protocol.connectionLost()
        self.assertEqual(link.simulator.requests[0].outcome, "gone")
        self.assertEqual((link.clock.getDelayedCalls(), link.simulator.connections), ([], set()))

    def test_journal_off(self) -> None:
        """Without a journal nothing is kept."""
        link = Link(journal=False)
        link.send(request("/simulator/echo", b"x"))
        self.assertEqual((link.simulator.requests, link.simulator.served), ([], 1))


class ScriptedTests(SynchronousTestCase):
    def test_echo(self) -> None:
        """A body comes back with its type and encoding, framed as asked; what stands before the path is ignored."""
        for target in ("/simulator/echo", "/v1/simulator/echo?chunked=1", "/v1/simulator/echo?stream=1"):
            sent = request(target, b"\x1f\x8b", "POST", "h", "Content-Type: a/b", "Content-Encoding: gzip")
            status, fields, body = split(Link().send(sent))
            self.assertEqual((status, body), (200, b"\x1f\x8b"))
            if "stream" not in target:
                self.assertEqual((fields["content-type"], fields["content-encoding"]), ("a/b", "gzip"))

    def test_sink(self) -> None:
        """A body is counted and hashed, not kept."""
        link = Link()
        body = b"a" * 200000
        answer = json.loads(split(link.send(request("/simulator/sink", body)))[2])
        self.assertEqual(answer, {"bytes": 200000, "sha256": hashlib.sha256(body).hexdigest()})
        self.assertEqual((link.simulator.requests[0].body, link.simulator.requests[0].body_bytes), (b"", 200000))

    def test_bytes(self) -> None:
        """So many bytes come, with their length, chunked, or until the connection ends."""
        for more, key in (("", "content-length"), ("&chunked=1", "transfer-encoding"), ("&close=1", "connection")):
            link = Link()
            _, fields, body = split(link.send(request(f"/simulator/bytes?n=200000{more}", None)))
            self.assertIn(key, fields)
            self.assertEqual(len(body), 200000)
            self.assertEqual(link.wire.disconnecting, more == "&close=1")

    def test_back_pressure(self) -> None:
        """Nothing is made for a reader that has stopped."""
        link = Link()
        link.protocol.dataReceived(request("/simulator/bytes?n=1&close=1", None))
        link = Link()
        write = link.wire.write

        def write_and_fill(data: bytes) -> None:
            write(data)
            assert link.wire.producer is not None
            link.wire.producer.pauseProducing()

        link.wire.write = write_and_fill  # type: ignore[method-assign]
        first = link.send(request("/simulator/bytes?n=20000000", None))
        self.assertLess(len(first), 70000)
        assert link.wire.producer is not None
        link.wire.producer.resumeProducing()
        self.assertEqual(len(link.take()), 65536)

    def test_pace(self) -> None:
        """Events come in their time."""
        link = Link()
        self.assertEqual(link.send(request("/simulator/sse?events=3&pace=2&bytes=50", None)).count(b"data: "), 1)
        link.clock.advance(2)
        self.assertEqual(
            split(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + link.take())[2][:6], b"data: "
        )
        link.clock.advance(2)
        self.assertTrue(link.take().endswith(LAST_CHUNK))
        self.assertTrue(link.send(request("/simulator/echo", b"next")).endswith(b"next"))

    def test_held_requests(self) -> None:
        """What comes while an answer is being given is answered behind it."""
        link = Link()
        link.send(request("/simulator/sse?events=2&pace=1", None))
        self.assertEqual(link.send(request("/simulator/echo", b"next")), b"")
        link.clock.advance(1)
        self.assertTrue(link.take().endswith(b"next"))

    def test_status(self) -> None:
        """A status comes with what goes with it, and early if told so, before the body has come."""
        status, fields, _ = split(Link().send(request("/simulator/status?code=429&retry-after=3", b"")))
        self.assertEqual((status, fields["retry-after"]), (429, "3"))
        link = Link()
        head = b"POST /simulator/status?code=413&early=%b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"
        self.assertTrue(link.send(head % b"1").startswith(b"HTTP/1.1 413 "))
        self.assertEqual(link.send(b"123456789"), b"")
        self.assertTrue(link.send(request("/simulator/echo", b"next")).endswith(b"next"))
        link.send(head % b"close")
        self.assertTrue(link.wire.disconnecting)

    def test_failures(self) -> None:
        """Each failure comes where it was asked for."""
        for at, ends in (("before", b""), ("head", b"HTTP"), ("body", b"\r\n\r\n" + bytes(range(5)))):
            link = Link()
            got = link.send(request(f"/simulator/fail?at={at}&after=5", None))
            self.assertTrue(link.wire.aborted, at)
            self.assertIn(ends, got)
            self.assertEqual(got.endswith(b"\r\n\r\n" + bytes(range(5))), at == "body")
        link = Link()
        link.send(request("/simulator/fail?at=end&after=5", None))
        self.assertEqual((link.wire.aborted, link.wire.disconnecting), (False, True))
        link = Link()
        self.assertEqual(link.send(request("/simulator/fail?at=silent", None)), b"")
        self.assertFalse(link.wire.disconnecting)

    def test_bad_framing(self) -> None:
        """Responses that are ambiguous or none."""
        marks = {
            "both": b"transfer-encoding: chunked\r\ncontent-length:",
            "lengths": b"content-length: 3\r\n",
            "garbage": b"this is not HTTP",
            "control": b"a\rb",
            "switch": b"HTTP/1.1 101 ",
        }
        for framing, mark in marks.items():
            self.assertIn(mark, Link().send(request(f"/simulator/echo?framing={framing}", b"ab")), framing)
        self.assertIn(b"\r\n\r\nzz\r\n", Link().send(request("/simulator/sse?framing=chunks", None)))
        self.assertGreater(len(Link().send(request("/simulator/echo?long-head=70000", b""))), 70000)

    def test_interim(self) -> None:
        """So many interim responses come before the answer."""
        got = Link().send(request("/simulator/interim?n=17", None))
        self.assertEqual((got.count(b"HTTP/1.1 10"), got.count(b"HTTP/1.1 200")), (17, 1))

    def test_drip(self) -> None:
        """An answer comes in drips."""
        link = Link()
        self.assertEqual(len(link.send(request("/simulator/echo?drip=7&pace=1", b"body"))), 7)
        link.clock.pump([1] * 20)
        self.assertTrue(link.take().endswith(b"body"))

    def test_with(self) -> None:
        """A provider's own answer goes wrong where its path is told to."""
        link = Link()
        got = link.send(request("/v1/simulator/with/fail=body&after=10/v1/responses", {"model": "m", "input": "x"}))
        self.assertEqual((len(split(got)[2]), link.wire.aborted), (10, True))
        self.assertEqual(link.simulator.requests[0].target, b"/v1/simulator/with/fail=body&after=10/v1/responses")
        status, _, _ = split(Link().send(request("/simulator/with/status=529/v1/messages", {"messages": []})))
        self.assertEqual(status, 529)

    def test_bad_parameter(self) -> None:
        """A number that is none is refused, aloud."""
        self.assertTrue(Link().send(request("/simulator/echo?after=x", b"")).startswith(b"HTTP/1.1 400 "))

    def test_script_of_simulator(self) -> None:
        """The simulator's own script holds for all its answers."""
        link = Link(script=Script(status=503))
        self.assertEqual(split(link.send(request("/v1/models", None)))[0], 503)
