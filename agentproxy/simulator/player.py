"""Plays an answer's steps into a transport, no faster than its reader takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from agentproxy.simulator.answer import Act, Step


@implementer(IPushProducer)
class Player:
    """
    Registers with the transport as its producer, so nothing is made while the transport's buffer is full.

    :param clock: an `IReactorTime`.
    :param ended: called once behind the last step, with whether the connection may live on.
    """

    def __init__(self, clock: Any, transport: Any, steps: Iterator[Step], ended: Callable[[bool], None]) -> None:
        self._clock = clock
        self._transport = transport
        self._steps = steps
        self._ended = ended
        self._wait: Any = None
        self._paused = False
        self._playing = False
        self._over = False

    def start(self) -> None:
        self._transport.registerProducer(self, True)
        self._play()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._play()

    def stopProducing(self) -> None:
        self.stop()

    def stop(self) -> None:
        """End here, whatever is left; may be called more than once."""
        self._over = True
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.cancel()
        close = getattr(self._steps, "close", None)
        if close is not None and not self._playing:
            close()

    def _go_on(self) -> None:
        self._wait = None
        self._play()

    def _play(self) -> None:
        # A write can pause, and even resume, from within.
        if self._playing:
            return
        self._playing = True
        try:
            while not (self._paused or self._over or self._wait):
                step = next(self._steps, None)
                if step is None:
                    self._finish(True)
                elif isinstance(step, bytes):
                    self._transport.write(step)
                elif isinstance(step, float):
                    if step > 0:
                        self._wait = self._clock.callLater(step, self._go_on)
                elif step is Act.SILENCE:
                    self._over = True
                else:
                    if step is Act.ABORT:
                        self._transport.abortConnection()
                    self._finish(False)
        finally:
            self._playing = False

    def _finish(self, alive: bool) -> None:
        if self._over:
            return
        self._over = True
        self._transport.unregisterProducer()
        self._ended(alive)


@implementer(IPushProducer)
class ReadPauser:
    """The producer of a side that only sends back what it reads: where writing must wait, reading does."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def pauseProducing(self) -> None:
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        pass
