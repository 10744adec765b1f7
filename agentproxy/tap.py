"""``twistd agentproxy``: its options and its service. The only import of the reactor."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO

from twisted.application.service import IService, MultiService
from twisted.internet.defer import ensureDeferred
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized

from agentproxy import config
from agentproxy.demo import Demo, offline
from agentproxy.errors import ConfigError
from agentproxy.service import AgentproxyService, CannotStart


class Options(usage.Options):
    """What stands behind ``twistd agentproxy``."""

    optParameters = [["config", "c", None, "configuration file (TOML); without it the built-in default"]]
    optFlags = [["demo", None, "run the whole chain offline: simulated providers, no key, no network"]]
    synopsis = "[options]"
    longdesc = "Relays AI agents' calls to their providers, with the real credential put in on the way."

    def postOptions(self) -> None:
        """Read the configuration; a mistake in it ends the start with one line."""
        try:
            self.settings = config.load(self["config"], offline(os.environ) if self["demo"] else os.environ)
        except ConfigError as error:
            # twistd would print its whole help before a UsageError, and exit with 0.
            raise SystemExit(str(error)) from error


class TopService(MultiService):
    """What twistd starts: it also makes our log twistd's, and sees to signals."""

    def __init__(
        self, reactor: Any, service: AgentproxyService, *, demo: Demo | None = None, pid_file: str | None = None
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._service = service
        self._demo = demo
        self._pid_file = pid_file
        service.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        """Called with the application: from here on standard output holds one JSON object a line."""
        if isinstance(parent, Componentized) and parent.getComponent(ILogObserver, None) is None:
            parent.setComponent(ILogObserver, self._service.twisted_log)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Start; what can't ends the process with one line."""
        try:
            super().startService()
        except CannotStart as error:
            self._remove_pid_file()
            if self._demo is not None:
                self._demo.forget()
            # The present sys.stderr is twistd's logger.
            print(f"agentproxy: {error}", file=sys.__stderr__)
            raise SystemExit(1) from error
        if self._demo is not None:
            self._demo.tell(self._service.ports)
        # The reactor puts its own handlers in as it starts.
        self._reactor.callWhenRunning(self._handle_signals)
        self._reactor.callWhenRunning(_settle)

    def stopService(self) -> Any:
        """Drain; what the demo simulates is there until the end."""
        stopping = super().stopService()
        demo = self._demo
        return stopping if demo is None else stopping.addCallback(lambda _: ensureDeferred(demo.stop()))

    def _handle_signals(self) -> None:
        # Twisted's own would let twistd end by the signal; a drained service ends with 0.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: object) -> None:
        for again in (signal.SIGTERM, signal.SIGINT):
            signal.signal(again, self._signalled_again)
        self._reactor.callFromThread(self._reactor.stop)

    def _signalled_again(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._service.end_now)

    def _remove_pid_file(self) -> None:
        if self._pid_file:
            with contextlib.suppress(OSError):
                os.remove(self._pid_file)


def _settle() -> None:
    """What start-up has made stays: the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()


def makeService(options: Options) -> IService:
    """Called by twistd with the parsed options."""
    with contextlib.suppress(ImportError):
        # Where there is no epoll, Twisted's choice serves as well.
        from agentproxy.engine.reactor import install

        install()
    from twisted.internet import reactor

    settings, environ, demo = options.settings, dict(os.environ), None
    if options["demo"]:
        demo = Demo(reactor, options["config"], environ, sys.stderr.write)
        settings, environ = demo.settings, demo.environ
    parent = getattr(options, "parent", None)
    try:
        service = AgentproxyService(reactor, settings, environ, _printer(_stream(parent)))
    except ConfigError as error:
        if demo is not None:
            demo.forget()
        raise SystemExit(str(error)) from error
    return TopService(reactor, service, demo=demo, pid_file=parent["pidfile"] if parent is not None else None)


def _stream(twistd: Any) -> TextIO:
    """
    Where the log goes: standard output, taken now since twistd will put a logger of its own in its place; or the file
    that twistd was told, or has by default as a daemon.
    """
    if twistd is None or twistd["logfile"] == "-" or (not twistd["logfile"] and twistd["nodaemon"]):
        return sys.stdout
    return open(os.path.abspath(twistd["logfile"] or "twistd.log"), "a", encoding="utf-8")


def _printer(stream: TextIO) -> Callable[[str], None]:
    """What the log writes with: it has its own buffer, so its lines are to be seen at once."""

    def write(lines: str) -> None:
        stream.write(lines)
        stream.flush()

    return write
