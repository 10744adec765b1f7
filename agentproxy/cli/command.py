"""What a command of the console script is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

OK, FINDING, USAGE = 0, 1, 2
"""Exit codes; argparse exits with `USAGE` itself."""


@dataclass(frozen=True, slots=True)
class Console:
    """What a command may look at and write to, besides its arguments."""

    environ: Mapping[str, str]
    out: TextIO
    err: TextIO


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
