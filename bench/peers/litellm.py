"""
LiteLLM's proxy: its pass-through for OpenAI, one worker, no database, no keys of its own. Read and tried: 1.106.2.

Of its ways to forward a call this is the leanest (CPU ms a small POST, on one machine): ``/openai_passthrough/...``
took 5.9; an endpoint of `general_settings.pass_through_endpoints` 6.5; the former under its server granian, instead of
uvicorn, 9.3. ``/openai/v1/responses`` would be no pass-through, but LiteLLM's own understanding of that API.

It parses a JSON body and writes it anew, without spaces and without the key `metadata`, and sends none but some of the
client's headers. WebSocket messages are taken apart and put together by two libraries, uvicorn's and `websockets`.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from bench.peers.peer import KEY, Route, Running, started
from bench.peers.process import HOST, Process, on_free_port

_PREFIX = "/openai_passthrough"
_CONFIGURATION = {
    # Off by default: it reads no message, so it could not hold a key to the models it is for.
    "general_settings": {"enable_openai_websocket_passthrough": True},
    "litellm_settings": {"telemetry": False},
}
_ENVIRON = {
    "OPENAI_API_KEY": KEY,
    # Lean: no line of log for each call. With uvicorn's default a call took 6.6 ms.
    "LITELLM_LOG": "ERROR",
    # It may not start without a key of its own otherwise, and would check it on each call.
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    # Nothing is fetched from the Internet at its start.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
}
_SECONDS = 90.0
"""How long it may take to start; it imports for several seconds."""


class LiteLLM:
    """:param program: ``litellm``; ``None`` where there is none."""

    name = "litellm"

    def __init__(self, program: Path | None) -> None:
        self._program = program

    def missing(self) -> str | None:
        if self._program and self._program.exists():
            return None
        return "LiteLLM is not installed: bench/run installs it, or --litellm names its program"

    def lacks(self, workload: str, route: str) -> str | None:
        if workload == "upload":
            return "LiteLLM passes no body on but JSON and forms"
        if workload.endswith("-deflate"):
            return "LiteLLM negotiates compression with each side by itself"
        return None

    def start(self, route: Route, folder: Path, core: int) -> Running:
        return on_free_port(partial(self._start, route, folder, core))

    def _start(self, route: Route, folder: Path, core: int, port: int) -> Running:
        configuration = folder / "litellm.yaml"
        # JSON is YAML.
        configuration.write_text(json.dumps(_CONFIGURATION))
        environ = {**_ENVIRON, "OPENAI_API_BASE": route.url}
        if route.ca_file:
            environ["SSL_CERT_FILE"] = route.ca_file
        if route.proxy_url:
            # `websockets` heeds the first by itself, LiteLLM's HTTP client only with the second.
            environ |= {"HTTPS_PROXY": route.proxy_url, "AIOHTTP_TRUST_ENV": "True"}
        command = [str(self._program), "--config", str(configuration), "--host", HOST, "--port", str(port)]
        process = Process(self.name, command, folder, core, environ)
        return started(process, lambda process: process.accepts(port, _SECONDS), prefix=_PREFIX)
