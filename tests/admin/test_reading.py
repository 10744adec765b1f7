"""Queries on a thread of their own."""

import threading

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from agentproxy.admin.reading import MOST_WAITING, Busy, Missing, Reader, ReadingThread, Unavailable
from agentproxy.records.errors import BadCursor
from tests.admin.stored import FakeStore, Held


class ReaderTests(SynchronousTestCase):
    def setUp(self):
        self.store, self.held = FakeStore(), Held()
        self.reader = Reader(self.store.open, self.held)

    def test_in_turn(self):
        """Queries run one at a time, in the order in which they were asked."""
        answers = [self.reader.ask(lambda store, n=n: n) for n in range(3)]
        for number, answer in enumerate(answers):
            self.assertNoResult(answer)
            self.held.go()
            self.assertEqual(self.successResultOf(answer), number)

    def test_bound(self):
        """Beyond the bound only the patient wait; one that leaves makes room."""
        waiting = [self.reader.ask(len) for _ in range(1 + MOST_WAITING)]
        self.assertRaises(Busy, self.reader.ask, len)
        self.reader.ask(len, patient=True).addErrback(lambda _: None)
        for each in waiting[-2:]:
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.reader.ask(len)

    def test_patient(self):
        """Who follows does not keep out who asks."""
        following = [self.reader.ask(lambda _: 0, patient=True) for _ in range(50)]
        asked = self.reader.ask(lambda _: 1)
        self.held.go()
        self.held.go()
        self.assertEqual(self.successResultOf(asked), 1)
        for _ in following[1:]:
            self.held.go()
        self.assertEqual([self.successResultOf(each) for each in following], [0] * 50)

    def test_cancelled(self):
        """One that is cancelled while it runs is thrown away, and only then is there room for the next."""
        first, second = self.reader.ask(lambda _: 1), self.reader.ask(lambda _: 2)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(len(self.held.jobs), 1)
        self.held.go()
        self.held.go()
        self.assertEqual(self.successResultOf(second), 2)

    def test_errors(self):
        """The query's own errors are passed on, all others are one that says little; the next query is no worse."""

        def fails(error):
            def query(store):
                raise error

            answer = self.reader.ask(query)
            self.held.go()
            return self.failureResultOf(answer).value

        for error in (BadCursor("x"), Missing("x"), Unavailable("x")):
            self.assertIs(fails(error), error)
        self.assertNotIn("private", str(fails(KeyError("private"))))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        answer = self.reader.ask(lambda _: 1)
        self.held.go()
        self.assertEqual(self.successResultOf(answer), 1)
        self.assertEqual(self.store.closed, 5)


class ReadingThreadTests(TestCase):
    def setUp(self):
        self.thread = ReadingThread(reactor)
        self.addCleanup(self.thread.stop)

    async def test_elsewhere(self):
        """Jobs run on another thread, all on the same; results and errors come back to this one."""
        here = threading.current_thread()
        there = {await self.thread(threading.current_thread) for _ in range(3)}
        self.assertEqual(len(there), 1)
        self.assertNotIn(here, there)
        with self.assertRaises(ZeroDivisionError):
            await self.thread(lambda: 1 // 0)
        self.assertIs(threading.current_thread(), here)

    async def test_lazy(self):
        """No job, no thread; after the end there is none, and jobs are refused."""

        def threads():
            return [thread for thread in threading.enumerate() if "records-reading" in thread.name]

        self.assertEqual(threads(), [])
        await self.thread(int)
        self.assertEqual(len(threads()), 1)
        self.thread.stop()
        self.assertEqual(threads(), [])
        with self.assertRaises(Unavailable):
            await self.thread(int)
        self.thread.stop()
