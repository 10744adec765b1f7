"""The composition root: builds the object graph from the settings, starts it, and stops it in order. Nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall

from agentproxy import __version__
from agentproxy.admin.health import ProviderStatus, Status
from agentproxy.admin.site import AdminSite, admin_site
from agentproxy.call import Secret
from agentproxy.config import Provider, Settings
from agentproxy.observe.log import EventLog
from agentproxy.observe.metrics import Metrics
from agentproxy.observe.observer import Observer
from agentproxy.observe.redact import Redactor
from agentproxy.observe.twisted_log import TwistedLog
from agentproxy.policy.credentials import Credentials
from agentproxy.policy.gate import Gate
from agentproxy.providers import CREDENTIAL_HEADERS
from agentproxy.recording import Recording
from agentproxy.relay.factory import PortFactory
from agentproxy.relay.listener import listen
from agentproxy.relay.port import Port, PortWaits
from agentproxy.timers import Waits
from agentproxy.upstream.agent import PoolAgent, ProviderClient
from agentproxy.upstream.connection import Connection
from agentproxy.upstream.connector import Connector
from agentproxy.upstream.leg import Leg
from agentproxy.upstream.pool import Pool
from agentproxy.upstream.tls import Trust
from agentproxy.upstream.websocket import WebSocketOpener
from agentproxy.wire.connect import authority

PROGRESS = 5.0
"""Seconds between two looks at what long calls have moved."""


class CannotStart(Exception):
    """The service can't start; its text is one line that says why and what to do."""


