"""Whom we trust: the system's roots and, with them, the configured CA file. Verification is never off."""

from __future__ import annotations

import os
from typing import Any

import idna
from OpenSSL import SSL
from service_identity.pyopenssl import verify_hostname, verify_ip_address

# Twisted documents the interface and exports it from nowhere else.
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
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


@implementer(IOpenSSLClientConnectionCreator)
class HostCreator:
    """
    Makes TLS connections to ``host``: SNI, the chain checked by OpenSSL, session tickets taken.

    Twisted's own checks the name inside the handshake, by means that cost as much as all the rest of it; here
    `verify_peer` does, before anything else is said.
    """

    def __init__(self, host: str, trust: Trust) -> None:
        options: Any = CertificateOptions(trustRoot=trust, enableSessionTickets=True)
        self._context: SSL.Context = options.getContext()
        # An address is not to be asked for by SNI (RFC 6066, 3).
        self._name = None if isIPAddress(host) or isIPv6Address(host) else idna.encode(host, uts46=True)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Called by Twisted for each connection."""
        connection = SSL.Connection(self._context, None)
        if self._name is not None:
            connection.set_tlsext_host_name(self._name)
        return connection


def verify_peer(tls: SSL.Connection, host: str) -> None:
    """
    Check that the peer's certificate, whose chain has been verified, is for ``host``.

    :raises service_identity.VerificationError: it is for another name.
    :raises service_identity.CertificateError: its names can't be read, or it has none.
    """
    if isIPAddress(host) or isIPv6Address(host):
        verify_ip_address(tls, host)
    else:
        verify_hostname(tls, host)
