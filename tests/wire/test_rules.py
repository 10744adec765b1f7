"""Which header fields pass, in each direction, and which subprotocols may be offered upstream."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers import CREDENTIAL_HEADERS, CREDENTIAL_SUBPROTOCOLS
from agentproxy.wire import rules
from agentproxy.wire.head import RequestHead
from agentproxy.wire.parse import parse_request, parse_response
from agentproxy.wire.rules import Pair, request_fields, response_fields, subprotocols

HOP_BY_HOP = [b"Connection: x", b"Keep-Alive: timeout=5", b"TE: trailers", b"Trailer: X", b"Upgrade: h2c"]
HOP_BY_HOP += [b"Proxy-Connection: keep-alive", b"Proxy-Authenticate: Basic", b"Proxy-Authorization: Basic eDp5"]
HOP_BY_HOP += [b"Proxy-Authentication-Info: x"]


def up(*lines: bytes, cookies: bool = False) -> list[Pair]:
    """What of these header lines goes upstream."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return request_fields(parse_request(head), CREDENTIAL_HEADERS, cookies=cookies)


def down(*lines: bytes, status: int = 200, cookies: bool = False) -> list[Pair]:
    """What of these header lines goes to the client."""
    head = b"HTTP/1.1 %d X\r\n" % status + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return response_fields(parse_response(head, b"GET"), cookies=cookies)


class Up(SynchronousTestCase):
    def test_others_pass(self) -> None:
        """What no rule names passes in order, in its case, with its doubles and bytes."""
        lines = [
            b"User-Agent: x",
            b"X-A: 1",
            b"x-a: 1",
            b"Accept-Encoding: zstd",
            b"Anthropic-Beta: a,b",
            b"X: \xe9\x85",
        ]
        lines += [b"Content-Type: a/b", b"Content-Encoding: zstd", b"Empty: ", b"Origin: http://x", b"Range: bytes=0-"]
        lines += [b"X-Forwarded: 1", b"X-Agentproxy: 1", b"Proxied: 1", b"Sec-Fetch-Mode: cors", b"Api-Keys: 1"]
        self.assertEqual(up(*lines), [(name, value) for name, _, value in (line.partition(b": ") for line in lines)])

    def test_dropped(self) -> None:
        """Hop-by-hop fields, what tells of hops before us, our own, and what the caller writes itself; in any case."""
        for line in (
            *HOP_BY_HOP,
            b"Transfer-Encoding: chunked",
            b"Content-Length: 0",
            b"Expect: 100-continue",
            b"Proxy-Anything: 1",
            b"Forwarded: for=1.2.3.4",
            b"Via: 1.1 x",
            b"X-Real-IP: 1.2.3.4",
            b"X-Forwarded-For: 1.2.3.4",
            b"X-Forwarded-Whatever: 1",
            b"X-Agentproxy-Session: 1",
            b"x-request-id: 1",
            b"Sec-WebSocket-Key: x",
            b"Sec-WebSocket-Whatever: x",
        ):
            name, _, value = line.partition(b":")
            for written in (line, name.upper() + b":" + value, name.lower() + b":" + value):
                self.assertEqual(up(written, b"X-A: 1"), [(b"X-A", b"1")], written)

    def test_credentials(self) -> None:
        """Every kind's credential and account headers are dropped on every port, in any case, doubled or not."""
        must = {b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"x-goog-user-project", b"cookie"}
        must |= {b"openai-organization", b"openai-project", b"chatgpt-account-id", b"x-openai-fedramp"}
        must |= {b"x-amz-security-token", b"x-github-token"}
        self.assertEqual(must - CREDENTIAL_HEADERS, set())
        for name in CREDENTIAL_HEADERS:
            lines = [name + b": s", name.title() + b": s", name.upper() + b":s"]
            self.assertEqual(up(*lines, b"X-A: 1"), [(b"X-A", b"1")], name)

    def test_named_by_connection(self) -> None:
        """What `Connection` names is dropped, in any case and over several lines; it can't bring anything back."""
        self.assertEqual(
            up(b"Connection: X-A, ,x-B", b"connection: X-C", b"x-a: 1", b"X-b: 2", b"X-C: 3", b"X-D: 4"),
            [(b"X-D", b"4")],
        )
        for name in (b"authorization", b"x-api-key", b"cookie", b"content-length", b"host", b"connection"):
            line = b"Content-Length: 0" if name == b"content-length" else b"Authorization: s"
            self.assertEqual(up(b"Connection: " + name, line, b"X-A: 1"), [(b"X-A", b"1")])

    def test_connection_options_are_whole(self) -> None:
        """A name is not dropped for a part of an option."""
        self.assertEqual(up(b"Connection: X-AB, x-a;q", b"X-A: 1"), [(b"X-A", b"1")])

    def test_cookies(self) -> None:
        """Cookie passes only where it is let, unless `Connection` names it; old Cookie2 never."""
        lines = [b"Cookie: a=1", b"COOKIE: b", b"Cookie2: $Version=1", b"Authorization: s"]
        self.assertEqual(up(*lines), [])
        self.assertEqual(up(*lines, cookies=True), [(b"Cookie", b"a=1"), (b"COOKIE", b"b")])
        self.assertEqual(up(*lines, b"Connection: cookie", cookies=True), [])


