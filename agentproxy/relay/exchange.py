"""What an HTTP call and a WebSocket call share: beginning, refusal, failure, and an end that is told once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any
from typing import Protocol as Interface

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from agentproxy.call import Call
from agentproxy.engine.transport import turn
from agentproxy.errors import Draining, InternalError, ProxyError
from agentproxy.observe.ledger import Page
from agentproxy.relay import reply
from agentproxy.relay.answer import Answer, begun, down_fields
from agentproxy.relay.port import Port
from agentproxy.upstream.response import Response
from agentproxy.wire.head import RequestHead, ResponseHead

PHASES = frozenset({"connect", "tunnel", "tls", "handshake", "first_byte"})
"""Those that the metrics of upstream errors tell apart."""
UNASKED = frozenset({"connect", "tunnel", "tls", "handshake"})
"""Those in which nothing of the request has been sent."""


class Client(Interface):
    """The client's connection, as an exchange sees it."""

    transport: Any

    @property
    def websocket_factory(self) -> Any:
        """The port's Autobahn factory."""

    def handed_over(self) -> None:
        """The transport has another reader now."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Told by hand once that reader's connection is gone."""

    def exchange_ended(self, keep_alive: bool) -> None:
        """The exchange is over; the connection lives on, or is closed."""

    def pause(self) -> None:
        """Stop reading from the client."""

    def resume(self) -> None:
        """Read from it again."""


class Exchange(ABC):
    """
    One call on a client's connection.

    :ivar page: the call's in the ledger.
    :ivar wants_bytes: whether bytes that come now are this call's; else they are the next one's.
    """

    protocol = "http"
    tell = staticmethod(turn.later)
    """Tells the page something: what need not be before the bytes is behind them."""

    def __init__(self, port: Port, client: Client, head: RequestHead) -> None:
        self.port = port
        self.client = client
        self.head = head
        self.wants_bytes = False
        self.answer: Answer | None = None
        self._over = False
        path = head.path.decode("latin-1")
        self.call = Call(
            port.request_id(head),
            port.provider.name,
            self.protocol,
            head.method.decode("ascii"),
            path,
            port.clock.seconds(),
        )
        port.observer.call_started(self.call)
        self.page = self.open_page()

    @abstractmethod
    def open_page(self) -> Page:
        """The call's page in the ledger."""

    @abstractmethod
    def start(self, data: bytes) -> bytes:
        """
        Begin, given what came behind the head.

        :returns: what of it is the next request's.
        """

    @abstractmethod
    def received(self, data: bytes) -> bytes:
        """More bytes from the client, while `wants_bytes`; returns what is the next request's."""

    @abstractmethod
    def client_lost(self) -> None:
        """The client has gone away: free upstream and end."""

    @abstractmethod
    def drain(self) -> None:
        """The service is shutting down: end when it fits."""

    def close_now(self) -> None:
        """The drain is over: end at once."""
        self.call.error = self.call.error or Draining.code
        self.client.transport.abortConnection()

    def progress(self) -> None:
        """Tell what moved so far."""
        self.port.observer.progress(self.call)

    def judge(self, *, upgrade: bool) -> Mapping[str, str] | None:
        """Ask the gate; ``None`` where the call was refused, and answered."""
        try:
            return self.port.gate.judge(self.head, upgrade=upgrade)
        except ProxyError as error:
            self.deny(error)
            return None

    def interim(self, head: ResponseHead) -> None:
        """Pass a 1xx response on (RFC 9110, 15.2: not to HTTP/1.0)."""
        if self.head.minor == 1 and not self._over:
            fields = down_fields(head, self.port, self.call.id)
            self.client.transport.write(reply.head(head.status, head.reason, fields))

    def relay(self, response: Response, *, keep_alive: bool) -> None:
        """Pass upstream's response on."""
        if response.whole is not None:
            # Head and body are one write, and there is nothing to stream.
            head, _ = begun(self.port, self.head, self.call, response.head, keep_alive)
            self.call.bytes_out += len(response.whole)
            self.client.transport.write(head + response.whole)
            self.tell(self.page.whole, response.head, response.whole)
            self.finish(keep_alive)
            return
        self.tell(self.page.begin, response.head)
        self.answer = Answer(
            self.port,
            self.head,
            self.call,
            self.client.transport,
            keep_alive=keep_alive,
            fed=partial(self.tell, self.page.feed) if self.page.reads else None,
            ended=self._answered,
        )
        self.answer.begin(response)

    def _answered(self, complete: bool) -> None:
        self.tell(self.page.end, complete)
        # Let go of, so that neither waits for the garbage collector to find the two holding each other.
        answer, self.answer = self.answer, None
        self.finish(complete and answer is not None and answer.keep_alive)

    def deny(self, error: ProxyError) -> None:
        """The gate, or a limit, said no."""
        self.tell(self.page.unasked)
        self.port.observer.denied(self.call, error)
        self.reply_error(error)

    def failed(self, failure: Failure) -> None:
        """Upstream could not be asked, or gave no answer."""
        error = failure.value
        if not isinstance(error, ProxyError):
            self.port.observer.fault(self.call, type(failure.value).__name__, failure.getTraceback())
        if self._over:
            return
        if not isinstance(error, ProxyError):
            error = InternalError("agentproxy made a mistake; its log has the details under this request id.")
        if self.answer is not None:
            # Half an answer can't become another one.
            self.call.error = error.code
            self.answer.give_up()
            self.finish(False)
            return
        if error.phase is not None:
            self.call.phase = error.phase
        if error.phase in UNASKED:
            self.tell(self.page.unasked)
        if error.phase in PHASES:
            self.port.observer.upstream_error(self.call.provider, error.phase)
        self.reply_error(error)

    def reply_error(self, error: ProxyError) -> None:
        """Answer with an error of the proxy's own, and end."""
        self.call.status = error.status
        self.call.error = error.code
        keep_alive = self.head.keep_alive and not self.wants_bytes and error.status not in (400, 408, 500, 503)
        fields = reply.connection_fields(self.head.minor, keep_alive)
        without_body = self.head.method == b"HEAD"
        kind = self.port.provider.kind
        data = reply.error_reply(error, kind, self.call.id, fields, without_body=without_body)
        self.client.transport.write(data)
        self.finish(keep_alive)

    def finish(self, keep_alive: bool) -> None:
        """Tell the end, once, and let the connection go on or close."""
        if self._over:
            return
        self._over = True
        self.port.observer.call_ended(self.call)
        self.tell(self.page.ended, self.port.clock.seconds())
        self.client.exchange_ended(keep_alive and not self.wants_bytes and not self.port.gate.draining)
