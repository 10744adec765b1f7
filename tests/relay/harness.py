"""A provider port in memory: the true relay and upstream rooms between a client's bytes and upstream's."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.identifier import Identifier
from agentproxy.config import CredentialSource, Limits, Provider, Timeouts, Upstream
from agentproxy.observe.ledger import Ledger
from agentproxy.observe.log import EventLog
from agentproxy.observe.metrics import Metrics
from agentproxy.observe.observer import Observer
from agentproxy.observe.pricing import Prices
from agentproxy.policy.credentials import Credentials
from agentproxy.policy.gate import Gate
from agentproxy.providers import KINDS
from agentproxy.relay.factory import PortFactory
from agentproxy.relay.port import Port, PortWaits
from agentproxy.timers import Waits
from agentproxy.upstream.agent import PoolAgent, ProviderClient
from agentproxy.upstream.connection import Connection
from agentproxy.upstream.leg import Leg
from agentproxy.upstream.pool import Pool
from agentproxy.upstream.websocket import WebSocketOpener
from tests.fakes import timers
from tests.relay.wires import Wire, messages

SECRETS = {
    "openai": {"credential": "true-credential"},
    "anthropic": {"credential": "true-credential"},
    "copilot": {"credential": "true-credential"},
    "gemini": {"credential": "true-credential"},
    "chatgpt": {"credential": "true-credential", "account_id": "true-account"},
}
LIMITS = {
    "body_bytes": 1 << 20, "header_bytes": 4096, "websocket_message_bytes": 1 << 20, "buffer_bytes": 1 << 16,
}  # fmt: skip
TIMEOUTS = {
    "connect": 10, "request_head": 15, "keep_alive": 75, "first_byte": 600, "idle_http": 300, "idle_websocket": 0,
    "drain": 30,
}  # fmt: skip
MASK = b"\x01\x02\x03\x04"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
HOP = "api.example:443"


class FakeConnector:
    """
    Connects to an upstream that the test plays.

    :ivar wires: a transport for every connection made, in order.
    :ivar waiting: connections asked for and not made yet, where ``at_once`` is off.
    """

    hop = HOP

    def __init__(self, clock):
        self._clock = clock
        self.wires = []
        self.waiting = []
        self.cancelled = 0
        self.at_once = True

    def connect(self, factory):
        if self.at_once:
            return succeed(self._build(factory))
        waiting = Deferred(self._cancel)
        self.waiting.append((factory, waiting))
        return waiting

    def made(self):
        """The oldest connection that is waited for is there."""
        factory, waiting = self.waiting.pop(0)
        waiting.callback(self._build(factory))

    def refused(self, error):
        """It fails."""
        self.waiting.pop(0)[1].errback(error)

    def _cancel(self, _):
        self.cancelled += 1
        self.waiting.pop()

    def _build(self, factory):
        protocol = factory.buildProtocol(None)
        self.wires.append(Wire(self._clock, protocol))
        return protocol


class Watcher(Observer):
    """
    An observer that keeps what it is told.

    :ivar calls: those that have ended.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.calls = []

    def call_ended(self, call):
        self.calls.append(call)
        super().call_ended(call)


class Sink:
    """Keeps the records that it is given, in lists."""

    def __init__(self):
        self.calls = []
        self.turns = []
        self.contents = []
        self.call = self.calls.append
        self.turn = self.turns.append
        self.content = self.contents.append


