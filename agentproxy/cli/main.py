"""The entry point of the console script: the table of commands, and the choice among them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from agentproxy import __version__
from agentproxy.cli.check import CHECK
from agentproxy.cli.command import Command, Console

COMMANDS: tuple[Command, ...] = (CHECK,)


def main(argv: Sequence[str] | None = None, console: Console | None = None) -> int:
    """
    Run the command that the arguments name.

    :param argv: without the program's name; those of the process where not given.
    :returns: 0 on success, 1 on a finding.
    :raises SystemExit: 2 on wrong usage, 0 after ``--help`` and ``--version``.
    """
    arguments = _parser().parse_args(argv)
    command: Command = arguments.command
    return command.run(arguments, console or Console(os.environ, sys.stdout, sys.stderr))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agentproxy", description="Look after an agentproxy service.")
    parser.add_argument("--version", action="version", version=f"agentproxy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        command.arguments(sub)
        sub.set_defaults(command=command)
    return parser
