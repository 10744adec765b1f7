"""A peer's process: pinned, with an environment of its own, its output kept in a file, and surely ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench import machine

HOST = "127.0.0.1"
_TAIL = 2_000
"""Characters of a process's output that an error quotes."""
_PATIENCE = 5.0
"""Seconds that a process gets to end by itself."""
_TRIES = 3
_LOOK = 0.02
_FILES = 16_384
"""Descriptors that a process may have, where the system lets us give it as many; a call needs two."""
Started = TypeVar("Started")


class PeerFailed(Exception):
    """A peer did not start. Its text says why, with the end of what the peer said."""


class Process:
    """
    A program that runs until `stop`, in a session of its own, so that what it starts is ended with it.

    :param command: the program and its arguments.
    :param folder: where it runs; its output goes to a file ``NAME.out`` in it, as it does in service.
    :param core: the one it may use.
    :param environ: its environment besides PATH, HOME and LANG: nothing of the user's, such as proxies, goes in.
    """

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, core: int, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._output = folder / f"{name}.out"
        clean = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8"}
        with self._output.open("wb") as output:
            self._popen = subprocess.Popen(
                list(command),
                cwd=folder,
                env={**clean, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(_prepare, core, _files()),
            )
        # For a benchmark that ends by an error or an interrupt before it stopped its peers.
        atexit.register(self.stop)

    @property
    def pids(self) -> list[int]:
        """It and what it started, as they are now."""
        return [self._popen.pid, *machine.descendants(self._popen.pid)]

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self._output.read_text(errors="replace")

    def failed(self, why: str) -> PeerFailed:
        """An error with the end of what it said."""
        return PeerFailed(f"{self.name} {why}\n{self.text[-_TAIL:]}".rstrip())

    def until(self, looked_for: Callable[[], int | None], seconds: float, what: str) -> int:
        """
        Wait until something is found.

        :raises PeerFailed: the process ended, or the time did.
        """
        end = time.monotonic() + seconds
        while True:
            ended = self._ended()
            if ended is not None:
                raise self.failed(ended)
            found = looked_for()
            if found is not None:
                return found
            if time.monotonic() > end:
                raise self.failed(f"{what}: not within {seconds:.0f} s")
            time.sleep(_LOOK)

    def says(self, pattern: str, seconds: float = 30.0) -> int:
        """Wait until its output has the pattern; the number in its first group, such as a port."""

        def look() -> int | None:
            match = re.search(pattern, self.text)
            return int(match[1]) if match else None

        return self.until(look, seconds, f"says {pattern}")

    def accepts(self, port: int, seconds: float = 30.0) -> int:
        """Wait until it accepts connections on a port of loopback; the port."""
        return self.until(lambda: port if _accepts(port) else None, seconds, f"accepts on {port}")

    def stop(self) -> None:
        """End it and all it started: by SIGTERM, and what is left after some seconds by SIGKILL. Never raises."""
        atexit.unregister(self.stop)
        if self._popen.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        end = time.monotonic() + _PATIENCE
        while self._ended() is None and time.monotonic() < end:
            time.sleep(_LOOK)
        # It is not waited for before here: until then its number, and so its group's, is no other's.
        self._signal(signal.SIGKILL)
        self._popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    def _ended(self) -> str | None:
        """How it ended, where it has."""
        found = os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        how = "with" if found.si_code == os.CLD_EXITED else "by signal"
        return f"ended {how} {found.si_status}"


def _files() -> tuple[int, int]:
    """Soft and hard limit of descriptors for a peer: users are often allowed 1,024, which they may raise themselves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    return max(soft, wanted) if soft != resource.RLIM_INFINITY else soft, hard


def _prepare(core: int, files: tuple[int, int]) -> None:
    """Between fork and exec: system calls only."""
    machine.pin(core)
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def on_free_port(start: Callable[[int], Started]) -> Started:
    """
    Start something that can't say which port it got, again on another one where somebody else was quicker.

    :raises PeerFailed: it failed for another reason, or too often.
    """
    for _ in range(_TRIES - 1):
        try:
            return start(free_port())
        except PeerFailed as failed:
            if "address already in use" not in str(failed).lower():
                raise
    return start(free_port())
