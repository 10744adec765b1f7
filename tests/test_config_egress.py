"""The way out: proxies from the file and the environment, NO_PROXY, trusted authorities."""

from __future__ import annotations

import base64
import ipaddress
import os
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy import config
from agentproxy.config import ConfigError, ProxyUrl, no_proxy_matches
from tests.config_case import SECRET, ConfigCase


class ProxyTests(ConfigCase):
    def egress(self, environ: dict[str, str], text: str = "") -> config.Egress:
        return self.load(text, environ).egress

    def hosts(self, environ: dict[str, str]) -> tuple[str | None, str | None]:
        egress = self.egress(environ)
        return egress.https and egress.https.host, egress.http and egress.http.host

    def test_environment(self) -> None:
        """Each scheme has its variable, lower case before upper, ALL_PROXY behind both; an empty one is none."""
        cases: list[tuple[dict[str, str], tuple[str | None, str | None]]] = [
            ({}, (None, None)),
            ({"HTTPS_PROXY": "http://a:1"}, ("a", None)),
            ({"HTTP_PROXY": "http://a:1"}, (None, "a")),
            ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, ("a", None)),
            ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, ("b", None)),
            ({"ALL_PROXY": "http://a:1"}, ("a", "a")),
            ({"all_proxy": "http://a:1", "HTTP_PROXY": "http://b:1"}, ("a", "b")),
            ({"all_proxy": "socks5://a:1", "HTTP_PROXY": "http://b:1", "HTTPS_PROXY": "http://c:1"}, ("c", "b")),
        ]
        for environ, hosts in cases:
            with self.subTest(environ):
                self.assertEqual(self.hosts(environ), hosts)

    def test_bare_variable(self) -> None:
        """A variable without a scheme is an http proxy."""
        self.assertEqual(self.egress({"HTTPS_PROXY": "squid:3128"}).https, ProxyUrl("http", "squid", 3128))

    def test_urls(self) -> None:
        """Ports by scheme, IPv6 without brackets, one slash at the end."""
        cases = {
            "http://squid": ProxyUrl("http", "squid", 80),
            "https://Squid.Example/": ProxyUrl("https", "squid.example", 443),
            "HTTP://[::1]:3128/": ProxyUrl("http", "::1", 3128),
        }
        for url, proxy in cases.items():
            with self.subTest(url):
                egress = self.egress({"HTTP_PROXY": "http://other:1"}, f'[egress]\nproxy = "{url}"\n')
                self.assertEqual((egress.https, egress.http), (proxy, proxy))

    def test_direct(self) -> None:
        """ "direct" looks at no variable."""
        environ = {"HTTPS_PROXY": "socks5://a:1", "NO_PROXY": "x"}
        self.assertEqual(self.egress(environ, '[egress]\nproxy = "direct"\n'), config.Egress(None, None, (), None))

    @settings(max_examples=60)
    @given(st.text(min_size=1, max_size=20).filter(lambda name: ":" not in name), st.text(max_size=20))
    def test_authorization(self, user: str, password: str) -> None:
        """User and password, percent-encoded, become the value of a Basic authorization (RFC 7617)."""
        try:
            url = f"http://{quote(user, safe='')}:{quote(password, safe='')}@squid:3128"
        except UnicodeEncodeError:
            return
        proxy = config.urls.parse_proxy(url)
        assert proxy.authorization is not None
        scheme, _, value = proxy.authorization.reveal().partition(" ")
        self.assertEqual(scheme, "Basic")
        self.assertEqual(base64.b64decode(value).decode(), f"{user}:{password}")

    def test_refused_urls(self) -> None:
        """What is no http or https proxy is refused; its text is never shown."""
        want = 'egress.proxy: want "env", "direct" or an http:// or https:// proxy, got '
        cases = {
            "": "an empty string",
            "squid:3128": "a string that is none",
            "socks5://squid:1080": "a socks5:// one",
            f"SOCKS5H://u:{SECRET}@squid:1080": "a socks5h:// one",
            f"ftp://{SECRET}": "a string that is none",
            f"http://u:{SECRET}@": "a string that is none",
            f"http://u:{SECRET}/x@squid:3128": "a string that is none",
            f"http://u:{SECRET}@squid:0": "one without a right host and port",
            f"http://a%3Ab:{SECRET}@squid": "one with a colon in its user name",
            f"http://squid:3128/{SECRET}": "a string that is none",
            f"http://squid:{SECRET}": "one without a right host and port",
        }
        for url, got in cases.items():
            with self.subTest(url):
                self.assertEqual(self.refused(f'[egress]\nproxy = "{url}"\n'), want + got)
        self.assertEqual(self.refused("[egress]\nproxy = 1\n"), want + "an integer")

    def test_refused_variables(self) -> None:
        """A wrong variable is named, as it is spelled; its text is not shown."""
        want = "egress.proxy: want an http:// or https:// proxy in "
        for environ, line in (
            ({"https_proxy": f"socks5://u:{SECRET}@a:1"}, "https_proxy, got a socks5:// one"),
            ({"ALL_PROXY": "socks4a://a:1"}, "ALL_PROXY, got a socks4a:// one"),
            ({"HTTP_PROXY": f"http://{SECRET}:x"}, "HTTP_PROXY, got one without a right host and port"),
        ):
            with self.subTest(environ):
                self.assertEqual(self.refused("", environ), want + line)
                error = self.assertRaises(ConfigError, config.load, None, environ)
                self.assertTrue(str(error).startswith("built-in default: egress.proxy: "))

    def test_no_proxy(self) -> None:
        """The configuration's entries are added to NO_PROXY's, which count with "env" only."""
        text = '[egress]\nno_proxy = [".b", "10.0.0.0/8"]\n'
        environ = {"NO_PROXY": "upper", "no_proxy": " a.example, c\td ,,"}
        self.assertEqual(self.egress(environ, text).no_proxy, ("a.example", "c", "d", ".b", "10.0.0.0/8"))
        self.assertEqual(self.egress(environ, text + 'proxy = "http://a:1"').no_proxy, (".b", "10.0.0.0/8"))

    def test_wrong_no_proxy(self) -> None:
        """An entry of the configuration that could match nothing is refused."""
        want = "egress.no_proxy[1]: want a host, .suffix, address or CIDR, got "
        for entry in ("10.0.0.0/99", "http://a", "a b", "a,b", "a:b", "."):
            with self.subTest(entry):
                self.assertEqual(self.refused(f'[egress]\nno_proxy = ["a", "{entry}"]\n'), f'{want}"{entry}"')
        for entry in ("*", "a", ".a.b", "*.a", "a:1", "::1", "[::1]:443", "10.0.0.1", "fd00::/8", "my_host"):
            with self.subTest(entry):
                self.load(f'[egress]\nno_proxy = ["{entry}"]\n')

    def test_proxy_for(self) -> None:
        """The scheme's proxy, but for what no_proxy names."""
        egress = self.egress({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "b.example"})
        self.assertEqual(egress.proxy_for("https", "a.example", 443), ProxyUrl("http", "a", 1))
        self.assertIsNone(egress.proxy_for("https", "x.b.example", 443))
        self.assertIsNone(egress.proxy_for("http", "a.example", 80))


