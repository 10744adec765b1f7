"""Ports and upstreams: each port once, each upstream a plain URL, and none of them this service itself."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agentproxy import config
from agentproxy.config import ConfigError, Upstream
from tests.config_case import ONE, SECRET, ConfigCase


class PortTests(ConfigCase):
    TWO = ONE + ONE.replace("one", "two")

    def test_doubled(self) -> None:
        """Two listeners on one port, the admin's included, are refused at the later one."""
        line = "providers.two.port: want a port of its own, got 10000, which is providers.one.port"
        self.assertEqual(self.refused(self.TWO), line)
        line = "providers.one.port: want a port of its own, got 10080, which is admin.port"
        self.assertEqual(self.refused(ONE.replace("10000", "10080")), line)

    def test_free_ports(self) -> None:
        """Port 0, any free one, may be there more than once."""
        loaded = self.load("[admin]\nport = 0\n" + self.TWO.replace("10000", "0"))
        self.assertEqual([each.port for each in loaded.providers], [0, 0])


class LoopTests(ConfigCase):
    def one(self, upstream: str, interface: str = "127.0.0.1") -> str:
        return f'[listen]\ninterface = "{interface}"\n' + ONE.replace("https://api.openai.com/v1", upstream)

    def test_refused(self) -> None:
        """An upstream that is a port of this service, by any of its addresses, is refused and named."""
        for upstream, interface in (
            ("http://127.0.0.1:10000", "127.0.0.1"),
            ("http://127.8.9.1:10000/v1", "127.0.0.1"),
            ("http://localhost:10000", "127.0.0.1"),
            ("http://LOCALHOST:10080", "127.0.0.1"),
            ("http://a.localhost:10000", "127.0.0.1"),
            ("http://0.0.0.0:10000", "127.0.0.1"),
            ("http://[::1]:10000", "::1"),
            ("http://[::ffff:127.0.0.1]:10000", "127.0.0.1"),
            ("http://10.1.2.3:10000", "10.1.2.3"),
            ("http://10.1.2.3:10000", "0.0.0.0"),
            ("http://10.1.2.3:10000", "::"),
            ("http://[fd00::1]:10000", "::"),
            ("http://box:10000", "0.0.0.0"),
        ):
            with self.subTest(upstream=upstream, interface=interface):
                self.assertEqual(
                    self.refused(self.one(upstream, interface), own=("10.1.2.3", "fd00:0:0::1", "box")),
                    f'providers.one.upstream: want an upstream that is not this service itself, got "{upstream}"',
                )

    def test_admin_names(self) -> None:
        """The names of the admin port are the service's own."""
        self.assertIn("itself", self.refused('[admin]\nhosts = ["proxy"]\n' + self.one("http://Proxy:10000")))

    def test_allowed(self) -> None:
        """Another port of this machine, another machine, and an address that isn't listened on are upstreams."""
        for upstream in ("http://127.0.0.1:11434", "http://10.1.2.4:10000", "http://10.1.2.3:10000", "http://x:10000"):
            with self.subTest(upstream):
                self.load(self.one(upstream), own=("10.1.2.3",))

    def test_this_machine(self) -> None:
        """Where none are given, the machine's own addresses are looked up."""
        for own in config.own.this_machine():
            if "." in own or ":" in own:
                host = f"[{own}]" if ":" in own else own
                path = self.write(self.one(f"http://{host}:10000", "0.0.0.0"))
                self.assertRaises(ConfigError, config.load, path, {})

    def test_addresses(self) -> None:
        """Addresses are read as Linux shows them; where it doesn't, there are none."""
        proc = Path(self.mktemp())
        proc.mkdir()
        (proc / "fib_trie").write_text(
            "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.9.0.0\n        /24 link UNICAST\n"
            "     |-- 10.9.0.2\n        /32 host LOCAL\n     |-- 10.9.0.255\n        /32 link BROADCAST\n"
        )
        (proc / "if_inet6").write_text("fd000000000000000000000000000002 04 40 00 82     eth0\n")
        found = config.own.this_machine(proc)
        self.assertLessEqual({"10.9.0.2", "fd00:0000:0000:0000:0000:0000:0000:0002"}, found)
        self.assertEqual(len(found), 3)
        self.assertEqual(len(config.own.this_machine(proc / "nowhere")), 1)


class UpstreamTests(ConfigCase):
    def upstream(self, url: str) -> Upstream:
        return config.urls.parse_upstream(url)

    def test_right(self) -> None:
        """Scheme and host in lower case, the scheme's port, IDNA, bare IPv6, the path without a slash at its end."""
        cases = {
            "https://a.example": Upstream("https", "a.example", 443, ""),
            "http://a.example/": Upstream("http", "a.example", 80, ""),
            "HTTPS://A.Example:8443/v1//": Upstream("https", "a.example", 8443, "/v1"),
            "http://[2001:DB8::0001]:8080/x/y": Upstream("http", "2001:db8::1", 8080, "/x/y"),
            "https://b\u00fccher.example": Upstream("https", "xn--bcher-kva.example", 443, ""),
            "http://my-model:8000": Upstream("http", "my-model", 8000, ""),
            "http://127\u30020\u30020\u30021": Upstream("http", "127.0.0.1", 80, ""),
            "https://a.example/x%2Fy/@z": Upstream("https", "a.example", 443, "/x%2Fy/@z"),
        }
        for url, upstream in cases.items():
            with self.subTest(url):
                self.assertEqual(self.upstream(url), upstream)

    def test_wrong(self) -> None:
        """What is no plain http or https URL is refused; what may hold a secret is not shown."""
        want = "providers.one.upstream: want an http:// or https:// URL of host, port and path, got "
        cases = {
            f"https://u:{SECRET}@a.example": "one with user information",
            f"https://{SECRET}@a.example": "one with user information",
            f"https://a.example/?key={SECRET}": "one with a query",
            f"https://a.example/#{SECRET}": "one with a fragment",
            "http://my_model:8000": "one whose host has an underscore, as no host name may",
        }
        for url in (
            "", "a.example", "ftp://a.example", "https://", "https:///v1", "https://a.example:0", "https://a:65536",
            "https://a:", "https://a:x", "https://a b", "https://a/ b", "https://a/../b", "https://a/%zz", "https://::1",
            "https://[::1", "https://[fe80::1%25eth0]", "https://a..b", "https://-a", "https://127.1", "https://0x7f.1",
            "https://2130706433", "https://1.2.3.256", "https://a.", "wss://a.example", "https://[127.0.0.1]",
        ):  # fmt: skip
            cases[url] = f'"{url}"'
        for url, got in cases.items():
            with self.subTest(url):
                self.assertEqual(self.refused(ONE.replace("https://api.openai.com/v1", url)), want + got)

    @given(st.text(max_size=40) | st.text("htps:/[]@?#.%a1-", max_size=30).map("https://{}".format))
    def test_any_text(self, text: str) -> None:
        """Any text is an upstream of a clean host, port and path, or a `BadUrl`."""
        try:
            upstream = self.upstream(text)
        except config.urls.BadUrl:
            return
        self.assertRegex(upstream.host, r"\A[a-z0-9_.:-]+\Z")
        self.assertTrue(1 <= upstream.port <= 65535)
        self.assertNotRegex(upstream.path, r"[^!-~]|[?#]|/\Z")
