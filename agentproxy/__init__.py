"""agentproxy: relays AI agents' calls to their providers, with the real credential put in on the way."""

__version__ = "0.1.0"