class Down(SynchronousTestCase):
    def test_others_pass(self) -> None:
        """What no rule names passes in order, as sent: upstream's own request id, Via and encoding too."""
        lines = [
            b"Content-Type: a/b",
            b"X-Request-Id: up",
            b"Via: 1.1 x",
            b"Content-Encoding: zstd",
            b"X: \xe9",
            b"x: 2",
        ]
        lines += [b"Retry-After: 5", b"WWW-Authenticate: Bearer", b"Date: now", b"x-codex-turn-state: y", b"Empty: "]
        self.assertEqual(down(*lines), [(name, value) for name, _, value in (line.partition(b": ") for line in lines)])

    def test_dropped(self) -> None:
        """Hop-by-hop fields, the framing, and what only the proxy itself may say; in any case."""
        for line in (
            *HOP_BY_HOP,
            b"Transfer-Encoding: chunked",
            b"Content-Length: 3",
            b"X-Agentproxy-Error: bad_request",
            b"X-Agentproxy-Request-Id: x",
        ):
            name, _, value = line.partition(b":")
            for written in (line, name.upper() + b":" + value, name.lower() + b":" + value):
                for status in (100, 101, 200, 204, 304, 500):
                    self.assertEqual(down(written, b"X-A: 1", status=status), [(b"X-A", b"1")], written)

    def test_named_by_connection(self) -> None:
        """What upstream's `Connection` names is dropped."""
        self.assertEqual(down(b"Connection: close, X-A", b"x-a: 1", b"X-B: 2"), [(b"X-B", b"2")])

    def test_cookies(self) -> None:
        """Set-Cookie passes only where it is let, in a 101 too."""
        for status in (101, 200):
            lines = [b"Set-Cookie: a=1", b"set-cookie: b"]
            self.assertEqual(down(*lines, b"Set-Cookie2: c", status=status), [])
            expected = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b")]
            self.assertEqual(down(*lines, status=status, cookies=True), expected)

    def test_handshake(self) -> None:
        """A 101's handshake fields are its own leg's; of a refusal they tell what upstream wants."""
        lines = [b"Sec-WebSocket-Accept: x", b"Sec-WebSocket-Version: 13", b"openai-model: m"]
        self.assertEqual(down(*lines, status=101), [(b"openai-model", b"m")])
        self.assertEqual(len(down(*lines, status=426)), 3)


class Subprotocols(SynchronousTestCase):
    def test_credentials_go(self) -> None:
        """Those that carry a credential are not offered upstream, in any case; the others are, in order, as written."""
        for values, left in (
            (
                [b"realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1"],
                [b"realtime", b"openai-beta.realtime-v1"],
            ),
            ([b"OpenAI-Insecure-API-Key.sk-1", b"openai-organization.o,OPENAI-PROJECT.p"], []),
            ([b"\tRealtime ,,", b"b"], [b"Realtime", b"b"]),
            ([b"x-openai-insecure-api-key.no"], [b"x-openai-insecure-api-key.no"]),
            ([], []),
        ):
            self.assertEqual(subprotocols(values, CREDENTIAL_SUBPROTOCOLS), left)


class KeptTests(SynchronousTestCase):
    def test_bound(self) -> None:
        """However many names senders make up, few decisions are kept, and none for a long name; all stay the same."""
        for number in range(2000):
            names = [b"x-%d" % number, b"via", b"x-" + b"%d" % number * 40, b"proxy-%d" % number]
            head = RequestHead(b"GET", b"/", 1, [(name, name, b"1") for name in names])
            passed = [name for name, _ in request_fields(head, (), cookies=False)]
            self.assertEqual(passed, [names[0], names[2]])
        kept = rules._up(frozenset(), False)
        self.assertLessEqual(len(kept), 512)
        self.assertLessEqual(max(map(len, kept)), 64)
