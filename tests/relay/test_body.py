"""A request's body between a client that sends and an upstream that may not be there, or may not read."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface.verify import verifyObject

from agentproxy.relay.body import StreamedBody, WholeBody


class Consumer:
    """What a connection is to a body."""

    def __init__(self):
        self.data = b""
        self.producer = None

    def registerProducer(self, producer, streaming):
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None

    def write(self, data):
        assert data
        self.data += data


class WholeBodyTests(SynchronousTestCase):
    def test_interface(self):
        """It is a body producer of known length, that writes itself at once."""
        for text in (b"abc", b""):
            body, consumer = WholeBody(text), Consumer()
            verifyObject(IBodyProducer, body)
            self.assertEqual((body.length, body.whole), (len(text), text))
            self.successResultOf(body.startProducing(consumer))
            self.assertEqual(consumer.data, text)


class StreamedBodyTests(SynchronousTestCase):
    def setUp(self):
        self.told = []
        self.consumer = Consumer()

    def body(self, length=-1, buffer_bytes=10):
        return StreamedBody(
            length,
            buffer_bytes,
            lambda: self.told.append("pause"),
            lambda: self.told.append("resume"),
            lambda: self.told.append("sent"),
        )

    def test_interface(self):
        """It is a body producer and a push producer; its length is the client's, or unknown."""
        body = self.body(5)
        verifyObject(IBodyProducer, body)
        verifyObject(IPushProducer, body)
        self.assertEqual((body.length, self.body().length), (5, UNKNOWN_LENGTH))

    def test_passes_on(self):
        """Once upstream takes it, each piece is written when it comes, and the end is told once."""
        body = self.body()
        done = body.startProducing(self.consumer)
        body.push(b"abc")
        self.assertEqual(self.consumer.data, b"abc")
        body.push(b"")
        body.push(b"def")
        self.assertNoResult(done)
        body.finish()
        self.successResultOf(done)
        self.assertEqual((self.consumer.data, self.consumer.producer, self.told), (b"abcdef", None, ["sent"]))

    def test_waits(self):
        """Before that the pieces wait, and above the bound the client is paused."""
        body = self.body()
        body.push(b"x" * 9)
        self.assertEqual((self.told, body.held), ([], False))
        body.push(b"x")
        body.push(b"x")
        self.assertEqual((self.told, body.held), (["pause"], True))
        body.startProducing(self.consumer)
        self.assertEqual((self.told, body.held), (["pause", "resume"], False))
        self.assertEqual(self.consumer.data, b"x" * 11)

    def test_whole_before_upstream_is_there(self):
        """A body that came whole is written and ended as soon as there is somebody to take it."""
        body = self.body()
        body.push(b"abc")
        body.finish()
        self.assertEqual(self.told, [])
        self.successResultOf(body.startProducing(self.consumer))
        self.assertEqual((self.consumer.data, self.told), (b"abc", ["sent"]))

    def test_pause_behind_the_end(self):
        """Upstream pausing when all has come pauses no client, and the rest goes when it reads again."""
        body = self.body()
        done = body.startProducing(self.consumer)
        body.pauseProducing()
        body.push(b"abc")
        body.finish()
        self.assertNoResult(done)
        body.resumeProducing()
        self.successResultOf(done)
        self.assertEqual((self.consumer.data, self.told), (b"abc", ["pause", "resume", "sent"]))
        paused = self.body()
        paused.push(b"x")
        paused.finish()
        self.consumer = Consumer()
        paused.startProducing(self.consumer)
        paused.pauseProducing()
        self.assertEqual(self.told.count("pause"), 1)

    def test_stop(self):
        """Stopped, it lets the client go on, throws away what comes, and tells no end."""
        for started in (True, False):
            self.told.clear()
            self.consumer = Consumer()
            body = self.body()
            done = body.startProducing(self.consumer) if started else None
            if started:
                body.pauseProducing()
            body.push(b"x" * 20)
            body.stopProducing()
            body.stopProducing()
            body.push(b"more")
            body.finish()
            self.assertEqual(self.told, ["pause", "resume"])
            self.assertEqual((self.consumer.data, self.consumer.producer), (b"", None))
            if done is not None:
                self.assertNoResult(done)

    @settings(max_examples=200)
    @given(
        st.lists(
            st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(["start", "pause", "resume"])), max_size=30
        )
    )
    def test_any_order(self, steps):
        """Whatever the order of things, all of it arrives in order, and no pause of the client is left over."""
        self.setUp()
        body, sent, started = self.body(), b"", False
        for step in steps:
            if isinstance(step, bytes):
                body.push(step)
                sent += step
            elif step == "start" and not started:
                started = True
                body.startProducing(self.consumer)
            elif step == "pause" and started:
                body.pauseProducing()
            elif step == "resume" and started:
                body.resumeProducing()
        body.finish()
        if not started:
            body.startProducing(self.consumer)
        body.resumeProducing()
        self.assertEqual(self.consumer.data, sent)
        self.assertEqual(self.told.count("pause"), self.told.count("resume"))
        self.assertEqual(self.told.count("sent"), 1)
