"""An HTTP call: the request's body streams up while the response streams down."""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from agentproxy.errors import BadRequest, ProxyError, RequestTimeout
from agentproxy.observe.pages import HttpPage
from agentproxy.providers.include_usage import concerns, with_usage
from agentproxy.relay.body import StreamedBody, WholeBody
from agentproxy.relay.exchange import Exchange
from agentproxy.timers import Wait
from agentproxy.upstream.failures import timed_out
from agentproxy.upstream.outbound import Outbound
from agentproxy.upstream.response import Response
from agentproxy.wire.body import BadBody, ChunkedReader, LengthReader


@dataclass(slots=True)
class _Held:
    """A request whose body is kept back: its head as it will be sent, and what has come of its body."""

    outbound: Outbound
    pieces: list[bytes] = field(default_factory=list)


class HttpExchange(Exchange):
    """One request and its response."""

    page: HttpPage

    _outbound: Outbound | None = None
    _sending: Deferred[Response] | None = None
    _reader: ChunkedReader | LengthReader | None = None
    _body: StreamedBody | None = None
    _held: _Held | None = None
    _idle: Wait | None = None

    def open_page(self) -> HttpPage:
        return HttpPage(self.port.ledger, self.call, self.port.provider, self.head)

    def start(self, data: bytes) -> bytes:
        head = self.head
        # As long as a body is to come, no next request can be told from it.
        self.wants_bytes = head.length != 0
        secrets = self.judge(upgrade=False)
        if secrets is None:
            return data
        outbound = self.port.outbound(head, self.call.id, secrets, self.interim)
        altered = self.port.provider.include_usage and self._may_lack_usage()
        if head.length >= 0 and len(data) >= head.length:
            self.wants_bytes = False
            if not head.length and head.first(b"content-length") is None:
                self._send(outbound, None)
                return data
            whole = data[: head.length]
            self.call.bytes_in = head.length
            self._send(outbound, WholeBody(with_usage(whole) if altered else whole))
            return data[head.length :]
        if altered:
            self._held = _Held(outbound)
            self._expect_body()
        else:
            self._send(outbound, self._streamed())
        return b"" if self._over else self.received(data)

    def _may_lack_usage(self) -> bool:
        head = self.head
        # Who waits for a 100 shows its body only once upstream has sent one.
        return not head.expects and concerns(head.method, head.path, head.first(b"content-encoding"), head.length)

    def _send(self, outbound: Outbound, body: WholeBody | StreamedBody | None) -> None:
        self._outbound = outbound
        sending = self._sending = self.port.client.send(outbound, body)
        sending.addCallbacks(self._response, self._failed).addErrback(self.failed)
        if not isinstance(body, StreamedBody) and not self._over:
            # Now that it is on its way, there is time to read it.
            if body is not None:
                self.tell(self.page.asked, body.whole)
            self.tell(self.page.sent)

    def _expect_body(self) -> None:
        length = self.head.length
        self._reader = LengthReader(length) if length >= 0 else ChunkedReader(self.port.limits.header_bytes)
        self._idle = self.port.waits.idle_http.begin(self._stuck)

    def _streamed(self) -> StreamedBody:
        self._expect_body()
        buffer_bytes = self.port.limits.buffer_bytes
        body = StreamedBody(self.head.length, buffer_bytes, self.client.pause, self._resumed, self._body_sent)
        self._body = body
        return body

    def received(self, data: bytes) -> bytes:
        reader = self._reader
        assert reader is not None
        try:
            piece = reader.feed(data)
            self.call.bytes_in += len(piece)
            self.port.gate.judge_body(self.call.bytes_in)
        except BadBody as bad:
            self._break(BadRequest(f"The request's chunked body is broken: {bad} (RFC 9112, 7.1)."))
            return b""
        except ProxyError as error:
            self._break(error)
            return b""
        if self._idle is not None:
            self._idle.touch()
        if self.answer is not None:
            self.answer.touch()
        if reader.done:
            self.wants_bytes = False
        if self._held is not None:
            self._hold(self._held, piece, reader.done)
            return reader.rest
        body = self._body
        assert body is not None
        body.push(piece)
        self.tell(self.page.asked, piece)
        if reader.done:
            body.finish()
            self.tell(self.page.sent)
        return reader.rest

    def _hold(self, held: _Held, piece: bytes, whole: bool) -> None:
        """Keep a body back until it can be made to ask for its usage."""
        held.pieces.append(piece)
        if whole:
            self._held = None
            self._stop_idle()
            self._send(held.outbound, WholeBody(with_usage(b"".join(held.pieces))))

    def drain(self) -> None:
        """A response goes on, to its end."""

    def client_lost(self) -> None:
        self.call.error = self.call.error or "client_gone"
        begun = self._outbound is not None and self._outbound.begun
        if self.answer is None and (self.wants_bytes or not begun):
            # Upstream never had all of the request, or none of it.
            self.tell(self.page.unasked)
        self._give_up()
        self.finish(False)

    def _response(self, response: Response) -> None:
        if self._sending is None:
            response.stopProducing()
            return
        self._sending = None
        self._stop_idle()
        # Where the request is still coming, what follows it can't be waited for: the response may be a refusal.
        self.relay(response, keep_alive=self.head.keep_alive and not self.wants_bytes)

    def _failed(self, failure: Failure) -> None:
        if self._sending is None:
            # It was given up, which is no news.
            return
        self._sending = None
        self._stop_idle()
        self.failed(failure)

    def _resumed(self) -> None:
        if self._idle is not None:
            self._idle.touch()
        self.client.resume()

    def _body_sent(self) -> None:
        self._stop_idle()

    def _break(self, error: ProxyError) -> None:
        """The request's body went wrong on the way: upstream gets no more of it."""
        self._give_up()
        if self.answer is not None or self._over:
            self.call.error = error.code
            self.finish(False)
        else:
            self.deny(error)

    def _stuck(self) -> None:
        self._idle = None
        seconds = self.port.timeouts.idle_http
        if self._body is not None and self._body.taking():
            # No byte of the client's comes since we keep it waiting, but what it sent is on its way.
            self._idle = self.port.waits.idle_http.begin(self._stuck)
            return
        if self.wants_bytes and (self._body is None or not self._body.held):
            self._break(RequestTimeout(f"The request's body stopped for {seconds:g} s. Send it again."))
            return
        # Upstream has not taken all of the request.
        self.tell(self.page.unasked)
        error = timed_out("send", self.port.opener.hop, seconds)
        self._give_up()
        self.call.phase = error.phase
        self.reply_error(error)

    def _give_up(self) -> None:
        """Free upstream, whatever it is doing for this call."""
        self._stop_idle()
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
        if self.answer is not None:
            self.answer.give_up()

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
