"""Credential commands: run at the start, and once more when upstream refuses what they gave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure

from agentproxy.policy import credentials
from agentproxy.policy.credentials import COMMAND_PAUSE, Credentials
from tests.policy.test_credentials import SECRET, CredentialsCase


class Threads(Clock):
    """A clock that is a thread pool too: work waits until `work` does it, here and now."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], object]] = []

    def getThreadPool(self) -> Threads:
        return self

    def callFromThread(self, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)

    def callInThreadWithCallback(
        self, result: Callable[[bool, Any], object], call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        def work() -> None:
            try:
                value = call(*args, **kwargs)
            except Exception:
                result(False, Failure())
            else:
                result(True, value)

        self.waiting.append(work)

    def work(self) -> int:
        """Do what waits; returns how much it was."""
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()
        return len(waiting)


class Command(CredentialsCase):
    def setUp(self) -> None:
        super().setUp()
        self.threads = self.clock = Threads()
        self.clock.advance(1000)

    def held(self, *command: str) -> Credentials:
        return self.credentials(credential={"command": command})

    def python(self, code: str) -> tuple[str, ...]:
        return (sys.executable, "-S", "-c", code)

    def counting(self) -> tuple[Path, Credentials]:
        """A command that prints what is in a file, and how often it ran."""
        path = self.path()
        path.write_text(SECRET)
        code = f"p={str(path)!r};open(p+'.runs','a').write('x');print(open(p).read())"
        return path, self.held(*self.python(code))

    def runs(self, path: Path) -> int:
        runs = path.with_name(path.name + ".runs")
        return len(runs.read_text()) if runs.exists() else 0

    def refused(self, held: Credentials) -> int:
        held.refused(self.threads)
        return self.threads.work()

    def test_start(self) -> None:
        """It runs when told to, once; what it prints is the secret, however often that is asked for."""
        path, held = self.counting()
        self.assertIsNone(held.current())
        self.assertEqual(self.runs(path), 0)
        held.run_commands()
        for _ in range(3):
            self.assertEqual(held.current(), {"credential": SECRET})
        self.assertEqual((self.runs(path), self.found, self.said()), (1, [SECRET], []))

    def test_refused(self) -> None:
        """A refusal runs it again, at most once a minute since the last run; what it prints then is used."""
        path, held = self.counting()
        held.run_commands()
        path.write_text("new")
        self.clock.advance(COMMAND_PAUSE - 0.5)
        self.assertEqual(self.refused(held), 0)
        self.assertEqual(held.current(), {"credential": SECRET})
        self.clock.advance(0.5)
        self.assertEqual(self.refused(held), 1)
        self.assertEqual(held.current(), {"credential": "new"})
        self.clock.advance(COMMAND_PAUSE - 0.5)
        self.assertEqual(self.refused(held), 0)
        self.clock.advance(0.5)
        self.assertEqual(self.refused(held), 1)
        self.assertEqual(self.runs(path), 3)

    def test_refused_while_running(self) -> None:
        """While it runs the old secret stays, and refusals start no second run."""
        path, held = self.counting()
        held.run_commands()
        path.write_text("new")
        self.clock.advance(COMMAND_PAUSE)
        held.refused(self.threads)
        held.refused(self.threads)
        self.assertEqual(held.current(), {"credential": SECRET})
        self.assertEqual(self.threads.work(), 1)
        self.assertEqual(held.current(), {"credential": "new"})

    def test_refused_without_command(self) -> None:
        """Where no secret comes from a command, a refusal runs nothing."""
        held = self.credentials(credential={"env": "A"}, environ={"A": "k"})
        self.assertEqual(self.refused(held), 0)
        self.assertEqual(held.current(), {"credential": "k"})

    def test_fails_later(self) -> None:
        """Where it gives nothing any more the provider is not configured; one complaint, until it is well again."""
        path, held = self.counting()
        held.run_commands()
        path.unlink()
        for _ in range(3):
            self.clock.advance(COMMAND_PAUSE)
            self.assertEqual(self.refused(held), 1)
            self.assertIsNone(held.current())
        self.assertEqual(self.said(), ["credential: the command ended with status 1"])
        path.write_text("new")
        self.clock.advance(COMMAND_PAUSE)
        self.refused(held)
        self.assertEqual(held.current(), {"credential": "new"})
        self.assertEqual(self.said(), [])

    def test_fails_at_the_start(self) -> None:
        """While there is no secret, asking for one runs the command again, at most once a minute, keeping nobody."""
        path, held = self.counting()
        path.unlink()
        held.run_commands()
        path.write_text(SECRET)
        self.clock.advance(COMMAND_PAUSE - 0.5)
        self.assertIsNone(held.current())
        self.assertEqual(self.threads.work(), 0)
        self.clock.advance(0.5)
        for _ in range(3):
            self.assertIsNone(held.current())
        self.assertEqual(self.threads.work(), 1)
        self.clock.advance(COMMAND_PAUSE)
        self.assertEqual(held.current(), {"credential": SECRET})
        self.assertEqual(self.threads.work(), 0)
        self.assertEqual(self.runs(path), 2)

    def test_gives_nothing(self) -> None:
        """Each way to fail gives nothing and one complaint that says why, never what was printed or run."""
        for command, why in (
            (self.python(f"print({SECRET!r});raise SystemExit(3)"), "the command ended with status 3"),
            (self.python(f"import sys;sys.stderr.write({SECRET!r})"), "it is empty"),
            (self.python("print(' ')"), "it is empty"),
            (self.python(f"print({SECRET!r});print(2)"), "it holds characters that no header may have"),
            (
                self.python(f"import os;os.write(1,b'{SECRET}'+bytes([255]))"),
                "it holds characters that no header may have",
            ),
            ((str(self.path()), SECRET), "the command can't be run (No such file or directory)"),
            ((str(self.path().parent), SECRET), "the command can't be run (Permission denied)"),
        ):
            held = self.held(*command)
            held.run_commands()
            self.assertIsNone(held.current())
            self.assertEqual(self.said(), [f"credential: {why}"])
        self.assertEqual(self.found, [])

    def test_no_input(self) -> None:
        """It reads an empty standard input, and can't wait for a terminal."""
        held = self.held(*self.python("import sys;print('k'+sys.stdin.read())"))
        held.run_commands()
        self.assertEqual(held.current(), {"credential": "k"})

    def test_timeout(self) -> None:
        """One that does not end is ended, and complained of; a secret it printed before is not used."""
        self.patch(credentials, "COMMAND_TIMEOUT", 0.2)
        held = self.held(*self.python(f"import time;print({SECRET!r},flush=True);time.sleep(60)"))
        held.run_commands()
        self.assertIsNone(held.current())
        self.assertEqual(self.said(), ["credential: the command took over 0.2 s"])

    def test_fault_in_thread(self) -> None:
        """A fault in the thread counts as a failed command, and is told without its text."""
        _, held = self.counting()
        held.run_commands()

        def broken(command: tuple[str, ...]) -> tuple[str, str | None]:
            raise RuntimeError(SECRET)

        self.patch(credentials, "_output", broken)
        self.clock.advance(COMMAND_PAUSE)
        self.assertEqual(self.refused(held), 1)
        self.assertIsNone(held.current())
        self.assertEqual(self.said(), ["credential: the command can't be run (RuntimeError)"])

    def test_two(self) -> None:
        """Each slot's command is its own: one that fails leaves the other's secret alone."""
        held = self.credentials(
            (frozenset({"a"}),),
            a={"command": self.python("print('k')")},
            b={"command": self.python("raise SystemExit(1)")},
        )
        held.run_commands()
        self.assertEqual(held.current(), {"a": "k"})
        self.assertEqual(self.said(), ["b: the command ended with status 1"])
