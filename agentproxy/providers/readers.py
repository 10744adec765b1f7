"""
Which reader reads a call's turns: the kind's own, or else that of the API whose path it is, since gateways of one kind
serve others too.
"""

from __future__ import annotations

from typing import cast
from urllib.parse import unquote_to_bytes

from agentproxy.providers import anthropic_turns, gemini_turns, openai_reader
from agentproxy.providers.kind import Kind
from agentproxy.usage import Ended, SocketTurns, TurnReader

_READERS = (openai_reader.reader, anthropic_turns.reader, gemini_turns.reader)


def turn_reader(kind: Kind, method: bytes, path: bytes, ended: Ended) -> TurnReader | None:
    """
    The reader for an HTTP call's turn.

    :param path: of the request, with its query or without.
    :param ended: told each turn once, when it has ended.
    :returns: ``None`` where the call asks for none.
    """
    if method != b"POST":
        return None
    # As whoever serves it may read it.
    path = unquote_to_bytes(path.partition(b"?")[0])
    for make in (kind.reader, *_READERS):
        reader = make(method, path, False, ended)
        if reader is not None:
            return reader
    return None


def socket_reader(kind: Kind, target: bytes, ended: Ended) -> SocketTurns | None:
    """
    The reader for a WebSocket's turns.

    :param target: of the request, with its query.
    :param ended: told each turn once, when it has ended.
    :returns: ``None`` where the kind's sockets mean nothing to us.
    """
    # What the kinds make for an upgrade reads sockets.
    return cast(SocketTurns | None, kind.reader(b"GET", target, True, ended))
