"""
The providers, simulated: HTTP/1.1, server-sent events and WebSocket on one port, for demo, tests and benchmark.

It may use `wire` and nothing else of ours. The scripted paths are listed in `scripted` and `sockets`.
"""

from agentproxy.simulator.ca import ServerCertificate, ServerContext, ThrowawayCA
from agentproxy.simulator.connect_proxy import ConnectProxy
from agentproxy.simulator.journal import Seen, SeenSocket
from agentproxy.simulator.script import GREETING, Script
from agentproxy.simulator.serve import NAMES, Served, TlsFactory, serve
from agentproxy.simulator.server import Simulator

__all__ = [
    "GREETING",
    "NAMES",
    "ConnectProxy",
    "Script",
    "Seen",
    "SeenSocket",
    "Served",
    "ServerCertificate",
    "ServerContext",
    "Simulator",
    "ThrowawayCA",
    "TlsFactory",
    "serve",
]
