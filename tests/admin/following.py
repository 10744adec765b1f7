"""Those who follow the turns, over memory."""

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from agentproxy.admin import events
from agentproxy.admin.reading import Records
from agentproxy.observe.feed import Feed
from tests.admin.asking import AdminCase
from tests.admin.stored import FakeStore, a_turn, at_once

BEGIN = {"retry": "2000"}
"""What every stream begins with."""


class EventsCase(AdminCase):
    def setUp(self):
        self.patch(events, "PAGE", 3)
        super().setUp()
        self.begin()

    def begin(self, run=at_once, stored=True, most=4, **options):
        self.store, self.feed = FakeStore(), Feed(most)
        self.make(records=Records(self.store.open if stored else None, run, self.feed), **options)

    def follow(self, last=None, *fields, path="/api/events", method="GET", version="1.0"):
        fields = fields if last is None else (f"Last-Event-ID: {last}", *fields)
        channel, transport = self.connect()
        request = [f"{method} {path} HTTP/{version}", "Host: localhost", *fields, "", ""]
        channel.dataReceived("\r\n".join(request).encode("ascii"))
        return channel, transport

    def publish(self, *numbers, store=True, **changes):
        for number in numbers:
            record = a_turn(number, **changes)
            self.feed.publish(record)
            if store:
                self.store.add(record)

    def gone(self, channel):
        channel.connectionLost(Failure(ConnectionDone()))

    def seen(self, transport):
        """The events, each by its number, or as it is where it is no turn."""
        return [numbered(event) for event in taken(transport)[1]]


def taken(transport):
    """Head and events of an answer of HTTP/1.0."""
    head, _, body = transport.value().partition(b"\r\n\r\n")
    blocks = body.decode("ascii").split("\n\n")
    assert blocks.pop() == "", "half an event"
    return head, [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def numbered(event):
    return int(event["id"], 16) if event.get("event") == "turn" else event
