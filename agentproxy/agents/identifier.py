"""
Finds out who calls: by what the client says, else by what its calls have in common.

Where no session is stated, a request that follows a response belongs to that response's session; requests of one
agent at one provider whose conversation begins the same belong together; and a WebSocket is a session by itself.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agentproxy.agents.bodies import READERS, claude_session
from agentproxy.agents.heads import parent_of, read_head
from agentproxy.agents.opening import (
    INPUT,
    MESSAGES,
    conversation,
    conversation_key,
    digest,
    opening,
    previous_response,
)
from agentproxy.agents.products import Products
from agentproxy.agents.who import Who, name
from agentproxy.wire.head import RequestHead

_K = TypeVar("_K")
_V = TypeVar("_V")

MOST_ID = 256
"""Characters of a response's id; a longer one is not remembered."""
PREFIX = "inferred-"
"""What the name of an inferred session begins with; 16 hex digits follow."""


@dataclass(slots=True)
class _Known:
    """What is known of a session."""

    working_directory: str | None = None
    sub_agent: str | None = None


class Identifier:
    """
    Says who calls, and remembers enough to say it of the next call.

    :param most: sessions, sessions that are parts of others, and responses that are remembered; of each kind so many.
        The one that was of use longest ago goes first.
    :param random: so many random bytes, for the names of sessions that nothing else names.
    """

    def __init__(self, *, most: int = 10_000, random: Callable[[int], bytes] = os.urandom) -> None:
        self._most = most
        self._random = random
        self._products = Products()
        self._responses: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._sessions: OrderedDict[tuple[str | None, str], _Known] = OrderedDict()
        self._parents: OrderedDict[tuple[str | None, str], str] = OrderedDict()

    def begin(self, provider: str, head: RequestHead) -> Who:
        """
        Who sends this request, as far as its head says.

        :param provider: the name of the provider that it is sent to.
        """
        who = Who(provider=provider)
        who.agent, who.agent_version = self._products.read(head.first(b"user-agent"))
        read_head(who, head)
        parent = parent_of(head)
        if parent is not None and who.session is not None:
            self._belong(who, who.session, parent)
        if who.session is None:
            who.conversation_key = conversation_key(head.path)
        if b"upgrade" in head.connection:
            who.socket = True
            if who.session is None:
                who.infer(self._made_up())
        return who

    def asked(self, who: Who, body: bytes) -> None:
        """
        Refine it by what was asked for.

        :param who: the call's; of a WebSocket the turn's own copy of it.
        :param body: an HTTP request's, decoded, or its beginning and its end, or a WebSocket message that asks for a
            turn. All of it is searched.
        """
        known = None if who.session is None else self._sessions.get((who.agent, who.session))
        read = READERS.get(who.agent or "")
        if read is not None:
            read(who, body, known is None or known.working_directory is None)
        if who.session_source != "stated":
            self._state_or_infer(who, body)
        self._know(who)

    def settle(self, who: Who, response_id: str | None) -> None:
        """
        A turn has ended.

        :param response_id: its response's id: what follows that belongs to the same session.
        """
        if who.session is None:
            who.infer(self._made_up())
        if response_id and len(response_id) <= MOST_ID and who.session is not None:
            self._put(self._responses, (who.provider, response_id), who.session)

    def _state_or_infer(self, who: Who, body: bytes) -> None:
        if who.conversation_key == MESSAGES:
            who.state(claude_session(body))
        elif who.conversation_key == INPUT:
            who.state(name(conversation(body)))
            if who.session_source != "stated" and self._follow(who, body):
                return
        if who.session is None:
            parts = opening(body, who.conversation_key)
            if parts is not None:
                who.infer(PREFIX + digest(who.provider, who.agent or "", *parts))

    def _follow(self, who: Who, body: bytes) -> bool:
        """Put a request that follows a response where that one belongs; whether it follows one."""
        previous = previous_response(body)
        if previous is None:
            return False
        session = self._get(self._responses, (who.provider, previous))
        if session is not None:
            who.infer(session)
        elif who.session is None:
            who.infer(PREFIX + digest(who.provider, previous))
        return True

    def _know(self, who: Who) -> None:
        """Fill in what is known of the session, and know what is new of it."""
        if who.session is None:
            return
        key = (who.agent, who.session)
        known = self._get(self._sessions, key)
        if known is None:
            known = _Known(who.working_directory, who.sub_agent)
            self._put(self._sessions, key, known)
            return
        if who.working_directory is None:
            who.working_directory = known.working_directory
        elif known.working_directory is None:
            known.working_directory = who.working_directory
        # A stated session has several parts, of which each call names its own. One that was inferred is of one part,
        # which may have said so in its first call alone.
        if who.session_source == "inferred" and who.sub_agent is None:
            who.sub_agent = known.sub_agent

    def _belong(self, who: Who, session: str, parent: str) -> None:
        """Put a session that is a part of another under the one that all began with."""
        root = self._get(self._parents, (who.agent, parent)) or parent
        if root == session:
            return
        self._put(self._parents, (who.agent, session), root)
        who.session = root
        if who.sub_agent is None:
            who.sub_agent = session

    def _made_up(self) -> str:
        return PREFIX + self._random(8).hex()

    def _get(self, table: OrderedDict[_K, _V], key: _K) -> _V | None:
        value = table.get(key)
        if value is not None:
            table.move_to_end(key)
        return value

    def _put(self, table: OrderedDict[_K, _V], key: _K, value: _V) -> None:
        table[key] = value
        table.move_to_end(key)
        if len(table) > self._most:
            table.popitem(last=False)
