"""Codex, over HTTP and WebSocket."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.agents.identifier import Identifier
from agentproxy.agents.who import Who
from tests.agents.clients import (
    PLACE,
    SESSION,
    THREAD,
    claude_body,
    codex_body,
    codex_fields,
    codex_turn,
    raw_head,
)


class CodexTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.identifier = Identifier()

    def socket(self, **fields: str) -> Who:
        return self.identifier.begin("openai", raw_head("/v1/responses", codex_fields(**fields), socket=True))

    def asked(self, socket: Who, body: bytes) -> Who:
        who = socket.copy()
        self.identifier.asked(who, body)
        return who

    def test_post(self) -> None:
        """The head tells session and version, and the first message where Codex works."""
        who = self.identifier.begin("openai", raw_head("/v1/responses", codex_fields()))
        self.assertEqual((who.session, who.session_source), (SESSION, "stated"))
        self.assertEqual((who.agent, who.agent_version, who.sub_agent), ("codex", "0.169.0", None))
        self.identifier.asked(who, codex_body("Say the answer."))
        self.assertEqual((who.session, who.working_directory), (SESSION, PLACE))

    def test_older_names(self) -> None:
        """Older versions write the fields with underscores."""
        fields: dict[str, str | bytes] = {"user-agent": "codex_cli_rs/0.40.0", "session_id": SESSION}
        who = self.identifier.begin("openai", raw_head("/v1/responses", fields))
        self.assertEqual((who.agent, who.session), ("codex", SESSION))

    def test_socket(self) -> None:
        """The directory is said in one message, and holds for the session's other turns."""
        socket = self.socket()
        self.assertTrue(socket.socket)
        prewarm = self.asked(socket, codex_body(place=None, generate=False))
        first = self.asked(socket, codex_body("Hello"))
        second = self.asked(socket, codex_body("And now?", place=None))
        self.assertEqual([who.session for who in (prewarm, first, second)], [SESSION] * 3)
        self.assertEqual([who.working_directory for who in (prewarm, first, second)], [None, PLACE, PLACE])
        self.assertIsNone(socket.working_directory)

    def test_review(self) -> None:
        """A review has the session of what is reviewed, and says what it is."""
        turn = codex_turn(thread_id=THREAD, subagent_kind="review", thread_source="subagent")
        more = {"x-openai-subagent": "review", "thread-id": THREAD, "x-codex-turn-metadata": turn}
        socket = self.socket(**more)
        self.assertEqual((socket.session, socket.sub_agent), (SESSION, "review"))
        told = {"thread_id": THREAD, "x-openai-subagent": "review", "x-codex-turn-metadata": turn}
        self.assertEqual(self.asked(socket, codex_body("Review.", **told)).sub_agent, "review")

    def test_spawned(self) -> None:
        """An agent that was spawned goes by its own name."""
        turn = codex_turn(thread_id=THREAD, agent_name="/root/look", subagent_kind="thread_spawn")
        more = {"x-openai-subagent": "collab_spawn", "x-codex-turn-metadata": turn}
        self.assertEqual(self.socket(**more).sub_agent, "/root/look")
        told = {"x-openai-subagent": "collab_spawn", "x-codex-turn-metadata": turn}
        self.assertEqual(self.asked(self.socket(), codex_body("Look.", **told)).sub_agent, "/root/look")

    def test_turns_of_several_agents(self) -> None:
        """What one turn of a WebSocket says does not hold for the next one."""
        socket = self.socket(**{"x-openai-subagent": "review"})
        main = self.asked(socket, codex_body("Hello"))
        part = self.asked(socket, codex_body("Hello", **{"x-openai-subagent": "compact"}))
        other = self.asked(socket, codex_body("Hello", session_id=THREAD))
        self.assertEqual([who.sub_agent for who in (main, part, other)], [None, "compact", None])
        self.assertEqual([who.session for who in (main, part, other)], [SESSION, SESSION, THREAD])

    def test_workspace(self) -> None:
        """In a repository the metadata says where it is, if no message says it better."""
        turn = codex_turn(workspaces={"/srv/repository": {"has_changes": True}})
        told = {"x-codex-turn-metadata": turn}
        self.assertEqual(
            self.asked(self.socket(), codex_body("Hi", place=None, **told)).working_directory, "/srv/repository"
        )
        self.identifier = Identifier()
        self.assertEqual(self.asked(self.socket(), codex_body("Hi", **told)).working_directory, PLACE)

    def test_windows(self) -> None:
        """A path is read as JSON has it."""
        who = self.asked(self.socket(), codex_body("Hi", place="C:\\new\\täst"))
        self.assertEqual(who.working_directory, "C:\\new\\täst")

    def test_user_text(self) -> None:
        """What a user's text quotes is text."""
        other = codex_body("x", session_id="stolen", place="/stolen").decode()
        socket = self.socket()
        for text in (other, other[1:], other[other.index('"client_metadata"') :], claude_body("x").decode()):
            who = self.asked(socket, codex_body("Hello", text))
            self.assertEqual((who.session, who.working_directory), (SESSION, PLACE))
        # The message's own metadata cut off: nothing but the user's text is left.
        who = self.asked(socket, codex_body("Hello", other).partition(b'"tools":[')[0])
        self.assertEqual((who.session, who.working_directory), (SESSION, PLACE))

    def test_metadata_of_other_shapes(self) -> None:
        """Metadata that are not what they should be are none."""
        socket = self.socket()
        for shape in ([], "x", None, 7, {"session_id": ["x"]}, {"x-codex-turn-metadata": {"workspaces": []}}):
            body = b'{"type":"response.create","client_metadata":' + str(shape).replace("'", '"').encode() + b"}"
            self.assertEqual(self.asked(socket, body).session, SESSION)
        nested = b'{"client_metadata":{"a":' + b"[" * 100_000
        self.assertEqual(self.asked(socket, nested).session, SESSION)
        deep = codex_body("Hi", **{"x-codex-turn-metadata": "[" * 10_000})
        self.assertEqual(self.asked(socket, deep).session, SESSION)
        self.identifier = Identifier()
        for workspaces in ("/x", [], {}, {"relative": {}}, 7):
            who = self.asked(
                socket, codex_body("Hi", place=None, **{"x-codex-turn-metadata": codex_turn(workspaces=workspaces)})
            )
            self.assertIsNone(who.working_directory)
