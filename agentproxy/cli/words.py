"""What the tables' marks mean, and JSON for who wants no table."""

from __future__ import annotations

import json

from agentproxy.cli.command import Console

INFERRED = "the session is inferred: the agent did not name one"
ESTIMATED = "not known; after a number: estimated, since the turn ended without the provider's word on usage"


def write_json(value: object, console: Console) -> None:
    """Indented, in ASCII: a control character is an escape, as JSON has them."""
    console.out.write(as_json(value, indent=2) + "\n")


def as_json(value: object, indent: int | None = None) -> str:
    """JSON in printable ASCII, but for the line breaks of an indent."""
    # `json` leaves DEL as it is.
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
