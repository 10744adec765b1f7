"""What a WebSocket message means for the responses on its socket, and that no message is too odd to be looked at."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers import KINDS
from agentproxy.providers.openai import turn

MEANINGS = [
    (True, "response.create", "begin"),
    (True, "response.cancel", None),
    (True, "response.completed", None),
    (True, "error", None),
    (True, "session.update", None),
    (False, "response.create", None),
    (False, "response.created", "running"),
    (False, "response.output_text.delta", None),
    (False, "response.completed", "end"),
    (False, "response.failed", "end"),
    (False, "response.incomplete", "end"),
    (False, "response.cancelled", "end"),
    (False, "response.done", "end"),
    (False, "error", "end"),
    (False, "response.completed.x", None),
    (False, "responseXcompleted", None),
    (False, "error2", None),
    (False, "response.completed-x", None),
    (True, "response.createX", None),
    (False, "codex.rate_limits", None),
    (False, "", None),
]


class TurnTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """The kinds whose sockets speak Responses or Realtime are understood, the others not."""
        self.assertEqual({name for name, kind in KINDS.items() if kind.turn is turn}, {"openai", "copilot", "chatgpt"})
        self.assertEqual({name for name, kind in KINDS.items() if kind.turn is None}, {"anthropic", "gemini"})

    def test_meanings(self) -> None:
        """Wherever `type` stands, and however the JSON is spaced."""
        for from_client, kind, meaning in MEANINGS:
            first = {"type": kind, "response": {"type": "error"}}
            last = {"response": {"type": "error"}, "type": kind}
            for value in (first, last):
                for message in (
                    json.dumps(value),
                    json.dumps(value, indent=1),
                    json.dumps(value, separators=(",", ":")),
                ):
                    self.assertEqual(turn(from_client, message.encode()), meaning, message)
            self.assertEqual(turn(from_client, b" \r\n\t" + json.dumps(first).encode()), meaning)

    def test_cut_short(self) -> None:
        """A message of which only the beginning is known is understood where `type` stands first."""
        self.assertEqual(turn(True, b'{"type":"response.create","input":"abc'), "begin")
        self.assertEqual(turn(False, b'{"event_id": "event_1", "type": "response.done", "response": {'), "end")
        self.assertEqual(turn(True, b'{"n":1,"b":true,"input":"abc","type":"response.create"'), "begin")

    def test_unclear(self) -> None:
        """One that can't be read to its type may be anything, which is said."""
        for message in (
            b'{"type":"response.comp',
            b'{"response":{"a":1},"type":"resp',
            b"{",
            b'{"a":"\\"","type":"error"',
        ):
            self.assertEqual(turn(False, message), "unclear", message)

    def test_escaped(self) -> None:
        """A type written with escapes is the same type."""
        self.assertEqual(turn(False, b'{"type":"\\u0065rror"}'), "end")

    def test_odd(self) -> None:
        """What is no message of theirs means nothing, and raises nothing."""
        for message in (
            b"",
            b"[]",
            b"null",
            b"1",
            b'"error"',
            b'["type","error"]',
            b"{}",
            b'{"type":null}',
            b'{"type":1}',
            b'{"type":[]}',
            b'{"type":["error"]}',
            b'{"type":{"a":"error"}}',
            b'{"type":true}',
            b"[" * 4096,
            b'{"a":' * 800,
            b"[" * 2000 + b"]" * 2000,
            b"1" * 4096,
            b"\xff\xfe{",
            b"\x00" * 9,
            b"\x80",
        ):
            for from_client in (True, False):
                self.assertIn(turn(from_client, message), (None, "unclear"), message[:20])

    @settings(derandomize=True, deadline=None, database=None)
    @given(st.booleans(), st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
    def test_any_bytes(self, from_client: bool, message: bytes) -> None:
        """Any bytes are read without a fault."""
        turn(from_client, message)
        turn(from_client, b'{"type":"' + message)
        turn(from_client, b'{"a":1,"type":' + message + b"}")
