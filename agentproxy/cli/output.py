"""Where an export goes: the standard output, or a file that is there when it is whole."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from agentproxy.cli.command import Console
from agentproxy.cli.records import Finding


@contextmanager
def output(path: str | None, console: Console) -> Iterator[TextIO]:
    """
    What to write to.

    A file is written under another name beside its own, readable by its owner only, and takes its name, from another
    one perhaps, when it is whole and on the disk; if it comes to nothing it is removed.

    :param path: ``None`` or ``-``: the console's output.
    :raises Finding: it can't be written.
    """
    if path is None or path == "-":
        yield console.out
        return
    try:
        with _file(path) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Finding(f"{path} can't be written: {error.strerror or type(error).__name__}") from None


@contextmanager
def _file(path: str) -> Iterator[TextIO]:
    # A link stays one, and what it points to is replaced.
    path = os.path.realpath(path)
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        # Of a device or a pipe there is no other version; a directory says so itself.
        with open(path, "w", encoding="utf-8", newline="") as file:
            yield file
        return
    folder, name = os.path.split(path)
    # Mode 0600, as `mkstemp` has it: an export may hold what was said.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
