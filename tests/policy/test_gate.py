"""The gate: who passes, which refusal comes first, and that no refusal shows a secret."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.config import CredentialSource, Limits, Provider, Upstream
from agentproxy.errors import BodyTooLarge, Draining, PolicyDenied, ProviderNotConfigured, ProxyError, WebSocketDisabled
from agentproxy.policy.credentials import Credentials
from agentproxy.policy.gate import Gate
from agentproxy.providers import KINDS
from agentproxy.wire.head import RequestHead
from agentproxy.wire.parse import parse_request
from tests.policy.test_credential_commands import Threads

LIMITS = Limits(body_bytes=100, header_bytes=1000, websocket_message_bytes=100, buffer_bytes=100)
SECRET = "sk-do-not-show-me"


def request(*lines: bytes) -> RequestHead:
    return parse_request(b"\r\n".join((b"POST / HTTP/1.1", b"Host: a", *lines, b"", b"")))


class GateTests(SynchronousTestCase):
    def gate(
        self,
        environ: dict[str, str],
        *,
        kind: str = "openai",
        websocket: bool = True,
        sources: dict[str, CredentialSource] | None = None,
        origins: tuple[str, ...] = (),
    ) -> Gate:
        if sources is None:
            sources = {slot.key: CredentialSource(env=slot.env) for slot in KINDS[kind].slots}
        provider = Provider(
            name="mine",
            kind=KINDS[kind],
            port=0,
            upstream=Upstream("https", "a", 443, ""),
            secrets=sources,
            websocket=websocket,
            cookies=False,
            headers=(),
        )
        nothing: Any = lambda *_: None  # noqa: E731
        held = Credentials(sources, provider.kind.needs, environ, clock=Threads(), found=nothing, complain=nothing)
        return Gate(provider, held, LIMITS, origins)

    def refused(self, gate: Gate, head: RequestHead, *, upgrade: bool = False) -> ProxyError:
        error = self.assertRaises(ProxyError, gate.judge, head, upgrade=upgrade)
        assert isinstance(error, ProxyError)
        self.assertNotIn(SECRET, error.text + repr(error) + repr(error.headers))
        return error

    def test_passes(self) -> None:
        """A call of a configured provider gets its secrets, an upgrade too."""
        gate = self.gate({"OPENAI_API_KEY": SECRET, "OPENAI_PROJECT": "p"})
        for upgrade in (False, True):
            self.assertEqual(gate.judge(request(), upgrade=upgrade), {"credential": SECRET, "project": "p"})

    def test_not_configured(self) -> None:
        """Without a credential it is refused, and told what to set."""
        for kind, names in (
            ("openai", ["OPENAI_API_KEY"]),
            ("anthropic", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]),
            ("chatgpt", ["CHATGPT_ACCESS_TOKEN", "CHATGPT_ACCOUNT_ID"]),
        ):
            error = self.refused(self.gate({}, kind=kind), request())
            self.assertIsInstance(error, ProviderNotConfigured)
            for name in (*names, "mine", "providers.mine.credential"):
                self.assertIn(name, error.message)

    def test_half_configured(self) -> None:
        """A part of what is needed is not enough."""
        gate = self.gate({"CHATGPT_ACCESS_TOKEN": SECRET}, kind="chatgpt")
        self.assertIsInstance(self.refused(gate, request()), ProviderNotConfigured)

    def test_other_sources(self) -> None:
        """A refusal shows neither a credential file's name nor a command's arguments."""
        for source in (CredentialSource(command=("x", SECRET)), CredentialSource(file=f"/nowhere/{SECRET}")):
            error = self.refused(self.gate({}, sources={"credential": source}), request())
            self.assertIsInstance(error, ProviderNotConfigured)

    def test_websocket_off(self) -> None:
        """Where WebSocket is off only upgrades are refused."""
        gate = self.gate({"OPENAI_API_KEY": SECRET}, websocket=False)
        self.assertIsInstance(self.refused(gate, request(), upgrade=True), WebSocketDisabled)
        self.assertEqual(gate.judge(request(), upgrade=False), {"credential": SECRET})

    def test_body(self) -> None:
        """A body of exactly the limit passes, one byte more does not; a chunked one is judged as it comes."""
        gate = self.gate({"OPENAI_API_KEY": SECRET})
        gate.judge(request(b"Content-Length: 100"), upgrade=False)
        gate.judge(request(b"Transfer-Encoding: chunked"), upgrade=False)
        error = self.refused(gate, request(b"Content-Length: 101"))
        self.assertIsInstance(error, BodyTooLarge)
        self.assertIn("100 bytes", error.message)
        gate.judge_body(100)
        self.assertRaises(BodyTooLarge, gate.judge_body, 101)

    def test_origins(self) -> None:
        """Programs and this machine's own web pages may call; pages from elsewhere may not, unless they are named."""
        gate = self.gate({"OPENAI_API_KEY": SECRET}, origins=("https://app.example",))
        for origin in (
            b"http://localhost",
            b"http://localhost:3000",
            b"HTTPS://LocalHost:3000",
            b"http://a.localhost:1",
            b"http://127.0.0.1:8080",
            b"http://127.8.9.1",
            b"http://[::1]:8080",
            b"https://app.example",
            b"vscode-webview://abc",
            b"",
        ):
            for upgrade in (False, True):
                self.assertIn("credential", gate.judge(request(b"Origin: " + origin), upgrade=upgrade), origin)
        for origin in (
            b"null",
            b"NULL",
            b"http://a.example",
            b"https://a.example:443",
            b"http://localhost.example",
            b"http://notlocalhost",
            b"http://127.0.0.1.example",
            b"http://localhost@a.example",
            b"http://10.0.0.1",
            b"http://[2001:db8::1]:80",
            b"http://0.0.0.0",
            b"https://app.example.org",
            b"https://app.example:8443",
            b"http://app.example",
            b"https://x.app.example",
            b"http://",
            b"http://\xe9",
        ):
            for upgrade in (False, True):
                error = self.refused(gate, request(b"Origin: " + origin), upgrade=upgrade)
                self.assertIsInstance(error, PolicyDenied, origin)
        two = request(b"Origin: http://localhost", b"Origin: http://a.example")
        self.assertIsInstance(self.refused(gate, two), PolicyDenied)

    def test_draining(self) -> None:
        """While the service shuts down nobody passes, and everybody is told to come again."""
        gate = self.gate({"OPENAI_API_KEY": SECRET})
        gate.draining = True
        for upgrade in (False, True):
            error = self.refused(gate, request(), upgrade=upgrade)
            self.assertIsInstance(error, Draining)
            self.assertIn("Retry-After", dict(error.headers))
        gate.draining = False
        gate.judge(request(), upgrade=False)

    def test_order(self) -> None:
        """Draining comes before all; what an agent falls back on (426) comes before a missing credential."""
        gate = self.gate({}, websocket=False)
        large = request(b"Content-Length: 101")
        self.assertIsInstance(self.refused(gate, large), BodyTooLarge)
        self.assertIsInstance(self.refused(gate, large, upgrade=True), WebSocketDisabled)
        gate.draining = True
        self.assertIsInstance(self.refused(gate, large, upgrade=True), Draining)
