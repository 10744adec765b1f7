"""Which reader reads a call, by its path or its first messages; and the simulator's answers, read to the token."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.chat_turns import NOT_ASKED
from agentproxy.providers.openai_json import NO_JSON
from agentproxy.providers.openai_reader import reader
from agentproxy.simulator import Script
from agentproxy.usage import Turn
from tests.providers import response_shapes as responses
from tests.providers import test_realtime_turns as realtime
from tests.providers.turn_case import Reading, TurnCase, encoded
from tests.simulator.support import QUIET, Link, request, split
from tests.simulator.test_websocket import Client, received

PATHS = [
    ("POST", "/v1/responses", "responses"),
    ("POST", "/responses", "responses"),
    ("POST", "/backend-api/codex/responses", "responses"),
    ("POST", "/openai/v1/responses?api-version=preview", "responses"),
    ("POST", "/v1/responses/", "responses"),
    ("POST", "/v1/responses/compact", "compact"),
    ("POST", "/v1/chat/completions", "chat"),
    ("POST", "/chat/completions", "chat"),
    ("POST", "/openai/deployments/gpt/chat/completions?api-version=x", "chat"),
    ("POST", "/v1/completions", "text_completion"),
    ("POST", "/v1/engines/copilot-codex/completions", "text_completion"),
    ("POST", "/v1/embeddings", "embeddings"),
    ("GET", "/v1/responses", None),
    ("GET", "/v1/responses/resp_1", None),
    ("HEAD", "/v1/responses", None),
    ("DELETE", "/v1/responses", None),
    ("POST", "/v1/responses/resp_1/cancel", None),
    ("POST", "/v1/responses/input_tokens", None),
    ("POST", "/v1/realtime/client_secrets", None),
    ("POST", "/v1/responsesx", None),
    ("POST", "/v1/chat/completions/1", None),
    ("GET", "/v1/models", None),
    ("POST", "/v1/messages", None),
    ("POST", "/", None),
    ("POST", "", None),
    ("POST", "/\xff?\xff", None),
]


class PathTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """The path's last segments tell what a call is, whatever comes before; most calls have no turns."""
        for method, path, operation in PATHS:
            turns: list[Turn] = []
            found = reader(method.encode(), path.encode("latin-1"), False, turns.append)
            if found is not None:
                found.asked(b"{}", 1.0)
                found.closed(2.0)
            self.assertEqual([turn.operation for turn in turns], [] if operation is None else [operation], path)


class SocketTests(TurnCase):
    def test_by_messages(self) -> None:
        """A socket's first messages tell what it speaks, whatever its path."""
        asks: list[tuple[list[Any], list[Any], str]] = [
            ([responses.create()], [responses.created("resp_1")], "responses"),
            ([responses.create()], [realtime.created("resp_1")], "responses"),
            ([{"type": "response.append"}], [responses.created("resp_1")], "responses"),
            ([], [{"type": "codex.rate_limits"}, responses.created("resp_1")], "responses"),
            ([], [{"type": "session.created"}, realtime.created("resp_1")], "realtime"),
            ([], [realtime.created("resp_1")], "realtime"),
            ([], [responses.created("resp_1")], "responses"),
            ([{"type": "session.update", "session": {}}, {"type": "response.create"}], [], "realtime"),
            ([{"type": "response.create", "response": {"instructions": "x"}}], [], "realtime"),
            ([{"type": "input_audio_buffer.append", "audio": ""}, {"type": "response.create"}], [], "realtime"),
            ([b"nonsense", {"type": "session.update"}, {"type": "response.create"}], [], "realtime"),
            ([b"nonsense", responses.create()], [], "responses"),
        ]
        for path in ("/v1/responses", "/v1/realtime", "/anything", ""):
            for asked, told, operation in asks:
                call = Reading(path, upgrade=True)
                for value in asked:
                    call.ask(value)
                call.tell(*told)
                self.assertEqual([turn.operation for turn in call.close()], [operation], (path, asked, told))
                self.assertEqual(call.degraded, NO_JSON if asked and asked[0] == b"nonsense" else None)

    def test_by_path(self) -> None:
        """Where the messages do not tell, the path does."""
        for path, operation in (("/v1/responses", "responses"), ("/v1/realtime?model=m", "realtime")):
            call = Reading(path, upgrade=True)
            call.ask({"type": "response.create"})
            self.assertEqual([turn.operation for turn in call.close()], [operation])

    def test_cut_short(self) -> None:
        """A request of which only the beginning is known tells too."""
        call = Reading("/anything", upgrade=True)
        call.ask(encoded(responses.create(input="x" * 1000))[:100])
        self.assertEqual(
            [(turn.operation, turn.model_asked) for turn in call.close()], [("responses", responses.MODEL)]
        )

    def test_nothing(self) -> None:
        """A socket that says nothing, or nothing that is understood, has no turns, and can be closed twice."""
        call = Reading("/v1/responses", upgrade=True)
        self.assertEqual((call.close(), call.close()), ([], []))
        call = Reading("/v1/responses", upgrade=True)
        call.tell(b"\x00", responses.error("bad"))
        self.assertEqual((call.close(), call.degraded), ([], NO_JSON))


