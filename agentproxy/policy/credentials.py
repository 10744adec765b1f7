"""Credentials: read from environment, file or command, and kept out of everybody's sight."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from agentproxy.config import CredentialSource

COMMAND_TIMEOUT = 30.0
"""Seconds a credential command may take."""
COMMAND_PAUSE = 60.0
"""Seconds between two runs of it."""
MAX_BYTES = 65536
"""Bytes of a credential file or a command's output that are read."""


class Credentials:
    """
    What is known of one provider's credentials, or of the admin port's token.

    :param sources: where each slot is read from.
    :param needs: sets of slots, any one of which, whole, is enough.
    :param found: told each secret's text as it is read, so that it can be kept out of logs.
    :param complain: told (slot, why) where a source gives nothing; never what it gave.
    """

    def __init__(
        self,
        sources: Mapping[str, CredentialSource],
        needs: Collection[frozenset[str]],
        environ: Mapping[str, str],
        *,
        clock: Any,
        found: Callable[[str], object],
        complain: Callable[[str, str], object],
    ) -> None:
        self._needs = needs
        self._clock = clock
        self._found = found
        self._complain = complain
        self._sources = dict(sources)
        self._files: dict[str, tuple[object, ...]] = {}
        self._secrets: dict[str, str] = {}
        self._configured = False
        self._last_run = float("-inf")
        self._complaints: dict[str, str] = {}
        self._watched = [slot for slot, source in self._sources.items() if source.file is not None]
        self._commands = [slot for slot, source in self._sources.items() if source.command is not None]
        for slot, source in self._sources.items():
            if source.env is not None:
                self._learn(slot, environ.get(source.env, ""), None)
        self._read_files()

    def current(self) -> Mapping[str, str] | None:
        """The secrets by slot, or ``None`` where the provider is not configured. Files that changed are read again."""
        if self._watched:
            self._read_files()
        if self._commands and not self._configured:
            # What failed once need not for ever.
            self.refused(self._clock)
        return self._secrets if self._configured else None

    @property
    def configured(self) -> bool:
        """Whether there is enough to inject."""
        return self.current() is not None

    def run_commands(self) -> None:
        """Run the credential commands now, before there is anybody to keep waiting."""
        self._last_run = self._clock.seconds()
        for slot in self._commands:
            self._learn(slot, *_output(self._command(slot)))

    def refused(self, reactor: Any) -> None:
        """Upstream answered 401: run the commands once more, in a thread, at most once a minute."""
        if not self._commands or self._clock.seconds() - self._last_run < COMMAND_PAUSE:
            return
        self._last_run = self._clock.seconds()
        for slot in self._commands:
            running: Deferred[tuple[str, str | None]] = deferToThreadPool(
                reactor, reactor.getThreadPool(), _output, self._command(slot)
            )
            running.addCallback(partial(self._ran, slot))
            running.addErrback(partial(self._fell, slot))

    def _ran(self, slot: str, output: tuple[str, str | None]) -> None:
        self._learn(slot, *output)

    def _fell(self, slot: str, failure: Failure) -> None:
        self._learn(slot, "", f"the command can't be run ({type(failure.value).__name__})")

    def _command(self, slot: str) -> tuple[str, ...]:
        command = self._sources[slot].command
        assert command is not None
        return command

    def _read_files(self) -> None:
        for slot in self._watched:
            source: CredentialSource = self._sources[slot]
            assert source.file is not None
            try:
                stat = os.stat(source.file)
                # Its ctime too: a file that became readable has changed, and a change may keep the mtime.
                seen: tuple[object, ...] = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
            except OSError as error:
                seen = (error.errno,)
            if self._files.get(slot) == seen:
                continue
            self._files[slot] = seen
            self._learn(slot, *_content(source.file))

    def _learn(self, slot: str, text: str, why: str | None) -> None:
        text = text.strip()
        if text and why is None and not _injectable(text):
            text, why = "", "it holds characters that no header may have"
        if text:
            self._secrets = {**self._secrets, slot: text}
            self._complaints.pop(slot, None)
            self._found(text)
        else:
            self._secrets = {key: value for key, value in self._secrets.items() if key != slot}
            why = why or ("it is empty" if self._sources[slot].env is None else None)
            if why is not None and self._complaints.get(slot) != why:
                self._complaints[slot] = why
                self._complain(slot, why)
        self._configured = any(needed <= self._secrets.keys() for needed in self._needs)


def _injectable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _content(path: str) -> tuple[str, str | None]:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace"), None
    except OSError as error:
        return "", f"the file can't be read ({error.strerror})"


def _output(command: tuple[str, ...]) -> tuple[str, str | None]:
    try:
        # Its standard error may hold anything, so it is thrown away.
        done = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"the command took over {COMMAND_TIMEOUT:g} s"
    except OSError as error:
        return "", f"the command can't be run ({error.strerror})"
    if done.returncode != 0:
        return "", f"the command ended with status {done.returncode}"
    return done.stdout[:MAX_BYTES].decode("utf-8", "replace"), None
