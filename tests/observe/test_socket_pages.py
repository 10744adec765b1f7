"""The pages of WebSockets: what runs on them, the turns that they book, and readers that raise."""

from __future__ import annotations

import dataclasses

from agentproxy.call import Close
from agentproxy.observe.pages import SocketPage
from agentproxy.providers import KINDS
from agentproxy.providers.flights import REFUSED
from agentproxy.providers.openai_json import NO_JSON
from agentproxy.usage import Alike, Ended, Status, Turn
from agentproxy.wire.deflate import DeflateParams
from tests.observe.page_case import asks, dump
from tests.observe.socket_case import CREATE, CREATED, DONE, OTHER, USED, SocketCase, Wired
from tests.providers import response_shapes as shapes
from tests.wire.test_messages import TEXT


class RunningTests(SocketCase):
    def test_counts(self) -> None:
        """What runs after each message, as (from the client?, message, running)."""
        second = shapes.over("resp_2", USED)
        for steps in (
            [],
            [(True, CREATE, 1), (False, CREATED, 1), (False, DONE, 0)],
            [(True, CREATE, 1), (True, CREATE, 2), (False, CREATED, 2), (False, DONE, 1), (False, second, 0)],
            [(True, OTHER, 0), (False, CREATED, 1), (False, DONE, 0), (True, OTHER, 0)],
            [(True, CREATE, 1), (False, shapes.error("server_error"), 0)],
            [(True, b"", None), (True, b"\xff\xfe", None), (True, b"[]", None), (True, {"type": 1}, None)],
        ):
            wired = self.wired()
            self.assertEqual(wired.page.running, 0)
            for from_client, message, running in steps:
                wired.say(from_client, message)
                self.assertEqual(wired.page.running, running, (steps, message))

    def test_type_behind(self) -> None:
        """Where the type stands behind an id, or behind everything, it is found, in long messages too."""
        for create in (
            {"event_id": "event_0123456789abcdef", "type": "response.create", "input": "x" * 500},
            {"model": "m", "input": "x" * 500, "type": "response.create"},
        ):
            wired = self.wired()
            wired.say(True, create)
            self.assertEqual(wired.page.running, 1)
            wired.say(False, {"response": {"id": "resp_1", "note": "y" * 500}, "type": "response.completed"})
            self.assertEqual(wired.page.running, 0)

    def test_fragments(self) -> None:
        """A message in fragments, with a control frame among them, is one."""
        wired = self.wired()
        data = wired.senders[True].message(TEXT, dump(CREATE), fragment=len(dump(CREATE)) // 3)
        wired.pass_on(True, data[:-1])
        self.assertEqual(wired.page.running, 0)
        wired.pass_on(True, data[-1:])
        self.assertEqual(wired.page.running, 1)

    def test_huge_message(self) -> None:
        """Of a message over what is read its beginning tells."""
        wired = self.wired()
        wired.say(True, b'{"type":"response.create","model":"m","input":"' + b"x" * (2 << 20) + b'"}')
        self.assertEqual((wired.page.running, wired.page.degraded), (1, None))

    def test_deflated(self) -> None:
        """Compressed messages are read, with and without a context that lives on."""
        for alone in (False, True):
            params = DeflateParams(client_no_context_takeover=alone, server_no_context_takeover=alone)
            wired = self.wired(params)
            for number in range(3):
                identity = f"resp_{number}"
                for from_client, message, running in (
                    (True, CREATE, 1),
                    (False, shapes.created(identity), 1),
                    (False, shapes.over(identity, USED), 0),
                ):
                    wired.say(from_client, message, compress=True, fragment=70)
                    self.assertEqual(wired.page.running, running, (alone, number))
        self.assertEqual([turn.output_tokens for turn in self.sink.turns], [40] * 6)

    def test_broken_deflate(self) -> None:
        """What can't be inflated ends the understanding, whatever was counted before; the turn is not lost."""
        wired = self.wired(DeflateParams())
        wired.say(True, CREATE, compress=True)
        self.assertEqual(wired.page.running, 1)
        wired.pass_on(False, wired.senders[False].frame(TEXT, b"no deflate at all", rsv1=True))
        self.assertIsNone(wired.page.running)
        wired.say(False, DONE)
        self.assertIsNone(wired.page.running)
        wired.page.ended()
        [turn], [call] = self.sink.turns, self.sink.calls
        self.assertEqual((turn.status, turn.degraded, call.degraded), ("unsettled", *["invalid deflate data"] * 2))

    def test_not_understood(self) -> None:
        """Of a kind whose sockets are not understood nothing is followed, and nobody says that it is idle."""
        page = self.socket(self.books, kind="anthropic")
        self.assertEqual((page.running, page.tap(None, from_client=True), page.degraded), (None, None, None))
        page.ended()
        self.assertEqual((len(self.sink.turns), len(self.sink.calls)), (0, 1))


class RunTests(SocketCase):
    """Deltas that are only counted."""

    def test_counted(self) -> None:
        """What many deltas have said is known to the character, whatever comes between them."""
        for end in (DONE, None):
            wired = self.wired()
            wired.say(True, CREATE)
            wired.say(False, shapes.created("resp_1"))
            for number in range(100):
                wired.say(False, shapes.delta("x" * (number % 7)))
                if number == 50:
                    wired.say(False, shapes.delta("long" * 100))
            wired.say(False, {"type": "response.output_text.done", "text": "x"})
            wired.say(False, shapes.delta("tail"))
            if end is not None:
                wired.say(False, shapes.over("resp_1", None))
            wired.page.ended()
            said = sum(number % 7 for number in range(100)) + 400 + 4
            self.assertEqual(self.sink.turns[-1].output_tokens, said // 4)

    def test_two_at_once(self) -> None:
        """Once a second turn is asked for, deltas are told apart again."""
        wired = self.wired()
        for lane in "ab":
            wired.say(True, shapes.create(stream_id=lane))
            wired.say(False, shapes.created(f"resp_{lane}", stream_id=lane))
            for _ in range(10):
                wired.say(False, shapes.delta("x" * 40, stream_id=lane))
        wired.page.ended()
        self.assertEqual([turn.output_tokens for turn in self.sink.turns], [100, 100])

    def test_nobody_asked(self) -> None:
        """Deltas of no response that is known are nobody's, and the turn behind them is counted by itself."""
        wired = self.wired()
        for _ in range(10):
            wired.say(False, shapes.delta("x" * 40))
        wired.say(True, CREATE)
        for _ in range(5):
            wired.say(False, shapes.delta("y" * 40))
        wired.page.ended()
        self.assertEqual([turn.output_tokens for turn in self.sink.turns], [50])


class TurnTests(SocketCase):
    def test_turns(self) -> None:
        """Each response on a socket is a turn, on record as it ends; the call when the socket is gone."""
        wired = self.wired()
        for number in range(3):
            wired.say(True, CREATE)
            wired.say(False, shapes.created(f"resp_{number}"))
            wired.say(False, shapes.delta("Hello"))
            wired.say(False, shapes.over(f"resp_{number}", USED))
            self.assertEqual(len(self.sink.turns), number + 1)
        wired.page.call.close = Close("client", 1000, "bye")
        wired.page.ended()
        self.assertEqual([turn.response_id for turn in self.sink.turns], ["resp_0", "resp_1", "resp_2"])
        self.assertEqual({turn.call_key for turn in self.sink.turns}, {wired.page.key})
        self.assertEqual(len({turn.session for turn in self.sink.turns}), 1)
        [call] = self.sink.calls
        self.assertEqual((call.close_side, call.close_code, call.close_reason, call.close_clean),
                         ("client", 1000, "bye", True))  # fmt: skip

    def test_unsettled(self) -> None:
        """What runs when the socket goes is not settled; what was refused by then is."""
        wired = self.wired()
        wired.say(True, CREATE)
        wired.say(False, shapes.error("previous_response_not_found"))
        wired.say(True, CREATE)
        wired.say(False, CREATED)
        wired.say(False, shapes.delta("Hello" * 10))
        wired.page.ended()
        refused, turn = self.sink.turns
        self.assertEqual((refused.status, refused.source, refused.note), ("failed", "missing", REFUSED))
        self.assertEqual((turn.status, turn.source, turn.output_tokens), ("unsettled", "estimated", 12))
        wired.page.ended()
        self.assertEqual(len(self.sink.turns), 2)

    def test_no_messages(self) -> None:
        """A socket that was refused, or on which nothing was said, has no turn."""
        page = self.socket(self.books)
        page.unasked()
        page.ended()
        self.wired().page.ended()
        self.assertEqual((len(self.sink.turns), len(self.sink.calls)), (0, 2))

    def test_realtime(self) -> None:
        """The model that a path asks for is the turn's."""
        wired = self.wired(target=b"/v1/realtime?model=gpt-realtime")
        wired.say(True, {"type": "response.create"})
        wired.say(False, {"type": "response.created", "response": {"id": "resp_1", "object": "realtime.response"}})
        wired.say(False, {"type": "response.done", "response": {"id": "resp_1", "status": "completed", "usage": USED}})
        [turn] = self.sink.turns
        self.assertEqual((turn.operation, turn.request_model, turn.input_tokens), ("realtime", "gpt-realtime", 500))

    def test_garbage(self) -> None:
        """What is no JSON is on record as the reason why something may be missing."""
        wired = self.wired()
        wired.say(True, CREATE)
        wired.say(False, b"\xff\xfe not JSON")
        wired.say(False, DONE)
        wired.page.ended()
        self.assertEqual((self.sink.turns[0].degraded, self.sink.calls[0].degraded), (NO_JSON, NO_JSON))


class BrokenReader:
    """A reader of sockets that raises in one of its methods."""

    degraded: str | None = None
    running = 7

    def __init__(self, fault: str, ended: Ended) -> None:
        self._fault = fault
        self._ended = ended

    def _called(self, name: str) -> None:
        if name == self._fault:
            raise ValueError("secret payload")

    def asked(self, data: bytes, at: float) -> None:
        self._called("asked")

    def told(self, data: bytes, at: float) -> Alike | None:
        self._called("told")
        return None

    def skimmed(self, events: int, size: int) -> None:
        """Messages come one by one."""

    def wanted(self, from_client: bool, beginning: bytes) -> int:
        self._called("wanted")
        return 1000

    def closed(self, at: float, status: Status = "unsettled") -> None:
        self._called("closed")
        self._ended(Turn("responses", at, ended=at, status=status))


class FaultTests(SocketCase):
    def test_broken_reader(self) -> None:
        """
        A reader that raises is dropped: everything passes, nothing is known of the socket any more, and what the reader
        knew of turns is booked.
        """
        for fault in ("wanted", "asked", "told", "closed"):
            kind = dataclasses.replace(
                KINDS["openai"], reader=lambda m, p, u, ended, fault=fault: BrokenReader(fault, ended)
            )
            head = asks(method=b"GET")
            provider = dataclasses.replace(self.provider(), kind=kind)
            page = SocketPage(self.books, self.call(head, "websocket"), provider, head)
            wired = Wired(page)
            self.assertEqual(page.running, 7)
            for _ in range(3):
                wired.say(True, CREATE)
                wired.say(False, CREATED)
            if fault != "closed":
                self.assertIsNone(page.running, fault)
            page.ended()
            self.assertEqual(self.sink.calls.pop().degraded, "the reader raised ValueError", fault)
        self.assertEqual([turn.status for turn in self.sink.turns], ["unsettled"] * 3)
