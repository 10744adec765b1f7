"""Turns as they end: live, replayed, and without gaps or doubles between the two."""

import json

from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from agentproxy.admin.events import HEARTBEAT_SECONDS, MOST_FOLLOWERS, Events, Follower
from agentproxy.admin.site import LAST_SECONDS
from agentproxy.call import Secret
from agentproxy.records.errors import NoRecords
from agentproxy.records.queries import turn_json
from tests.admin.asking import response
from tests.admin.following import BEGIN, EventsCase, taken
from tests.admin.stored import Held, a_turn, key


class EventsTests(EventsCase):
    def test_live(self):
        """A turn is an event as it ends: its key, its kind, and its JSON as everywhere."""
        _, transport = self.follow()
        self.publish(7, session="s\u00e9\n\u2028")
        head, (begin, event) = taken(transport)
        self.assertIn(b"200 OK", head)
        for field in (b"Content-Type: text/event-stream", b"Cache-Control: no-store", b"Connection: close"):
            self.assertIn(field, head)
        self.assertEqual(begin, BEGIN)
        self.assertEqual((event["id"], event["event"]), (key(7), "turn"))
        self.assertEqual(json.loads(event["data"]), turn_json(a_turn(7, session="s\u00e9\n\u2028")))

    def test_nothing_before(self):
        """Who names no event is told what comes, not what was."""
        self.publish(1, 2)
        _, transport = self.follow()
        self.publish(3)
        self.assertEqual(self.seen(transport), [BEGIN, 3])
        self.assertEqual(self.store.asked, [])

    def test_replay_from_feed(self):
        """What the feed still has is not asked of the store, which may not have it yet."""
        self.publish(*range(1, 9), store=False)
        _, transport = self.follow(key(5))
        self.assertEqual(self.seen(transport), [BEGIN, 6, 7, 8])
        self.publish(9)
        self.assertEqual(self.seen(transport), [BEGIN, 6, 7, 8, 9])
        self.assertEqual(self.store.asked, [])

    def test_replay_from_store(self):
        """What the feed has forgotten comes from the store, page by page, and the rest from the feed."""
        self.store.add(*map(a_turn, range(1, 8)))
        self.publish(*range(8, 13), store=False)
        self.store.add(a_turn(8))
        _, transport = self.follow(key(1))
        self.clock.advance(0)
        self.publish(13, store=False)
        self.assertEqual(self.seen(transport), [BEGIN, *range(2, 14)])

    def test_after_a_restart(self):
        """Before the first turn of this process, the store has all there is."""
        self.store.add(*map(a_turn, range(1, 6)))
        _, transport = self.follow(key(2))
        self.publish(6)
        self.assertEqual(self.seen(transport), [BEGIN, 3, 4, 5, 6])

    def test_turns_while_it_is_asked(self):
        """Turns that end while the store is asked come once, whether or not the store has them already."""
        for most in (4, 100):
            for stored in (False, True):
                held = Held()
                self.begin(held, most=most)
                self.store.add(*map(a_turn, range(1, 5)))
                _, transport = self.follow(key(1))
                self.publish(5, 6, store=stored)
                while held.jobs:
                    held.go()
                    self.clock.advance(0)
                self.publish(7)
                self.assertEqual(self.seen(transport), [BEGIN, *range(2, 8)])

    def test_forgotten_while_it_is_asked(self):
        """Turns that the feed has forgotten since the store was asked are asked for again."""
        held = Held()
        self.begin(held)
        self.store.add(*map(a_turn, range(1, 3)))
        _, transport = self.follow(key(1))
        job, waiting = held.jobs.pop()
        result = job()
        self.publish(*range(3, 20))
        waiting.callback(result)
        while held.jobs:
            held.go()
        self.clock.pump([0] * 3)
        self.assertEqual(self.seen(transport), [BEGIN, *range(2, 20)])

    def test_never_seen(self):
        """An id beyond all that is known is no reason to be told nothing."""
        for published in ((), (1, 2)):
            self.begin()
            self.publish(*published)
            _, transport = self.follow(key(500))
            self.publish(3, 4)
            self.assertEqual(self.seen(transport), [BEGIN, 3, 4])

    def test_parameter(self):
        """The id may come in the query; the header, which is newer, goes before it; empty it is none."""
        self.publish(1, 2, 3)
        for path, last, expected in (
            (f"/api/events?last_event_id={key(1)}", None, [2, 3]),
            (f"/api/events?last_event_id={key(1)}", key(2), [3]),
            ("/api/events", "", []),
        ):
            _, transport = self.follow(last, path=path)
            self.assertEqual(self.seen(transport), [BEGIN, *expected])

    def test_bad_id(self):
        """What is no id is 400 and names itself."""
        for fields in (("Last-Event-ID: 1",), ("Last-Event-ID: " + "X" * 16,), (f"Last-Event-ID: {key(1)}",) * 2):
            _, transport = self.follow(None, *fields)
            answer = response(transport)
            self.assertEqual(answer.status, 400)
            self.assertIn("Last-Event-ID: want 16", json.loads(answer.text)["error"]["message"])
        self.assertTrue(self.refusal("/api/events?last_event_id=1", 400)[1].startswith("last_event_id: want"))
        self.assertTrue(self.refusal("/api/events?limit=1", 400)[1].startswith("limit: there is no"))

    def test_gap(self):
        """Where the past can't be had that is said, and what can be is told."""
        said = {"event": "gap", "data": json.dumps({"after": key(1)}, separators=(",", ":"))}
        for broken in (NoRecords("gone"), OSError("broken"), None):
            self.begin(stored=broken is not None)
            self.store.fails = broken
            self.publish(*range(1, 8), store=False)
            _, transport = self.follow(key(1))
            self.clock.advance(0)
            self.publish(8, store=False)
            self.assertEqual(self.seen(transport), [BEGIN, said, 4, 5, 6, 7, 8])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_store_behind(self):
        """So is it where the store has not written, or has lost, what the feed has forgotten."""
        said = {"event": "gap", "data": json.dumps({"after": key(2)}, separators=(",", ":"))}
        self.publish(1, 2)
        self.publish(*range(3, 12), store=False)
        _, transport = self.follow(key(1))
        self.clock.advance(0)
        self.assertEqual(self.seen(transport), [BEGIN, 2, said, 8, 9, 10, 11])

    def test_heartbeat(self):
        """A comment comes now and then, and the stream is not cut off for its age or its silence."""
        _, transport = self.follow()
        for _ in range(20):
            self.clock.advance(HEARTBEAT_SECONDS)
        self.assertEqual(transport.value().count(b": still here\n\n"), 20)
        self.assertFalse(transport.disconnecting or transport.disconnected)

    def test_head(self):
        """HEAD is answered with the head of GET, at once, and follows nothing."""
        _, transport = self.follow(method="HEAD")
        self.assertTrue(transport.disconnecting)
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertEqual(body, b"")
        self.assertEqual(head, taken(self.follow()[1])[0])

    def test_guarded(self):
        """It asks for the token, as all else here."""
        self.begin(token=lambda: Secret("s3cret"))
        self.assertEqual(response(self.follow()[1]).status, 401)
        _, transport = self.follow(None, "Authorization: Bearer s3cret")
        self.publish(1)
        self.assertEqual(self.seen(transport), [BEGIN, 1])

    def test_silence_before(self):
        """Who connects and asks nothing is dropped as ever."""
        _, transport = self.connect()
        self.clock.advance(HEARTBEAT_SECONDS)
        self.assertTrue(transport.disconnecting)

    def test_most_followers(self):
        """Beyond a bound who wants to follow is 503; one who leaves makes room."""
        channels = [self.follow()[0] for _ in range(MOST_FOLLOWERS)]
        refused = response(self.follow()[1])
        self.assertEqual((refused.status, refused.getheader("retry-after")), (503, "5"))
        self.gone(channels[0])
        _, transport = self.follow()
        self.publish(1)
        self.assertEqual(self.seen(transport), [BEGIN, 1])

    def test_leaves_nothing(self):
        """When the last one has gone the feed tells nobody, and no timer is left."""
        held = Held()
        self.begin(held)
        self.store.add(*map(a_turn, range(8)))
        channels = [self.follow(last)[0] for last in (None, key(0), None)]
        for channel in channels:
            self.gone(channel)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.feed._callbacks, ())
        held.go()
        self.publish(9)
        self.gone(self.follow(key(5))[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed(self):
        """At the end all streams end, whole, within a bound, and new ones are refused."""
        _, reading = self.follow()
        stuck_channel, stuck = self.follow()
        stuck_channel.pauseProducing()
        self.publish(1)
        self.site.close()
        self.assertEqual(self.seen(reading), [BEGIN, 1])
        self.assertEqual((reading.disconnecting, stuck.disconnected), (True, True))
        self.clock.advance(LAST_SECONDS)
        self.assertTrue(reading.disconnected)
        self.assertEqual(response(self.follow()[1]).status, 503)
        self.site.close()

    def test_chunked(self):
        """To HTTP/1.1 it is chunked, and its end is told."""
        _, transport = self.follow(version="1.1")
        self.publish(1)
        self.site.close()
        answer = response(transport)
        self.assertEqual(answer.getheader("transfer-encoding"), "chunked")
        self.assertIn(f"id: {key(1)}\n".encode(), answer.text)
        self.assertTrue(transport.value().endswith(b"\r\n0\r\n\r\n"))

    def test_producer(self):
        """A follower is what a transport wants of who writes to it."""
        self.assertTrue(verifyObject(IPushProducer, Follower(Events(self.clock, self.feed, None), None)))