class AgentproxyService(Service):
    """
    The service: provider ports, admin port, and the drain.

    :param write: takes the log's lines.
    :ivar status: what the admin port tells.
    """

    def __init__(
        self, reactor: Any, settings: Settings, environ: Mapping[str, str], write: Callable[[str], object]
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._environ = environ
        self.redactor = Redactor()
        self.log = EventLog(write, clock=reactor, wall=time.time, level=settings.log.level, format=settings.log.format)
        self.metrics = Metrics(__version__, [provider.name for provider in settings.providers])
        self.observer = Observer(self.log, self.metrics, reactor, redactor=self.redactor)
        self.recording = Recording(reactor, settings, self.observer, self.metrics, self.redactor)
        self.twisted_log = TwistedLog(self.log, self.redactor, call_from_thread=reactor.callFromThread)
        self.status: Status = Status(__version__, (), {}, clock=reactor, active=self.observer.active)
        self.ports: dict[str, int] = {}
        self._factories: list[PortFactory] = []
        self._pools: list[Pool] = []
        self._listening: list[Any] = []
        self._admin: Any = None
        self._site: AdminSite | None = None
        self._progress = LoopingCall(self._count)
        self._progress.clock = reactor
        self._waiting: Deferred[None] | None = None
        self._ending: Any = None
        for proxy in (settings.egress.https, settings.egress.http):
            if proxy is not None and proxy.authorization is not None:
                self.redactor.add(proxy.authorization.reveal().partition(" ")[2])

    def startService(self) -> None:
        """
        Listen.

        :raises CannotStart: a port can't be had.
        """
        self.log.emit("service.start", version=__version__, config=self._settings.source)
        trust = Trust(self._settings.egress.ca_file)
        statuses = []
        try:
            for provider in self._settings.providers:
                statuses.append(self._listen_for(provider, trust))
            self._listen_admin(statuses)
        except CannotListenError as error:
            self._stop_listening()
            self.log.close()
            raise CannotStart(
                f"can't listen on {authority(error.interface, error.port)}: {_why(error)}; "
                "stop what does, or choose another port in the configuration"
            ) from error
        super().startService()
        self.recording.start()
        self._progress.start(PROGRESS, now=False)
        self.status.state = "ready"
        self.log.emit("service.ready", ports=self.ports)
        self.log.flush()

    def stopService(self) -> Deferred[None]:
        """Drain: the Deferred fires when the last call has ended, or has been ended."""
        super().stopService()
        self._waiting = Deferred()
        if self.status.state != "ready":
            self._stop()
            return self._waiting
        self.status.state = "draining"
        seconds = self._settings.timeouts.drain
        self.log.emit("service.drain", calls=self._running(), seconds=seconds)
        self.log.flush()
        stopped = gatherResults([maybeDeferred(port.stopListening) for port in self._listening], consumeErrors=True)
        stopped.addErrback(lambda _: None)
        for factory in self._factories:
            factory.drain()
        self._ending = self._reactor.callLater(seconds, self.end_now)
        stopped.addCallback(lambda _: self._look())
        return self._waiting

    def end_now(self) -> None:
        """Close what is left of the drain, with a last word where there is room for one."""
        for factory in self._factories:
            factory.close_now()
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        self._ending = self._reactor.callLater(2.0, self._stop)

    def _look(self) -> None:
        """Is anybody left?"""
        if self._waiting is None:
            return
        if any(factory.connections for factory in self._factories):
            self._reactor.callLater(0.05, self._look)
        else:
            self._stop()

    def _stop(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        if self._progress.running:
            self._progress.stop()
        for pool in self._pools:
            pool.close()
        if self._admin is not None:
            self._admin.stopListening()
        if self._site is not None:
            self._site.close()
        for factory in self._factories:
            factory.finish()
        self.recording.stop()
        self.log.emit("service.stop", calls=self._running())
        self.log.close()
        waiting.callback(None)

    def _stop_listening(self) -> None:
        for port in self._listening:
            port.stopListening()

    def _running(self) -> int:
        return sum(self.observer.active.values())

    def _count(self) -> None:
        for factory in self._factories:
            factory.progress()

    def _listen_for(self, provider: Provider, trust: Trust) -> ProviderStatus:
        settings = self._settings
        factory = PortFactory(self._port(provider, trust))
        interface = settings.listen.interface

        listening = listen(self._reactor, provider.port, factory, interface, lambda: self._paused(provider.name))
        self._listening.append(listening)
        self._factories.append(factory)
        number = self.ports[provider.name] = listening.getHost().port
        upstream = provider.upstream
        return ProviderStatus(
            name=provider.name,
            kind=provider.kind.name,
            port=number,
            base_url=f"http://{authority(interface, number)}",
            upstream=f"{upstream.scheme}://{authority(upstream.host, upstream.port)}{upstream.path}",
            configured=lambda: factory.port.credentials.configured,
            websocket=provider.websocket,
        )

    def _paused(self, name: str) -> None:
        self.observer.event("accept.paused", "warn", provider=name, why="out of file descriptors")

    def _port(self, provider: Provider, trust: Trust) -> Port:
        settings, reactor = self._settings, self._reactor
        limits, timeouts, upstream = settings.limits, settings.timeouts, provider.upstream
        credentials = self._credentials(provider.secrets, provider.kind.needs, provider=provider.name)
        default_port = 443 if upstream.scheme == "https" else 80
        named = authority(upstream.host, upstream.port)
        host = named if upstream.port != default_port else named.rpartition(":")[0]
        host_header = host.encode("ascii")

        first_byte = Waits(reactor, timeouts.first_byte)
        leg = Leg(named, host_header, limits.header_bytes, limits.buffer_bytes, first_byte)

        def connection(released: Callable[[Connection, bool], object]) -> Connection:
            return Connection(leg, released)

        def phases(phase: str, seconds: float) -> None:
            self.observer.connect_phase(provider.name, phase, seconds)

        connector = Connector(
            reactor,
            upstream,
            settings.egress.proxy_for(upstream.scheme, upstream.host, upstream.port),
            trust,
            timeouts.connect,
            phases,
        )
        own = tuple(field for field in provider.headers if field[0].lower() in CREDENTIAL_HEADERS)
        for _, value in own:
            self.redactor.add(value.decode("utf-8"))
        pool = Pool(reactor, connector, connection)
        self._pools.append(pool)
        return Port(
            provider=provider,
            limits=limits,
            timeouts=timeouts,
            waits=PortWaits.of(reactor, timeouts),
            gate=Gate(provider, credentials, limits, settings.listen.origins),
            credentials=credentials,
            client=ProviderClient(PoolAgent(pool)),
            opener=WebSocketOpener(
                reactor,
                connector,
                # A refusal's connection serves that one response.
                lambda: connection(lambda done, reusable: done.abort() if reusable else None),
                host_header=host_header,
                head_limit=limits.header_bytes,
                timeout=timeouts.connect,
                phases=phases,
            ),
            observer=self.observer,
            ledger=self.recording.ledger,
            clock=reactor,
            own_credentials=own,
            local={
                b"/health": lambda: self.status.health_body(),
                b"/reflect": lambda: self.status.reflect_body(),
            },
        )

    def _credentials(self, sources: Any, needs: Any, *, provider: str) -> Credentials:
        def complain(slot: str, why: str) -> None:
            self.observer.event("credential.missing", "warn", provider=provider, key=slot, why=why)

        credentials = Credentials(
            sources, needs, self._environ, clock=self._reactor, found=self.redactor.add, complain=complain
        )
        credentials.run_commands()
        return credentials

    def _listen_admin(self, statuses: list[ProviderStatus]) -> None:
        settings = self._settings
        admin, limits = settings.admin, settings.limits
        self.status = Status(
            __version__,
            statuses,
            {name: getattr(limits, name) for name in limits.__slots__},
            clock=self._reactor,
            active=self.observer.active,
        )
        token: Callable[[], Secret | None] | None = None
        if admin.token is not None:
            held = self._credentials({"token": admin.token}, (frozenset({"token"}),), provider="admin")

            def token() -> Secret | None:
                secrets = held.current()
                return None if secrets is None else Secret(secrets["token"])

        site = self._site = admin_site(
            self._reactor, self.status, self.metrics, token=token, hosts=admin.hosts, records=self.recording.shown
        )
        # As the provider ports: a health check that finds no descriptor waits, and is not turned away.
        self._admin = listen(self._reactor, admin.port, site, admin.interface, lambda: self._paused("admin"))
        self.ports["admin"] = self._admin.getHost().port


def _why(error: CannotListenError) -> str:
    reason = error.socketError
    return str(getattr(reason, "strerror", None) or reason).lower()
