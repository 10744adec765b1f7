"""What a command of the console script is."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TextIO

OK, FINDING, USAGE = 0, 1, 2
"""Exit codes; argparse exits with `USAGE` itself."""
INTERRUPTED = 130
"""What a shell makes of a program that SIGINT ended."""


@dataclass(frozen=True, slots=True)
class Console:
    """
    What a command may look at and write to, besides its arguments.

    :ivar wall: seconds since 1970.
    """

    environ: Mapping[str, str]
    out: TextIO
    err: TextIO
    wall: Callable[[], float] = field(default=time.time)


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command.

    :ivar help: one line, for the list of commands.
    :ivar arguments: adds its own to its parser.
    :ivar run: does it and returns the exit code.
    """

    name: str
    help: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Console], int]