class Harness:
    """
    One provider port.

    :param secrets: by slot; ``limits`` and ``timeouts`` change single ones of those above.
    """

    def __init__(
        self,
        kind="openai",
        *,
        secrets=None,
        host="api.example",
        path="",
        websocket=True,
        cookies=False,
        headers=(),
        limits=None,
        timeouts=None,
        include_usage=False,
        prices=None,
    ):
        self.clock = clock = Clock()
        clock.advance(1000)
        self._written = []
        self.log = EventLog(self._written.append, clock=clock, wall=lambda: 0.0)
        self.metrics = Metrics("1", ["one"])
        self.observer = Watcher(self.log, self.metrics, clock)
        secrets = SECRETS[kind] if secrets is None else secrets
        sources = {slot: CredentialSource(env=slot.upper()) for slot in secrets}
        environ = {slot.upper(): text for slot, text in secrets.items()}
        upstream = Upstream("https", host, 443, path)
        provider = Provider("one", KINDS[kind], 0, upstream, sources, websocket, cookies, headers, include_usage)
        self.credentials = Credentials(
            sources, provider.kind.needs, environ, clock=clock, found=lambda _: None, complain=lambda *_: None
        )
        self.sink = Sink()
        self.ledger = Ledger(
            self.observer, prices or Prices(), Identifier(), seconds=clock.seconds, wall=lambda: 1000 + clock.seconds(),
            publish=lambda record: None, sink=self.sink,
        )  # fmt: skip
        self.limits = Limits(**{**LIMITS, **(limits or {})})
        self.timeouts = Timeouts(**{**TIMEOUTS, **(timeouts or {})})
        self.connector = FakeConnector(clock)
        self.first_byte = Waits(clock, self.timeouts.first_byte)
        self.pool = Pool(clock, self.connector, self._connection)
        self.port = Port(
            provider=provider,
            limits=self.limits,
            timeouts=self.timeouts,
            waits=PortWaits.of(clock, self.timeouts),
            gate=Gate(provider, self.credentials, self.limits),
            credentials=self.credentials,
            client=ProviderClient(PoolAgent(self.pool)),
            opener=WebSocketOpener(
                clock,
                self.connector,
                lambda: self._connection(lambda done, reusable: done.abort() if reusable else None),
                host_header=b"api.example",
                head_limit=self.limits.header_bytes,
                timeout=self.timeouts.connect,
                phases=lambda phase, seconds: None,
            ),
            observer=self.observer,
            ledger=self.ledger,
            clock=clock,
            local={b"/health": lambda: b'{"status":"ok"}'},
        )
        self.factory = PortFactory(self.port)
        self.clients = []

    def _connection(self, released):
        leg = Leg(HOP, b"api.example", self.limits.header_bytes, self.limits.buffer_bytes, self.first_byte)
        return Connection(leg, released)

    def client(self):
        """A client's new connection, as its transport."""
        wire = Wire(self.clock, self.factory.buildProtocol(None))
        self.clients.append(wire)
        return wire

    @property
    def upstreams(self):
        """The transports to upstream made so far."""
        return self.connector.wires

    @property
    def upstream(self):
        """The newest of them."""
        return self.connector.wires[-1]

    def settle(self, seconds=0):
        """Let pass so much time, in small steps, as timers begin others."""
        self.clock.advance(0)
        while seconds > 0:
            self.clock.advance(min(seconds, 0.25))
            seconds -= 0.25
        self.clock.advance(0)

    def timers(self):
        """What is still to come."""
        return timers(self.clock)

    def events(self, name):
        """The log's events of a name."""
        self.log.flush()
        lines = [json.loads(line) for line in "".join(self._written).splitlines()]
        return [line for line in lines if line["event"] == name]

    def ended(self):
        """The last call's ``call.end``."""
        return self.events("call.end")[-1]

    def series(self, name):
        """A metric's samples that are not 0, by label set."""
        rows = (line.rpartition(" ") for line in self.metrics.render()[0].decode().splitlines() if line[:1] != "#")
        named = {row[0]: float(row[2]) for row in rows if row[0].partition("{")[0] == f"agentproxy_{name}"}
        return {labels.partition("{")[2].rstrip("}"): value for labels, value in named.items() if value}


class RelayCase(SynchronousTestCase):
    """Starts ports in memory; behind every test nothing may be left of any call."""

    def start(self, kind="openai", **options):
        harness = Harness(kind, **options)
        self.addCleanup(self.nothing_left, harness)
        return harness

    def nothing_left(self, harness):
        """Clients gone, upstream must be free within the time of a last word, every timer off, every gauge 0."""
        for client in harness.clients:
            client.congested = False
            client.lost()
        harness.settle(1)
        self.freed(harness)
        harness.pool.close()
        harness.settle()
        harness.log.flush()
        self.assertEqual([wire for wire in harness.upstreams if wire.connected], [])
        self.assertEqual(harness.connector.waiting, [])
        self.assertEqual(harness.factory.connections, set())
        self.assertEqual(harness.timers(), [])
        self.assertEqual(harness.observer.faults, 0)

    def freed(self, harness):
        """No call runs, by the gauge and the observer's count, and all that began have ended."""
        self.assertEqual(harness.series("active_calls"), {})
        self.assertEqual({key: count for key, count in harness.observer.active.items() if count}, {})
        self.assertEqual(len(harness.events("call.start")), len(harness.events("call.end")))

    def answers(self, client, **reading):
        """The responses that the client got since last asked."""
        return messages(client.taken(), closed=client.half_closed or not client.connected, **reading)

    def answer(self, client, **reading):
        """The one response that it got."""
        [message] = self.answers(client, **reading)
        return message

    def asked(self, harness):
        """The one request that upstream's newest connection got since last asked."""
        [message] = messages(harness.upstream.taken())
        return message


def request(line=b"GET /v1/models", *fields, body=b"", version=b"HTTP/1.1"):
    """A request's bytes; ``Host`` is put in."""
    return b"\r\n".join([line + b" " + version, b"Host: localhost", *fields, b"", b""]) + body


def post(body, *fields, version=b"HTTP/1.1"):
    """A POST of this body, by its length."""
    return request(b"POST /v1/responses", b"Content-Length: %d" % len(body), *fields, body=body, version=version)


def upgrade(*fields, target=b"/v1/responses", key=KEY):
    """A WebSocket upgrade's bytes."""
    return request(
        b"GET " + target,
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + key,
        *fields,
    )


def response(body=b"hello", *fields, status=b"200 OK"):
    """An upstream response's bytes, by its length."""
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields, b"", body])
