"""Upstream's certificate, from a throw-away authority that the peers are told to trust. It lasts for some days."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agentproxy.simulator.ca import ThrowawayCA

NAME = "localhost"
"""The name that upstream is called by over TLS, so that peers send it as SNI and verify it."""


@dataclass(frozen=True)
class Certificates:
    """
    PEM files.

    :ivar ca_file: the root, for whoever verifies.
    :ivar cert_file: upstream's certificate; ``key_file``: its private key.
    """

    ca_file: str
    cert_file: str
    key_file: str


def issue(folder: Path) -> Certificates:
    """Write a new authority's root, and a certificate for loopback by name and address, to a folder."""
    authority = ThrowawayCA("agentproxy benchmark CA")
    certificate = authority.issue(NAME, "127.0.0.1")
    files = {"ca.pem": authority.pem, "cert.pem": certificate.cert_pem, "key.pem": certificate.key_pem}
    for name, content in files.items():
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    return Certificates(*(str(folder / name) for name in files))
