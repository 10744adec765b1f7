"""How the admin port reads the records: one query after the other, on a thread of its own, never on the reactor's."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from agentproxy.observe.feed import Feed
from agentproxy.records.errors import AmbiguousSession, BadCursor, NoRecords
from agentproxy.records.queries import Filter, Page

MOST_WAITING = 16
"""Queries that may wait for their turn."""

T = TypeVar("T")
Row = dict[str, Any]


class Store(Protocol):
    """What is asked of a record store; `agentproxy.records.queries.Store` is one."""

    def sessions(self, filter: Filter, *, limit: int = ..., after: str | None = ...) -> Page: ...

    def session(self, session: str) -> Row | None: ...

    def turns(self, filter: Filter, *, limit: int = ..., after: str | None = ..., newest_first: bool = ...) -> Page: ...

    def turns_after(self, key: str, until: str | None, limit: int) -> list[Row]: ...

    def usage(self, by: Any, filter: Filter, *, limit: int = ..., after: str | None = ...) -> Page: ...

    def calls(self, filter: Filter, *, limit: int = ..., after: str | None = ...) -> Page: ...

    def call(self, key: str) -> Row | None: ...

    def close(self) -> None: ...


class Runner(Protocol):
    """Runs jobs, one at a time, somewhere else."""

    def __call__(self, job: Callable[[], T], /) -> Deferred[T]: ...


@dataclass(frozen=True, slots=True)
class Records:
    """
    What there is to show of the records.

    :ivar open: opens the store, called by ``run`` for each query; ``None``: nothing is recorded.
    :ivar feed: the turns as they end, whether or not they are recorded.
    :ivar wall: seconds since 1970.
    """

    open: Callable[[], Store] | None
    run: Runner
    feed: Feed
    wall: Callable[[], float] = time.time


class Busy(Exception):
    """Too many queries wait already."""


class Missing(Exception):
    """What was asked for is not there; its text says so."""


class Unavailable(Exception):
    """The records can't be read now; its text says why, as far as a user may know."""


class ReadingThread:
    """
    A thread that is there from the first job on.

    :param reactor: whose thread gets the results.
    :ivar stopped: whether nobody waits for a job's result any more.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, 1, "records-reading")
        self.stopped = False

    def __call__(self, job: Callable[[], T], /) -> Deferred[T]:
        """What the job returns or raises, later; an `Unavailable` after `stop`."""
        if self.stopped:
            return fail(Unavailable("the service is stopping"))
        if not self._pool.started:
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, job)

    def stop(self) -> None:
        """End the thread; waits for the job that runs, if any."""
        self.stopped = True
        if self._pool.started:
            self._pool.stop()


class Reader:
    """
    Asks the store, one query at a time.

    The store is opened for each, which is cheap beside a query: so no file is held on to that was set aside, replaced
    or removed meanwhile, and one that is there again is found.
    """

    _log = Logger()

    def __init__(self, open: Callable[[], Store], run: Runner) -> None:
        self._open = open
        self._run = run
        self._waiting: deque[tuple[Callable[[Store], Any], Deferred[Any]]] = deque()
        # Those that are patient: asked only when nobody else waits.
        self._following: deque[tuple[Callable[[Store], Any], Deferred[Any]]] = deque()
        self._running = False

    def ask(self, query: Callable[[Store], T], *, patient: bool = False) -> Deferred[T]:
        """
        What the query says of the store; called on another thread. Cancelled while it waits, it is never called.

        :param patient: wait behind however many others.
        :returns: fires with an `Unavailable` where the store can't be read; the query's `BadCursor`,
            `AmbiguousSession` and `Missing` are passed on.
        :raises Busy: too many wait already.
        """
        if len(self._waiting) >= MOST_WAITING and not patient:
            raise Busy
        answer: Deferred[T] = Deferred(self._forget)
        (self._following if patient else self._waiting).append((query, answer))
        self._next()
        return answer

    def _forget(self, answer: Deferred[Any]) -> None:
        # One that runs goes on: a query can't be stopped, and its thread is not free before it ends.
        self._waiting = deque(each for each in self._waiting if each[1] is not answer)
        self._following = deque(each for each in self._following if each[1] is not answer)

    def _next(self) -> None:
        queue = self._waiting or self._following
        if self._running or not queue:
            return
        query, answer = queue.popleft()
        self._running = True
        self._run(partial(self._look, query)).addBoth(self._answered, answer)

    def _look(self, query: Callable[[Store], T]) -> T:
        with closing(self._open()) as store:
            return query(store)

    def _answered(self, result: Any, answer: Deferred[Any]) -> None:
        self._running = False
        if isinstance(result, Failure) and not result.check(BadCursor, AmbiguousSession, Missing, Unavailable):
            if result.check(NoRecords):
                result = Failure(Unavailable(str(result.value)))
            else:
                self._log.failure("the records could not be read", failure=result)
                result = Failure(Unavailable("the records could not be read; the log says why"))
        if not answer.called:
            answer.callback(result)
        self._next()
