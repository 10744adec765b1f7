"""The simulated providers' HTTP answers: their shapes, usage, keys, and the tool call."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.simulator.support import QUIET, Link, events, request, split

SHELL = {"type": "function", "name": "shell_command", "parameters": {}}


class OpenAITests(SynchronousTestCase):
    def ask(self, link: Link, **payload: Any) -> tuple[int, dict[str, str], bytes]:
        return split(link.send(request("/v1/responses", {"model": "gpt-5.5", "input": "hi", **payload})))

    def test_json(self) -> None:
        """A response has its text and its usage."""
        status, fields, body = self.ask(Link(script=QUIET))
        response = json.loads(body)
        self.assertEqual((status, fields["openai-model"]), (200, "gpt-5.5"))
        self.assertEqual(response["output"][0]["content"][0]["text"], "Fine.")
        usage = response["usage"]
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        self.assertGreater(usage["input_tokens"], 0)

    def test_stream(self) -> None:
        """A stream begins with response.created, ends with response.completed, and its deltas are the text."""
        _, fields, body = self.ask(Link(script=QUIET), stream=True)
        stream = events(body)
        self.assertTrue(fields["content-type"].startswith("text/event-stream"))
        self.assertEqual([stream[0]["type"], stream[-1]["type"]], ["response.created", "response.completed"])
        self.assertEqual([event["sequence_number"] for event in stream], list(range(len(stream))))
        self.assertEqual("".join(event["delta"] for event in stream if "delta" in event), "Fine.")
        self.assertIn("cached_tokens", stream[-1]["response"]["usage"]["input_tokens_details"])

    def test_second_turn(self) -> None:
        """A prompt that was seen before is read from the cache; what it follows must be known."""
        link = Link(script=QUIET)
        first = json.loads(self.ask(link, input="x" * 4000)[2])
        second = json.loads(self.ask(link, previous_response_id=first["id"])[2])
        self.assertEqual(first["usage"]["input_tokens_details"]["cached_tokens"], 0)
        self.assertGreaterEqual(second["usage"]["input_tokens_details"]["cached_tokens"], 896)
        status, _, body = self.ask(link, previous_response_id="resp_no")
        self.assertEqual((status, json.loads(body)["error"]["code"]), (400, "previous_response_not_found"))

    def test_tool_call(self) -> None:
        """The word in the prompt makes it call the shell once; with the output there it answers."""
        link = Link(script=QUIET)
        prompt: list[dict[str, Any]] = [{"role": "user", "content": "TOOLCALL"}]
        call = json.loads(self.ask(link, input=prompt, tools=[SHELL])[2])["output"][0]
        self.assertEqual(
            (call["type"], json.loads(call["arguments"])), ("function_call", {"command": "echo agentproxy"})
        )
        prompt += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": "agentproxy"}]
        answer = json.loads(self.ask(link, input=prompt, tools=[SHELL])[2])["output"][0]
        self.assertEqual(answer["type"], "message")
        self.assertEqual(json.loads(self.ask(link, input=prompt[:1])[2])["output"][0]["type"], "message")

    def test_chat(self) -> None:
        """Chat completions have usage in JSON, and in a stream only where it is asked for."""
        ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        whole = json.loads(split(Link(script=QUIET).send(request("/v1/chat/completions", ask)))[2])
        self.assertEqual(whole["choices"][0]["message"]["content"], "Fine.")
        for options, count in (({}, 0), ({"stream_options": {"include_usage": True}}, 1)):
            sent = request("/v1/chat/completions", {**ask, "stream": True, **options})
            body = split(Link(script=QUIET).send(sent))[2]
            self.assertTrue(body.endswith(b"data: [DONE]\n\n"))
            self.assertEqual(sum(bool(event.get("usage")) for event in events(body)), count)

    def test_copilot(self) -> None:
        """Copilot's answers count tokens by kind beside the usage."""
        sent = request("/responses", {"model": "m", "input": "hi"}, "POST", "api.githubcopilot.com")
        link = Link(script=QUIET)
        response = json.loads(split(link.send(sent))[2])
        self.assertEqual(link.simulator.requests[0].provider, "copilot")
        kinds = [detail["token_type"] for detail in response["copilot_usage"]["token_details"]]
        self.assertEqual(kinds, ["input", "cache_read", "output"])
        models = json.loads(split(link.send(request("/models", None)))[2])
        self.assertIn("ws:/responses", models["data"][0]["supported_endpoints"])

    def test_minimal_answers(self) -> None:
        """What agents ask before they begin is answered with JSON."""
        targets = (
            "/v1/models", "/v1/models?client_version=0.1", "/backend-api/codex/models?client_version=0.1",
            "/backend-api/wham/accounts/check", "/copilot_internal/user", "/copilot_internal/v2/token",
            "/v1beta/models",
        )  # fmt: skip
        for target in targets:
            status, _, body = split(Link().send(request(target, None)))
            self.assertEqual(status, 200, target)
            self.assertIsInstance(json.loads(body), dict)


