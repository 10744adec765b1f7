"""
Configuration: TOML to checked, frozen values. Reads files and the environment it is given; no Twisted, no network.

Every mistake is a `ConfigError` of one line: ``FILE: key.path: want X, got Y``, never with a secret in it.
"""

from __future__ import annotations

from agentproxy.config.describing import describe
from agentproxy.config.loading import BUILT_IN, default_file, load
from agentproxy.config.no_proxy import no_proxy_matches
from agentproxy.config.values import (
    Admin,
    CredentialSource,
    Egress,
    Limits,
    Listen,
    Log,
    Provider,
    ProxyUrl,
    Record,
    Settings,
    Timeouts,
    Upstream,
)
from agentproxy.errors import ConfigError

__all__ = [
    "BUILT_IN",
    "Admin",
    "ConfigError",
    "CredentialSource",
    "Egress",
    "Limits",
    "Listen",
    "Log",
    "Provider",
    "ProxyUrl",
    "Record",
    "Settings",
    "Timeouts",
    "Upstream",
    "default_file",
    "describe",
    "load",
    "no_proxy_matches",
]
