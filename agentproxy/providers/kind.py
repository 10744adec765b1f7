"""What a provider kind is: data and pure functions. One file a kind; `providers` gathers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agentproxy.errors import ProxyError
from agentproxy.usage import Ended, TurnReader

Fields = list[tuple[bytes, bytes]]
"""Header fields in order, each as name (any case) and value."""


@dataclass(frozen=True, slots=True)
class Slot:
    """
    A credential that a provider of a kind can have.

    :ivar key: its key in the provider's table (``credential``, ``organization``, ...).
    :ivar env: the environment variable it is read from where the table names no source; ``None``: no default.
    """

    key: str
    env: str | None


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A provider kind.

    :ivar slots: the credentials it can have; the first is ``credential``.
    :ivar needs: sets of slots' keys, any one of which, whole, makes a provider configured.
    :ivar credential_headers: lower-case header names in which its clients send credentials or accounts.
    :ivar credential_query: lower-case query parameters in which they do.
    :ivar credential_subprotocols: lower-case prefixes of WebSocket subprotocols in which they do.
    :ivar inject: (secrets by slot, header fields without any credential, upstream host) to the fields to send.
    :ivar error_body: (error, request id) to the JSON value that the provider's clients expect.
    :ivar reader: (method, path, is it an upgrade, told each turn that has ended) to what reads the turns of a call, of
        an upgrade a `SocketTurns`; ``None`` where it has none, or where what it says is not understood.
    """

    name: str
    slots: tuple[Slot, ...]
    needs: tuple[frozenset[str], ...]
    credential_headers: frozenset[bytes]
    credential_query: frozenset[bytes]
    credential_subprotocols: tuple[bytes, ...]
    inject: Callable[[Mapping[str, str], Fields, str], Fields]
    error_body: Callable[[ProxyError, str], object]
    reader: Callable[[bytes, bytes, bool, Ended], TurnReader | None]


def without(fields: Sequence[tuple[bytes, bytes]], *names: bytes) -> Fields:
    """The fields but those of these lower-case names."""
    return [field for field in fields if field[0].lower() not in names]


def has(fields: Sequence[tuple[bytes, bytes]], name: bytes) -> bool:
    """Whether a field of this lower-case name is there with a value."""
    return any(key.lower() == name and value for key, value in fields)
