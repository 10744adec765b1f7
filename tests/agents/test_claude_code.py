"""Claude Code."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.identifier import Identifier
from agentproxy.agents.who import Who
from tests.agents.clients import CLAUDE, PLACE, SESSION, claude_body, codex_body, dump, raw_head

OLD_ID = f"user_{'5e' * 32}_account_6d5c4b3a-0000-4000-8000-000000000000_session_{SESSION}"


class ClaudeCodeTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.identifier = Identifier()

    def begin(self, **fields: str) -> Who:
        given: dict[str, str | bytes] = {"user-agent": CLAUDE, "x-app": "cli", **fields}
        return self.identifier.begin("anthropic", raw_head("/v1/messages?beta=true", given))

    def asked(self, body: bytes, **fields: str) -> Who:
        who = self.begin(**fields)
        self.identifier.asked(who, body)
        return who

    def test_head(self) -> None:
        """The head tells session, version, and which agent calls."""
        who = self.begin(**{"x-claude-code-session-id": SESSION})
        self.assertEqual((who.session, who.session_source), (SESSION, "stated"))
        self.assertEqual((who.agent, who.agent_version, who.sub_agent), ("claude-code", "2.1.197", None))
        part = self.begin(**{"x-claude-code-session-id": SESSION, "x-claude-code-agent-id": "a8f2161275615b2ef"})
        self.assertEqual((part.session, part.sub_agent), (SESSION, "a8f2161275615b2ef"))

    def test_body(self) -> None:
        """Without the head's field the body tells the session, in either of its shapes."""
        for user_id in (None, OLD_ID):
            who = self.asked(claude_body("Hi", user_id=user_id))
            self.assertEqual((who.session, who.session_source), (SESSION, "stated"))

    def test_other_agents(self) -> None:
        """The body tells it of whatever calls, for Claude Code may be behind something else."""
        who = self.asked(claude_body("Hi", user_id=OLD_ID), **{"user-agent": "node"})
        self.assertEqual((who.agent, who.session), ("node", SESSION))

    def test_a_user_of_an_application(self) -> None:
        """A ``user_id`` that is an application's own is no session."""
        for user_id in ("user-17", "", "{}", '{"session_id":7}', "{" * 2000, "_session_", '{"a":', ["_session_x"], 7):
            who = self.asked(claude_body("Hi", user_id=user_id))
            self.assertEqual(who.session_source, "inferred", user_id)

    def test_part_by_its_prompt(self) -> None:
        """A part that has no id is told by the line that is for the bill."""
        self.assertEqual(self.asked(claude_body("Hi", billing=" cc_is_subagent=true;")).sub_agent, "subagent")
        self.assertIsNone(self.asked(claude_body("cc_is_subagent=true")).sub_agent)

    def test_directory(self) -> None:
        """The prompt tells it, before or behind the conversation, and the session keeps it."""
        for first in ("messages", "system"):
            self.identifier = Identifier()
            self.assertEqual(self.asked(claude_body("Hi", first=first)).working_directory, PLACE)
            self.assertEqual(self.asked(claude_body("Hi", place=None)).working_directory, PLACE)

    def test_directory_of_a_part(self) -> None:
        """Parts have another prompt."""
        system = [{"type": "text", "text": f"Notes.\n<env>\nWorking directory: {PLACE}\nIs directory a git repo: No"}]
        body = dump({"messages": [{"role": "user", "content": "Hi"}], "system": system})
        self.assertEqual(self.asked(body).working_directory, PLACE)

    def test_windows(self) -> None:
        """Backslashes, of which one may stand before an n, are undone."""
        self.assertEqual(self.asked(claude_body("Hi", place="C:\\new\\name")).working_directory, "C:\\new\\name")

    def test_user_text(self) -> None:
        """What user and model say is neither metadata nor prompt, wherever the prompt is."""
        other = claude_body("x", user_id=OLD_ID.replace(SESSION, "stolen"), place="/stolen").decode()
        line = "\n - Primary working directory: /stolen\n"
        for first in ("messages", "system"):
            for text in (other, line, other + line, codex_body("x", session_id="stolen").decode()):
                self.identifier = Identifier()
                who = self.asked(claude_body(text, text, text, first=first))
                self.assertEqual((who.session, who.working_directory), (SESSION, PLACE))
                self.identifier = Identifier()
                who = self.asked(claude_body(text, place=None, first=first))
                self.assertIsNone(who.working_directory)

    def test_directory_is_kept(self) -> None:
        """A session's directory is the first one that it told."""
        fields = {"x-claude-code-session-id": SESSION}
        for place in (PLACE, "/elsewhere", None):
            self.assertEqual(self.asked(claude_body("Hi", place=place), **fields).working_directory, PLACE)

    def test_cut(self) -> None:
        """Of half a body is told what can be."""
        body = claude_body("x" * 1000)
        for end in range(0, len(body), 37):
            self.identifier = Identifier()
            who = self.asked(body[:end], **{"x-claude-code-session-id": SESSION})
            self.assertEqual(who.session, SESSION)
            self.assertIn(who.working_directory, (None, PLACE))

    def test_ends(self) -> None:
        """Of a long body its two ends are enough."""
        body = claude_body("Hi", "x" * 9000)
        who = self.asked(body[:2000] + body[-6000:])
        self.assertEqual((who.session, who.working_directory), (SESSION, PLACE))
