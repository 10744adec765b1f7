"""
The one loop that carries both ends: epoll and timers, nothing else.

It is this bare because one core has to answer and to ask faster than nginx relays on the other.
"""

from __future__ import annotations

import heapq
import select
from collections import deque
from collections.abc import Callable
from time import monotonic

IN = select.EPOLLIN
OUT = select.EPOLLOUT

EXACT_BELOW = 0.02
"""Seconds. Nearer timers are waited for by select, which counts microseconds where epoll counts milliseconds."""


class Stalled(Exception):
    """The overall deadline came; the message says what was being done."""


def ignore(mask: int) -> None:
    """Stands in for the handler of a socket that was closed within the same batch of events."""


class Loop:
    """
    Calls back when sockets are ready and when timers are due. What a callback raises ends the loop.

    :param deadline: by `time.monotonic`, in seconds; what runs then is `Stalled`.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._soon: deque[Callable[[], None]] = deque()
        self._order = 0
        self._stopped = False

    def watch(self, fd: int, handler: Callable[[int], None], mask: int = IN) -> None:
        """Call ``handler`` with the epoll mask whenever the socket is ready."""
        self._handlers[fd] = handler
        self._epoll.register(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Before the socket is closed, or so that nothing of it is heard for a while."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def soon(self, action: Callable[[], None]) -> None:
        """Call once, after the events that are at hand."""
        self._soon.append(action)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call once, at a time of `time.monotonic`, in seconds."""
        self._order += 1
        heapq.heappush(self._timers, (when, self._order, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(monotonic() + seconds, action)

    def stop(self) -> None:
        """End the run that is under way, or the next one at once."""
        self._stopped = True

    def run(self, doing: str | Callable[[], str], seconds: float | None = None) -> None:
        """
        Carry events until somebody stops it, or for some seconds.

        :param doing: what is being done, for the message of `Stalled`.
        :raises Stalled: the overall deadline came first.
        """
        until = self.deadline if seconds is None else min(monotonic() + seconds, self.deadline)
        handlers = self._handlers
        while not self._stopped:
            now = monotonic()
            if now >= until:
                break
            for fd, mask in self._ready(now, until):
                handlers.get(fd, ignore)(mask)
        else:
            self._stopped = False
            return
        if now >= self.deadline:
            raise Stalled(doing if isinstance(doing, str) else doing())

    def _ready(self, now: float, until: float) -> list[tuple[int, int]]:
        """The sockets that are ready: at once where something is due meanwhile, else as soon as one is."""
        poll, timers = self._epoll.poll, self._timers
        due = len(self._soon)
        for _ in range(due):
            self._soon.popleft()()
        while timers and timers[0][0] <= now:
            heapq.heappop(timers)[2]()
            due += 1
        if due:
            return poll(0)
        if not timers:
            return poll(until - now)
        wait = min(until, timers[0][0]) - now
        if wait > EXACT_BELOW:
            return poll(wait - EXACT_BELOW / 2)
        ready = poll(0)
        if not ready:
            select.select([self._epoll], [], [], wait)
        return ready

    def close(self) -> None:
        self._epoll.close()


class Gate:
    """Stops the loop once as many have come as were expected."""

    def __init__(self, loop: Loop, expected: int) -> None:
        self._loop = loop
        self.missing = expected

    def come(self) -> None:
        self.missing -= 1
        if self.missing == 0:
            self._loop.stop()
