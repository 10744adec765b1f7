"""A WebSocket's page between two followers, and the messages that pass."""

from __future__ import annotations

from typing import Any

from agentproxy.observe.pages import SocketPage
from agentproxy.wire.deflate import DeflateParams
from agentproxy.wire.frames import FrameFollower
from tests.observe.page_case import BookCase, Sink, asks, dump, events
from tests.providers import response_shapes as shapes
from tests.wire.test_messages import KEY, TEXT, Sender

ASKED = dump({"model": shapes.MODEL, "input": "hi", "stream": True})
USED = shapes.usage(500, 100, 40, 4)
STREAM = events(shapes.created("resp_1"), shapes.delta("Hello"), shapes.over("resp_1", USED))
CREATE = shapes.create()
CREATED = shapes.created("resp_1")
DONE = shapes.over("resp_1", USED)
OTHER: Any = {"type": "response.processed"}


class Wired:
    """A WebSocket's page between two followers."""

    def __init__(self, page: SocketPage, deflate: DeflateParams | None = None) -> None:
        self.page = page
        self._followers = {}
        self.senders = {}
        for side in (True, False):
            tap = page.tap(deflate, from_client=side)
            follower = FrameFollower(masked=side, rsv1=deflate is not None, max_message_bytes=1 << 30, tap=tap)
            alone = deflate is not None and (
                deflate.client_no_context_takeover if side else deflate.server_no_context_takeover
            )
            self._followers[side] = follower
            self.senders[side] = Sender(KEY if side else None, no_context_takeover=alone)

    def pass_on(self, from_client: bool, data: bytes) -> None:
        """The bytes pass, whatever the page makes of them."""
        follower = self._followers[from_client]
        assert follower.feed(data) == data
        assert (follower.violation, follower.degraded) == (None, None)

    def say(self, from_client: bool, value: Any, **how: Any) -> None:
        self.pass_on(from_client, self.senders[from_client].message(TEXT, dump(value), **how))


class SocketCase(BookCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = Sink()
        self.books = self.ledger(self.sink)

    def tearDown(self) -> None:
        self.assert_no_fault()

    def wired(self, deflate: DeflateParams | None = None, target: bytes = b"/v1/responses", **how: Any) -> Wired:
        head = asks(target, (b"Connection", b"Upgrade"), method=b"GET")
        return Wired(self.socket(self.books, head, **how), deflate)
