"""Where an export goes: a file that is whole or not there, and nobody else's to read."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.command import Console
from agentproxy.cli.output import output
from agentproxy.cli.records import Finding


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.console = Console({}, io.StringIO(), io.StringIO())
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = self.folder / "out.jsonl"

    def write(self, path: str | Path | None, text: str) -> None:
        with output(None if path is None else str(path), self.console) as file:
            file.write(text)

    def test_standard_output(self) -> None:
        """No name, or a dash, is the console's output."""
        self.write(None, "a")
        self.write("-", "b")
        self.assertEqual(self.console.out.getvalue(), "ab")  # type: ignore[attr-defined]

    def test_file(self) -> None:
        """A file is UTF-8, its owner's only, and alone in its folder; one that was there is replaced."""
        self.file.write_text("old")
        self.file.chmod(0o644)
        self.write(self.file, "ü\n")
        self.assertEqual(self.file.read_bytes(), b"\xc3\xbc\n")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(self.folder), ["out.jsonl"])

    def test_broken_off(self) -> None:
        """What breaks off leaves the old file as it was, and nothing beside it."""
        self.file.write_text("old")
        for error in (RuntimeError, KeyboardInterrupt, BrokenPipeError):
            with self.assertRaises(error), output(str(self.file), self.console) as file:
                file.write("new")
                file.flush()
                self.assertEqual(self.file.read_text(), "old")
                raise error
        self.assertEqual(self.file.read_text(), "old")
        self.assertEqual(os.listdir(self.folder), ["out.jsonl"])

    def test_link(self) -> None:
        """A link stays one: what it points to is replaced."""
        link = self.folder / "link"
        link.symlink_to("out.jsonl")
        self.write(link, "a")
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.file.read_text(), "a")

    def test_device(self) -> None:
        """A device is written to, not replaced."""
        self.write("/dev/null", "a")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))

    def test_cannot(self) -> None:
        """What can't be written is a finding that names it."""
        missing = self.folder / "missing" / "a"
        for path, why in ((missing, "No such file or directory"), (self.folder, "Is a directory")):
            error = self.assertRaises(Finding, self.write, path, "a")
            self.assertEqual(str(error), f"{path} can't be written: {why}")
        error = self.assertRaises(Finding, self.write, "/dev/full", "a")
        self.assertEqual(str(error), "/dev/full can't be written: No space left on device")
