"""Sessions that nobody states: what belongs together, and what does not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.identifier import Identifier
from agentproxy.agents.opening import MOST_READ, digest
from agentproxy.agents.who import Who
from tests.agents.clients import SESSION, copilot_create, dump, head

NAME = r"\Ainferred-[0-9a-f]{16}\Z"
PATHS = {"chat": "/v1/chat/completions", "anthropic": "/v1/messages", "responses": "/v1/responses", "gemini": "/m:g"}
TEXTS = st.lists(st.text(max_size=40), min_size=1, max_size=5)


def conversation(protocol: str, texts: list[str], **more: object) -> dict[str, Any]:
    """A body in which user and model speak in turn."""
    if protocol == "gemini":
        said = [{"role": ("user", "model")[at % 2], "parts": [{"text": text}]} for at, text in enumerate(texts)]
        return {"contents": said, **more}
    said = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    if protocol == "anthropic":
        return {"model": "m", "system": "Be brief.", "messages": said, **more}
    if protocol == "responses":
        return {"model": "m", "instructions": "Be brief.", "input": said, **more}
    return {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, *said], **more}


class InferredTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.identifier = Identifier()

    def ask(self, body: bytes, path: str = "/v1/responses", provider: str = "openai", agent: str = "curl/8") -> Who:
        who = self.identifier.begin(provider, head(path, user_agent=agent))
        self.identifier.asked(who, body)
        return who

    def session(self, protocol: str, texts: list[str], **more: object) -> str | None:
        return self.ask(dump(conversation(protocol, texts, **more)), PATHS[protocol]).session

    @settings(max_examples=60)
    @given(st.sampled_from(sorted(PATHS)), TEXTS, TEXTS)
    def test_growing(self, protocol: str, texts: list[str], more: list[str]) -> None:
        """A conversation that grows is the same, for another process too; one that begins otherwise is another."""
        session = self.session(protocol, texts)
        self.assertRegex(session or "", NAME)
        self.assertEqual(self.session(protocol, texts + more), session)
        self.identifier = Identifier()
        self.assertEqual(self.session(protocol, texts[:1], temperature=1, tools=[{"name": "new"}]), session)
        self.assertNotEqual(self.session(protocol, [texts[0] + "!"]), session)

    @settings(max_examples=60)
    @given(st.sampled_from(sorted(PATHS)), TEXTS, st.integers(min_value=1))
    def test_cut(self, protocol: str, texts: list[str], cut: int) -> None:
        """All that matters is the beginning."""
        value = conversation(protocol, texts, tools=[{"name": "x" * 100}])
        whole = dump(value)
        messages = value.get("messages") or value.get("input") or value["contents"]
        first = dump(messages[1] if protocol == "chat" else messages[0])
        end = whole.index(first) + len(first)
        body = whole[: end + cut % (len(whole) - end)]
        self.assertEqual(self.ask(body, PATHS[protocol]).session, self.ask(whole, PATHS[protocol]).session)

    def test_apart(self) -> None:
        """Provider, agent, prompt and first message each make another conversation."""
        body = dump(conversation("chat", ["Hi"]))
        other = body.replace(b"brief", b"long")
        path = PATHS["chat"]
        sessions = {
            self.ask(body, path).session,
            self.ask(body, path, provider="other").session,
            self.ask(body, path, agent="wget/1").session,
            self.ask(other, path).session,
            self.ask(dump(conversation("chat", ["Ho"])), path).session,
        }
        self.assertEqual(len(sessions), 5)
        self.assertIn(self.ask(body, path, agent="curl/9").session, sessions)

    def test_parts_apart(self) -> None:
        """Parts are not taken for each other by where they end."""
        self.assertNotEqual(digest("a", "bc"), digest("ab", "c"))

    def test_marks_move(self) -> None:
        """Where the cache's marks are does not matter."""
        marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
        plain = {"type": "text", "text": "Hi"}
        image = {"type": "image", "source": {"data": "AAAA"}}
        first = self.ask(dump({"messages": [{"role": "user", "content": [image, marked]}]}), "/v1/messages").session
        image["cache_control"] = {"type": "ephemeral"}
        plain["signature"] = "moves, too"
        messages = [{"content": [image, plain], "role": "user"}, {"role": "assistant", "content": "Yes?"}]
        self.assertEqual(self.ask(dump({"messages": messages}), "/v1/messages").session, first)

    def test_spaces(self) -> None:
        """JSON may be written with spaces."""
        value = conversation("chat", ["Hi", "Yes?"])
        spaced = json.dumps(value, indent=2).encode()
        self.assertEqual(self.ask(spaced, PATHS["chat"]).session, self.session("chat", ["Hi"]))

    def test_single_input(self) -> None:
        """The input may be a text."""
        one, two = (self.ask(dump({"model": "m", "input": text})) for text in ("Hi", "Ho"))
        self.assertRegex(one.session or "", NAME)
        self.assertNotEqual(one.session, two.session)

    def test_long_first_message(self) -> None:
        """A first message that is too long to be read whole stands for itself with its beginning."""
        texts = ["x" * (MOST_READ + 1000)]
        session = self.session("chat", texts)
        self.assertRegex(session or "", NAME)
        self.assertEqual(self.session("chat", [*texts, "Yes?"]), session)
        self.assertNotEqual(self.session("chat", ["y" + texts[0]]), session)

    def test_middling_first_message(self) -> None:
        """One that is longer than what is looked at first is read whole all the same."""
        texts = ["x" * 100_000]
        self.assertNotEqual(self.session("chat", [texts[0] + "y"]), self.session("chat", texts))

    def test_no_conversation(self) -> None:
        """What has none gets a name of its own when its turn ends."""
        names = set()
        for body in (b"", b"{}", b"[]", b'{"messages":[]}', b'{"messages":[7]}', b'{"messages":{"a":[]}}', b"\xff"):
            who = self.ask(body, PATHS["chat"])
            self.assertIsNone(who.session)
            self.identifier.settle(who, None)
            self.assertEqual(who.session_source, "inferred")
            self.assertRegex(who.session or "", NAME)
            names.add(who.session)
        self.assertEqual(len(names), 7)

    def test_follows(self) -> None:
        """What follows a response belongs to its session, also where another client stated that."""
        first = self.ask(dump({"input": "Hi"}))
        self.identifier.settle(first, "resp_1")
        second = self.ask(dump({"previous_response_id": "resp_1", "input": "And?"}))
        self.identifier.settle(second, "resp_2")
        third = self.ask(dump({"input": "And now?", "previous_response_id": "resp_2"}))
        self.assertEqual([second.session, third.session], [first.session] * 2)
        stated = self.identifier.begin("openai", head("/v1/responses", session_id=SESSION))
        self.identifier.settle(stated, "resp_3")
        follower = self.ask(dump({"previous_response_id": "resp_3", "input": "Hi"}))
        self.assertEqual((follower.session, follower.session_source), (SESSION, "inferred"))
        other = self.ask(dump({"previous_response_id": "resp_3", "input": "Hi"}), provider="azure")
        self.assertNotEqual(other.session, SESSION)

    def test_follows_what_is_not_known(self) -> None:
        """After a restart all that follows one response is still one session."""
        body = dump({"previous_response_id": "resp_1", "input": "And?"})
        first = self.ask(body)
        self.identifier.settle(first, "resp_2")
        self.assertEqual(self.ask(dump({"previous_response_id": "resp_2", "input": "x"})).session, first.session)
        self.identifier = Identifier()
        self.assertEqual(self.ask(body).session, first.session)

    def test_conversation_is_stated(self) -> None:
        """The Responses API's conversations are sessions."""
        for value in ("conv_1", {"id": "conv_1"}):
            who = self.ask(dump({"conversation": value, "input": "Hi"}))
            self.assertEqual((who.session, who.session_source), ("conv_1", "stated"))

    def test_text_is_text(self) -> None:
        """What is quoted in a message does not count."""
        quoted = dump({"previous_response_id": "resp_1", "conversation": "conv_1", "input": "x"}).decode()
        self.identifier.settle(Who(session=SESSION, provider="openai"), "resp_1")
        who = self.ask(dump({"model": quoted, "input": quoted}))
        self.assertRegex(who.session or "", NAME)

    def test_socket(self) -> None:
        """A WebSocket is one session, whatever is said on it."""
        sockets = [self.identifier.begin("openai", head("/v1/responses", socket=True)) for _ in range(2)]
        names = set()
        for socket in sockets:
            self.assertRegex(socket.session or "", NAME)
            for text in ("Hi", "Ho"):
                who = socket.copy()
                self.identifier.asked(who, copilot_create(text))
                self.assertEqual((who.session, who.session_source), (socket.session, "inferred"))
            names.add(socket.session)
        self.assertEqual(len(names), 2)

    def test_socket_goes_on(self) -> None:
        """A turn that follows one of another WebSocket is of that one's session."""
        first, second = (self.identifier.begin("openai", head("/v1/responses", socket=True)) for _ in range(2))
        self.identifier.settle(first, "resp_1")
        who = second.copy()
        self.identifier.asked(who, copilot_create("Go on", previous_response_id="resp_1"))
        self.assertEqual(who.session, first.session)
        who = second.copy()
        self.identifier.asked(who, copilot_create("Go on", previous_response_id="resp_unknown"))
        self.assertEqual(who.session, second.session)
