"""
A process that writes turns, and tells the key of the last one of each batch that is written, until it is killed.

``python -m tests.records.child DIRECTORY``
"""

from __future__ import annotations

import sys
from pathlib import Path

from agentproxy.records.writer import Writer
from tests.records.store_case import SOON, call, turn

BATCH = 300


def main(directory: Path) -> None:
    writer = Writer(directory, clean=bytes, told=lambda *_, **__: None, days=0, megabytes=0)
    writer.start()
    number = 0
    while True:
        for _ in range(BATCH):
            number += 1
            writer.turn(turn(number))
            writer.call(call(number))
        if not writer.flush(SOON):
            sys.exit("not written")
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
