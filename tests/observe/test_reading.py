"""Bodies followed for their turns: in every coding, at every split, and refused."""

from __future__ import annotations

import zlib

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.observe.reading import MOST_BEHIND, REFUSALS
from agentproxy.providers.openai_json import NO_JSON
from agentproxy.providers.openai_reader import reader
from agentproxy.usage import MOST_ASKED
from agentproxy.wire.decoding import MAX_DECODED
from tests.observe.page_case import CODINGS, SSE, answers, events
from tests.observe.reading_case import ASKED, REPORTED, STREAM, USED, WHOLE, Tapped, unread
from tests.providers import response_shapes as shapes
from tests.wire.splits import every_split


class WholeTests(SynchronousTestCase):
    def test_codings(self) -> None:
        """A body and a stream in any coding, whole, byte by byte and in two at every place, give the same turn."""
        for kind, body in ((b"application/json", WHOLE), (SSE, STREAM), (b"", WHOLE)):
            plain = Tapped().asked(ASKED)
            turn = plain.told(answers(200, kind), body)
            self.assertEqual((plain.used(), plain.tap.degraded), (REPORTED, None))
            for coding, encode in {b"identity": bytes, **CODINGS}.items():
                data = encode(body)
                for pieces in every_split(data):
                    if len(pieces) == 2 and len(pieces[0]) % 7:
                        continue
                    tapped = Tapped().asked(ASKED)
                    found = tapped.told(answers(200, kind, (b"Content-Encoding", coding)), *pieces)
                    self.assertEqual((found.usage, found.tools, found.status), (turn.usage, turn.tools, turn.status))
                    self.assertIsNone(tapped.tap.degraded, (coding, kind))

    def test_two_codings(self) -> None:
        """One coding over another, and names in any case."""
        for named in (b"gzip, br", b"x-gzip ,  BR", b"identity,gzip,br"):
            data = CODINGS[b"br"](CODINGS[b"gzip"](STREAM))
            tapped = Tapped().asked(ASKED)
            tapped.told(answers(200, SSE, (b"Content-Encoding", named)), data)
            self.assertEqual((tapped.used(), tapped.tap.degraded), (REPORTED, None))

    def test_times(self) -> None:
        """The turn begins with the call; its first token and its end are when they came."""
        tapped = Tapped().asked(ASKED)
        tapped.tap.begin(answers(200, SSE))
        for tapped.now, value in (
            (11.0, shapes.created("r")),
            (12.5, shapes.delta("x")),
            (14.0, shapes.over("r", USED)),
        ):
            tapped.tap.feed(events(value))
        tapped.now = 15.0
        tapped.tap.end(True)
        (turn,) = tapped.turns
        self.assertEqual((turn.started, turn.first_token, turn.ended), (5.0, 12.5, 14.0))

    def test_told_twice(self) -> None:
        """However often its steps are told, a call is read once."""
        tapped = Tapped()
        tapped.tap.asked(ASKED)
        for _ in range(3):
            tapped.tap.sent()
        tapped.told(answers(200, SSE), STREAM)
        tapped.tap.end(True)
        tapped.tap.end(False)
        tapped.tap.feed(STREAM)
        tapped.tap.sent()
        self.assertEqual((tapped.used(), tapped.looked), (REPORTED, [ASKED]))

    def test_ended_by_its_last_event(self) -> None:
        """Where the turn has ended, the call's breaking off behind it changes nothing."""
        tapped = Tapped().asked(ASKED)
        tapped.told(answers(200, SSE), STREAM, complete=False)
        self.assertEqual((tapped.used(), tapped.tap.degraded), (REPORTED, None))


