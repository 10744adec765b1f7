"""`slow`: a download to a client that at first reads nothing, then little by little, then all the rest."""

from __future__ import annotations

from bench.load.run import Run
from bench.load.transfer import Transfer, prepare

TICK = 0.01
"""Seconds between two reads of a client that reads slowly."""


class SlowTransfer(Transfer):
    """
    A download, with a receive buffer so small that it is the proxy that has to wait, not the system.

    :ivar slow: whether it reads little by little.
    """

    read = 65536
    receive_buffer = 65536

    def __init__(self, run: Run) -> None:
        super().__init__(run, up=False)
        self.slow = False

    def received(self, data: bytes) -> None:
        super().received(data)
        if self.slow and not self.channel.closed:
            self.channel.pause()
            self.run.loop.after(TICK, self.channel.resume)

    def hurry(self) -> None:
        self.slow = False


def slow(run: Run) -> None:
    """
    Nothing for ``hold_seconds``, a little for ``slow_seconds``, then the rest.

    ``held_megabytes`` is what upstream could write while nobody read: what the proxy and the system took.
    """
    client = SlowTransfer(run)
    sources = prepare(client)
    size = run.number("bytes")
    run.begin()
    client.move(size)
    client.channel.pause()
    run.loop.run("holding", run.parameters["hold_seconds"])
    held = sources[-1].at if len(sources) > 1 else 0
    client.slow = True
    client.channel.resume()
    run.loop.after(run.parameters["slow_seconds"], client.hurry)
    run.loop.run(lambda: f"moving {size} bytes: {client.sink.at} have come down")
    run.end(1)
    run.values |= {"megabytes": size / 1e6, "held_megabytes": held / 1e6}
