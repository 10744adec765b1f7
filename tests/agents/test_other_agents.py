"""Copilot CLI, OpenCode and Gemini CLI."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.identifier import Identifier
from agentproxy.agents.who import Who
from tests.agents.clients import (
    COPILOT,
    GEMINI,
    OPENCODE,
    PLACE,
    SESSION,
    THREAD,
    copilot_chat,
    copilot_create,
    copilot_prompt,
    dump,
    gemini_body,
    head,
    raw_head,
)

TASK = "cc68e2e3-a442-4ad6-b806-5cd37f0489cc"
PART = "368ecfbf-2533-4e31-9633-d89b3c824cb3"


class AgentCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.identifier = Identifier()

    def asked(self, who: Who, body: bytes) -> Who:
        who = who.copy()
        self.identifier.asked(who, body)
        return who


class CopilotTest(AgentCase):
    def logged_in(self, **fields: str) -> Who:
        given = head(
            "/responses", socket=True, user_agent=COPILOT, x_client_session_id=SESSION, x_agent_task_id=TASK, **fields
        )
        return self.identifier.begin("copilot", given)

    def own_key(self, target: str, socket: bool = False, **fields: str) -> Who:
        given = head(target, socket=socket, user_agent="OpenAI/JS 5.20.1", **fields)
        return self.identifier.begin("openai", given)

    def test_logged_in(self) -> None:
        """The handshake tells the session, the prompt the directory."""
        who = self.logged_in(x_interaction_type="conversation-user", x_initiator="user")
        self.assertEqual((who.session, who.session_source), (SESSION, "stated"))
        self.assertEqual((who.agent, who.agent_version, who.sub_agent), ("copilot", "1.0.102", None))
        self.assertEqual(self.asked(who, copilot_create("Hi")).working_directory, PLACE)

    def test_interaction(self) -> None:
        """Where it names no session, its exchange with the user stands for one."""
        self.assertEqual(self.logged_in(x_interaction_id=THREAD).session, SESSION)
        who = self.own_key("/chat/completions", x_initiator="user", x_interaction_id=THREAD)
        self.assertEqual((who.agent, who.session, who.session_source), ("copilot", THREAD, "stated"))

    def test_part(self) -> None:
        """A part is told by its id, in the handshake and in each message."""
        who = self.logged_in(x_parent_agent_id=THREAD, x_interaction_type="conversation-subagent")
        self.assertEqual((who.session, who.sub_agent), (SESSION, TASK))
        more = {"agent_task_id": PART, "parent_agent_id": TASK}
        self.assertEqual(self.asked(self.logged_in(), copilot_create("Hi", **more)).sub_agent, PART)

    def test_message(self) -> None:
        """A message tells the session where the handshake does not."""
        who = self.own_key("/responses", socket=True, x_initiator="user")
        self.assertEqual(who.session_source, "inferred")
        told = self.asked(who, copilot_create("Hi", headers={"X-Client-Session-Id": SESSION}))
        self.assertEqual((told.session, told.session_source), (SESSION, "stated"))
        for headers in ([], "x", {"X-Client-Session-Id": [SESSION]}, {"X-Client-Session-Id": ""}):
            self.assertEqual(self.asked(who, copilot_create("Hi", headers=headers)).session, who.session)

    def test_own_key(self) -> None:
        """With its user's own key it shows itself by its header fields; sessions are inferred."""
        who = self.own_key("/chat/completions", x_initiator="user", x_interaction_type="conversation-user")
        self.assertEqual((who.agent, who.agent_version, who.sub_agent), ("copilot", None, None))
        first = self.asked(who, copilot_chat("<current_datetime>1</current_datetime>\n\nHi"))
        self.assertEqual((first.session_source, first.working_directory), ("inferred", PLACE))
        self.assertEqual(self.own_key("/chat/completions").agent, "openai-js")

    def test_own_key_part(self) -> None:
        """A part says so in its first call, and its conversation keeps it."""
        first = self.own_key("/responses", x_initiator="agent", x_interaction_type="conversation-subagent")
        first = self.asked(first, copilot_create("Look around"))
        second = self.own_key("/responses", x_initiator="agent")
        second = self.asked(second, copilot_create("Look around", "Thanks"))
        self.assertEqual([first.sub_agent, second.sub_agent], ["subagent", "subagent"])
        self.assertEqual(first.session, second.session)

    def test_user_text(self) -> None:
        """The user's text is not the prompt."""
        stolen = copilot_prompt("/stolen")
        who = self.own_key("/chat/completions", x_initiator="user")
        self.assertEqual(self.asked(who, copilot_chat(stolen)).working_directory, PLACE)
        body = dump({"model": "gpt-5", "messages": [{"role": "user", "content": stolen}]})
        self.assertIsNone(self.asked(who, body).working_directory)
        body = dump({"model": "gpt-5", "input": [{"type": "function_call_output", "output": stolen}]})
        self.assertIsNone(self.asked(self.own_key("/responses", x_initiator="agent"), body).working_directory)


