"""The machine as the benchmark sees it: its cores, what processes use of it, and what it is. Linux only."""

from __future__ import annotations

import os
import platform
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SECONDS = 20
"""How long a program may take to say its version."""


def cores() -> tuple[int, int]:
    """
    The core for the proxy and the core for load and upstream, of those that this process may use.

    They are no hyperthreads of each other where that can be had, and the same one where there is only one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    # The first core takes most of a machine's interrupts: that falls on the load's side.
    load = allowed[0]
    others = [core for core in allowed[1:] if core not in _siblings(load)] or allowed[1:] or [load]
    return others[0], load


def _siblings(core: int) -> set[int]:
    """The hyperthreads of a core, itself among them."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return {core}
    return parse_cores(text)


def parse_cores(text: str) -> set[int]:
    """Read the kernel's way to list cores, such as ``0-3,8``."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def pin(core: int) -> None:
    """
    Keep the calling process on a core, and what it starts.

    One system call and nothing else, so that it may run between fork and exec:
    ``Popen(..., preexec_fn=partial(pin, core))``.
    """
    os.sched_setaffinity(0, {core})


def descendants(pid: int) -> list[int]:
    """The processes that a process started and those that they started, as they are now; not itself."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        # The name stands in brackets and may hold anything; the parent is the second field behind it.
        children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def cpu_seconds(pids: Collection[int]) -> float:
    """CPU time that processes have used since they began, user and system together; one that is gone counts as 0."""
    return sum((_cpu_seconds(pid) for pid in pids), 0.0)


def _cpu_seconds(pid: int) -> float:
    # The process's CPU clock is told in nanoseconds, where /proc/PID/stat has ticks of 10 ms, and still counts threads
    # that have ended. This is how clock_getcpuclockid(3) makes its number; 2 is the scheduler's clock.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def resident_bytes(pids: Collection[int]) -> int:
    """Memory that processes hold, the pages that they share counted for each; one that is gone counts as 0."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        except OSError:
            continue
    return total


def describe(mitmproxy: Path | None = None, litellm: Path | None = None) -> dict[str, str | int | None]:
    """
    What the figures were measured on; ``None`` for what is not there.

    :param mitmproxy: the program ``mitmdump``; ``None`` where there is none; so ``litellm``.
    """
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * _PAGE,
        "kernel": platform.release(),
        "commit": _commit(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "agentproxy": _version("agentproxy"),
        "twisted": _version("twisted"),
        "nginx": _said(r"nginx/(\S+)", find("nginx"), "-v"),
        "node": _said(r"v(\S+)", find("node"), "--version"),
        "squid": _said(r"Version (\S+)", find("squid"), "-v"),
        "wrk": _said(r"wrk (?:debian/)?(\S+)", find("wrk"), "--version"),
        "mitmproxy": _version_beside(mitmproxy, "mitmproxy"),
        "litellm": _version_beside(litellm, "litellm"),
    }


def find(program: str) -> str | None:
    """A program's path, where it is installed; those for administrators count too."""
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")


def _cpu_model() -> str:
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with ``+`` where files differ from it."""
    git = find("git")
    commit = _said(r"^([0-9a-f]{12})", git, "-C", str(ROOT), "rev-parse", "HEAD")
    changed = _said(r"(\S)", git, "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if commit and changed else commit


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _version_beside(program: Path | None, package: str) -> str | None:
    """A package's version in the virtual environment that a program of it is in; quicker than asking the program."""
    if program is None:
        return None
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    # Without resolving: the interpreter of a virtual environment is a link out of it.
    return _said(r"^(\d\S*)$", str(program.absolute().parent / "python"), "-c", code)


def _said(pattern: str, program: str | None, *arguments: str) -> str | None:
    """What a pattern finds in what a program says, on either output."""
    if program is None:
        return None
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # wrk answers with 1 when it is asked for its version, a failed Python with a traceback.
    match = re.search(pattern, done.stdout or done.stderr)
    return match[1] if match else None
