"""`python -m bench.load WORKLOAD --target HOST:PORT --upstream-fd FD ...`: runs one workload, says what it found."""

from __future__ import annotations

import argparse
import gc
import resource
import socket
import ssl
import sys
from collections.abc import Sequence
from time import monotonic

from bench.load.catalogue import WORKLOADS
from bench.load.loop import Loop, Stalled
from bench.load.run import Run, WrongAnswer, say


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.load", description="Both ends of a proxy, for one measurement.")
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="where the proxy listens")
    parser.add_argument("--target-ca", metavar="PEM", help="speak TLS to it (only to upstream itself)")
    parser.add_argument("--upstream-fd", required=True, type=int, metavar="FD", help="upstream's listening socket")
    parser.add_argument("--tls-cert", metavar="PEM", help="upstream speaks TLS")
    parser.add_argument("--tls-key", metavar="PEM")
    parser.add_argument("--prefix", default="", help="what paths begin with at the proxy")
    parser.add_argument("--header", action="append", default=[], metavar="NAME: VALUE")
    parser.add_argument("--seconds", type=float, default=2.0, help="of the measured window")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=NUMBER", help="a parameter of the workload")
    found = parser.parse_args(words)
    found.parameters = dict(WORKLOADS[found.workload].parameters)
    for pair in found.set:
        key, equals, value = pair.partition("=")
        if not equals or key not in found.parameters:
            parser.error(f"--set {pair}: {found.workload} knows {', '.join(found.parameters)}")
        try:
            found.parameters[key] = float(value)
        except ValueError:
            parser.error(f"--set {pair}: want a number")
    found.headers = []
    for line in found.header:
        name, colon, value = line.partition(":")
        if not colon:
            parser.error(f"--header {line}: want NAME: VALUE")
        found.headers.append((name.strip(), value.strip()))
    host, _, port = found.target.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"--target {found.target}: want HOST:PORT")
    found.host, found.port = host, int(port)
    return found


def prepare(found: argparse.Namespace) -> Run:
    upstream = target = None
    if found.tls_cert:
        upstream = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        upstream.load_cert_chain(found.tls_cert, found.tls_key)
        upstream.set_alpn_protocols(["http/1.1"])
    if found.target_ca:
        target = ssl.create_default_context(cafile=found.target_ca)
    return Run(
        loop=Loop(monotonic() + found.seconds * 3 + 20),
        host=found.host,
        port=found.port,
        listener=socket.socket(fileno=found.upstream_fd),
        seconds=found.seconds,
        upstream_tls=upstream,
        target_tls=target,
        prefix=found.prefix,
        headers=found.headers,
        parameters=found.parameters,
    )


def measure(run: Run, workload: str) -> dict[str, object]:
    """Run it; what there is to say of it."""
    why: str | None = None
    try:
        WORKLOADS[workload].run(run)
    except WrongAnswer as error:
        why = str(error)
    except Stalled as error:
        why = f"stalled: {error}"
    run.end()
    return {
        "event": "result",
        "operations": run.operations,
        "seconds": run.elapsed,
        "checked": run.checked,
        "wrong": int(why is not None),
        "why": why,
        "values": run.values,
    }


def main(words: Sequence[str] | None = None) -> int:
    found = arguments(words)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    run = prepare(found)
    # What lives now lives to the end, and little is made in circles: a collection would only be a pause.
    gc.freeze()
    gc.disable()
    say(measure(run, found.workload))
    return 0


if __name__ == "__main__":
    sys.exit(main())
