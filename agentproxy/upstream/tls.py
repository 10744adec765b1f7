"""Whom we trust: the system's roots and, with them, the configured CA file. Verification is never off."""

from __future__ import annotations

import os
from typing import Any

from OpenSSL import SSL
from service_identity.pyopenssl import verify_hostname, verify_ip_address

# Twisted documents the interface and exports it from nowhere else.
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import optionsForClientTLS
from zope.interface import implementer

# OpenSSL as it comes with `cryptography` knows no system's paths, and SSL_CERT_FILE hides those of one that does.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@implementer(IOpenSSLTrustRoot)
class Trust:
    """
    The system's roots and a PEM file added to them.

    :param ca_file: the file's path, or ``None``.
    """

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        """Called by Twisted for each client context."""
        context.set_default_verify_paths()
        for bundle in _SYSTEM_BUNDLES:
            if os.path.exists(bundle):
                context.load_verify_locations(bundle)
                break
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)


def client_options(host: str, trust: Trust) -> IOpenSSLClientConnectionCreator:
    """TLS options for ``host``: SNI, its name or address checked against the certificate, session tickets taken."""
    options: Any = optionsForClientTLS(host, trustRoot=trust, extraCertificateOptions={"enableSessionTickets": True})
    creator: IOpenSSLClientConnectionCreator = options
    return creator


def verify_peer(tls: SSL.Connection, host: str) -> None:
    """
    Check that the peer's certificate, whose chain has been verified, is for ``host``.

    Twisted checks this too, yet logs a certificate whose names can't be read, or that has none, and takes it.

    :raises service_identity.VerificationError: it is for another name.
    :raises service_identity.CertificateError: its names can't be read, or it has none.
    """
    if isIPAddress(host) or isIPv6Address(host):
        verify_ip_address(tls, host)
    else:
        verify_hostname(tls, host)