class AnthropicTests(SynchronousTestCase):
    def test_stream(self) -> None:
        """A message's events come in their order, the usage at its begin and end."""
        ask = {"model": "claude", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        stream = events(split(Link(script=QUIET).send(request("/v1/messages?beta=true", ask)))[2])
        self.assertEqual(
            [event["type"] for event in stream],
            ["message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta",
             "content_block_stop", "message_delta", "message_stop"],
        )  # fmt: skip
        self.assertEqual(stream[0]["message"]["usage"]["output_tokens"], 1)
        self.assertEqual(stream[-2]["usage"]["output_tokens"], 2)

    def test_cache(self) -> None:
        """The second turn of a conversation reads the first from the cache."""
        link = Link(script=QUIET)
        first = [{"role": "user", "content": "x" * 4000}]
        usages = []
        for messages in (first, [*first, {"role": "user", "content": "more"}]):
            whole = json.loads(split(link.send(request("/v1/messages", {"messages": messages})))[2])
            usages.append(whole["usage"])
        self.assertEqual(usages[0]["cache_read_input_tokens"], 0)
        self.assertGreaterEqual(usages[1]["cache_read_input_tokens"], 896)

    def test_tool_use(self) -> None:
        """The word in the prompt makes it use the Bash tool, and the tool's result makes it answer."""
        messages: list[dict[str, Any]] = [{"role": "user", "content": "TOOLCALL"}]
        ask = {"messages": messages, "tools": [{"name": "Bash"}], "stream": True}
        stream = events(split(Link(script=QUIET).send(request("/v1/messages", ask)))[2])
        self.assertEqual(stream[1]["content_block"]["name"], "Bash")
        self.assertEqual(stream[-2]["delta"]["stop_reason"], "tool_use")
        messages.append({"role": "user", "content": [{"type": "tool_result", "content": "TOOLCALL"}]})
        stream = events(split(Link(script=QUIET).send(request("/v1/messages", ask)))[2])
        self.assertEqual(stream[-2]["delta"]["stop_reason"], "end_turn")

    def test_count(self) -> None:
        """Tokens are counted."""
        body = split(Link().send(request("/v1/messages/count_tokens", {"messages": []})))[2]
        self.assertGreater(json.loads(body)["input_tokens"], 0)


class GeminiTests(SynchronousTestCase):
    ask: dict[str, Any] = {"contents": [{"parts": [{"text": "hi"}]}]}

    def test_whole(self) -> None:
        """generateContent has its text and usageMetadata."""
        target = "/v1beta/models/gemini-2.5-flash:generateContent"
        whole = json.loads(split(Link(script=QUIET).send(request(target, self.ask)))[2])
        self.assertEqual(whole["candidates"][0]["content"]["parts"], [{"text": "Fine."}])
        self.assertEqual(whole["modelVersion"], "gemini-2.5-flash")

    def test_stream(self) -> None:
        """Each chunk's usage is of all that was said so far; without alt=sse it is one JSON array."""
        target = "/v1beta/models/m:streamGenerateContent"
        sse = events(split(Link(script=QUIET).send(request(target + "?alt=sse", self.ask)))[2])
        array = json.loads(split(Link(script=QUIET).send(request(target, self.ask)))[2])
        self.assertEqual(sse, array)
        self.assertEqual(sse[-1]["candidates"][0]["finishReason"], "STOP")
        self.assertEqual([chunk["usageMetadata"]["candidatesTokenCount"] for chunk in sse], [1, 2])


class KeyTests(SynchronousTestCase):
    KEYS = {"openai": "sk-1", "anthropic": "ant-1", "copilot": "gh-1", "gemini": "g-1", "chatgpt": ("t-1", "t-2")}
    CASES = (
        ("/v1/responses", "Authorization: Bearer sk-1"),
        ("/v1/messages", "x-api-key: ant-1"),
        ("/v1/messages", "authorization: Bearer ant-1"),
        ("/chat/completions", "Authorization: token gh-1"),
        ("/v1beta/models/m:generateContent", "x-goog-api-key: g-1"),
        ("/backend-api/codex/responses", "Authorization: Bearer t-2"),
    )

    def test_accepted(self) -> None:
        """The configured keys are accepted where their provider reads them."""
        for target, header in self.CASES:
            ask = {"messages": [], "contents": []}
            self.assertEqual(
                split(Link(keys=self.KEYS).send(request(target, ask, "POST", "h", header)))[0], 200, target
            )

    def test_refused(self) -> None:
        """A wrong or missing key gets 401 in the provider's own shape."""
        for target, header in self.CASES:
            name = header.partition(":")[0]
            for headers in ((), (f"{name}: Bearer wrong",)):
                status, _, body = split(Link(keys=self.KEYS).send(request(target, {}, "POST", "h", *headers)))
                self.assertEqual((status, "error" in json.loads(body)), (401, True), target)
