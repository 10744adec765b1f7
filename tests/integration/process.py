"""A real twistd that runs agentproxy, watched from a test: its ports, its log, its descriptors and memory."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tests.integration.raw import connect, request
from tests.integration.waiting import Waiting, reactor

ROOT = Path(__file__).resolve().parents[2]


class Watched(Waiting, ProcessProtocol):
    """
    A process whose output is kept and waited for.

    :ivar out: its standard output so far; ``err``: its standard error.
    :ivar code: its exit code, once it has ended; minus the signal's number where one ended it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.out = ""
        self.err = ""
        self.code: int | None = None

    def outReceived(self, data: bytes) -> None:
        self.out += data.decode()
        self.look()

    def errReceived(self, data: bytes) -> None:
        self.err += data.decode()
        self.look()

    def processEnded(self, reason: Failure) -> None:
        value: Any = reason.value
        self.code = 0 if isinstance(value, ProcessDone) else (-value.signal if value.signal else value.exitCode)
        self.look()

    def ended(self, seconds: float = 30.0) -> Deferred[None]:
        """Fires once the process has ended."""
        return self.until(lambda: self.code is not None, seconds)

    def state(self) -> str:
        return f"--- out\n{self.out}\n--- err\n{self.err}"


def spawn(arguments: list[str], environ: dict[str, str], folder: str) -> Watched:
    """Run a command; it finds this checkout."""
    watched = Watched()
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "HOME": folder}
    process = reactor.spawnProcess(watched, arguments[0], arguments, env={**clean, **environ}, path=folder)
    assert process is watched.transport
    return watched


class Service:
    """
    A running agentproxy.

    :ivar ports: by provider name, and ``admin``.
    :ivar folder: its home.
    """

    def __init__(self, watched: Watched, folder: str = "") -> None:
        self.watched = watched
        self.folder = folder
        self.ports: dict[str, int] = self.events("service.ready")[0]["ports"] if watched.code is None else {}

    @property
    def pid(self) -> int:
        """The process's."""
        pid: int = self.watched.transport.pid
        return pid

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log's events so far, of a name or all."""
        lines = [json.loads(line) for line in self.watched.out.splitlines(keepends=True) if line.endswith("\n")]
        return [event for event in lines if name is None or event["event"] == name]

    async def ends(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many calls to have ended; their events."""
        await self.watched.until(lambda: len(self.events("call.end")) >= count)
        return self.events("call.end")

    def descriptors(self) -> int:
        """File descriptors it has open, but for those of its records, which come and go as they are written."""
        return sum("/records.sqlite" not in link for link in self.links())

    def links(self) -> list[str]:
        """What its descriptors are of."""
        found = []
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/{self.pid}/fd/{name}"))
        return found

    def resident(self) -> int:
        """Bytes of memory it holds."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def signal(self, name: str) -> None:
        """Send it a signal, by name without SIG."""
        self.watched.transport.signalProcess(name)

    async def stop(self) -> None:
        """End it as an operator does, and hold it to its word: exit 0."""
        if self.watched.code is None:
            self.signal("TERM")
            await self.watched.ended()
        assert self.watched.code == 0, (self.watched.code, self.watched.err)


def twistd(*arguments: str, reactor: str | None = None) -> list[str]:
    """The command that runs ``twistd -n agentproxy`` with these arguments, perhaps on a reactor that is named."""
    start = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"
    chosen = [] if reactor is None else [f"--reactor={reactor}"]
    return [sys.executable, "-c", start, *chosen, "-n", "--pidfile=", "agentproxy", *arguments]


def agentproxy(arguments: list[str], folder: str) -> Watched:
    """Run the console script in this folder, which is its home too."""
    start = "import sys; from agentproxy.cli.main import main; sys.exit(main())"
    return spawn([sys.executable, "-c", start, *arguments], {}, folder)


async def start(
    configuration: str, environ: dict[str, str], folder: str, limit: int | None = None, reactor: str | None = None
) -> Service:
    """Run the service with this configuration's text, and so many descriptors at most, until it is ready."""
    path = os.path.join(folder, "agentproxy.toml")
    Path(path).write_text(configuration)
    command = twistd("--config", path, reactor=reactor)
    if limit is not None:
        command = ["/bin/sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *command]
    watched = spawn(command, environ, folder)
    await watched.until(lambda: "service.ready" in watched.out or watched.code is not None)
    assert watched.code is None, watched.err
    service = Service(watched, folder)
    # The reactor opens pipes of its own as it begins to run; an answer shows that it does.
    admin = await connect(service.ports["admin"])
    admin.send(request("/health"))
    await admin.response()
    admin.transport.loseConnection()
    await admin.end()
    return service
