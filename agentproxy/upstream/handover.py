"""Hands a connected transport from one protocol to the next, so that the first need not stand between for ever."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocol, ITransport
from twisted.protocols.policies import ProtocolWrapper


def hand_over(transport: ITransport, protocol: IProtocol) -> None:
    """
    Make ``protocol`` the one that the transport's bytes go to, and connect it.

    A TCP transport names its reader ``protocol``; TLS, a `ProtocolWrapper`, ``wrappedProtocol``.
    """
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol  # type: ignore[attr-defined]
    protocol.makeConnection(transport)