class RequestTests(SynchronousTestCase):
    def test_codings(self) -> None:
        """A request in a coding, as Codex sends them in zstd, is read and shown decoded."""
        for coding, encode in CODINGS.items():
            data = encode(ASKED)
            for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
                tapped = Tapped((b"Content-Encoding", coding)).asked(*pieces)
                turn = tapped.told(answers(200, SSE), STREAM)
                self.assertEqual((turn.model_asked, turn.input_bytes), (shapes.MODEL, len(ASKED)))
                self.assertEqual((tapped.looked, tapped.tap.degraded), ([ASKED], None))

    def test_large(self) -> None:
        """
        Of a request over the bound its beginning is read, however it comes, and its end is looked at, too; what it
        used is reported anyway.
        """
        for more in (MOST_ASKED, MOST_ASKED + MOST_BEHIND, 2 * MOST_ASKED):
            body = ASKED[:-1] + b',"more":"' + bytes(more) + b"x" * 1000 + b'"}'
            seen = body[:MOST_ASKED] + body[max(MOST_ASKED, len(body) - MOST_BEHIND) :]
            for size in (1 << 30, 65536):
                tapped = Tapped().asked(*(body[at : at + size] for at in range(0, len(body), size)))
                turn = tapped.told(answers(200, SSE), STREAM)
                self.assertEqual((turn.model_asked, tapped.looked), (shapes.MODEL, [seen]))
                self.assertEqual(tapped.used(), REPORTED)

    def test_bomb(self) -> None:
        """So it is with one that decodes to far more."""
        body = ASKED[:-1] + b',"more":"' + b"x" * (3 * MOST_ASKED) + b'"}'
        for coding, encode in CODINGS.items():
            tapped = Tapped((b"Content-Encoding", coding)).asked(encode(body))
            turn = tapped.told(answers(200, SSE), STREAM)
            self.assertEqual((turn.model_asked, tapped.looked), (shapes.MODEL, [body[:MOST_ASKED]]), coding)
        huge = zlib.compress(bytes(MAX_DECODED + 1))
        tapped = Tapped((b"Content-Encoding", b"deflate")).asked(huge)
        tapped.told(answers(200, SSE), STREAM)
        self.assertEqual([len(body) for body in tapped.looked], [MOST_ASKED])
        self.assertEqual(tapped.used(), REPORTED)

    def test_unreadable(self) -> None:
        """A request that can't be read costs its model's name, and no more."""
        for coding, body, why in (
            (b"snappy", ASKED, "a request of an unknown content coding"),
            (b"gzip", ASKED, "invalid gzip data"),
            (b"zstd", b"\xff" * 9, "invalid zstd data"),
            (b"", b"\xff\xfe", NO_JSON),
            (b"", b"", NO_JSON),
        ):
            fields = ((b"Content-Encoding", coding),) if coding else ()
            tapped = Tapped(*fields).asked(body)
            tapped.told(answers(200, SSE), STREAM)
            self.assertEqual(tapped.used(), REPORTED, (coding, body))
            self.assertEqual(tapped.tap.degraded, why)

    def test_answered_early(self) -> None:
        """Where the response begins before the request is whole, what came by then is read."""
        tapped = Tapped()
        tapped.tap.asked(ASKED[:40])
        tapped.told(answers(200, SSE), STREAM)
        tapped.tap.asked(ASKED[40:])
        tapped.tap.sent()
        self.assertEqual((tapped.used(), tapped.looked), (REPORTED, [ASKED[:40]]))


class RefusalTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """A status that says that nothing was done is a failed turn, marked as refused; its body is not read."""
        for status in (400, 401, 403, 404, 413, 422, 429, 451, 499, 503, 529):
            self.assertIn(status, REFUSALS)
            tapped = Tapped().asked(ASKED)
            turn = tapped.told(answers(status), WHOLE)
            self.assertEqual((tapped.tap.refused, turn.status), (status, "failed"))

    def test_known_when_told(self) -> None:
        """That it was refused is known when the turn is told."""
        seen: list[int | None] = []
        tapped = Tapped(turn_reader=reader(b"POST", b"/v1/responses", False, lambda _: seen.append(tapped.tap.refused)))
        tapped.asked(ASKED)
        tapped.tap.begin(answers(429))
        self.assertEqual(seen, [429])

    def test_not_known(self) -> None:
        """Behind other statuses it is not known what upstream has done."""
        for status in (500, 502, 504, 599):
            tapped = Tapped().asked(ASKED)
            tapped.told(answers(status), WHOLE)
            self.assertIsNone(tapped.tap.refused)
            unread(tapped)

    def test_success(self) -> None:
        """Any 2xx is read."""
        for status in (200, 201, 202, 206):
            tapped = Tapped().asked(ASKED)
            tapped.told(answers(status), WHOLE)
            self.assertEqual(tapped.used(), REPORTED)
