"""Counts the responses that run on a WebSocket, from a copy of its messages, so that a drain need not cut one off."""

from __future__ import annotations

from collections.abc import Callable

from agentproxy.providers.kind import Turn
from agentproxy.wire.deflate import DeflateParams, Inflater
from agentproxy.wire.messages import MessageReader

_ENOUGH = 128
"""Bytes of a message that are looked at: what it is stands first."""


class TurnCount:
    """
    :param turn: the provider kind's reading of a message.
    :param deflate: what was negotiated, if anything.
    """

    __slots__ = ("_deflate", "_readers", "_running", "_seen", "_turn", "_unclear", "_understood")

    def __init__(self, turn: Callable[[bool, bytes], Turn | None], deflate: DeflateParams | None) -> None:
        self._turn = turn
        self._deflate = deflate
        self._readers: list[MessageReader] = []
        self._running = 0
        self._seen = False
        self._understood = False
        self._unclear = False

    @property
    def running(self) -> int | None:
        """Responses running now; ``None`` where the socket's messages are not understood."""
        if self._unclear or any(reader.degraded for reader in self._readers):
            return None
        if not self._seen or self._understood:
            return self._running
        return None

    def tap(self, *, from_client: bool) -> MessageReader:
        """What follows one direction's messages."""

        read = self._turn

        def message(is_text: bool, data: bytes, truncated: bool) -> None:
            self._seen = True
            turn = read(from_client, data)
            if turn is not None:
                self._count(turn)

        reader = MessageReader(message, inflate=self._inflater(from_client), max_bytes=_ENOUGH)
        self._readers.append(reader)
        return reader

    def _count(self, turn: Turn) -> None:
        if turn == "unclear":
            self._unclear = True
            return
        self._understood = True
        if turn == "begin":
            self._running += 1
        elif turn == "running":
            self._running = max(self._running, 1)
        else:
            self._running = max(self._running - 1, 0)

    def _inflater(self, from_client: bool) -> Inflater | None:
        deflate = self._deflate
        if deflate is None:
            return None
        if from_client:
            return Inflater(
                window_bits=deflate.client_window_bits, no_context_takeover=deflate.client_no_context_takeover
            )
        return Inflater(window_bits=deflate.server_window_bits, no_context_takeover=deflate.server_no_context_takeover)
