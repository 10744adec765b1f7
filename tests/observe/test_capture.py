"""What a call says, kept: in order, in its coding, up to its bound, and never in the call's way."""

from __future__ import annotations

from typing import Any

from agentproxy.observe.pages import SocketPage
from agentproxy.observe.redact import MARK
from agentproxy.observe.redact_content import head_json
from agentproxy.records.values import ContentRecord
from agentproxy.wire.deflate import DeflateParams
from agentproxy.wire.frames import FrameFollower
from tests.observe.page_case import CODINGS, SSE, WALL, BookCase, BrokenSink, Sink, answers, asks, dump, events
from tests.observe.socket_case import CREATE, CREATED, DONE, USED, Wired
from tests.providers import response_shapes as shapes
from tests.wire.test_messages import BINARY, KEY, TEXT, Sender

ASKED = dump({"model": shapes.MODEL, "input": "hi"})
STREAM = events(CREATED, shapes.delta("Hello"), DONE)
CREDENTIAL = (b"Authorization", b"Bearer " + b"s3cr3t-" * 5)


class CaptureCase(BookCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = Sink()

    def keeping(self, most: int = 1 << 20, **parts: Any) -> Any:
        """A ledger that keeps so many bytes of each call."""
        parts.setdefault("clean", head_json)
        return self.ledger(parts.pop("sink", self.sink), content_bytes=most, **parts)

    def kept(self) -> list[tuple[str, bytes, int]]:
        """(part, what was kept, bytes that passed) of all bodies and messages, in order."""
        return [(each.part, b"".join(each.pieces), each.size) for each in self.sink.contents if "head" not in each.part]

    def part(self, name: str) -> ContentRecord:
        [found] = [each for each in self.sink.contents if each.part == name]
        return found

    def run_call(self, books: Any, asked: list[bytes], told: list[bytes], **how: Any) -> Any:
        """A call from end to end; returns its page."""
        page = self.http(books, how.pop("head", None), **how)
        for piece in asked:
            page.asked(piece)
        page.sent()
        self.clock.advance(1)
        page.begin(how.pop("answer", answers(200, SSE)))
        for piece in told:
            page.feed(piece)
        page.end(True)
        page.ended()
        return page


class HttpTests(CaptureCase):
    def tearDown(self) -> None:
        self.assert_no_fault()

    def test_a_call(self) -> None:
        """Heads and bodies are kept as they passed, numbered in the order in which they are told."""
        page = self.run_call(self.keeping(), [ASKED[:5], ASKED[5:]], [STREAM[:9], STREAM[9:]])
        found = self.sink.contents
        self.assertEqual(
            [(each.number, each.part) for each in found],
            list(enumerate(("request_head", "response_head", "request_body", "response_body"))),
        )
        self.assertEqual({each.call_key for each in found}, {page.key})
        self.assertEqual(self.kept(), [("request_body", ASKED, len(ASKED)), ("response_body", STREAM, len(STREAM))])
        begun = int(WALL * 1e6)
        self.assertEqual([each.at_us for each in found], [begun, begun + 1_000_000, begun, begun + 1_000_000])
        self.assertTrue(all(each.coding is None and each.is_text for each in found))
        # That it is kept changes nothing of what is read.
        self.assertEqual((self.sink.turns[0].input_tokens, self.sink.calls[0].degraded), (500, None))

    def test_heads(self) -> None:
        """A head is kept without its credentials."""
        head = asks(b"/v1/responses?key=s3cr3t-s3cr3t&x=y", CREDENTIAL, (b"User-Agent", b"codex/1"))
        self.run_call(self.keeping(), [ASKED], [STREAM], head=head)
        [request] = self.part("request_head").pieces
        self.assertNotIn(b"s3cr3t", request)
        for part in (b'"POST"', b"/v1/responses?key=", b"&x=y", b"codex/1", MARK.encode()):
            self.assertIn(part, request)
        [response] = self.part("response_head").pieces
        self.assertIn(b"200", response)
        self.assertIn(b"text/event-stream", response)
        for each in (self.part("request_head"), self.part("response_head")):
            self.assertEqual(each.size, len(each.pieces[0]))

    def test_codings(self) -> None:
        """Bodies in a coding are kept as they are, and say which."""
        for coding, encode in CODINGS.items():
            self.sink = Sink()
            page = self.http(self.keeping(), asks(b"/v1/responses", (b"Content-Encoding", coding)))
            page.asked(encode(ASKED))
            page.sent()
            page.begin(answers(200, SSE, (b"Content-Encoding", coding)))
            page.feed(encode(STREAM))
            page.end(True)
            page.ended()
            for name, data in (("request_body", ASKED), ("response_body", STREAM)):
                self.assertEqual((self.part(name).coding, b"".join(self.part(name).pieces)), (coding, encode(data)))
            self.assertEqual(self.sink.turns[0].source, "reported")

    def test_calls_without_turns(self) -> None:
        """What has no turn is kept as well."""
        page = self.http(self.keeping(), asks(b"/v1/models", method=b"GET"))
        self.assertTrue(page.reads)
        page.sent()
        page.begin(answers())
        page.feed(b'{"data":[]}')
        page.end(True)
        page.ended()
        self.assertEqual(self.kept(), [("response_body", b'{"data":[]}', 11)])
        self.assertEqual(self.sink.turns, [])

    def test_bound(self) -> None:
        """Of a call no more is kept than its bound, the request's share first; how much passed is known."""
        for size in (1, 7, 1 << 20):
            for most, request, response in (
                (0, 0, 0),
                (4, 4, 0),
                (len(ASKED), 1 << 20, 0),
                (len(ASKED) + 3, 1 << 20, 3),
            ):
                self.sink = Sink()
                self.run_call(
                    self.keeping(most),
                    [ASKED[at : at + size] for at in range(0, len(ASKED), size)],
                    [STREAM[at : at + size] for at in range(0, len(STREAM), size)],
                )
                self.assertEqual(
                    self.kept(),
                    [
                        ("request_body", ASKED[:request], len(ASKED)),
                        ("response_body", STREAM[:response], len(STREAM)),
                    ],
                    (size, most),
                )
                self.assertEqual(self.sink.turns[0].source, "reported")

    def test_broken_off(self) -> None:
        """A call that breaks off keeps what passed by then."""
        page = self.http(self.keeping())
        page.asked(ASKED[:9])
        page.ended()
        self.assertEqual(self.kept(), [("request_body", ASKED[:9], 9)])
        page = self.http(self.keeping())
        page.ended()
        self.assertEqual(len(self.kept()), 1)

    def test_nothing_kept(self) -> None:
        """Where nothing cleans what is kept, or nothing keeps it, nothing is."""
        for books in (self.ledger(self.sink), self.ledger(None, clean=head_json)):
            page = self.run_call(books, [ASKED], [STREAM])
            self.assertIsNone(page.capture)
        self.assertEqual(self.sink.contents, [])


class MessageTests(CaptureCase):
    def tearDown(self) -> None:
        self.assert_no_fault()

    def wired(self, most: int = 1 << 20, deflate: DeflateParams | None = None, **how: Any) -> Wired:
        head = asks(b"/v1/responses", (b"Connection", b"Upgrade"), method=b"GET")
        return Wired(self.socket(self.keeping(most), head, **how), deflate)

    def test_messages(self) -> None:
        """Each message is kept as it is said, whole, in order, whoever said it, and read besides."""
        for deflate in (None, DeflateParams(), DeflateParams(15, 15, True, True)):
            self.sink = Sink()
            wired = self.wired(deflate=deflate)
            wired.page.begin(answers(101))
            said = [
                (True, CREATE),
                (False, CREATED),
                (False, {"type": "codex.rate_limits", "x": "y" * 500}),
                (False, DONE),
            ]
            for number, (from_client, value) in enumerate(said):
                wired.say(from_client, value, compress=deflate is not None, fragment=(1 << 20) if number % 2 else 100)
                self.clock.advance(1)
            wired.page.ended()
            parts = ["client_message", *["upstream_message"] * 3]
            self.assertEqual(
                self.kept(),
                [(part, dump(value), len(dump(value))) for part, (_, value) in zip(parts, said, strict=True)],
            )
            self.assertEqual([each.number for each in self.sink.contents], list(range(6)))
            messages = self.sink.contents[2:]
            self.assertEqual([each.at_us - messages[0].at_us for each in messages], [0, 10**6, 2 * 10**6, 3 * 10**6])
            self.assertEqual(
                (self.sink.turns[0].input_tokens, self.sink.calls[0].degraded), (USED["input_tokens"], None)
            )

    def test_refused_upgrade(self) -> None:
        """Of an upgrade that upstream refuses, what it says instead is kept."""
        head = asks(b"/v1/responses", (b"Connection", b"Upgrade"), method=b"GET")
        page = self.socket(self.keeping(), head)
        self.assertTrue(page.reads)
        page.whole(answers(403), b"no sockets")
        page.ended()
        self.assertEqual(self.kept(), [("response_body", b"no sockets", 10)])

    def test_binary(self) -> None:
        """A binary message says that it is one; an empty one is kept too."""
        wired = self.wired()
        for opcode, data in ((BINARY, b"\x00\xff" * 100), (TEXT, b"{}"), (TEXT, b"")):
            wired.pass_on(False, wired.senders[False].message(opcode, data))
        self.assertEqual(
            self.kept(), [("upstream_message", data, len(data)) for data in (b"\x00\xff" * 100, b"{}", b"")]
        )
        self.assertEqual([each.is_text for each in self.sink.contents[1:]], [False, True, True])

    def test_not_understood(self) -> None:
        """Sockets whose messages are not understood are kept as well."""
        wired = self.wired(kind="anthropic")
        wired.say(True, b"hello")
        wired.say(False, b"hello yourself")
        self.assertEqual([data for _, data, _ in self.kept()], [b"hello", b"hello yourself"])
        self.assertIsNone(wired.page.running)

    def test_bound(self) -> None:
        """Both directions together keep no more than the bound; behind it the turns are still read."""
        for deflate in (None, DeflateParams(), DeflateParams(15, 15, True, True)):
            self.sink = Sink()
            wired = self.wired(300, deflate)
            large = dump({**CREATE, "input": "x" * 5000})
            for number in range(3):
                wired.say(True, large, compress=deflate is not None)
                wired.say(False, shapes.created(f"resp_{number}"), compress=deflate is not None)
                wired.say(False, shapes.over(f"resp_{number}", USED), compress=deflate is not None)
            wired.page.ended()
            [(part, data, size)] = self.kept()
            self.assertEqual((part, data), ("client_message", large[:300]))
            self.assertGreater(size, 300)
            self.assertEqual([turn.input_tokens for turn in self.sink.turns], [500] * 3)
            self.assertIsNone(self.sink.calls[0].degraded)

    def test_bound_inside(self) -> None:
        """The message that reaches the bound is kept as far as it goes."""
        wired = self.wired(1000, kind="anthropic")
        for data in (b"a" * 400, b"b" * 400, b"c" * 400, b"d" * 400, b""):
            wired.say(False, data)
        self.assertEqual([data for _, data, _ in self.kept()], [b"a" * 400, b"b" * 400, b"c" * 200])


class FaultTests(CaptureCase):
    def test_broken_parts(self) -> None:
        """Neither what cleans nor what keeps can stand in a call's way; of its error the type is told."""

        def clean(*args: object, **more: object) -> bytes:
            raise ValueError("s3cr3t")

        for parts, why in (({"clean": clean}, "ValueError"), ({"sink": BrokenSink()}, "OSError")):
            self.sink = Sink()
            page = self.run_call(self.keeping(**parts), [ASKED], [STREAM])
            self.assertEqual(page.degraded, f"keeping its content raised {why}")
            self.assertEqual(self.sink.contents, [])
            head = asks(b"/v1/responses", method=b"GET")
            socket: SocketPage = self.socket(self.keeping(**parts), head)
            socket.begin(answers(101))
            tap = socket.tap(None, from_client=True)
            follower = FrameFollower(masked=True, rsv1=False, max_message_bytes=1 << 20, tap=tap)
            data = Sender(KEY).message(TEXT, dump(CREATE))
            self.assertEqual(follower.feed(data), data)
            self.assertEqual((socket.running, follower.degraded), (1, None))
            socket.ended()
            self.assertEqual(socket.degraded, f"keeping its content raised {why}")

    def test_head_that_cannot_be_cleaned(self) -> None:
        """A head that can't be cleaned is not kept; the bodies are."""
        self.run_call(self.keeping(clean=lambda *args, **more: None), [ASKED], [STREAM])
        self.assertEqual([(each.number, each.part) for each in self.sink.contents],
                         [(0, "request_body"), (1, "response_body")])  # fmt: skip
