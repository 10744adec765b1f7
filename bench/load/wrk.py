"""wrk as a child of the load: it asks, our loop answers meanwhile. It is given no look at the answers' bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from bench.load.requests import PATH, question_fields
from bench.load.run import Run

DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests":%d,"us":%d,"bytes":%.0f,"p50_us":%.1f,"p99_us":%.1f,' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.timeout, e.status))
end
"""
"""Prints wrk's own counters as JSON. ``status`` counts answers of 400 and above."""


@dataclass(frozen=True)
class Summary:
    """
    What wrk counted.

    :ivar bytes: of all answers, heads and all.
    :ivar errors: those that were not 0, by kind.
    """

    requests: int
    seconds: float
    bytes: int
    p50_ms: float
    p99_ms: float
    errors: dict[str, int]


def wrk_missing() -> str | None:
    return None if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"


def quoted(text: str) -> str:
    """A Lua string."""
    return f"[==[\n{text}]==]"


def script(run: Run, body: bytes) -> str:
    # These two it writes by itself; in its own spelling it can be told of another host.
    own = {"content-length": None, "host": "Host" if any(name.lower() == "host" for name, _ in run.headers) else None}
    fields = [(own.get(name.lower(), name), value) for name, value in run.fields(question_fields(len(body)))]
    lines = ['wrk.method = "POST"', f"wrk.body = {quoted(body.decode())}"]
    lines += [f"wrk.headers[ {quoted(name)} ] = {quoted(value)}" for name, value in fields if name]
    return "\n".join(lines) + DONE


def run_wrk(run: Run, connections: int, body: bytes) -> Summary:
    """
    Let it ask for the run's seconds, in whole ones, while the loop goes on.

    :raises RuntimeError: wrk itself failed.
    """
    scheme = "http" if run.target_tls is None else "https"
    seconds = max(1, round(run.seconds))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua, tempfile.TemporaryFile() as output:
        lua.write(script(run, body))
        lua.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", lua.name]
        # Its end is heard of by the end of a pipe that only it holds.
        reading, writing = os.pipe()
        child = subprocess.Popen(
            [*command, f"{scheme}://{run.host}:{run.port}{run.prefix}{PATH}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
        )
        os.close(writing)
        try:
            run.loop.watch(reading, lambda mask: run.loop.stop())
            run.loop.run("waiting for wrk")
        finally:
            run.loop.forget(reading)
            os.close(reading)
            child.kill()
            child.wait()
        output.seek(0)
        return summary_of(output.read().decode(errors="replace"))


def summary_of(output: str) -> Summary:
    """
    :raises RuntimeError: wrk did not come to its end.
    """
    line = output.strip().rpartition("\n")[2]
    try:
        found = json.loads(line)
    except ValueError:
        raise RuntimeError(f"wrk: {output[-300:]!r}") from None
    return Summary(
        requests=found["requests"],
        seconds=found["us"] / 1e6,
        bytes=found["bytes"],
        p50_ms=found["p50_us"] / 1e3,
        p99_ms=found["p99_us"] / 1e3,
        errors={kind: count for kind, count in found["errors"].items() if count},
    )
