"""`agentproxy check`: is a configuration right, and how is it understood?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from agentproxy import config
from agentproxy.cli.command import FINDING, OK, Command, Console
from agentproxy.observe.own_prices import load_own


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="configuration file (TOML); without it the built-in default"
    )


def _run(arguments: Namespace, console: Console) -> int:
    try:
        settings = config.load(arguments.config, console.environ)
        if settings.record.prices is not None:
            load_own(settings.record.prices)
    except config.ConfigError as error:
        print(error, file=console.err)
        return FINDING
    console.out.write(config.describe(settings, console.environ))
    return OK


CHECK = Command("check", "Check a configuration and print it as understood, without secrets.", _arguments, _run)
