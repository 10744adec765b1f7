"""`config.load`: what a right configuration becomes, and the one line that each wrong one gives."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy import config
from agentproxy.config import ConfigError, CredentialSource, ProxyUrl, Upstream
from agentproxy.providers import KINDS
from tests.config_case import ONE, SECRET, ConfigCase


class LoadTests(ConfigCase):
    def test_default(self) -> None:
        """Without a file the built-in default is loaded: six providers on loopback, no proxy in the environment."""
        loaded = config.load(None, {})
        self.assertEqual(loaded.source, "built-in default")
        self.assertEqual(loaded.listen.interface, "127.0.0.1")
        self.assertEqual(loaded.egress, config.Egress(None, None, (), None))
        self.assertEqual(loaded.timeouts, config.Timeouts(10, 15, 75, 600, 600, 0, 30))
        self.assertEqual(loaded.limits, config.Limits(268435456, 65536, 268435456, 1048576))
        self.assertEqual(loaded.log, config.Log("json", "info"))
        self.assertEqual(loaded.admin, config.Admin("127.0.0.1", 10080, None, ()))
        self.assertEqual(
            [(each.port, each.name, each.kind.name) for each in loaded.providers],
            [
                (10000, "openai", "openai"),
                (10001, "anthropic", "anthropic"),
                (10002, "copilot", "copilot"),
                (10003, "gemini", "gemini"),
                (10004, "opencode", "anthropic"),
                (10005, "chatgpt", "chatgpt"),
            ],
        )

    def test_empty_file_is_the_default(self) -> None:
        """A file that says nothing changes nothing but the source."""
        loaded, default = self.load(""), config.load(None, {})
        self.assertEqual(loaded.providers, default.providers)
        self.assertEqual(loaded.timeouts, default.timeouts)

    def test_tables_overlay_key_by_key(self) -> None:
        """A table of the file changes the keys that it names, and no other."""
        loaded = self.load("[timeouts]\nconnect = 2.5\n[admin]\nport = 9\n")
        self.assertEqual(loaded.timeouts, config.Timeouts(2.5, 15, 75, 600, 600, 0, 30))
        self.assertEqual((loaded.admin.port, loaded.admin.interface), (9, "127.0.0.1"))
        self.assertEqual(len(loaded.providers), 6)

    def test_providers_replace(self) -> None:
        """The file's providers replace the default's as a whole."""
        self.assertEqual([each.name for each in self.load(ONE).providers], ["one"])
        self.assertEqual(self.load("[providers]").providers, ())

    def test_whole_provider(self) -> None:
        """Every key of a provider's table arrives, checked and in its one form."""
        (one,) = self.load(
            """
            [providers.local_1]
            kind = "openai"
            port = 0
            upstream = "HTTP://Local.Example:8080/base/"
            credential = { command = ["pass", "openai"] }
            organization = { env = "ORG" }
            websocket = false
            cookies = true
            headers = { X-Team = "a b", x-key = "k" }
            """
        ).providers
        self.assertEqual((one.name, one.kind, one.port), ("local_1", KINDS["openai"], 0))
        self.assertEqual(one.upstream, Upstream("http", "local.example", 8080, "/base"))
        self.assertEqual(
            dict(one.secrets),
            {
                "credential": CredentialSource(command=("pass", "openai")),
                "organization": CredentialSource(env="ORG"),
                "project": CredentialSource(env="OPENAI_PROJECT"),
            },
        )
        self.assertEqual((one.websocket, one.cookies), (False, True))
        self.assertEqual(one.headers, ((b"X-Team", b"a b"), (b"x-key", b"k")))

    def test_left_out_provider_keys(self) -> None:
        """Kind, port and upstream suffice; the slots then have their kind's variables."""
        (one,) = self.load(ONE).providers
        self.assertEqual((one.websocket, one.cookies, one.headers, one.include_usage), (True, False, (), False))
        self.assertEqual(
            {key: source.env for key, source in one.secrets.items()},
            {slot.key: slot.env for slot in KINDS["openai"].slots if slot.env},
        )

    def test_relative_files(self) -> None:
        """A relative credential file belongs to the configuration's folder and becomes absolute."""
        path = self.write(ONE + 'credential = { file = "keys/one" }\n')
        (one,) = config.load(path, {}, ()).providers
        folder = os.path.dirname(os.path.abspath(path))
        self.assertEqual(one.secrets["credential"].file, os.path.join(folder, "keys", "one"))

    def test_admin(self) -> None:
        """Names are lower-cased, a token allows any interface."""
        loaded = self.load('[admin]\ninterface = "::"\nhosts = ["Proxy.Example", "box"]\ntoken = { env = "T" }\n')
        self.assertEqual(loaded.admin, config.Admin("::", 10080, CredentialSource(env="T"), ("proxy.example", "box")))

    def test_record(self) -> None:
        """Where records go: the user's state folder, or a path, relative to the file's folder; prices likewise."""
        for text, environ, directory in (
            ("", {"HOME": "/home/a"}, "/home/a/.local/state/agentproxy"),
            ("", {"HOME": "/home/a", "XDG_STATE_HOME": "/state"}, "/state/agentproxy"),
            ("", {"HOME": "/home/a", "XDG_STATE_HOME": "not/absolute"}, "/home/a/.local/state/agentproxy"),
            ('[record]\ndirectory = "/var/x"', {}, "/var/x"),
            ('[record]\ndirectory = "~/x"', {"HOME": "/home/a"}, "/home/a/x"),
        ):
            record = self.load(text, environ).record
            self.assertEqual(record, config.Record(directory, "metadata", 4194304, 30, 1024, None))
        path = self.write('[record]\ndirectory = "x"\nprices = "p.toml"\ncontent = "full"\ndays = 0\nmegabytes = 0')
        record = config.load(path, {}, ()).record
        folder = os.path.abspath(os.path.dirname(path))
        self.assertEqual((record.directory, record.prices), (f"{folder}/x", f"{folder}/p.toml"))
        self.assertEqual((record.content, record.days, record.megabytes), ("full", 0, 0))

    def test_secrets_stay_out_of_reprs(self) -> None:
        """Neither a command's arguments, a header's value nor a proxy's password is in the repr."""
        loaded = self.load(
            f'[egress]\nproxy = "http://u:{SECRET}@squid:3128"\n'
            f'{ONE}headers = {{ x = "{SECRET}" }}\ncredential = {{ command = ["echo", "{SECRET}"] }}\n'
        )
        self.assertNotIn(SECRET, repr(loaded))
        self.assertNotIn("Basic", repr(loaded))


