"""The peers, and what stands beside them: Squid and upstream's certificate."""

from __future__ import annotations

from pathlib import Path

from bench import machine
from bench.peers.agentproxy import Agentproxy
from bench.peers.direct import Direct
from bench.peers.litellm import LiteLLM
from bench.peers.mitmproxy import Mitmproxy
from bench.peers.nginx import Nginx
from bench.peers.node import Node
from bench.peers.peer import Peer, Route, Running
from bench.peers.process import PeerFailed
from bench.peers.tcp import Tcp

__all__ = ["Peer", "PeerFailed", "Route", "Running", "find_program", "peers"]


def peers(mitmproxy: Path | None = None, litellm: Path | None = None, python: Path | None = None) -> list[Peer]:
    """
    Every peer, agentproxy first, in the order of the report, those that can't run here too.

    :param mitmproxy: the program ``mitmdump``; ``None``: where ``bench/run`` puts it, else on PATH.
    :param litellm: the program ``litellm``, likewise.
    :param python: an interpreter that has agentproxy installed, to measure that one; ``None``: this checkout's.
    """
    return [
        Agentproxy(python),
        Nginx(),
        Node(),
        Mitmproxy(mitmproxy or find_program("mitmdump", ".venv-mitmproxy")),
        LiteLLM(litellm or find_program("litellm", ".venv-litellm")),
        Tcp(),
        Direct(),
    ]


def find_program(name: str, folder: str) -> Path | None:
    """A program in one of the benchmark's virtual environments, else on PATH."""
    own = machine.ROOT / "bench" / folder / "bin" / name
    if own.exists():
        return own
    found = machine.find(name)
    return Path(found) if found else None
