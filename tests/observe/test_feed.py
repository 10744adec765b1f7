"""The turns as they end."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.observe.feed import Feed, before
from tests.admin.stored import a_turn, key
from tests.wire.splits import PROPERTY


def keys(records):
    return None if records is None else [int(record.key, 16) for record in records]


class FeedTests(SynchronousTestCase):
    def feed(self, *numbers, most=3):
        feed = Feed(most)
        for number in numbers:
            feed.publish(a_turn(number))
        return feed

    def test_before(self):
        """The key before one is less, and nothing is between."""
        for number in (1, 16, 2**64 - 1):
            self.assertEqual(before(key(number)), key(number - 1))
        self.assertEqual(before(key(0)), key(0))

    def test_subscribers(self):
        """Each is told what comes, until it leaves; one that breaks or leaves meanwhile hinders nobody."""
        feed, told = self.feed(1), []

        def broken(record):
            raise ValueError("broken")

        def once(record):
            told.append(("once", record.key))
            leave_once()

        feed.subscribe(broken)
        leave_once = feed.subscribe(once)
        leave = feed.subscribe(lambda record: told.append(("all", record.key)))
        for number in (2, 3):
            feed.publish(a_turn(number))
        leave()
        leave()
        feed.publish(a_turn(4))
        self.assertEqual(told, [("once", key(2)), ("all", key(2)), ("all", key(3))])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_recent(self):
        """What came after a key is told where it is all here, and nothing where it may not be."""
        feed = self.feed(5, 7, 9)
        for last, expected in ((9, []), (8, [9]), (7, [9]), (5, [7, 9]), (4, [5, 7, 9]), (3, None), (99, [])):
            self.assertEqual(keys(feed.recent_after(key(last))), expected, last)
        feed.publish(a_turn(11))
        for last, expected in ((5, [7, 9, 11]), (6, [7, 9, 11]), (4, None), (11, [])):
            self.assertEqual(keys(feed.recent_after(key(last))), expected, last)
        self.assertIsNone(self.feed().recent_after(key(1)))

    def test_latest(self):
        """What is here is told, however much is not."""
        self.assertEqual(keys(self.feed().latest()), [])
        self.assertEqual(keys(self.feed(1, 2).latest()), [1, 2])
        self.assertEqual(keys(self.feed(1, 2, 3, 4, 5).latest()), [3, 4, 5])
        self.assertEqual(keys(self.feed(1, 2, 3, 4, 5).latest(key(4))), [5])

    @PROPERTY
    @given(st.lists(st.integers(1, 50), unique=True, max_size=12).map(sorted), st.integers(0, 60))
    def test_complete_or_nothing(self, numbers, last):
        """What is told of the past has no gap."""
        feed = self.feed(*numbers)
        told = keys(feed.recent_after(key(last)))
        wanted = [number for number in numbers if number > last]
        if told is None:
            self.assertTrue(not numbers or last < numbers[0] - 1 or len(wanted) > 3)
        else:
            self.assertEqual(told, wanted)