class CaFileTests(ConfigCase):
    def authorities(self) -> str:
        """A PEM file of one certificate: it is read, never used."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1), datetime(2021, 1, 1))
        certificate = builder.sign(key, hashes.SHA256())
        path = Path(self.mktemp())
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)

    def test_environment(self) -> None:
        """ "env" is SSL_CERT_FILE, or nothing."""
        path = self.authorities()
        self.assertEqual(self.load("", {"SSL_CERT_FILE": path}).egress.ca_file, os.path.abspath(path))
        self.assertIsNone(self.load("", {"SSL_CERT_FILE": ""}).egress.ca_file)

    def test_named(self) -> None:
        """A relative file belongs to the configuration's folder and becomes absolute."""
        source = self.authorities()
        path = self.write('[egress]\nca_file = "ca.pem"\n')
        target = Path(path).with_name("ca.pem")
        target.write_bytes(Path(source).read_bytes())
        self.assertEqual(config.load(path, {"SSL_CERT_FILE": "/nowhere"}, ()).egress.ca_file, str(target.absolute()))

    def test_refused(self) -> None:
        """A file that isn't there or has no certificate is refused, whoever names it."""
        want = "egress.ca_file: want a readable file of PEM certificates"
        missing = os.path.abspath(self.mktemp())
        line = f'{want}, got "{missing}": No such file or directory'
        self.assertEqual(self.refused(f'[egress]\nca_file = "{missing}"\n'), line)
        line = f'{want} in SSL_CERT_FILE, got "{missing}": No such file or directory'
        self.assertEqual(self.refused("", {"SSL_CERT_FILE": missing}), line)
        for text in ("", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            Path(missing).write_text(text)
            line = f'{want}, got "{missing}": no certificate in it'
            self.assertEqual(self.refused(f'[egress]\nca_file = "{missing}"\n'), line)
        self.assertIn("got 1", self.refused("[egress]\nca_file = 1\n"))


class NoProxyTests(SynchronousTestCase):
    def test_table(self) -> None:
        """What each form of an entry matches, and what it does not."""
        right = [
            ("a.example", "a.example"), ("A.example", "a.EXAMPLE"), ("a.example.", "a.example"),
            ("x.a.example", "a.example"), ("x.a.example", ".a.example"), ("y.x.a.example", "*.a.example"),
            ("a.example", "*"), ("10.1.2.3", "*"), ("10.1.2.3", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3"),
            ("fd00::1", "fd00::/8"), ("::1", "0:0::1"), ("::1", "[::1]"), ("::1", "[::1]:443"),
            ("::ffff:10.1.2.3", "10.0.0.0/8"), ("a.example", "a.example:443"), ("10.1.2.3", "10.1.2.3:443"),
            ("a.example", " a.example "), ("x.a.example", ".a.example:443"), ("10.1.2.3", "10.9.9.9/8"),
        ]  # fmt: skip
        wrong = [
            ("ba.example", "a.example"), ("a.example", ".a.example"), ("a.example", "*.a.example"),
            ("a.example", "x.a.example"), ("a.example", "a.example:80"), ("a.example", ""), ("a.example", "."),
            ("a.example", "a.example:"), ("11.1.2.3", "10.0.0.0/8"), ("a.example", "0.0.0.0/0"), ("10.1.2.3", "2.3"),
            ("10.1.2.3", ".3"), ("10.1.2.3", "10.0.0.0/99"), ("::1", "[::1]:80"), ("::1", "10.0.0.0/8"),
            ("a.example", "*a.example"), ("a.example", "/"), ("a.example", ":443"), ("::1", "[::1]x"),
            ("a.example", "*."), ("a.example", "https://a.example"),
        ]  # fmt: skip
        for cases, expected in ((right, True), (wrong, False)):
            for host, entry in cases:
                with self.subTest(host=host, entry=entry):
                    self.assertIs(no_proxy_matches(host, 443, (entry,)), expected)

    def test_any_entry(self) -> None:
        """One entry that matches suffices; none matches nothing."""
        self.assertTrue(no_proxy_matches("a", 1, ("b", "a")))
        self.assertFalse(no_proxy_matches("a", 1, ()))

    @given(st.ip_addresses().filter(lambda ip: not getattr(ip, "ipv4_mapped", None)), st.integers(0, 32))
    def test_networks(self, ip: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int) -> None:
        """Every address is in each network it begins."""
        self.assertTrue(no_proxy_matches(str(ip), 443, (f"{ip}/{bits}",)))

    @given(
        st.text(max_size=20), st.integers(1, 65535), st.lists(st.text(max_size=20) | st.text(".:*/[]1a", max_size=9))
    )
    def test_any_text(self, host: str, port: int, entries: list[str]) -> None:
        """Any text is judged; an entry's position never matters."""
        forward = no_proxy_matches(host, port, entries)
        self.assertIs(no_proxy_matches(host, port, entries[::-1]), forward)
