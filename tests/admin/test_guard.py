"""Who may read the admin port."""

import json

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from agentproxy.admin.guard import Guard
from agentproxy.call import Secret


class GuardTests(SynchronousTestCase):
    def judge(self, guard, open=False, secure=False, **fields):
        """The status of the refusal, or `None`."""
        headers = Headers({name: [value] if isinstance(value, str) else value for name, value in fields.items()})
        refused = guard.refusal(headers, secure=secure, open=open)
        return None if refused is None else refused.status

    def test_known_hosts(self):
        """IP addresses, localhost and the configured names are answered, with any port."""
        guard = Guard(None, ("Proxy.Example",))
        for host in (
            "127.0.0.1",
            "127.0.0.1:10080",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:10080",
            "localhost",
            "LocalHost:10080",
            "localhost.:1",
            "proxy.example",
            "PROXY.example.:8080",
        ):
            self.assertIsNone(self.judge(guard, host=host), host)

    def test_other_hosts(self):
        """Every other name is refused, and so is what is not one host, even where no token is asked for."""
        guard = Guard(None, ("proxy.example",))
        for host in (
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evilproxy.example",
            "x.proxy.example",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "::1",
            "[127.0.0.1]",
            "[::1",
            "[fe80::1%25eth0]",
            "localhost:port",
            "localhost:123456",
            "user@localhost",
            "localhost/",
            "localhost ",
            "",
            ["localhost", "localhost"],
        ):
            self.assertEqual(self.judge(guard, host=host, open=True), 403, host)
        self.assertEqual(self.judge(guard, open=True), 403)

    def test_origins(self):
        """An Origin must be the one that the request is addressed to."""
        guard = Guard(None)
        for host, origin in (
            ("localhost:10080", "http://localhost:10080"),
            ("LOCALHOST:10080", "http://localhost:10080"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("127.0.0.1:80", "http://127.0.0.1"),
            ("127.0.0.1:", "http://127.0.0.1:80"),
            ("[::1]:10080", "http://[::1]:10080"),
            ("[::1]", "http://[::1]:80"),
        ):
            self.assertIsNone(self.judge(guard, host=host, origin=origin), (host, origin))
        self.assertIsNone(self.judge(guard, host="localhost", origin="https://localhost:443", secure=True))
        for origin in (
            "http://evil.example",
            "null",
            "",
            "http://localhost",
            "http://localhost:10081",
            "https://localhost:10080",
            "http://127.0.0.1:10080",
            "http://localhost:10080.evil.example",
            "http://localhost:10080/",
            "localhost:10080",
            ["http://localhost:10080", "http://evil.example"],
        ):
            self.assertEqual(self.judge(guard, host="localhost:10080", origin=origin, open=True), 403, origin)

    def test_token(self):
        """The token is asked for where the path is not open, as one Bearer credential."""
        guard = Guard(lambda: Secret("s3cret-token"))
        self.assertIsNone(self.judge(guard, host="localhost", open=True))
        for authorization in ("Bearer s3cret-token", "bearer  s3cret-token"):
            self.assertIsNone(self.judge(guard, host="localhost", authorization=authorization))
        for authorization in (
            "Bearer s3cret-toke",
            "Bearer s3cret-token2",
            "Bearer S3CRET-TOKEN",
            "Bearer",
            "Bearer ",
            "s3cret-token",
            "Basic s3cret-token",
            "Bearer t\xf6ken",
            ["Bearer s3cret-token", "Bearer s3cret-token"],
        ):
            self.assertEqual(self.judge(guard, host="localhost", authorization=authorization), 401, authorization)
        self.assertEqual(self.judge(guard, host="localhost"), 401)

    def test_token_missing(self):
        """While a token that was asked for can't be had, nothing gets in, not even an empty one."""
        for source in (lambda: None, lambda: Secret("")):
            guard = Guard(source)
            for authorization in ("Bearer ", "Bearer", "Bearer None"):
                self.assertEqual(self.judge(guard, host="localhost", authorization=authorization), 401)

    def test_token_unicode(self):
        """A token beyond ASCII is compared as its UTF-8 bytes."""
        headers = Headers({b"host": [b"localhost"], b"authorization": ["Bearer gehe\u00efm".encode()]})
        self.assertIsNone(Guard(lambda: Secret("gehe\u00efm")).refusal(headers, secure=False, open=False))

    def test_refusals(self):
        """A refusal says what to do, names the scheme that is wanted, and nothing of the request or the token."""
        headers = Headers({b"host": [b"localhost"], b"authorization": [b"Bearer wrong-one"]})
        refused = Guard(lambda: Secret("s3cret-token")).refusal(headers, secure=False, open=False)
        self.assertEqual(refused.headers, (("WWW-Authenticate", "Bearer"),))
        self.assertEqual(json.loads(refused.body)["error"]["code"], "client_unauthorized")
        self.assertNotIn(b"s3cret", refused.body)
        self.assertNotIn(b"wrong-one", refused.body)
