"""Which reader reads a call, and how much of each WebSocket message it wants to be told."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers import KINDS
from agentproxy.providers.anthropic_turns import AnthropicTurns
from agentproxy.providers.chat_turns import ChatReader
from agentproxy.providers.gemini_live_turns import LiveTurns
from agentproxy.providers.gemini_turns import GeminiTurns
from agentproxy.providers.openai_json import NO_JSON
from agentproxy.providers.openai_reader import SocketReader
from agentproxy.providers.readers import socket_reader, turn_reader
from agentproxy.providers.realtime_turns import RealtimeReader
from agentproxy.providers.response_types import ENDS, MOST_DELTA, NO_TYPE
from agentproxy.providers.responses_turns import ResponsesReader
from agentproxy.usage import MOST_ASKED, MOST_TOLD, SocketTurns, Turn
from agentproxy.wire.messages import GLANCE
from tests.providers import response_shapes as shapes
from tests.providers.skimmed import dump
from tests.wire.splits import PROPERTY

OPENAI_KINDS = ("openai", "chatgpt", "copilot")
SOCKETS: dict[str, bytes] = {
    "openai": b"/v1/responses",
    "chatgpt": b"/backend-api/codex/responses",
    "copilot": b"/responses",
    "gemini": b"/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
}


def socket(kind: str, target: bytes | None = None) -> SocketTurns:
    made = socket_reader(KINDS[kind], SOCKETS[kind] if target is None else target, lambda turn: None)
    assert made is not None
    return made


class Wired:
    """A socket's reader that is told what it wants of each message, as the relay tells it."""

    def __init__(self, reader: SocketTurns) -> None:
        self.reader = reader

    def ask(self, value: Any) -> int:
        return self._say(True, dump(value))

    def tell(self, value: Any) -> int:
        return self._say(False, dump(value))

    def _say(self, from_client: bool, data: bytes) -> int:
        wanted = self.reader.wanted(from_client, data[:GLANCE])
        if wanted and from_client:
            self.reader.asked(data[:wanted], 1.0)
        elif wanted:
            self.reader.told(data[:wanted], 1.0)
        return wanted


class KindTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """A call is read by its kind's reader, or else by that of the API whose path it is."""
        gemini = b"/v1beta/models/gemini-2.5-pro:generateContent"
        for kind in KINDS.values():
            for path, reader in (
                (b"/v1/responses", ResponsesReader),
                (b"/v1/chat/completions?x=y", ChatReader),
                (b"/v1/embeddings", ChatReader),
                (b"/v1/messages?beta=true", AnthropicTurns),
                (b"/anthropic/v1/messages", AnthropicTurns),
                (gemini, GeminiTurns),
                (gemini.replace(b"generate", b"streamGenerate") + b"?alt=sse", GeminiTurns),
                (b"/v1beta/openai/chat/completions", ChatReader),
                (b"/v1/models", type(None)),
                (b"/v1/messages/count_tokens", type(None)),
                (gemini.replace(b"generateContent", b"countTokens"), type(None)),
                (b"/", type(None)),
                (b"", type(None)),
                (b"*", type(None)),
                (b"?", type(None)),
            ):
                made = turn_reader(kind, b"POST", path, lambda turn: None)
                self.assertIs(type(made), reader, (kind.name, path))
                for method in (b"GET", b"HEAD", b"DELETE", b"post"):
                    self.assertIsNone(turn_reader(kind, method, path, lambda turn: None))

    def test_told(self) -> None:
        """What is found tells its turns to whom it was made for."""
        turns: list[Turn] = []
        for kind in KINDS.values():
            for path in (b"/v1/messages", b"/v1/responses"):
                made = turn_reader(kind, b"POST", path, turns.append)
                assert made is not None
                made.asked(b'{"model":"m"}', 1.0)
                made.closed(2.0)
        self.assertEqual([turn.operation for turn in turns], ["messages", "responses"] * len(KINDS))

    def test_sockets(self) -> None:
        """A socket is read by its kind's reader alone: another's says nothing of what its messages mean."""
        for name, kind in KINDS.items():
            for path in (*SOCKETS.values(), b"/v1/realtime?model=gpt-realtime", b"/", b"/v1/messages"):
                made = socket_reader(kind, path, lambda turn: None)
                if name in OPENAI_KINDS:
                    self.assertIs(type(made), SocketReader)
                elif name == "gemini" and path == SOCKETS["gemini"]:
                    self.assertIs(type(made), LiveTurns)
                else:
                    self.assertIsNone(made, (name, path))

    @PROPERTY
    @given(st.sampled_from(sorted(KINDS)), st.binary(max_size=40))
    def test_any_path(self, kind: str, path: bytes) -> None:
        """No path is too odd to be looked at."""
        turn_reader(KINDS[kind], b"POST", path, lambda turn: None)
        socket_reader(KINDS[kind], path, lambda turn: None)
        turn_reader(KINDS[kind], b"POST", b"/models/%b:generateContent" % path, lambda turn: None)
        socket_reader(KINDS[kind], b"/v1/realtime?model=" + path, lambda turn: None)


