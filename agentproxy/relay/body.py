"""A request's body on its way up: held where it is small and here, else streamed, its sender paused when it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer


@implementer(IBodyProducer)
class WholeBody:
    """
    A body that is all here.

    :ivar whole: its bytes, which the agent writes together with the head.
    """

    def __init__(self, whole: bytes) -> None:
        self.whole = whole
        self.length = len(whole)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Write it at once."""
        if self.whole:
            consumer.write(self.whole)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to pause."""

    def resumeProducing(self) -> None:
        """Nothing is left to resume."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


@implementer(IBodyProducer, IPushProducer)
class StreamedBody:
    """
    A body that comes from the client piece by piece.

    :param length: bytes, or a negative number where it comes chunked.
    :param buffer_bytes: what may wait here before the client is paused.
    :param pause: pauses the client; ``resume`` undoes it.
    :param sent: called when the last byte has been written upstream.
    """

    def __init__(
        self,
        length: int,
        buffer_bytes: int,
        pause: Callable[[], object],
        resume: Callable[[], object],
        sent: Callable[[], object],
    ) -> None:
        self.length = length if length >= 0 else UNKNOWN_LENGTH
        self._buffer_bytes = buffer_bytes
        self._pause = pause
        self._resume = resume
        self._sent = sent
        self._waiting: list[bytes] = []
        self._size = 0
        self._consumer: Any = None
        self._done: Deferred[None] | None = None
        self._paused = False
        self._held = False
        self._whole = False
        self._stopped = False
        self._unsent = 0

    @property
    def held(self) -> bool:
        """Whether the client is paused, since upstream does not read."""
        return self._held

    def push(self, data: bytes) -> None:
        """The client's next bytes."""
        if self._stopped or not data:
            return
        if self._consumer is not None and not self._paused:
            self._consumer.write(data)
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= self._buffer_bytes and not self._held:
            self._held = True
            self._pause()

    def finish(self) -> None:
        """The client has sent all of it."""
        self._whole = True
        self._flush()

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """
        Write into ``consumer`` from now on. The Deferred fires when all has been written; it never does where the
        body was stopped.
        """
        self._consumer = consumer
        self._done = done = Deferred[None]()
        consumer.registerProducer(self, True)
        self._flush()
        return done

    def pauseProducing(self) -> None:
        """Upstream does not read: neither do we."""
        self._paused = True
        self._unsent = self._left()
        if not self._held and not self._whole:
            self._held = True
            self._pause()

    def resumeProducing(self) -> None:
        """It does again."""
        self._paused = False
        self._flush()

    def taking(self) -> bool:
        """Whether upstream has taken some of what was written to it since the last look, or since it paused us."""
        before, self._unsent = self._unsent, self._left()
        return self._unsent < before

    def _left(self) -> int:
        left: Callable[[], int] = getattr(self._consumer, "unsent", int)
        return left()

    def stopProducing(self) -> None:
        """Nobody wants the rest; what still comes is thrown away."""
        if self._stopped:
            return
        self._stopped = True
        self._waiting.clear()
        self._release()
        self._leave()

    def _flush(self) -> None:
        if self._stopped or self._consumer is None:
            return
        while self._waiting and not self._paused:
            waiting, self._waiting, self._size = self._waiting, [], 0
            self._consumer.write(b"".join(waiting))
        if self._paused:
            return
        self._release()
        if self._whole and self._done is not None:
            done, self._done = self._done, None
            self._stopped = True
            self._leave()
            done.callback(None)
            self._sent()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._resume()

    def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.unregisterProducer()
