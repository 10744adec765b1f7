"""Those who follow the turns and don't read, or not always: they cost little, and miss nothing when they read."""

from hypothesis import given
from hypothesis import strategies as st

from agentproxy.admin.events import HEARTBEAT_SECONDS, MOST_UNSENT, STALLED_SECONDS
from tests.admin.following import BEGIN, EventsCase
from tests.admin.stored import Held, a_turn, key
from tests.wire.splits import PROPERTY


class SlowTests(EventsCase):
    def test_pauses(self):
        """Nothing is written to who doesn't read, nor kept for it; when it reads it misses nothing."""
        channel, transport = self.follow()
        self.publish(1)
        for last in (3, 20):
            channel.pauseProducing()
            before = transport.value()
            self.publish(*range(2 if last == 3 else 4, last + 1))
            self.clock.advance(HEARTBEAT_SECONDS)
            self.assertEqual(transport.value(), before)
            channel.resumeProducing()
            self.clock.pump([0] * 5)
            self.assertEqual(self.seen(transport), [BEGIN, *range(1, last + 1)])

    def test_pauses_in_replay(self):
        """A replay goes no further while its reader doesn't."""
        held = Held()
        self.begin(held)
        self.store.add(*map(a_turn, range(1, 12)))
        channel, transport = self.follow(key(1))
        channel.pauseProducing()
        held.go()
        self.clock.advance(0)
        self.assertEqual((self.seen(transport), held.jobs), ([BEGIN, 2, 3, 4], []))
        channel.resumeProducing()
        channel.pauseProducing()
        channel.resumeProducing()
        self.assertEqual(len(held.jobs), 1)
        while held.jobs:
            held.go()
        self.assertEqual(self.seen(transport), [BEGIN, *range(2, 12)])

    def test_pauses_between_pages(self):
        """What the feed has comes page by page too, each only when there is room."""
        self.begin(most=100)
        self.publish(*range(1, 9))
        channel, transport = self.follow(key(1))
        self.assertEqual(self.seen(transport), [BEGIN, 2, 3, 4])
        channel.pauseProducing()
        self.clock.advance(0)
        self.assertEqual(self.seen(transport), [BEGIN, 2, 3, 4])
        channel.resumeProducing()
        self.publish(9)
        self.clock.advance(0)
        self.publish(10)
        self.clock.advance(0)
        self.assertEqual(self.seen(transport), [BEGIN, *range(2, 11)])

    def test_much_unsent(self):
        """Who lets too much pass by is dropped; who reads in time is not."""
        note = "x" * (MOST_UNSENT // 10)
        for pauses in (True, False):
            self.begin()
            channel, transport = self.follow()
            channel.pauseProducing()
            self.publish(*range(1, 10), note=note)
            self.assertFalse(transport.disconnected)
            if not pauses:
                channel.resumeProducing()
                channel.pauseProducing()
            self.publish(10, 11, note=note)
            self.assertEqual(transport.disconnected, pauses)
            self.publish(12)
            self.gone(channel)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stalled(self):
        """Who reads nothing for too long is dropped, however little there is to read."""
        channel, transport = self.follow()
        channel.pauseProducing()
        self.clock.advance(STALLED_SECONDS - 1)
        self.assertFalse(transport.disconnected)
        self.clock.advance(HEARTBEAT_SECONDS)
        self.assertTrue(transport.disconnected)

    def test_dropped(self):
        """Nothing is written to who was dropped, whatever was under way."""
        held = Held()
        self.begin(held)
        self.store.add(*map(a_turn, range(1, 9)))
        channel, transport = self.follow(key(1))
        channel.pauseProducing()
        self.clock.advance(STALLED_SECONDS)
        self.assertTrue(transport.disconnected)
        written = transport.value()
        held.go()
        channel.resumeProducing()
        self.publish(9)
        self.clock.advance(HEARTBEAT_SECONDS)
        self.site.close()
        self.assertEqual(transport.value(), written)

    @PROPERTY
    @given(
        st.integers(0, 10),
        st.lists(st.sampled_from(["turn", "turn", "turn", "write", "pause", "resume", "job", "soon", "again"])),
    )
    def test_no_gaps_no_doubles(self, stored, steps):
        """Whatever the order of turns, writes, pauses, answers and new connections: each turn once, in its order."""
        held = Held()
        self.begin(held, most=4)
        self.store.add(*map(a_turn, range(1, stored + 1)))
        number, unwritten, told = stored, [], []
        channel, transport = self.follow(key(0))

        def look():
            got = [event for event in self.seen(transport) if isinstance(event, int)]
            transport.clear()
            transport.write(b"\r\n\r\n")
            return got

        paused = False
        for step in steps:
            if step == "turn":
                number += 1
                record = a_turn(number)
                # What the feed forgets is written by then.
                if len(unwritten) == 4:
                    self.store.add(unwritten.pop(0))
                unwritten.append(record)
                self.feed.publish(record)
            elif step == "write" and unwritten:
                self.store.add(*unwritten[: 1 + len(unwritten) // 2])
                del unwritten[: 1 + len(unwritten) // 2]
            elif step == "pause" and not paused:
                paused = True
                channel.pauseProducing()
            elif step == "resume" and paused:
                paused = False
                channel.resumeProducing()
            elif step == "job" and held.jobs:
                held.go()
            elif step == "soon":
                self.clock.advance(0)
            elif step == "again":
                told += look()
                self.gone(channel)
                paused = False
                channel, transport = self.follow(key(told[-1] if told else 0))
        if paused:
            channel.resumeProducing()
        while held.jobs or self.clock.getDelayedCalls()[0].getTime() <= self.clock.seconds():
            if held.jobs:
                held.go()
            self.clock.advance(0)
        self.assertEqual(told + look(), list(range(1, number + 1)))
        self.gone(channel)