class WantedTests(SynchronousTestCase):
    def test_responses(self) -> None:
        """Of a Responses socket only what asks for, ends or fills a turn is wanted, and of a delta its beginning."""
        reader = Wired(socket("chatgpt"))
        self.assertEqual(reader.ask(shapes.create(input="x" * 9000)), MOST_ASKED)
        self.assertEqual(reader.tell(shapes.created("resp_1")), MOST_TOLD)
        for value, wanted in (
            ({"type": "response.processed"}, 0),
            ({"type": "session.update"}, 0),
            (shapes.create(), MOST_ASKED),
        ):
            self.assertEqual(reader.ask(value), wanted, value)
        self.assertEqual(reader.reader.running, 2)
        for value, wanted in (
            # The first is created; a second one waits, so that these may say that it runs.
            (shapes.running("resp_1"), MOST_TOLD),
            (shapes.created("resp_2"), MOST_TOLD),
            (shapes.running("resp_2"), 0),
            ({"type": "response.output_text.done", "text": "x" * 99}, 0),
            ({"type": "response.content_part.added"}, 0),
            ({"type": "codex.rate_limits"}, 0),
            (shapes.delta("x"), MOST_DELTA),
            (shapes.item(**shapes.CALL), MOST_TOLD),
            (shapes.item(**shapes.MESSAGE), MOST_TOLD),
            (shapes.over("resp_1", shapes.usage(5, 0, 5)), MOST_TOLD),
            (shapes.error("server_error"), MOST_TOLD),
        ):
            self.assertEqual(reader.tell(value), wanted, value)
        self.assertEqual((reader.reader.running, reader.reader.degraded), (0, None))

    def test_ends(self) -> None:
        """Whatever ends a turn is wanted, before anything is known of the socket and behind it."""
        for kind in OPENAI_KINDS:
            for known in (False, True):
                reader = Wired(socket(kind))
                if known:
                    reader.ask(shapes.create())
                for end in (*ENDS, b"error", b"response.created"):
                    beginning = b'{"type":"%b","x":"' % end
                    self.assertEqual(reader.reader.wanted(False, beginning), MOST_TOLD, (kind, known, end))

    def test_realtime(self) -> None:
        """All that is said to a Realtime model is wanted, as it is its input."""
        reader = Wired(socket("openai", b"/v1/realtime?model=gpt-realtime"))
        for value in ({"type": "session.update", "session": {"model": "m"}}, {"type": "response.create"}):
            self.assertEqual(reader.ask(value), MOST_ASKED)
        self.assertEqual(reader.reader.running, 1)
        self.assertEqual(reader.ask({"type": "input_audio_buffer.append", "audio": "x" * 999}), MOST_ASKED)
        for value, wanted in (
            ({"event_id": "event_0123456789abcdef0123", "type": "session.updated", "session": {}}, MOST_TOLD),
            ({"event_id": "event_1", "type": "input_audio_buffer.committed"}, 0),
            ({"event_id": "event_2", "type": "response.output_audio.delta", "delta": "x" * 999}, MOST_DELTA),
            ({"type": "conversation.item.input_audio_transcription.completed", "usage": None}, MOST_TOLD),
            ({"event_id": "event_3", "type": "response.done", "response": {"id": "r", "usage": None}}, MOST_TOLD),
        ):
            self.assertEqual(reader.tell(value), wanted, value)
        self.assertEqual((reader.reader.running, reader.reader.degraded), (0, None))

    def test_type_behind(self) -> None:
        """Where the type does not stand first all of the message is wanted, and found in it."""
        for value in (
            {"event_id": "event_0123456789abcdef", "type": "response.create", "input": "x" * 500},
            {"model": "m", "input": "x" * 500, "type": "response.create"},
        ):
            reader = Wired(socket("openai"))
            self.assertEqual(reader.ask(value), MOST_ASKED)
            self.assertEqual(reader.reader.running, 1)
            self.assertEqual(
                reader.tell({"response": {"id": "resp_1", "note": "y" * 500}, **_end("resp_1")}), MOST_TOLD
            )
            self.assertEqual((reader.reader.running, reader.reader.degraded), (0, None), value)

    def test_spaced(self) -> None:
        """However the JSON is spaced."""
        for value in (shapes.create(), {"model": "m", "type": "response.create"}):
            for text in (json.dumps(value, indent=4), "\r\n\t " + json.dumps(value)):
                reader = Wired(socket("copilot"))
                self.assertEqual(reader.ask(text.encode()), MOST_ASKED)
                self.assertEqual(reader.reader.running, 1)

    def test_no_json(self) -> None:
        """What is no JSON object is not wanted, and says so; before that a socket is what it was."""
        for kind in SOCKETS:
            for beginning in (b"", b"hello", b"\xff\xfe", b"[1]", b"null", b'"x"'):
                for from_client in (True, False):
                    reader = socket(kind)
                    self.assertEqual(reader.wanted(from_client, beginning), 0, (kind, beginning))
                    self.assertIsNotNone(reader.degraded)
                if kind != "gemini":
                    self.assertEqual(reader.degraded, NO_JSON)

    def test_unknown_type(self) -> None:
        """An event of an unknown family is not wanted, but may have mattered."""
        reader = Wired(socket("openai"))
        reader.ask(shapes.create())
        self.assertEqual(reader.tell({"type": "surprise", "data": "x" * 999}), 0)
        self.assertEqual(reader.reader.degraded, NO_TYPE)

    def test_live(self) -> None:
        """All that is JSON is wanted of Gemini Live."""
        reader = Wired(socket("gemini"))
        self.assertEqual(reader.ask({"setup": {"model": "models/gemini-live"}}), MOST_ASKED)
        self.assertEqual(reader.ask({"clientContent": {"turnComplete": True}}), MOST_ASKED)
        self.assertEqual(reader.reader.running, 1)
        self.assertEqual(reader.tell({"serverContent": {"turnComplete": True, "generationComplete": True}}), MOST_TOLD)
        self.assertEqual(reader.reader.running, 0)

    @PROPERTY
    @given(
        st.sampled_from(sorted(SOCKETS)),
        st.lists(st.tuples(st.booleans(), st.binary(max_size=40) | st.text(max_size=20).map(str.encode)), max_size=8),
    )
    def test_any_bytes(self, kind: str, messages: list[tuple[bool, bytes]]) -> None:
        """Any messages at all are looked at, and told as far as they are wanted, without a fault."""
        reader = Wired(socket(kind))
        for from_client, message in messages:
            for data in (message, b'{"type":"' + message, b'{"a":1,"type":' + message + b"}"):
                (reader.ask if from_client else reader.tell)(data)
        reader.reader.closed(9.0)


