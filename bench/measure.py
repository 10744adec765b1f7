"""One round of one row: runs `python -m bench.load` against a peer that runs, and watches what the peer uses."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from bench import machine
from bench.results import Measured

_POLL = 0.02
"""Seconds between two looks at the memory."""
_FAMILY = 1.0
"""Seconds between two looks for processes that the peer has started meanwhile, which reads all of /proc."""
_LATE = 20.0
"""Seconds beyond the load's own deadline (`deadline`), after which it is ended."""
_TAIL = 1_000


class Wrong(Exception):
    """The round gave no figures: an answer was wrong, or the load or the peer broke. Its text says which."""


class Nothing(Wrong):
    """No answer came in the measured window."""


def deadline(seconds: float) -> float:
    """Seconds after which the load gives up by itself, counted from its start."""
    return seconds * 3 + 20


@dataclass
class _Watch:
    """CPU and memory of the peer's processes in the measured window."""

    pids: Callable[[], list[int]]

    def __post_init__(self) -> None:
        # Found beforehand, since that takes some milliseconds.
        self._known = self.pids()
        self._next_family = 0.0
        self._before = self._at_first = self._peak = 0
        self._cpu_before = 0.0
        self.running = False

    def begin(self) -> None:
        self._next_family = time.monotonic() + _FAMILY
        self._at_first = self._peak = machine.resident_bytes(self._known)
        self._cpu_before = machine.cpu_seconds(self._known)
        self.running = True

    def look(self) -> None:
        if not self.running:
            return
        now = time.monotonic()
        if now >= self._next_family:
            self._known = self.pids()
            self._next_family = now + _FAMILY
        self._peak = max(self._peak, machine.resident_bytes(self._known))

    def end(self) -> tuple[float, int, int]:
        """CPU seconds used, bytes that the resident memory grew by at its peak, and bytes that it had there."""
        used = machine.cpu_seconds(self._known) - self._cpu_before
        self.look()
        self.running = False
        return used, self._peak - self._at_first, self._peak


def measure(
    command: Sequence[str], fds: Sequence[int], pids: Callable[[], list[int]], seconds: float, folder: str
) -> Measured:
    """
    Run the load once, and pair its result with what the peer used between its `begin` and its `end`.

    :param command: the load's whole command line.
    :param fds: descriptors that it inherits.
    :param pids: finds the peer's processes.
    :param seconds: that the load was told to measure for.
    :param folder: the checkout's root, in which the load runs.
    :raises Wrong: there are no figures.
    """
    with tempfile.TemporaryFile() as errors:
        load = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=fds,
            start_new_session=True,
        )
        try:
            assert load.stdout is not None
            return _follow(load, load.stdout, _Watch(pids), time.monotonic() + deadline(seconds) + _LATE)
        except Wrong as wrong:
            said = _tail(errors)
            raise type(wrong)(f"{wrong}: {said}" if said else str(wrong)) from None
        finally:
            _end(load)


def _follow(load: subprocess.Popen[bytes], output: IO[bytes], watch: _Watch, end: float) -> Measured:
    """Read the load's events to its end."""
    fd = output.fileno()
    used: tuple[float, int, int] | None = None
    result: dict[str, Any] | None = None
    unread = b""
    while True:
        if time.monotonic() > end:
            raise Wrong("the load did not end")
        if not select.select([fd], [], [], _POLL)[0]:
            watch.look()
            continue
        data = os.read(fd, 65536)
        if not data:
            break
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            event = _event(line)
            if event["event"] == "begin":
                watch.begin()
            elif event["event"] == "end" and watch.running:
                used = watch.end()
            elif event["event"] == "result":
                result = event
    code = load.wait()
    if code:
        raise Wrong(f"the load ended with {code}")
    if result is None:
        raise Wrong("the load gave no result")
    return judged(result, used)


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
        event["event"]
    except (ValueError, KeyError, TypeError):
        raise Wrong(f"the load said {line[:100]!r}") from None
    found: dict[str, Any] = event
    return found


def judged(result: dict[str, Any], used: tuple[float, int, int] | None) -> Measured:
    """
    Figures of a result in which all was right.

    :param used: CPU seconds, growth and peak in bytes, between `begin` and `end`.
    :raises Wrong: it was not, or nothing was done or checked.
    """
    if result["wrong"]:
        raise Wrong(str(result["why"] or f"{result['wrong']} wrong answers"))
    if not result["checked"] or not result["operations"] or result["seconds"] <= 0:
        raise Nothing("nothing was answered")
    if used is None:
        raise Wrong("the load did not say when it began and ended")
    values = {name: float(value) for name, value in result["values"].items() if not isinstance(value, str)}
    notes = tuple(f"{name}: {value}" for name, value in result["values"].items() if isinstance(value, str))
    return Measured(result["operations"], result["seconds"], result["checked"], values, *used, notes)


def _tail(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace").strip()[-_TAIL:]


def _end(load: subprocess.Popen[bytes]) -> None:
    """End the load and what it started (wrk), unless it ended well."""
    if load.poll() != 0:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(load.pid, signal.SIGKILL)
        load.wait()
    if load.stdout is not None:
        load.stdout.close()