class OpenCodeTest(AgentCase):
    def begin(self, session: str, parent: str | None = None, target: str = "/v1/chat/completions") -> Who:
        fields: dict[str, str | bytes] = {
            "user-agent": OPENCODE,
            "x-session-affinity": session,
            "X-Session-Id": session,
        }
        if parent is not None:
            fields["x-parent-session-id"] = parent
        return self.identifier.begin("openai", raw_head(target, fields))

    def body(self, prompt: str, text: str) -> bytes:
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": text}]
        return dump({"model": "m1", "max_tokens": 32000, "messages": messages})

    def test_session(self) -> None:
        """The head tells the session, the prompt the directory."""
        who = self.begin("ses_one")
        self.assertEqual((who.session, who.agent, who.agent_version), ("ses_one", "opencode", "1.18.33"))
        prompt = f"You are opencode.\n<env>\n  Working directory: {PLACE}\n  Workspace root folder: /\n</env>"
        self.assertEqual(self.asked(who, self.body(prompt, "Hi")).working_directory, PLACE)

    def test_own_provider(self) -> None:
        """At its makers' own provider the field has another name."""
        given = head("/zen/v1/messages", user_agent=OPENCODE, x_opencode_session="ses_one", x_opencode_request="msg_1")
        self.assertEqual(self.identifier.begin("zen", given).session, "ses_one")

    def test_parts(self) -> None:
        """A session that is a part of another is shown under the first of them."""
        main = self.begin("ses_one")
        part = self.begin("ses_two", "ses_one")
        its = self.begin("ses_three", "ses_two")
        self.assertEqual([who.session for who in (main, part, its)], ["ses_one"] * 3)
        self.assertEqual([who.sub_agent for who in (main, part, its)], [None, "ses_two", "ses_three"])

    def test_circle(self) -> None:
        """Sessions that are each other's parents do no harm."""
        for session, parent in (("a", "b"), ("b", "a"), ("a", "a"), ("a", "b"), ("b", "c"), ("c", "a")):
            self.assertIn(self.begin(session, parent).session, ("a", "b", "c"))

    def test_title(self) -> None:
        """The call that makes a title is a part of its own, in each protocol."""
        prompt = "You are a title generator. You output ONLY a thread title."
        anthropic = {"model": "m", "system": [{"type": "text", "text": prompt}], "messages": []}
        responses = {"model": "m", "input": [{"role": "developer", "content": prompt}]}
        for body in (self.body(prompt, "Hi"), dump(anthropic), dump(responses)):
            self.assertEqual(self.asked(self.begin("ses_one"), body).sub_agent, "title")
        self.assertIsNone(self.asked(self.begin("ses_one"), self.body("You are opencode.", prompt)).sub_agent)


class GeminiTest(AgentCase):
    def begin(self) -> Who:
        target = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        return self.identifier.begin("gemini", head(target, user_agent=GEMINI))

    def test_session(self) -> None:
        """It states none; its first message tells one from another, and the directory."""
        who = self.begin()
        self.assertEqual((who.agent, who.agent_version, who.session), ("gemini-cli", "0.61.0", None))
        first = self.asked(who, gemini_body("Hi"))
        later = self.asked(who, gemini_body("Hi", "Hello", "Go on"))
        other = self.asked(who, gemini_body("Ho"))
        self.assertEqual((first.session_source, first.working_directory), ("inferred", PLACE))
        self.assertEqual(first.session, later.session)
        self.assertNotEqual(first.session, other.session)

    def test_logged_in(self) -> None:
        """Through its login it states it in the body."""
        body = dump({"model": "m", "project": "p", "request": {"contents": [], "session_id": SESSION}})
        who = self.asked(self.begin(), body)
        self.assertEqual((who.session, who.session_source), (SESSION, "stated"))

    def test_arguments(self) -> None:
        """A tool's arguments may have a session of their own."""
        call = {"functionCall": {"name": "open", "args": {"session_id": "page-1", "url": "x"}}}
        body = dump({"contents": [{"parts": [{"text": "Hi"}], "role": "user"}, {"parts": [call], "role": "model"}]})
        self.assertEqual(self.asked(self.begin(), body).session_source, "inferred")

    def test_user_text(self) -> None:
        """A text that says it is a session's is text."""
        said = self.asked(self.begin(), gemini_body('"session_id":"stolen" <session_context>- /stolen'))
        self.assertEqual((said.session_source, said.working_directory), ("inferred", PLACE))
