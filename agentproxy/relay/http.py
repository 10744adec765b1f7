"""An HTTP call: the request's body streams up while the response streams down."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from agentproxy.errors import BadRequest, ProxyError, RequestTimeout
from agentproxy.relay.body import StreamedBody, WholeBody
from agentproxy.relay.exchange import Exchange
from agentproxy.timers import Wait
from agentproxy.upstream.failures import timed_out
from agentproxy.upstream.response import Response
from agentproxy.wire.body import BadBody, ChunkedReader, LengthReader


class HttpExchange(Exchange):
    """One request and its response."""

    _sending: Deferred[Response] | None = None
    _reader: ChunkedReader | LengthReader | None = None
    _body: StreamedBody | None = None
    _idle: Wait | None = None

    def start(self, data: bytes) -> bytes:
        head = self.head
        # As long as a body is to come, no next request can be told from it.
        self.wants_bytes = head.length != 0
        secrets = self.judge(upgrade=False)
        if secrets is None:
            return data
        outbound = self.port.outbound(head, self.call.id, secrets, self.interim)
        body: Any = None
        if head.length >= 0 and len(data) >= head.length:
            self.wants_bytes = False
            if head.length or head.first(b"content-length") is not None:
                body = WholeBody(data[: head.length])
                data = data[head.length :]
                self.call.bytes_in = head.length
        else:
            body = self._streamed()
        sending = self._sending = self.port.client.send(outbound, body)
        sending.addCallbacks(self._response, self._failed).addErrback(self.failed)
        if self.wants_bytes:
            return b"" if self._over else self.received(data)
        return data

    def _streamed(self) -> StreamedBody:
        limits = self.port.limits
        length = self.head.length
        self._reader = LengthReader(length) if length >= 0 else ChunkedReader(limits.header_bytes)
        self._idle = self.port.waits.idle_http.begin(self._stuck)
        self._body = StreamedBody(length, limits.buffer_bytes, self.client.pause, self._resumed, self._body_sent)
        return self._body

    def received(self, data: bytes) -> bytes:
        reader, body = self._reader, self._body
        assert reader is not None
        assert body is not None
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
        body.push(piece)
        if reader.done:
            body.finish()
        return reader.rest

    def client_lost(self) -> None:
        self.call.error = self.call.error or "client_gone"
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
        assert self._body is not None
        if self._body.taking():
            # No byte of the client's comes since we keep it waiting, but what it sent is on its way.
            self._idle = self.port.waits.idle_http.begin(self._stuck)
            return
        if self.wants_bytes and not self._body.held:
            self._break(RequestTimeout(f"The request's body stopped for {seconds:g} s. Send it again."))
            return
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