class SimulatorTests(TurnCase):
    """What is sent over a real chain is read as it was meant: the tokens are the simulator's own."""

    def http(self, path: str, ask: dict[str, Any], host: str = "api.openai.com") -> tuple[Turn, list[Any]]:
        """The one turn of a call, and what was answered."""
        _, fields, body = split(Link(script=QUIET).send(request(path, ask, "POST", host)))
        call = Reading(path)
        call.ask(ask)
        if fields["content-type"].startswith("text/event-stream"):
            lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
        else:
            lines = [body]
        call.tell(*lines)
        (turn,) = call.close()
        self.assertIsNone(call.degraded)
        return turn, [json.loads(line) for line in lines if line != b"[DONE]"]

    def assert_responses(self, turn: Turn, used: dict[str, Any]) -> None:
        self.assert_used(
            turn,
            input_tokens=used["input_tokens"],
            output_tokens=used["output_tokens"],
            cache_read_tokens=used["input_tokens_details"]["cached_tokens"],
            reasoning_tokens=used["output_tokens_details"]["reasoning_tokens"],
        )

    def test_responses(self) -> None:
        """Responses, streamed and whole, of OpenAI, ChatGPT and Copilot."""
        for path, host in (
            ("/v1/responses", "api.openai.com"),
            ("/backend-api/codex/responses", "chatgpt.com"),
            ("/responses", "api.githubcopilot.com"),
        ):
            for stream in (True, False):
                ask = {"model": "gpt-5.5", "input": "hi", "reasoning": {"effort": "low"}, "stream": stream}
                turn, answer = self.http(path, ask, host)
                response = answer[-1]["response"] if stream else answer[-1]
                self.assert_responses(turn, response["usage"])
                self.assertEqual((turn.status, turn.response_id), ("completed", response["id"]))
                self.assertEqual(turn.output_characters, len("Fine."))

    def test_chat(self) -> None:
        """Chat completions, streamed with and without usage, and whole."""
        ask = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
        for host, path in (("api.openai.com", "/v1/chat/completions"), ("api.githubcopilot.com", "/chat/completions")):
            for more in ({}, {"stream": True, "stream_options": {"include_usage": True}}):
                turn, answer = self.http(path, {**ask, **more}, host)
                used = answer[-1]["usage"]
                self.assert_used(turn, input_tokens=used["prompt_tokens"], output_tokens=used["completion_tokens"])
                self.assertEqual((turn.status, turn.stop_reason, turn.note), ("completed", "stop", None))
            turn, _ = self.http(path, {**ask, "stream": True}, host)
            self.assert_guessed(turn, "completed")
            self.assertEqual(turn.note, NOT_ASKED)

    def test_refused(self) -> None:
        """What is refused is a failed turn."""
        turn, _ = self.http("/v1/responses", {"model": "m", "input": "hi", "previous_response_id": "resp_no"})
        self.assertEqual((turn.status, turn.stop_reason), ("failed", "previous_response_not_found"))

    def socket(self, path: str, asks: list[dict[str, Any]], *headers: str) -> tuple[Reading, list[dict[str, Any]]]:
        """A socket on which this was asked; and all that came."""
        client = Client(path, *headers, script=Script(text="Fine. " * 20, events=5))
        call = Reading(path, upgrade=True)
        said = [json.loads(payload) for _, payload in received(client.first)]
        call.tell(*said)
        for ask in asks:
            call.ask(ask)
            answers = client.say(ask)
            call.tell(*answers)
            said += answers
        self.assertIsNone(call.degraded)
        return call, said

    def test_socket(self) -> None:
        """A prewarm, a turn behind it, a tool call, and two lanes, as Codex has them."""
        tool = {"type": "function", "name": "shell_command", "parameters": {}}
        asks = [
            responses.create(generate=False),
            responses.create(input="x" * 3000),
            responses.create(input="TOOLCALL", tools=[tool]),
            responses.create(stream_id="a"),
            responses.create(stream_id="b"),
            responses.create(previous_response_id="resp_no"),
        ]
        call, said = self.socket("/v1/responses", asks)
        used = [event["response"]["usage"] for event in said if event["type"] == "response.completed"]
        turns = call.close()
        self.assertEqual([turn.status for turn in turns], ["completed"] * 4 + ["failed"])
        for turn, counts in zip(turns, used[1:], strict=False):
            self.assert_responses(turn, counts)
        self.assertEqual([turn.lane for turn in turns], [None, None, "a", "b", None])
        self.assertEqual((turns[1].tools, turns[4].stop_reason), (["shell_command"], "previous_response_not_found"))

    def test_realtime(self) -> None:
        """Realtime, turn after turn."""
        item = {"type": "conversation.item.create", "item": {"type": "message", "content": "x" * 400}}
        call, said = self.socket("/v1/realtime?model=gpt-realtime", [item, *[{"type": "response.create"}] * 3])
        used = [event["response"]["usage"] for event in said if event["type"] == "response.done"]
        turns = call.close()
        self.assertEqual(len(turns), 3)
        for turn, counts in zip(turns, used, strict=True):
            self.assert_used(turn, input_tokens=counts["input_tokens"], output_tokens=counts["output_tokens"])
            self.assertEqual((turn.model_asked, turn.output_characters), ("gpt-realtime", 120))
