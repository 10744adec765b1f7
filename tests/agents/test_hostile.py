"""Nothing that a client sends raises, grows without bound, or comes out as anything but short printable text."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.identifier import Identifier
from agentproxy.agents.who import MOST_DIRECTORY, MOST_NAME, Who, directory, name
from tests.agents import clients
from tests.agents.clients import SESSION, claude_body, codex_body, codex_fields, dump, raw_head

AGENTS = (clients.CODEX, clients.CLAUDE, clients.COPILOT, clients.OPENCODE, clients.GEMINI, "OpenAI/JS 5", "curl/8", "")
FIELDS = (
    "x-claude-code-session-id",
    "x-client-session-id",
    "session-id",
    "x-session-id",
    "x-parent-session-id",
    "x-claude-code-agent-id",
    "x-openai-subagent",
    "x-codex-turn-metadata",
    "x-interaction-type",
    "x-parent-agent-id",
    "x-agent-task-id",
)
PATHS = ("/v1/responses", "/v1/messages", "/v1/chat/completions", "/v1beta/models/m:generateContent", "/", "")
CREDENTIALS = (
    "sk-proj-Zq7LmXo93KpVb2Nh",
    "ghp_Rk4SgCe17JxUa6MwTn3QhBv8DyLz5EoJc2Xp",
    "github_pat_11ABCDEFG0",
    "eyJhbGciOiJSUzI1NiJ9.e30.x",
    "AIzaSyPu6FhQa84MwNd7CsKj2XtYb",
    "Bearer abcdefgh",
    "xoxb-1-2-3",
)
KEYS = st.sampled_from(
    """messages input contents system instructions metadata user_id session_id request client_metadata workspaces
    x-codex-turn-metadata headers X-Client-Session-Id conversation previous_response_id role content parts text id
    """.split()  # noqa: SIM905 (one a line would be a page)
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.sampled_from(["user", "system", "{", "/x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
JOINTS = ('"', '\\"', '\\\\"', '"}],', "\n - Primary working directory: /stolen\n")
BODIES = (
    codex_body("Hi"),
    claude_body("Hi", user_id=f"user_1_account_2_session_{SESSION}"),
    clients.copilot_create("Hi", headers={"X-Client-Session-Id": SESSION}, parent_agent_id="a", agent_task_id="b"),
    clients.copilot_chat("Hi"),
    clients.gemini_body("Hi"),
)


class HostileTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.identifier = Identifier(most=50)

    def check(self, who: Who) -> None:
        texts = (who.session, who.agent, who.agent_version, who.sub_agent)
        for text, most in [(text, MOST_NAME) for text in texts] + [(who.working_directory, MOST_DIRECTORY)]:
            if text is not None:
                self.assertTrue(0 < len(text) <= most and text.isprintable(), repr(text))
        self.assertEqual(who.session is None, who.session_source is None)

    def run_through(self, agent: str, path: str, body: bytes, socket: bool, fields: dict[str, str | bytes]) -> Who:
        who = self.identifier.begin("p", raw_head(path, {"user-agent": agent, **fields}, socket=socket))
        self.check(who)
        turn = who.copy()
        self.identifier.asked(turn, body)
        self.check(turn)
        self.identifier.settle(turn, "resp_1")
        self.check(turn)
        self.assertIsNotNone(turn.session)
        return turn

    @settings(max_examples=150)
    @given(
        st.sampled_from(AGENTS),
        st.sampled_from(PATHS),
        JSON.map(dump) | st.binary(max_size=200),
        st.booleans(),
        st.dictionaries(st.sampled_from(FIELDS), st.binary(max_size=200) | st.text(max_size=30), max_size=4),
    )
    def test_anything(self, agent: str, path: str, body: bytes, socket: bool, fields: dict[str, str | bytes]) -> None:
        """Any head and any body."""
        self.run_through(agent, path, body, socket, fields)

    @settings(max_examples=150)
    @given(
        st.sampled_from(AGENTS),
        st.sampled_from(PATHS),
        st.sampled_from(BODIES),
        st.booleans(),
        st.randoms(),
        st.binary(),
    )
    def test_broken(self, agent: str, path: str, body: bytes, socket: bool, dice: random.Random, patch: bytes) -> None:
        """Bodies of real shape, with something else put in somewhere, and cut somewhere."""
        at = dice.randrange(len(body))
        broken = body[:at] + patch + body[at + dice.randrange(20) :]
        self.run_through(agent, path, broken[: dice.randrange(len(broken) + 1)], socket, {})

    @settings(max_examples=100)
    @given(st.text(max_size=60), st.sampled_from(JOINTS))
    def test_user_text(self, text: str, joint: str) -> None:
        """Whatever a user writes, the session and the directory are the client's."""
        stolen = claude_body("x", user_id="user_1_account_2_session_stolen", place="/stolen").decode()
        said = text + joint + stolen + joint + codex_body("x", session_id="stolen", place="/stolen").decode()
        who = self.run_through(clients.CLAUDE, "/v1/messages", claude_body(said, said, said), False, {})
        self.assertEqual((who.session, who.working_directory), (SESSION, clients.PLACE))
        who = self.run_through(clients.CODEX, "/v1/responses", codex_body("Hi", said), True, codex_fields())
        self.assertEqual((who.session, who.working_directory), (SESSION, clients.PLACE))

    def test_credentials(self) -> None:
        """What looks like a credential is no session, nor anything else."""
        for secret in CREDENTIALS:
            self.assertIsNone(name(secret))
            self.assertIsNone(name(f"  {secret}".encode()))
            fields: dict[str, str | bytes] = dict.fromkeys(FIELDS, secret)
            for agent in (*AGENTS, secret):
                for body in (b"", codex_body("Hi", session_id=secret), claude_body("Hi", user_id=f"_session_{secret}")):
                    for socket in (False, True):
                        who = self.run_through(agent, "/v1/messages", body, socket, fields)
                        self.assertNotIn(secret, repr(who))
        self.assertEqual(name("ses_1"), "ses_1")
        self.assertEqual(name("basically"), "basically")

    def test_next_field(self) -> None:
        """Where one field is no session, another may be."""
        who = self.identifier.begin("p", raw_head("/", {"x-session-id": "sk-secret-secret", "session_id": "s1"}))
        self.assertEqual(who.session, "s1")

    def test_huge(self) -> None:
        """Megabytes of anything take no time to speak of."""
        for fill in (b'"', b"\\", b'{"', b"[", b'"role":"user"', b"orking directory: ", b'"messages":', b'"system":[{'):
            body = b'{"messages":[{"role":"user","content":"' + fill * (1_000_000 // len(fill))
            for agent in AGENTS:
                for path in PATHS[:4]:
                    self.run_through(agent, path, body, False, {})

    def test_directories(self) -> None:
        """A directory is absolute, or it is none."""
        for place in ("/", "/srv/a b", "~/x", "C:\\x", "C:/x", "\\\\host\\share"):
            self.assertEqual(directory(place), place)
        for other in ("", "x", "../x", "Cx:\\", 7, None, [], b"", b"\xff", "\n"):
            self.assertIsNone(directory(other))
        self.assertEqual(len(directory("/" + "x" * 10_000) or ""), MOST_DIRECTORY)

    def test_names(self) -> None:
        """A name is cut and cleaned."""
        self.assertEqual(name(b"a\xff\xe2\x80\xaeb\x00c "), "abc")
        self.assertEqual(name("\ud800x"), "x")
        self.assertEqual(name("x" * 10_000), "x" * MOST_NAME)
        for value in (None, 7, [], {}, "", b"", "\x00", " "):
            self.assertIsNone(name(value))

    def test_memory(self) -> None:
        """What is remembered is bounded, and what is of use stays."""
        for number in range(500):
            fields: dict[str, str | bytes] = {"x-session-id": f"s{number}", "x-parent-session-id": f"p{number}"}
            who = self.identifier.begin("p", raw_head("/v1/responses", fields))
            self.identifier.asked(who, dump({"input": f"Hi {number}"}))
            self.identifier.settle(who, f"resp_{number}")
            who = self.identifier.begin("p", raw_head("/v1/responses", {}))
            self.identifier.asked(who, dump({"input": "x", "previous_response_id": "resp_0"}))
            self.assertEqual(who.session, "p0")
        self.identifier.settle(who, "r" * 10_000)
        for table in (self.identifier._responses, self.identifier._sessions, self.identifier._parents):
            self.assertEqual(len(table), 50)
        self.assertLess(max(len(key[1]) for key in self.identifier._responses), 300)
