"""Who calls, as a value, and what becomes of a text from outside before it is put into one."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import Literal

MOST_NAME = 128
"""Characters of a session, an agent or a part of one."""
MOST_DIRECTORY = 512
"""Characters of a directory."""

# What no session begins with, and keys and tokens do.
_CREDENTIAL = re.compile(
    r"(?:sk-|[ers]k_|eyJ|gh[oprsu]_|github_pat_|AIza|ya29\.|xox[a-z]-|AKIA|ASIA|(?i:bearer |basic |token ))"
)
_ROOTED = re.compile(r"/|~|\\\\|[A-Za-z]:[\\/]")


@dataclass(slots=True)
class Who:
    """
    Who calls.

    :ivar session: printable, at most `MOST_NAME` characters; ``session_source``: whether the client said so
        (``stated``), or it was made up by what the calls have in common (``inferred``).
    :ivar agent: ``codex``, ``claude-code``, ``copilot``, ``opencode``, ``gemini-cli``, or the first product of the
        User-Agent in lower case, such as ``curl`` or ``openai-python``.
    :ivar sub_agent: the part of the agent that calls, where the client tells it from the main one: a name, or an id.
    :ivar working_directory: absolute.
    :ivar provider: the name of the provider that was called; ``socket``: whether over a WebSocket.
    :ivar conversation_key: where in a body its conversation is, by the path that was called (`opening`);
        empty where the head states a session.
    """

    session: str | None = None
    session_source: Literal["stated", "inferred"] | None = None
    agent: str | None = None
    agent_version: str | None = None
    sub_agent: str | None = None
    working_directory: str | None = None
    provider: str = ""
    socket: bool = False
    conversation_key: bytes = b""

    def state(self, session: str | None) -> None:
        """Note the session that the client says it is, unless that is none."""
        if session is not None:
            self.session = session
            self.session_source = "stated"

    def infer(self, session: str) -> None:
        """Note a session that was made up."""
        self.session = session
        self.session_source = "inferred"

    def copy(self) -> Who:
        """Another of the same, for a turn of a WebSocket: what it says of itself is not to be its socket's."""
        return copy.copy(self)


def name(value: object) -> str | None:
    """
    A text from outside as a name: printable, at most `MOST_NAME` characters.

    :param value: bytes, a string, or anything else, which is no name.
    :returns: ``None`` where nothing is left of it, or it looks like a credential.
    """
    return _clean(value, MOST_NAME)


def directory(value: object) -> str | None:
    """The same as an absolute directory, of POSIX or of Windows; ``None`` where it does not look like one."""
    text = _clean(value, MOST_DIRECTORY)
    return text if text is not None and _ROOTED.match(text) else None


def _clean(value: object, most: int) -> str | None:
    if isinstance(value, bytes):
        # Four bytes are the longest character; what is cut or broken is left out.
        text = value[: 4 * most].decode("utf-8", "ignore")
    elif isinstance(value, str):
        text = value[: 4 * most]
    else:
        return None
    if not text.isprintable():
        text = "".join(filter(str.isprintable, text))
    text = text[:most].strip()
    if not text or _CREDENTIAL.match(text):
        return None
    return text


def unescaped(literal: bytes) -> str | None:
    """What the inside of a JSON string says; ``None`` where it is none."""
    try:
        if b"\\" not in literal:
            return literal.decode()
        value = json.loads(b'"%b"' % literal)
    except ValueError:
        return None
    return value if isinstance(value, str) else None
