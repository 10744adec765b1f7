"""Events at a steady pace, stamped when they are written, and a ledger of what was sent to compare with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic_ns

from bench.load.loop import Loop
from bench.load.run import differs

FILL = b"a few words of an answer, as long as most."
TEXT = b'{"type":"response.output_text.delta","stream":"%04d","sequence":"%08d","at":"%019d","delta":"%b"}'
"""An event's data, about 140 bytes."""


def event_text(number: int, sequence: int, now: int) -> bytes:
    return TEXT % (number, sequence, now, FILL)


class Ledger:
    """What upstream has sent on each of some streams, and the client has not got yet, with the times in nanoseconds."""

    def __init__(self, streams: int) -> None:
        self._sent: list[deque[tuple[bytes, int]]] = [deque() for _ in range(streams)]
        self._kept = [b""] * streams

    def forget(self, number: int) -> None:
        """The stream begins anew."""
        self._sent[number].clear()
        self._kept[number] = b""

    def sent(self, number: int, data: bytes, now: int) -> None:
        self._sent[number].append((data, now))

    def came(self, number: int, data: bytes) -> list[int]:
        """
        Compare what the client has read with what was sent.

        :returns: when each event that is whole now was sent.
        :raises WrongAnswer: it is something else.
        """
        data = self._kept[number] + data
        waiting = self._sent[number]
        times = []
        at = 0
        while at < len(data):
            event, sent = waiting[0] if waiting else (b"", 0)
            if not event or not data.startswith(event, at):
                if event and event.startswith(data[at:]):
                    break
                raise differs(f"stream {number}", data[at:], event)
            waiting.popleft()
            times.append(sent)
            at += len(event)
        self._kept[number] = data[at:]
        return times


class Pacer:
    """
    Sends events at a steady pace, by the clock: one that was late does not delay the next.

    :param first: when the first is due, by `time.monotonic`; ``interval`` in seconds.
    :param send: sends the event of a sequence number and a time in nanoseconds; returns whether to go on.
    """

    def __init__(self, loop: Loop, first: float, interval: float, send: Callable[[int, int], bool]) -> None:
        self._loop = loop
        self._due = first
        self._interval = interval
        self._send = send
        self._sequence = 0
        loop.at(first, self._now)

    def _now(self) -> None:
        if self._send(self._sequence, monotonic_ns()):
            self._sequence += 1
            self._due += self._interval
            self._loop.at(self._due, self._now)
