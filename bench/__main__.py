"""The command line: `python -m bench`. Most people want `bench/run`, which brings what this needs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from bench import machine, picture, report
from bench.peers import Peer, find_program, peers
from bench.place import places
from bench.results import DIRECT, PEER, Results, load
from bench.rounds import Plan, run
from bench.targets import TARGETS
from bench.workloads import NAMES, ROUTES, chosen

_SECONDS = 2.0
_ROUNDS = 5
_SMOKE_SECONDS = 0.1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        "bench/run", description="Compares agentproxy with its peers, side by side in one run; see bench/README.md."
    )
    add = made.add_argument
    add("--rounds", type=_count, metavar="N", help=f"of each row (default: {_ROUNDS})")
    add("--seconds", type=_seconds, metavar="S", help=f"of each round (default: {_SECONDS:g})")
    add("--routes", type=_words, default=[], metavar="A,B", help=f"of {', '.join(ROUTES)} (default: all)")
    add("--workloads", type=_words, default=[], metavar="A,B", help=f"names or prefixes: {', '.join(NAMES)}")
    add("--peers", type=_words, default=[], metavar="A,B", help="agentproxy and others (default: all)")
    add("--smoke", action="store_true", help="every workload, tiny: is all right? One round; nothing about speed")
    add("--out", type=Path, metavar="FOLDER", help="for the report (default: bench/results/DATE)")
    add("--against", type=Path, metavar="FILE", help="an earlier run's results.json: before and after")
    add("--mitmproxy", type=Path, metavar="PATH", help="the program mitmdump")
    add("--litellm", type=Path, metavar="PATH", help="the program litellm")
    add(
        "--python",
        type=Path,
        metavar="PATH",
        help="an interpreter with another agentproxy installed, to measure that one",
    )
    add("--json-only", action="store_true", help="no Markdown and no picture")
    return made


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 3600:
        raise ValueError
    return number


def contenders(every: Sequence[Peer], words: Sequence[str]) -> list[Peer]:
    """
    The peers by these names; all where there is none. `direct` is always among them, since figures are less its.

    :raises ValueError: a word is no peer's name.
    """
    names = [peer.name for peer in every]
    for word in words:
        if word not in names:
            raise ValueError(f"no peer is called {word!r}; there are {', '.join(names)}")
    return [peer for peer in every if not words or peer.name in words or peer.name == DIRECT]


def write(results: Results, folder: Path, before: Results | None, json_only: bool) -> None:
    """The report's files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "results.json"]
    files[0].write_text(json.dumps(results.to_json(TARGETS), indent=1) + "\n", "utf-8")
    if not json_only:
        files.append(folder / "report.md")
        files[1].write_text(report.markdown(results, before), "utf-8")
        try:
            files += picture.draw(results, folder)
        except picture.NoPicture as why:
            say(f"no picture: {why}")
    for file in files:
        say(f"written: {file}")


def say(line: str) -> None:
    """Tell how it goes."""
    print(line, file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run what the command line asks for.

    :returns: the exit code: 1 where a row of agentproxy failed, 130 after an interrupt. Figures never change it.
    """
    made = parser()
    options = made.parse_args(arguments)
    begun = datetime.now(UTC).replace(microsecond=0)
    try:
        workloads = chosen(options.workloads)
        routes = options.routes or list(ROUTES)
        if not set(routes) <= set(ROUTES):
            raise ValueError(f"routes are {', '.join(ROUTES)}")
        mitmproxy = options.mitmproxy or find_program("mitmdump", ".venv-mitmproxy")
        litellm = options.litellm or find_program("litellm", ".venv-litellm")
        team = contenders(peers(mitmproxy, litellm, options.python), options.peers)
        before = load(options.against) if options.against else None
    except (ValueError, OSError) as error:
        made.error(str(error))
    rounds = options.rounds or (1 if options.smoke else _ROUNDS)
    seconds = options.seconds or (_SMOKE_SECONDS if options.smoke else _SECONDS)
    folder = options.out or machine.ROOT / "bench" / "results" / begun.strftime("%Y-%m-%d-%H%M%S")
    for peer in team:
        missing = peer.missing()
        if missing:
            say(f"SKIPPED: {peer.name}: {missing}")
    told = {"rounds": rounds, "seconds": seconds, "routes": routes, "smoke": options.smoke}
    told["workloads"] = [workload.name for workload in workloads]
    if options.python:
        told["python"] = str(options.python)
    results = Results(begun.isoformat(), told, machine.describe(mitmproxy, litellm))
    proxy_core, load_core = machine.cores()
    # We look at the peers' memory all the while: that shall not be on their core.
    machine.pin(load_core)
    signal.signal(signal.SIGTERM, _interrupt)
    interrupted = False
    plan = Plan(routes, workloads, rounds, keep=options.smoke)
    try:
        with closing(run(plan, team, places(proxy_core, load_core, seconds, options.smoke), say)) as rows:
            for row in rows:
                results.rows.append(row)
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: only workloads that were done have rows")
    write(results, folder, before, options.json_only)
    failed = results.failed(PEER)
    for row in failed:
        say(f"FAILED: {row.route} {row.workload}: {row.why}")
    return 130 if interrupted else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
