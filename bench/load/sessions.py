"""`ws-idle`: sessions that say nothing. `ws-200`: sessions on each of which upstream sends an event now and then."""

from __future__ import annotations

from time import monotonic, monotonic_ns

from bench.load.channel import Channel
from bench.load.events import Ledger, Pacer, event_text
from bench.load.frames import BadFrame, Frames, client_frame, server_frame
from bench.load.loop import Gate
from bench.load.run import Run, Upstream
from bench.load.sse import window
from bench.load.upgrade import Session, Welcome, refuse
from bench.load.websocket import EchoClient, serve_echo

AT_ONCE = 32
"""Sessions that are being opened at a time."""
WARM = 5
"""Events of each session before the measured window."""


class Crowd:
    """Opens many sessions, not all at the same time."""

    def __init__(self, run: Run, sessions: list[Session]) -> None:
        self._run = run
        self._waiting = iter(sessions)
        self.missing = len(sessions)
        for _ in range(AT_ONCE):
            self._next()

    def _next(self) -> None:
        for session in self._waiting:
            session.open()
            return

    def came(self) -> None:
        """A session stands."""
        self.missing -= 1
        if not self.missing:
            self._run.loop.stop()
        self._next()


class Idle(EchoClient):
    """A session that says nothing but for one message, when it is told to."""

    crowd: Crowd

    def ready(self) -> None:
        self.crowd.came()


def idle(run: Run) -> None:
    """As many sessions as told, opened in the window, which ends a while later; each has to be alive behind it."""
    count = run.number("sessions")
    serve_echo(run, 1)
    first = Gate(run.loop, 1)
    EchoClient(run, 0, first, limit=1).open()
    run.loop.run("the first session")
    alive = Gate(run.loop, count)
    sessions = [Idle(run, 0, alive) for _ in range(count)]
    run.begin()
    crowd = Crowd(run, list(sessions))
    for session in sessions:
        session.crowd = crowd
    run.loop.run(lambda: f"opening sessions: {crowd.missing} of {count} are not open")
    run.loop.run("idle", run.parameters["settle_seconds"])
    run.end(count)
    run.values["sessions"] = count
    for session in sessions:
        session.go(1)
    run.loop.run(lambda: f"asking idle sessions: {alive.missing} of {count} have not answered")


class StreamSession(Session):
    """
    A session that asks for its events and takes them.

    :ivar delays: nanoseconds from upstream's write to our read, of each event.
    """

    read = 16384

    def __init__(self, run: Run, number: int, ledger: Ledger, gate: Gate) -> None:
        super().__init__(run, number)
        self._ledger = ledger
        self._gate: Gate | None = gate
        self._enough = WARM
        self.delays: list[int] = []
        self._frames = Frames(masked=False)
        self.crowd: Crowd

    def ready(self) -> None:
        self.channel.write(client_frame(wish(self.number)))
        self.crowd.came()

    def arrived(self, data: bytes) -> None:
        now = monotonic_ns()
        for text in self.messages(self._frames, data):
            self.delays += [now - sent for sent in self._ledger.came(self.number, text)]
        if self._gate is not None and len(self.delays) >= self._enough:
            self._gate.come()
            self._gate = None

    def finish(self, gate: Gate) -> None:
        self._gate, self._enough = gate, len(self.delays) + 1


def wish(number: int) -> bytes:
    """The message that asks for events."""
    return b'{"type":"response.create","stream":"%04d"}' % number


class EventServer:
    """Upstream: once it is told which session this is, it sends events at a steady pace."""

    def __init__(self, run: Run, channel: Channel, ledger: Ledger, wishes: dict[bytes, int]) -> None:
        self._run = run
        self._channel = channel
        self._ledger = ledger
        self._wishes = wishes
        self._frames = Frames(masked=True)
        self._number = -1

    def received(self, data: bytes) -> None:
        try:
            for _, _, payload in self._frames.feed(data):
                if payload in self._wishes and self._number < 0:
                    self._begin(self._wishes[payload])
        except BadFrame as error:
            refuse(self._run, self._channel, str(error))

    def _begin(self, number: int) -> None:
        self._number = number
        self._ledger.forget(number)
        interval = self._run.parameters["interval_ms"] / 1e3
        # Sessions send at points of the interval of their own, whenever they were opened.
        now = monotonic()
        first = now - now % interval + interval * (1 + number / len(self._wishes))
        Pacer(self._run.loop, first, interval, self._send)

    def _send(self, sequence: int, now: int) -> bool:
        if self._channel.closed:
            return False
        text = event_text(self._number, sequence, now)
        self._ledger.sent(self._number, text, now)
        self._channel.write(server_frame(text))
        return True


def streaming(run: Run) -> None:
    """Many sessions with events at once: how long each is under way."""
    count = run.number("sessions")
    ledger = Ledger(count)
    wishes = {wish(number): number for number in range(count)}
    Upstream(
        run, lambda channel: Welcome(run, channel, lambda opened: EventServer(run, opened, ledger, wishes).received)
    )
    warm = Gate(run.loop, count)
    sessions = [StreamSession(run, number, ledger, warm) for number in range(count)]
    crowd = Crowd(run, list(sessions))
    for session in sessions:
        session.crowd = crowd
    run.loop.run(lambda: f"opening sessions: {crowd.missing} of {count} are not open")
    run.loop.run(lambda: f"warming up: {warm.missing} of {count} sessions have no events yet")
    window(run, sessions)
