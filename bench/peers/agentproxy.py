"""agentproxy itself: a real twistd, as an operator runs it, from this checkout."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import machine
from bench.peers.peer import KEY, Route, Running, started
from bench.peers.process import Process

# Only what must differ from the default installation: log, metrics, limits and records stay on.
_CONFIGURATION = """\
[egress]
proxy = "{proxy}"
{ca_file}

[admin]
port = 0

[record]
directory = "records"

[providers.openai]
kind = "openai"
port = 0
upstream = "{upstream}"
"""
_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"


class Agentproxy:
    """:param python: an interpreter that has it installed, to measure that one; ``None``: ours, and this checkout."""

    name = "agentproxy"

    def __init__(self, python: Path | None = None) -> None:
        self._python = python

    def missing(self) -> str | None:
        if self._python and not self._python.exists():
            return f"there is no {self._python}"
        return None

    def lacks(self, workload: str, route: str) -> str | None:
        return None

    def start(self, route: Route, folder: Path, core: int) -> Running:
        configuration = folder / "agentproxy.toml"
        configuration.write_text(
            _CONFIGURATION.format(
                proxy=route.proxy_url or "direct",
                ca_file=f'ca_file = "{route.ca_file}"' if route.ca_file else "",
                upstream=route.url,
            )
        )
        command = [str(self._python or sys.executable), "-c", _TWISTD, "-n", "--pidfile=", "agentproxy"]
        command += ["--config", str(configuration)]
        environ = {"OPENAI_API_KEY": KEY}
        if self._python is None:
            environ["PYTHONPATH"] = str(machine.ROOT)
        process = Process(self.name, command, folder, core, environ)
        return started(process, _port)


def _port(process: Process) -> int:
    # The port is open before the service says so.
    return process.accepts(process.says(r'"service\.ready".*"openai": ?(\d+)'))