class MistakeTests(ConfigCase):
    def test_table_of_mistakes(self) -> None:
        """Each mistake is refused in its one line: key, what was wanted, what was found."""
        port = "want an integer from 1 to 65535, got "
        seconds = "want seconds above 0, at most 1000000, got "
        source = 'want { env = "NAME" }, { file = "PATH" } or { command = ["PROGRAM", ...] }, got '
        cases = {
            "x = 1": "x: want one of listen, egress, timeouts, limits, log, admin, record, providers, got an "
            "unknown key",
            "listen = 1": "listen: want a table, got an integer",
            '[listen]\ninterfase = ""': "listen.interfase: want one of interface, origins, got an unknown key",
            '[listen]\ninterface = "eth0"': 'listen.interface: want an IP address, got "eth0"',
            "[listen]\ninterface = true": "listen.interface: want an IP address, got true",
            "[timeouts]\nconnect = 0": f"timeouts.connect: {seconds}0",
            "[timeouts]\nconnect = true": f"timeouts.connect: {seconds}true",
            "[timeouts]\nconnect = inf": f"timeouts.connect: {seconds}inf",
            "[timeouts]\nconnect = nan": f"timeouts.connect: {seconds}nan",
            "[timeouts]\ndrain = -1": "timeouts.drain: want seconds from 0 to 1000000, got -1",
            f"[timeouts]\ndrain = 1{'0' * 400}": "timeouts.drain: want seconds from 0 to 1000000, got an integer",
            '[timeouts]\n"a\\nb" = 1': 'timeouts."a\\nb": want one of connect, request_head, keep_alive, first_byte, '
            "idle_http, idle_websocket, drain, got an unknown key",
            "[limits]\nbody_bytes = 1.5": "limits.body_bytes: want an integer from 1 to 1099511627776, got 1.5",
            "[limits]\nheader_bytes = 1": "limits.header_bytes: want an integer from 256 to 16777216, got 1",
            '[log]\nformat = "xml"': 'log.format: want one of "json", "text", got "xml"',
            "[log]\nlevel = [1]": 'log.level: want one of "debug", "info", "warn", "error", got a list',
            "[admin]\nport = 65536": f"admin.port: {port}65536",
            "[admin]\nport = false": f"admin.port: {port}false",
            '[admin]\ninterface = "0.0.0.0"': "admin.token: want one, since admin.interface is 0.0.0.0 and not "
            "loopback, got nothing",
            f'[admin]\ntoken = "{SECRET}"': f"admin.token: {source}a string",
            '[admin]\nhosts = ["a:1"]': "admin.hosts[0]: want a host name without a port, got a string",
            '[admin]\nhosts = "a"': 'admin.hosts: want a list of strings, got "a"',
            '[record]\nfile = "x"': "record.file: want one of directory, content, content_bytes, days, megabytes, "
            "prices, got an unknown key",
            '[record]\ncontent = "all"': 'record.content: want one of "off", "metadata", "full", got "all"',
            '[record]\ndirectory = ""': 'record.directory: want a path, or "env", got ""',
            "[record]\nprices = 1": "record.prices: want a path, or an empty string, got 1",
            "[record]\ndays = 1.5": "record.days: want an integer from 0 to 36500, got 1.5",
            "[record]\nmegabytes = -1": "record.megabytes: want an integer from 0 to 1099511627776, got -1",
            "[record]\ncontent_bytes = 1.5": "record.content_bytes: want an integer from 0 to 1073741824, got 1.5",
            ONE + "include_usage = 1": "providers.one.include_usage: want true or false, got 1",
            "providers = 1": "providers: want a table, got an integer",
            f'providers.x = "{SECRET}"': "providers.x: want a table, got a string",
            '[providers."a b"]': 'providers."a b": want a name of at most 32 of a-z, 0-9, _ and -, got another',
            "[providers.x]": 'providers.x.kind: want one of "openai", "anthropic", "copilot", "gemini", "chatgpt", '
            "got nothing",
            '[providers.x]\nkind = "openai"': f"providers.x.port: {port}nothing",
            ONE.replace("10000", '"60"'): f'providers.one.port: {port}"60"',
            ONE + "limit = 1": "providers.one.limit: want one of kind, port, upstream, credential, organization, "
            "project, websocket, cookies, headers, include_usage, got an unknown key",
            ONE + "websocket = 1": "providers.one.websocket: want true or false, got 1",
            ONE + f'credential = "{SECRET}"': f"providers.one.credential: {source}a string",
            ONE + f'credential = {{ "{SECRET}" = 1 }}': f"providers.one.credential: {source}a table of other keys",
            ONE + "credential = { }": f"providers.one.credential: {source}an empty table",
            ONE + f'credential = {{ env = "{SECRET}" }}': "providers.one.credential.env: want the name of an "
            "environment variable, got a string",
            ONE + 'credential = { file = "" }': "providers.one.credential.file: want the path of a file, "
            "got an empty string",
            ONE + "credential = { command = [] }": "providers.one.credential.command: want a list of strings: "
            "a program and its arguments, got a list",
            ONE + 'credential = { env = "A", file = "b" }': f"providers.one.credential: {source}a table of other keys",
            ONE + f"headers = {{ x = ['{SECRET}'] }}": "providers.one.headers.x: want a string without control "
            "characters and without spaces around it, got a list",
            ONE + f'headers = {{ x = "{SECRET}\\n" }}': "providers.one.headers.x: want a string without control "
            "characters and without spaces around it, got a string",
            ONE + 'headers = { "x y" = "" }': 'providers.one.headers."x y": want a header name of RFC 9110\'s token '
            "characters, got another",
            ONE + 'headers = { a = "", A = "" }': "providers.one.headers.A: want each header once, "
            "got one that is there in another case",
        }  # fmt: skip
        for text, line in cases.items():
            with self.subTest(text):
                self.assertEqual(self.refused(text), line)

    def test_headers_of_the_relay(self) -> None:
        """Fields that frame the message, name the host or are the proxy's own can't be configured."""
        for name in (
            "Host", "content-length", "Transfer-Encoding", "connection", "upgrade", "sec-websocket-key", "te",
            "trailer", "keep-alive", "Proxy-Authorization", "proxy-x", "expect", "x-agentproxy-error",
        ):  # fmt: skip
            with self.subTest(name):
                self.assertIn("want a header that the proxy", self.refused(f'{ONE}headers = {{ {name} = "1" }}'))

    def test_unreadable(self) -> None:
        """A file that isn't there, a folder, and a path that is none give one line each."""
        path = self.mktemp()
        error = self.assertRaises(ConfigError, config.load, path, {})
        self.assertEqual(str(error), f"{path}: want a readable TOML file, got No such file or directory")
        error = self.assertRaises(ConfigError, config.load, os.curdir, {})
        self.assertEqual(str(error), ".: want a readable TOML file, got Is a directory")
        self.assertRaises(ConfigError, config.load, "\0", {})

    def test_syntax(self) -> None:
        """What isn't TOML is refused with its line, and without what the line says."""
        self.assertEqual(self.refused(f'\n\nx = {SECRET}"\n'), "line 3: want TOML, got invalid value")
        self.assertTrue(self.refused("a = 1\n[x").startswith("line 2: want TOML, got "))
        self.assertEqual(self.refused(b"a = 1\nb = '\xff'"), "line 2: want UTF-8, got other bytes")
        self.assertIn("want a readable TOML file", self.refused("x = " + "[" * 100_000))

    @settings(max_examples=150)
    @given(st.binary(max_size=60) | st.text("abcx=\"'[]{}.\n #1-", max_size=60).map(str.encode))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever a file holds: settings, or a `ConfigError` of one line."""
        path = self.write(data)
        try:
            config.load(path, {}, ())
        except ConfigError as error:
            self.assertEqual(len(str(error).splitlines()), 1)

    @settings(max_examples=150)
    @given(
        st.sampled_from(
            ["listen.interface", "egress.proxy", "egress.no_proxy", "timeouts.drain", "limits.body_bytes", "log.level",
             "admin.port", "admin.hosts", "admin.token", "providers.a", "providers.a.kind", "providers"]
        ),
        st.sampled_from(["1", "-1", "0.5", "true", '""', '"x"', "[]", "[1]", "{}", "{ a = 1 }", "1979-05-27", "nan"]),
    )  # fmt: skip
    def test_any_type(self, key: str, value: str) -> None:
        """A value of any type at any key: settings, or a `ConfigError` that names the key's table."""
        try:
            self.load(f"{key} = {value}\n")
        except ConfigError as error:
            self.assertIn(f"a.toml: {key.partition('.')[0]}", str(error))


class CredentialSourceTests(SynchronousTestCase):
    def test_one_source(self) -> None:
        """None, and two, are no credential source."""
        self.assertRaises(ValueError, CredentialSource)
        self.assertRaises(ValueError, CredentialSource, env="A", file="b")

    def test_proxy_url_repr(self) -> None:
        """A proxy without user and password has no authorization."""
        self.assertEqual(config.urls.parse_proxy("http://squid:3128"), ProxyUrl("http", "squid", 3128, None))
