"""The entry point of the console script: the table of commands, and the choice among them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from agentproxy import __version__
from agentproxy.cli.check import CHECK
from agentproxy.cli.command import FINDING, INTERRUPTED, OK, Command, Console
from agentproxy.cli.export import EXPORT
from agentproxy.cli.session import SESSION
from agentproxy.cli.sessions import SESSIONS
from agentproxy.cli.usage import USAGE_OF

COMMANDS: tuple[Command, ...] = (CHECK, SESSIONS, SESSION, USAGE_OF, EXPORT)


def main(argv: Sequence[str] | None = None, console: Console | None = None) -> int:
    """
    Run the command that the arguments name.

    :param argv: without the program's name; those of the process where not given.
    :returns: 0 on success, 1 on a finding, 2 on wrong usage that only the command itself can see, 130 after SIGINT.
    :raises SystemExit: 2 on wrong usage, 0 after ``--help`` and ``--version``.
    """
    arguments = _parser().parse_args(argv)
    command: Command = arguments.command
    at = console or Console(os.environ, sys.stdout, sys.stderr)
    try:
        code = command.run(arguments, at)
        at.out.flush()
        return code
    except BrokenPipeError:
        # Who reads has had enough (`| head`).
        if console is None:
            _let_go()
        return OK
    except OSError as error:
        # Commands see to their own files: this is the output, such as a full disk under it.
        print(f"agentproxy {command.name}: {error.strerror or error}", file=at.err)
        if console is None:
            _let_go()
        return FINDING
    except KeyboardInterrupt:
        return INTERRUPTED


def _let_go() -> None:
    """Send what is still in the buffer of the standard output nowhere: at its exit the interpreter would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agentproxy", description="Look after an agentproxy service.")
    parser.add_argument("--version", action="version", version=f"agentproxy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
        command.arguments(sub)
        sub.set_defaults(command=command)
    return parser
