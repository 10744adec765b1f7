"""A reader of turns under test: what was sent in, and the turns that came out."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.openai_reader import reader
from agentproxy.usage import Turn, Usage
from tests.providers.booked import Booked


class Reading(Booked):
    """One call's reader by the path that is called."""

    def __init__(self, path: str, *, upgrade: bool = False) -> None:
        method = b"GET" if upgrade else b"POST"
        super().__init__(lambda ended: reader(method, path.encode(), upgrade, ended))

    @property
    def degraded(self) -> str | None:
        return self.reader.degraded

    def ask(self, value: Any) -> None:
        """The client sends this: bytes, or a value as JSON."""
        self.asked(encoded(value))

    def tell(self, *values: Any) -> None:
        """Upstream sends these."""
        self.told(*map(encoded, values))

    def close(self, *status: Any) -> list[Turn]:
        """The call ends; returns all turns."""
        self.reader.closed(self.tick(), *status)
        return self.turns


def encoded(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


class TurnCase(SynchronousTestCase):
    def assert_used(self, turn: Turn, source: str = "reported", **counts: int) -> None:
        """The turn's usage is exactly this: what is not named is 0."""
        self.assertEqual((turn.usage, turn.source), (Usage(**counts), source))

    def assert_guessed(self, turn: Turn, status: str = "unsettled") -> None:
        """The turn is booked with an estimate that is not zero."""
        self.assertEqual((turn.status, turn.source), (status, "estimated"))
        assert turn.usage is not None
        self.assertGreater(turn.usage.input_tokens, 0)
        self.assertGreater(turn.usage.output_tokens, 0)
