"""``--demo``: simulated providers and a CONNECT proxy beside the service, so that the whole chain runs offline."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from agentproxy import config
from agentproxy.config import Egress, ProxyUrl, Settings
from agentproxy.simulator import NAMES, ConnectProxy, Script, Simulator, ThrowawayCA, serve
from agentproxy.wire.connect import authority

_KEY = "demo-key-of-nobody"


class Demo:
    """
    The simulator and its CONNECT proxy, which listen as soon as this is made.

    :param path: a configuration whose upstreams are to be simulated; ``None``: the default's.
    :param say: takes the lines for the terminal.
    :ivar settings: the configuration, its way out led through the embedded proxy.
    :ivar environ: the environment, every credential in it a made-up one.
    """

    def __init__(
        self, reactor: Any, path: str | None, environ: Mapping[str, str], say: Callable[[str], object]
    ) -> None:
        self._reactor = reactor
        self._say = say
        settings = config.load(path, offline(environ))
        slots = [source.env for provider in settings.providers for source in provider.secrets.values()]
        self.environ = {**environ, **{name: _KEY for name in slots if name is not None}}
        self._simulator = Simulator(reactor, script=Script(model=""))
        ca = ThrowawayCA()
        names = [provider.upstream.host for provider in settings.providers]
        self._served = serve(reactor, self._simulator, ca=ca, certificate=ca.issue(*NAMES, *_others(names)))
        mapping = {}
        for provider in settings.providers:
            upstream = provider.upstream
            port = self._served.tls_port if upstream.scheme == "https" else self._served.port
            mapping[upstream.host, upstream.port] = ("127.0.0.1", port)
        self._proxy = ConnectProxy(reactor, mapping, strict=True)
        self._listening = reactor.listenTCP(0, self._proxy, interface="127.0.0.1")
        number = self._listening.getHost().port
        self._ca_file = _write(self._served.ca.pem)
        way_out = ProxyUrl("http", "127.0.0.1", number)
        self.settings: Settings = replace(
            settings, egress=Egress(https=way_out, http=way_out, no_proxy=(), ca_file=self._ca_file)
        )

    def tell(self, ports: Mapping[str, int]) -> None:
        """Print what to paste, given the ports by provider."""
        host = self.settings.listen.interface
        lines = ["", "agentproxy demo: the providers are simulated; no key and no network is used. Paste a line:", ""]
        for provider in self.settings.providers:
            lines += _lines(provider.kind.name, provider.name, f"http://{authority(host, ports[provider.name])}")
        admin = authority(self.settings.admin.interface, ports["admin"])
        lines += [f"  # what happened\n  curl -s http://{admin}/metrics | grep agentproxy_requests_total"]
        if self.settings.record.content != "off":
            # Where the virtual environment is not active, its programs are not found by their names.
            program = os.path.join(os.path.dirname(sys.executable), "agentproxy")
            lines += [f"  {program} sessions --records {shlex.quote(self.settings.record.directory)}"]
        lines += ["", ""]
        self._say("\n".join(lines))

    def forget(self) -> None:
        """Remove the CA's file; whoever cleans the folder for temporary files may have been there before."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._ca_file)

    async def stop(self) -> None:
        """Stop the simulator and the proxy, and remove the CA's file."""
        self.forget()
        await self._listening.stopListening()
        await self._proxy.disconnect()
        await self._served.stop()


def _others(names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name not in NAMES]


def _lines(kind: str, name: str, url: str) -> list[str]:
    say = "Say hello."
    if kind == "anthropic":
        rest = '"max_tokens":64,"messages":[{"role":"user","content":"Hi"}]'
        curl = _curl(f"{url}/v1/messages", "claude-sonnet-4-5", rest)
        if name == "opencode":
            setting = f'{{"provider":{{"anthropic":{{"options":{{"baseURL":"{url}/v1","apiKey":"unused"}}}}}}}}'
            agent = f"OPENCODE_CONFIG_CONTENT='{setting}' opencode run --model anthropic/claude-sonnet-4-5 '{say}'"
        else:
            agent = f"ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=unused claude -p '{say}'"
    elif kind == "gemini":
        target = f"{url}/v1beta/models/gemini-2.5-flash:generateContent"
        curl = _post(target, '{"contents":[{"parts":[{"text":"Hi"}]}]}')
        agent = f"GOOGLE_GEMINI_BASE_URL={url} GEMINI_API_KEY=unused gemini -m gemini-2.5-flash -p '{say}'"
    elif kind == "copilot":
        curl = _curl(f"{url}/chat/completions", "gpt-5.5", '"messages":[{"role":"user","content":"Hi"}]')
        agent = (
            f"COPILOT_OFFLINE=true COPILOT_PROVIDER_BASE_URL={url} COPILOT_PROVIDER_API_KEY=unused "
            f"COPILOT_MODEL=gpt-5.5 copilot -p '{say}'"
        )
    else:
        base = f"{url}/backend-api/codex" if kind == "chatgpt" else f"{url}/v1"
        curl = _curl(f"{base}/responses", "gpt-5.5", '"input":"Hi"')
        agent = f"CODEX_API_KEY=unused codex exec --skip-git-repo-check -c openai_base_url='\"{base}\"' '{say}'"
    return [f"  # {name}", f"  {curl}", f"  {agent}", ""]


def _curl(url: str, model: str, rest: str) -> str:
    return _post(url, f'{{"model":"{model}",{rest}}}')


def _post(url: str, body: str) -> str:
    return f"curl -s {url} -H 'content-type: application/json' -d '{body}'"


def offline(environ: Mapping[str, str]) -> dict[str, str]:
    """The demo has a way out of its own: whatever the environment names, even what can't be used, is left aside."""
    aside = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file"}
    return {name: value for name, value in environ.items() if name.lower() not in aside}


def _write(pem: bytes) -> str:
    handle, path = tempfile.mkstemp(prefix="agentproxy-demo-", suffix=".pem")
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return path
