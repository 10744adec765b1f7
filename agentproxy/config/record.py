"""The ``[record]`` table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from agentproxy.config.table import Table
from agentproxy.config.values import Record

_CONTENTS: dict[str, Literal["off", "metadata", "full"]] = {"off": "off", "metadata": "metadata", "full": "full"}
_PATH = 'a path, or "env"'
_GIB = 2**30


def read_record(table: Table, environ: Mapping[str, str], folder: str) -> Record:
    """
    What is recorded, and where.

    :param folder: the folder to which relative file names belong.
    :raises ConfigError: the first mistake.
    """
    table.only(*Record.__slots__)
    directory = table.text("directory", _PATH)
    prices = table.text_or_none("prices", "a path, or an empty string")
    return Record(
        directory=_state(environ) if directory == "env" else _absolute(directory, environ, folder),
        content=_CONTENTS[table.choice("content", tuple(_CONTENTS))],
        content_bytes=table.integer("content_bytes", 0, _GIB),
        days=table.integer("days", 0, 36500),
        megabytes=table.integer("megabytes", 0, 2**40),
        prices=_absolute(prices, environ, folder) if prices else None,
    )


def _state(environ: Mapping[str, str]) -> str:
    """Where this user's programs keep their state, by the XDG base directory specification."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(_home(environ), ".local", "state")
    return os.path.join(state, "agentproxy")


def _absolute(path: str, environ: Mapping[str, str], folder: str) -> str:
    if path == "~" or path.startswith("~/"):
        path = _home(environ) + path[1:]
    return os.path.abspath(os.path.join(folder, path))


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or os.path.expanduser("~")
