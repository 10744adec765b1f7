"""
Two spliced transports: bytes pass as they came, followed for frames, closes and limits.

Nothing is judged by content. What the proxy itself puts in is a close frame, at a frame boundary.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from agentproxy.call import Call, Close
from agentproxy.observe.pages import SocketPage
from agentproxy.relay.patience import Patience, Watch
from agentproxy.relay.port import Port
from agentproxy.sockets import tcp_of
from agentproxy.timers import Wait
from agentproxy.upstream.handover import hand_over
from agentproxy.wire.deflate import deflate_params, parse_extensions
from agentproxy.wire.frames import FrameFollower, close_frame

CLOSE_REPLY = 10.0
"""Seconds that a side has to answer the other's close frame."""
LAST_WORD = 0.5
"""Seconds that a side has to answer a close frame of the proxy's, and again to let its connection close; the client's
begin once it has taken what was sent to it."""
QUIET = 2.0
"""Seconds without a byte after which a socket whose turns are not understood may be closed by a drain."""
_LOOK = 0.25


@implementer(IPushProducer)
class Side(Protocol):
    """
    One end of the splice: its transport's reader, and the producer of the other end's.

    :ivar name: ``client`` or ``upstream``.
    :ivar follower: follows what this side sends.
    """

    transport: Any

    other: Side

    def __init__(self, splice: Splice, name: str, follower: FrameFollower) -> None:
        self.splice = splice
        self.name = name
        self.follower = follower
        self.gone = False
        # Told to close by us: what it still sends is thrown away.
        self.told = False
        self._losing = False
        self._timer: Any = None
        self._watch = Watch(splice.clock)
        self._write: Callable[[bytes], object]
        self._idle: Wait | None = None

    def joined(self, idle: Wait | None) -> None:
        """Both transports are there."""
        self._write = self.other.transport.write
        self._idle = idle

    def dataReceived(self, data: bytes) -> None:
        follower = self.follower
        passed = follower.feed(data)
        if self.told:
            if follower.ended:
                self.lose()
            return
        if passed:
            self._write(passed)
        if self._idle is not None:
            self._idle.touch()
        if follower.ended:
            self.splice.ending(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True
        self._stop_timer()
        self._watch.cancel()
        self.splice.lost(self)

    def pauseProducing(self) -> None:
        """The other end does not read."""
        if not self.gone:
            self.transport.pauseProducing()
            self._watch.begin(self.transport, self.other.transport)

    def resumeProducing(self) -> None:
        """It does again."""
        self._watch.cancel()
        if not self.gone:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The other end has gone. It says so in a moment; a close here would come before the close frame."""

    def tell(self, code: int, reason: str) -> None:
        """Send it a close frame of the proxy's, if there is a place for one, and let it go."""
        if self.gone or self.told:
            return
        self.told = True
        toward = self.other.follower
        if toward.in_frame:
            self.lose()
            return
        self.detach()
        if toward.close is None:
            mask = None if self.name == "client" else os.urandom(4)
            self.transport.write(close_frame(code, reason, mask=mask))
        if self.follower.close is not None:
            self.lose()
        else:
            self._later(LAST_WORD, self.lose)

    def lose(self) -> None:
        """Close behind what has been written, and drop it where that takes too long."""
        if not self.gone and not self._losing:
            self.told = self._losing = True
            self.detach()
            self.transport.loseConnection()
            self._later(LAST_WORD, self._abort)

    def expect_reply(self) -> None:
        """The other side's close frame has gone to it: it has so long to answer."""
        self._later(CLOSE_REPLY, self.lose)

    def detach(self) -> None:
        """Take the back-pressure off: it would hold the close back."""
        transport: Any = self.transport
        transport.unregisterProducer()
        self._watch.cancel()
        transport.resumeProducing()

    def _abort(self) -> None:
        self._stop_timer()
        self.transport.abortConnection()

    def _later(self, seconds: float, act: Callable[[], object]) -> None:
        self._stop_timer()

        def due() -> None:
            self._timer = None
            act()

        clock = self.splice.clock
        if self.name == "client":
            # What upstream has said is the client's, however slowly it takes it.
            self._timer = Patience(clock, self.transport, seconds, due)
        else:
            self._timer = clock.callLater(seconds, due)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class Splice:
    """
    A WebSocket's two sides, 1:1.

    :param page: the call's in the ledger, which follows the messages.
    :param ended: called once, when both transports are gone.
    :param extensions: what was negotiated, as upstream wrote it.
    """

    def __init__(
        self, port: Port, call: Call, page: SocketPage, ended: Callable[[], object], *, extensions: bytes | None
    ) -> None:
        self.clock = port.clock
        self._port = port
        self._call = call
        self._ended = ended
        deflate = deflate_params(extensions)
        names = {name for name, _ in parse_extensions(extensions)} if extensions else set()
        self._page = page

        def follower(masked: bool) -> FrameFollower:
            return FrameFollower(
                masked=masked,
                rsv1=deflate is not None,
                any_rsv=bool(names - {b"permessage-deflate"}),
                max_message_bytes=port.limits.websocket_message_bytes,
                tap=page.tap(deflate, from_client=masked),
            )

        self.client = Side(self, "client", follower(True))
        self.upstream = Side(self, "upstream", follower(False))
        self.client.other, self.upstream.other = self.upstream, self.client
        self._idle: Wait | None = None
        self._looking: Any = None
        self._quiet_since = 0.0
        self._passed = -1
        self._over = False

    def join(self, client: Any, upstream: Any, early: bytes, surplus: bytes) -> None:
        """
        Take both transports over.

        :param early: what the client sent behind its upgrade; ``surplus``: what upstream sent behind its 101.
        """
        hand_over(client, self.client)
        hand_over(upstream, self.upstream)
        buffer_bytes = self._port.limits.buffer_bytes
        tcp_of(client).bufferSize = tcp_of(upstream).bufferSize = buffer_bytes
        client.registerProducer(self.upstream, True)
        upstream.registerProducer(self.client, True)
        if self._port.waits.idle_websocket.seconds > 0:
            self._idle = self._port.waits.idle_websocket.begin(lambda: self.close(1001, "idle timeout"))
        self.client.joined(self._idle)
        self.upstream.joined(self._idle)
        if surplus:
            self.upstream.dataReceived(surplus)
        if early and not self.client.gone:
            self.client.dataReceived(early)

    def ending(self, side: Side) -> None:
        """A side's close frame was passed on, or it broke the rules."""
        violation, close = side.follower.violation, side.follower.close
        if violation is not None:
            self._record("proxy", violation.code, violation.reason, clean=True)
            self._call.error = self._call.error or "websocket_violation"
            side.tell(violation.code, violation.reason)
            side.other.tell(_LOST[side.name], "the other side broke the protocol")
        elif close is not None:
            self._record(side.name, *close, clean=True)
            if side.other.follower.close is not None:
                side.lose()
                side.other.lose()
            else:
                side.other.expect_reply()

    def lost(self, side: Side) -> None:
        """A side's connection is gone."""
        other = side.other
        if other.gone:
            self._end()
            return
        if not side.told:
            self._record(side.name, 1006, "", clean=False)
        # Where the other side's close was still to be answered, this is the answer.
        other.tell(_LOST[side.name], f"the {side.name} has gone")

    def close(self, code: int, reason: str) -> None:
        """Close both sides."""
        self._record("proxy", code, reason, clean=True)
        self.client.tell(code, reason)
        self.upstream.tell(code, reason)

    def drain(self) -> None:
        """Close once the running response has ended; where turns are not understood, once it has been quiet."""
        if self._looking is None and not self._over:
            self._quiet_since = self.clock.seconds()
            self._look()

    def count(self) -> None:
        """Bring the call's counts up to date."""
        call, client, upstream = self._call, self.client.follower, self.upstream.follower
        call.bytes_in, call.frames_in = client.passed, client.frames
        call.bytes_out, call.frames_out = upstream.passed, upstream.frames

    def _look(self) -> None:
        self._looking = None
        now = self.clock.seconds()
        passed = self.client.follower.passed + self.upstream.follower.passed
        if passed != self._passed:
            self._passed = passed
            self._quiet_since = now
        running = self._page.running
        if running == 0 or (running is None and now - self._quiet_since >= QUIET):
            self.close(1001, "going away")
        else:
            self._looking = self.clock.callLater(_LOOK, self._look)

    def _record(self, side: str, code: int, reason: str, *, clean: bool) -> None:
        if self._call.close is None:
            self._call.close = Close(side, code, reason, clean)

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        if self._idle is not None:
            self._idle.cancel()
        if self._looking is not None:
            self._looking.cancel()
        self.count()
        self._ended()


_LOST = {"client": 1001, "upstream": 1011}
"""What the other side is closed with when this one is lost (RFC 6455, 7.4.1)."""
