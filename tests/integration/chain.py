"""The chain that integration tests stand in: simulated providers behind TLS, a CONNECT proxy, a real twistd."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from agentproxy.simulator import ConnectProxy, Served, Simulator, serve
from tests.integration import process, raw
from tests.integration.process import Service
from tests.integration.raw import Raw

reactor: Any = _reactor

SECRETS = {
    "OPENAI_API_KEY": "sk-proj-Zq7LmXo93KpVb2NhYr5WcGt",
    "ANTHROPIC_API_KEY": "sk-ant-api03-Wv8NbYt52HdKs4LqZx9RmPf",
    "COPILOT_GITHUB_TOKEN": "ghu_Rk4SgCe17JxUa6MwTn3QhBv8DyLz5EoJc2Xp",
    "GEMINI_API_KEY": "AIzaSyPu6FhQa84MwNd7CsKj2XtYb",
    "CHATGPT_ACCESS_TOKEN": "eyJhbGciOiJSUzI1NiJ9.Dn2ViUz60LsHq8PrGm4WkEc.c2lnbmF0dXJlMTIz",
    "CHATGPT_ACCOUNT_ID": "acct-Bx5OjEy39TqVf7ZnRu2",
    "PROXY_PASSWORD": "Gm9RcHk71PvSw4LyJd8",
}
"""What the service is given, and nobody else may see."""

CLIENT_SECRET = "sk-client-Tf3WaIl48SbXo5QeMv9KzHp"
"""What the tests' clients send; upstream and the log may not see it either."""

KEYS = {
    "openai": SECRETS["OPENAI_API_KEY"],
    "anthropic": SECRETS["ANTHROPIC_API_KEY"],
    "copilot": SECRETS["COPILOT_GITHUB_TOKEN"],
    "gemini": SECRETS["GEMINI_API_KEY"],
    "chatgpt": SECRETS["CHATGPT_ACCESS_TOKEN"],
}

HOSTS = {
    "openai": ("openai", "api.openai.com", "/v1"),
    "anthropic": ("anthropic", "api.anthropic.com", ""),
    "copilot": ("copilot", "api.githubcopilot.com", ""),
    "gemini": ("gemini", "generativelanguage.googleapis.com", ""),
    "chatgpt": ("chatgpt", "chatgpt.com", "/backend-api/codex"),
}

_PIECE = 8
"""Characters of a secret that count as a part of it."""


def pieces(secret: str) -> set[str]:
    """Every part of a secret that is long enough to tell."""
    # The beginnings that all keys of a provider share are no secret.
    text = re.sub(r"^(sk-proj-|sk-ant-api03-|sk-client-|ghu_|AIzaSy|eyJhbGciOiJSUzI1NiJ9\.|acct-)", "", secret)
    return {text[at : at + _PIECE] for at in range(len(text) - _PIECE + 1)}


