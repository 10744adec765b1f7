"""Twisted's own log, as events of ours."""

import json
from threading import Thread

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from agentproxy.observe.log import EventLog
from agentproxy.observe.redact import MARK, Redactor
from agentproxy.observe.twisted_log import MOST_CHARACTERS, TwistedLog


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__


class TwistedLogTests(SynchronousTestCase):
    def setUp(self):
        self.make("info")

    def make(self, level, **options):
        self.written = []
        self.redactor = Redactor()
        self.log = EventLog(self.written.append, clock=Clock(), wall=lambda: 0.0, level=level)
        self.observer = TwistedLog(self.log, self.redactor, **options)
        self.logger = Logger("a.module", observer=self.observer)

    def lines(self):
        self.log.flush()
        return [json.loads(line) for line in "".join(self.written).splitlines()]

    def test_interface(self):
        """It is an observer of Twisted's."""
        verifyObject(ILogObserver, self.observer)

    def test_warning(self):
        """A warning becomes one line with its namespace and its formatted message."""
        self.logger.warn("{count} files\nleft", count=3)
        [line] = self.lines()
        self.assertEqual(
            line,
            {
                "time": "1970-01-01T00:00:00.000Z",
                "level": "warn",
                "event": "twisted",
                "namespace": "a.module",
                "message": "3 files\nleft",
            },
        )

    def test_levels(self):
        """Twisted's info is our debug, its critical our error, and its debug is not taken."""
        self.logger.info("quiet")
        self.logger.critical("loud")
        self.assertEqual([(line["level"], line["message"]) for line in self.lines()], [("error", "loud")])
        self.make("debug")
        self.logger.debug("never")
        self.logger.info("quiet")
        self.assertEqual([(line["level"], line["message"]) for line in self.lines()], [("debug", "quiet")])

    def test_failure(self):
        """A failure's traceback is there, in one line, and no secret is in it."""
        self.redactor.add("hunter2hunter2")
        try:
            raise ValueError("the key hunter2hunter2 is wrong")
        except ValueError:
            failure = Failure()
        self.logger.failure("it broke with hunter2hunter2", failure=failure)
        [line] = self.lines()
        self.assertEqual(line["message"], f"it broke with {MARK}")
        self.assertIn(f"ValueError: the key {MARK} is wrong", line["traceback"])
        self.assertNotIn("hunter2", "".join(self.written))

    def test_failure_alone(self):
        """A failure without a message says what it is."""
        self.observer({"log_level": LogLevel.critical, "log_failure": Failure(ValueError("odd"))})
        self.assertEqual(self.lines()[0]["message"], "odd")

    def test_long(self):
        """Of a very long text the end stays, and a secret over the cut goes whole."""
        self.redactor.add("s3cret" * 4)
        self.logger.warn("{text}", text="s3cret" * 4 + "x" * (MOST_CHARACTERS - 10))
        [line] = self.lines()
        self.assertEqual(len(line["message"]), MOST_CHARACTERS)
        self.assertNotIn("s3cret", line["message"])

    def test_never_raises(self):
        """An event that can't be formatted, or that breaks on the way, reaches nobody."""
        self.logger.warn("{bad}", bad=Unprintable())
        self.observer({})
        self.observer({"log_level": "odd", "log_format": 7})
        self.observer({"log_level": LogLevel.warn, "log_format": "x", "log_failure": "not one"})
        self.redactor.clean = None
        self.logger.warn("lost")
        self.assertEqual(self.observer.failed, 1)

    def test_not_recursive(self):
        """What is logged while a line is being told is not told in turn."""
        observer = self.observer

        class Talkative(Redactor):
            def clean(self, text):
                observer({"log_level": LogLevel.warn, "log_format": "about that"})
                return text

        observer._redactor = Talkative()
        self.logger.warn("once")
        self.assertEqual([line["message"] for line in self.lines()], ["once"])

    def test_thread(self):
        """What another thread logs waits for the reactor's."""
        waiting = []
        self.make("info", call_from_thread=lambda f, *args, **keys: waiting.append((f, args, keys)))
        thread = Thread(target=self.logger.warn, args=("from a thread",))
        thread.start()
        thread.join()
        self.assertEqual(self.lines(), [])
        for f, args, keys in waiting:
            f(*args, **keys)
        self.assertEqual([line["message"] for line in self.lines()], ["from a thread"])
