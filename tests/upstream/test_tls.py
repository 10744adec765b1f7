"""TLS to upstream and to a TLS proxy: whom we ask for, whom we trust, and that nothing is said to anybody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from agentproxy.config import ProxyUrl, Upstream
from agentproxy.errors import UpstreamUnreachable
from agentproxy.simulator.ca import ServerCertificate, ThrowawayCA
from agentproxy.upstream.connector import Connector
from agentproxy.upstream.tls import Trust
from tests.fakes import FakeTransport, timers
from tests.upstream.harness import Inner, Net, NoFactory, TlsPeer, UpstreamCase, build, outbound, pump

CA = ThrowawayCA()
SECRET = b"Bearer sk-not-for-strangers"
VERIFY = "Failed the TLS handshake with api.example:443: certificate verify failed"
HINT = " (if the certificate is your company's, name its CA in egress.ca_file)."


def nameless() -> ServerCertificate:
    """A certificate of our authority without alternative names; the common name does not count (RFC 9110, 4.3.4)."""
    with_names = x509.load_pem_x509_certificate(CA.issue("api.example").cert_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(with_names.subject)
        .issuer_name(with_names.issuer)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(with_names.not_valid_before_utc)
        .not_valid_after(with_names.not_valid_after_utc)
        .sign(CA._key, hashes.SHA256())
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ServerCertificate(encoded, certificate.public_bytes(serialization.Encoding.PEM))


class TlsCase(UpstreamCase):
    def setUp(self) -> None:
        self.net = Net()
        self.phases: list[str] = []

    def connector(self, host: str = "api.example", proxy: ProxyUrl | None = None, trusted: bool = True) -> Connector:
        ca_file = None
        if trusted:
            ca_file = self.mktemp()
            Path(ca_file).write_bytes(CA.pem)
        upstream = Upstream("https", host, 443, "")
        return Connector(self.net, upstream, proxy, Trust(ca_file), 10.0, lambda phase, _: self.phases.append(phase))

    def meet(
        self, certificate: ServerCertificate, host: str = "api.example", trusted: bool = True
    ) -> tuple[Deferred[Any], FakeTransport, TlsPeer]:
        """Connect to a server with this certificate, with a request ready to be sent."""
        peer = TlsPeer(self.net, certificate)
        connection = build(self.net, lambda *_: None)
        waiting: Deferred[Any] = self.connector(host, trusted=trusted).connect(Factory.forProtocol(lambda: connection))
        waiting.addCallback(lambda it: it.request(outbound(fields=[(b"Authorization", SECRET)]), None))
        transport = self.net.take()
        pump(self.net, transport, peer.transport)
        return waiting, transport, peer


class VerifiedTests(TlsCase):
    def test_right(self) -> None:
        """With the right certificate the request goes out, TLS over TCP, and its answer comes back."""
        waiting, transport, peer = self.meet(CA.issue("api.example"))
        self.assertEqual(self.phases, ["connect", "tls"])
        self.assertEqual(peer.names, [b"api.example"])
        self.assertIn(SECRET, peer.inner.data)
        peer.inner.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        pump(self.net, transport, peer.transport)
        self.assertEqual(self.successResultOf(waiting).code, 204)
        self.assertEqual(timers(self.net), [])

    def test_names(self) -> None:
        """A wildcard's and an address's certificate are right too; an address is not asked for by SNI."""
        for host, name, asked in (
            ("eu.api.example", "*.api.example", [b"eu.api.example"]),
            ("192.0.2.9", "192.0.2.9", [None]),
            ("2001:db8::1", "2001:db8::1", [None]),
        ):
            self.setUp()
            _, _, peer = self.meet(CA.issue(name), host)
            self.assertIn(SECRET, peer.inner.data)
            self.assertEqual(peer.names, asked)

    def test_buffer(self) -> None:
        """The socket below the TLS holds as much as the limit says before the sender is paused."""
        _, transport, _ = self.meet(CA.issue("api.example"))
        self.assertEqual(transport.bufferSize, 123456)


class RefusedTests(TlsCase):
    def check_refused(self, certificate: ServerCertificate, message: str, *, trusted: bool = True) -> None:
        waiting, transport, peer = self.meet(certificate, trusted=trusted)
        error = self.failed(waiting, "tls")
        self.assertIsInstance(error, UpstreamUnreachable)
        self.assertEqual(error.message, message)
        self.assertEqual(peer.inner.data, b"")
        self.assertFalse(transport.connected)
        self.assertNotIn("tls", self.phases)
        self.assertEqual(timers(self.net), [])

    def test_wrong_name(self) -> None:
        """A certificate for another name is refused as such, and nothing was said to its owner."""
        wrong = "Failed the TLS handshake with api.example:443: the certificate is for another name."
        for names in (("other.example",), ("192.0.2.9",), ("example",), ("*.api.example",)):
            self.setUp()
            self.check_refused(CA.issue(*names), wrong)

    def test_no_name(self) -> None:
        """A trusted authority's certificate is not everybody's where its names can't be read or it has none."""
        unnamed = "Failed the TLS handshake with api.example:443: the certificate has no name that can be checked."
        for certificate in (CA.issue("*.example", "other.example"), nameless()):
            self.setUp()
            self.check_refused(certificate, unnamed)

    def test_expired(self) -> None:
        """A certificate that has ended is refused."""
        self.check_refused(CA.issue("api.example", expired=True), VERIFY + HINT)

    def test_unknown_ca(self) -> None:
        """A certificate of an authority that we don't know is refused, with what a company's user can do."""
        self.check_refused(CA.issue("api.example"), VERIFY + HINT, trusted=False)
        self.setUp()
        self.check_refused(ThrowawayCA("another").issue("api.example"), VERIFY + HINT)

    def test_no_tls(self) -> None:
        """What does not speak TLS has failed the handshake at once."""
        waiting = self.connector().connect(Factory.forProtocol(Inner))
        transport = self.net.take()
        transport.protocol.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertTrue(transport.disconnecting)
        transport.lost()
        error = self.failed(waiting, "tls")
        self.assertTrue(error.message.startswith("Failed the TLS handshake with api.example:443: "), error.message)
        self.assertEqual(timers(self.net), [])

    def test_no_protocol(self) -> None:
        """A factory that builds nothing fails the attempt and drops the connection."""
        waiting = self.connector().connect(NoFactory())
        peer = TlsPeer(self.net, CA.issue("api.example"))
        transport = self.net.take()
        pump(self.net, transport, peer.transport)
        self.failureResultOf(waiting)
        self.assertFalse(transport.connected)
        self.assertEqual(timers(self.net), [])


