"""Turns what Twisted logs of itself into events of our own log, so that every line of the output is one of ours."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from agentproxy.observe.log import EventLog
from agentproxy.observe.redact import Redactor

MOST_CHARACTERS = 16384
"""Of a message or a traceback; a longer one keeps its end, which names what happened."""

# Twisted tells at `info` of every factory and timeout, which is our `debug`; its own `debug` is not taken.
_LEVELS = {LogLevel.info: "debug", LogLevel.warn: "warn", LogLevel.error: "error", LogLevel.critical: "error"}


@implementer(ILogObserver)
class TwistedLog:
    """
    An observer of Twisted's log: its events become the event ``twisted`` with the keys ``namespace``, ``message`` and,
    where it tells of a failure, ``traceback``. It never raises, and does not hear what is logged on its behalf.

    :ivar failed: events that could not be told.

    :param call_from_thread: the reactor's ``callFromThread``, for what threads other than the one that made this log;
        without it that is told in theirs.
    """

    def __init__(
        self, log: EventLog, redactor: Redactor, *, call_from_thread: Callable[..., object] | None = None
    ) -> None:
        self.failed = 0
        self._log = log
        self._redactor = redactor
        self._call_from_thread = call_from_thread
        self._telling = False
        self._home = get_ident()

    def __call__(self, event: LogEvent) -> None:
        level = _LEVELS.get(event.get("log_level", LogLevel.info))
        if level is None or not self._log.enabled(level):
            return
        try:
            if self._call_from_thread is None or get_ident() == self._home:
                self._tell(level, event)
            else:
                self._call_from_thread(self._log.emit, "twisted", level, **self._keys(event))
        except Exception:
            self.failed += 1

    def _tell(self, level: str, event: LogEvent) -> None:
        if self._telling:
            return
        self._telling = True
        try:
            self._log.emit("twisted", level, **self._keys(event))
        finally:
            self._telling = False

    def _keys(self, event: LogEvent) -> dict[str, str]:
        failure = event.get("log_failure")
        message = formatEvent(event)
        if not message and isinstance(failure, Failure):
            message = failure.getErrorMessage()
        keys = {"namespace": str(event.get("log_namespace", "")), "message": self._clean(message)}
        if isinstance(failure, Failure):
            keys["traceback"] = self._clean(failure.getTraceback())
        return keys

    def _clean(self, text: str) -> str:
        # Cleaned before it is cut: half a secret is not found any more.
        return self._redactor.clean(text)[-MOST_CHARACTERS:]