class ChainCase(TestCase):
    """
    A test of the whole chain. `build` starts it; what was started is stopped, and every word of it searched.

    :ivar simulator: the providers; ``served``: where they listen.
    :ivar proxy: the embedded CONNECT proxy, where one is used.
    """

    timeout = 120
    served: Served
    simulator: Simulator
    proxy: ConnectProxy
    service: Service

    async def build(
        self,
        *,
        egress: str | None = None,
        tables: str = "",
        provider_keys: str = "",
        providers: Sequence[str] = ("openai", "anthropic"),
        environ: dict[str, str] | None = None,
        scheme: str = "https",
        keys: dict[str, str] | None = None,
        upstream_host: str | None = None,
        limit: int | None = None,
        reactor_name: str | None = None,
    ) -> Service:
        """
        Start providers, proxy and service.

        :param egress: the ``[egress]`` table's ``proxy``; by default the embedded proxy.
        :param tables: more of the configuration; ``provider_keys``: more keys for each provider.
        :param limit: descriptors that it may open; ``reactor_name``: what ``twistd --reactor`` takes.
        """
        if not hasattr(self, "served"):
            self.serve(keys)
        if egress is None:
            egress = self.listen_proxy()
        port = self.served.tls_port if scheme == "https" else self.served.port
        folder = self.mktemp()
        os.makedirs(folder)
        ca_file = Path(folder, "ca.pem").resolve()
        ca_file.write_bytes(self.served.ca.pem)
        lines = [f'[egress]\nproxy = "{egress}"\nca_file = "{ca_file}"', "[admin]\nport = 0", tables]
        for name in providers:
            kind, host, path = HOSTS[name]
            lines.append(
                f'[providers.{name}]\nkind = "{kind}"\nport = 0\n'
                f'upstream = "{scheme}://{upstream_host or host}:{port}{path}"\n{provider_keys}'
            )
        self.service = await process.start(
            "\n".join(lines), {**SECRETS, **(environ or {})}, os.path.abspath(folder), limit, reactor_name
        )
        self.addCleanup(lambda: self._finish())
        return self.service

    def serve(self, keys: dict[str, str] | None = None) -> Simulator:
        """Start the providers."""
        self.simulator = Simulator(reactor, keys=KEYS if keys is None else keys)
        self.served = serve(reactor, self.simulator)
        self.addCleanup(self.served.stop)
        return self.simulator

    def listen_proxy(self, **options: Any) -> str:
        """Start the embedded CONNECT proxy, which knows the providers' names; its URL."""
        mapping = {}
        for _, host, _ in HOSTS.values():
            for port in (self.served.tls_port, self.served.port):
                mapping[host, port] = ("127.0.0.1", port)
        mapping["wrong.example.com", self.served.tls_port] = ("127.0.0.1", self.served.tls_port)
        self.proxy = ConnectProxy(reactor, mapping, strict=True, **options)
        listening = reactor.listenTCP(0, self.proxy, interface="127.0.0.1")

        async def stop() -> None:
            await listening.stopListening()
            await self.proxy.disconnect()

        self.addCleanup(stop)
        return f"http://127.0.0.1:{listening.getHost().port}"

    async def connect(self, provider: str = "openai") -> Raw:
        """Connect to a provider's port."""
        client = await raw.connect(self.service.ports[provider])
        self.addCleanup(client.drop)
        return client

    async def admin(self, path: str) -> str:
        """What the admin port says."""
        client = await raw.connect(self.service.ports["admin"])
        client.send(raw.request(path))
        head, body = await client.response()
        client.drop()
        assert head.status == 200, (head.status, body)
        text: str = body.decode()
        return text

    async def gauge(self) -> float:
        """The calls that are running now, of all ports and protocols."""
        lines = (await self.admin("/metrics")).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("agentproxy_active_calls{"))

    async def settled(self, descriptors: int) -> None:
        """Wait until no call runs and the descriptors are back where they were; a bounded while."""
        for _ in range(100):
            if not await self.gauge() and self.service.descriptors() <= descriptors:
                return
            await deferLater(reactor, 0.05)
        links = self.service.links()
        self.fail(f"left: {await self.gauge()} calls, {len(links)} descriptors of {descriptors}: {links}")

    async def _finish(self) -> None:
        service = self.service
        if service.watched.code is None:
            said = [await self.admin("/metrics"), await self.admin("/reflect"), await self.admin("/health")]
            await service.stop()
        else:
            said = []
        self.hold_no_secret(service.watched.out, service.watched.err, *said)
        self.assertNotIn("twisted", [event["event"] for event in service.events()], service.watched.out)
        self.assertNotIn("call.fault", [event["event"] for event in service.events()], service.watched.out)
        self.assertEqual(service.watched.err, "")

    def hold_no_secret(self, *texts: str) -> None:
        """Nowhere in these texts is a part of a secret."""
        for name, secret in {**SECRETS, "the client's own": CLIENT_SECRET}.items():
            for piece in pieces(secret):
                for text in texts:
                    self.assertNotIn(piece, text, f"a part of {name}")