class TlsProxy(Inner):
    """A CONNECT proxy behind TLS, whose tunnel leads to a TLS server."""

    def __init__(self, upstream: FakeTransport) -> None:
        super().__init__()
        self._upstream = upstream
        self.asked = b""

    def dataReceived(self, data: bytes) -> None:
        if not self.asked:
            self.asked = data
            self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            self._upstream.protocol.dataReceived(data)


class NestedTests(TlsCase):
    def test_tls_in_tls(self) -> None:
        """Through a TLS proxy each hop's name is asked for and verified, and the request is upstream's alone."""
        upstream = TlsPeer(self.net, CA.issue("api.example"))
        proxy = TlsPeer(self.net, CA.issue("squid.corp"))
        inner = TlsProxy(upstream.transport)
        proxy.transport.protocol.wrappedProtocol = inner
        inner.makeConnection(proxy.transport.protocol)
        connection = build(self.net, lambda *_: None)
        connector = self.connector(proxy=ProxyUrl("https", "squid.corp", 3129))
        waiting: Deferred[Any] = connector.connect(Factory.forProtocol(lambda: connection))
        waiting.addCallback(lambda it: it.request(outbound(fields=[(b"Authorization", SECRET)]), None))
        transport = self.net.take()

        def carry() -> None:
            for _ in range(6):
                pump(self.net, transport, proxy.transport)
                inner.transport.write(upstream.transport.taken())

        carry()
        self.assertEqual(self.phases, ["connect", "tls", "tunnel", "tls"])
        self.assertEqual((proxy.names, upstream.names), ([b"squid.corp"], [b"api.example"]))
        self.assertTrue(inner.asked.startswith(b"CONNECT api.example:443 HTTP/1.1\r\n"))
        self.assertIn(SECRET, upstream.inner.data)
        self.assertEqual(transport.bufferSize, 123456)
        upstream.inner.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.net.advance(0)
        carry()
        pump(self.net, transport, proxy.transport)
        self.assertEqual(self.successResultOf(waiting).code, 204)
        self.assertEqual(timers(self.net), [])

    def test_proxy_not_trusted(self) -> None:
        """A TLS proxy with the wrong name is not even asked to CONNECT."""
        proxy = TlsPeer(self.net, CA.issue("other.corp"))
        waiting = self.connector(proxy=ProxyUrl("https", "squid.corp", 3129)).connect(Factory.forProtocol(Inner))
        pump(self.net, self.net.take(), proxy.transport)
        error = self.failed(waiting, "tls")
        self.assertIn("squid.corp:3129", error.message)
        self.assertEqual(proxy.inner.data, b"")
        self.assertEqual(timers(self.net), [])