class SpeltTests(SynchronousTestCase):
    def test_percent_encoded(self) -> None:
        """A path that is spelt otherwise is the same path to whoever serves it."""
        for path in (b"/v1/%72esponses", b"/v1/%6dessages", b"/v1/chat%2Fcompletions", b"/v1/responses?a=%2F"):
            self.assertIsNotNone(turn_reader(KINDS["openai"], b"POST", path, lambda turn: None), path)
        self.assertIsNone(turn_reader(KINDS["openai"], b"POST", b"/v1/files%2F", lambda turn: None))


class RunningTests(SynchronousTestCase):
    def test_counts(self) -> None:
        """What runs after each message, as (from the client?, message, running)."""
        create, done = shapes.create(), shapes.over("resp_1", shapes.usage(5, 0, 5))
        other: Any = {"type": "session.update"}
        for steps in (
            [(True, create, 1), (False, shapes.created("resp_1"), 1), (False, done, 0)],
            [(True, create, 1), (True, create, 2), (False, shapes.created("resp_1"), 2), (False, done, 1),
             (False, shapes.over("resp_2", shapes.usage(5, 0, 5)), 0)],
            [(True, create, 1), (False, shapes.error("server_error"), 0)],
            [(True, {"type": "response.processed"}, 0), (True, create, 1)],
            # A server that begins by itself, as Realtime does once it has heard enough.
            [(False, {"type": "session.created"}, 0), (False, shapes.created("resp_1"), 1), (False, done, 0)],
            [(True, other, 0), (False, other, 0), (True, {"type": "response.create"}, 1)],
        ):  # fmt: skip
            reader = Wired(socket("openai"))
            self.assertEqual(reader.reader.running, 0)
            for from_client, value, running in steps:
                (reader.ask if from_client else reader.tell)(value)
                self.assertEqual(reader.reader.running, running, (steps, value))

    def test_not_known(self) -> None:
        """A socket on which something was said that tells nothing is not known to be idle."""
        for message in (b"\xff\xfe", b"[]", {"type": "surprise"}, {"no": "type"}):
            reader = Wired(socket("openai"))
            reader.ask(message)
            self.assertIsNone(reader.reader.running, message)

    def test_types_of_the_api(self) -> None:
        """The classes that tell what runs agree with the protocol that sockets are read by."""
        for made in (RealtimeReader(lambda turn: None), ResponsesReader(lambda turn: None, socket=True)):
            self.assertEqual(made.running, 0)


def _end(identity: str) -> dict[str, Any]:
    """A terminal event's type, behind its response."""
    return {"type": "response.completed", "note": identity}
