"""Credentials from environment, file and command: when they are read, and what is said where they give nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.config import CredentialSource
from agentproxy.policy.credentials import MAX_BYTES, Credentials

ONE = (frozenset({"credential"}),)
SECRET = "sk-do-not-show-me"


class CredentialsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.found: list[str] = []
        self.complaints: list[tuple[str, str]] = []

    def credentials(
        self, needs: tuple[frozenset[str], ...] = ONE, environ: Mapping[str, str] | None = None, **sources: Any
    ) -> Credentials:
        return Credentials(
            {slot: CredentialSource(**source) for slot, source in sources.items()},
            needs,
            environ or {},
            clock=self.clock,
            found=self.found.append,
            complain=lambda slot, why: self.complaints.append((slot, why)),
        )

    def path(self) -> Path:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        return folder / "secret"

    def said(self) -> list[str]:
        """What was complained of since last asked; never with a secret in it."""
        said = [f"{slot}: {why}" for slot, why in self.complaints]
        self.complaints.clear()
        self.assertNotIn(SECRET, "".join(said))
        return said


class Environment(CredentialsCase):
    def test_set(self) -> None:
        """A variable's text, without white space around it, is told to whoever keeps it out of logs."""
        held = self.credentials(credential={"env": "A"}, environ={"A": f" {SECRET}\n"})
        self.assertEqual(held.current(), {"credential": SECRET})
        self.assertTrue(held.configured)
        self.assertEqual(self.found, [SECRET])

    def test_missing(self) -> None:
        """A variable that is not there, or empty, is no mistake: the provider is not configured, nothing is said."""
        for environ in ({}, {"A": ""}, {"A": " \n"}):
            held = self.credentials(credential={"env": "A"}, environ=environ)
            self.assertIsNone(held.current())
            self.assertFalse(held.configured)
        self.assertEqual((self.said(), self.found), ([], []))

    def test_not_injectable(self) -> None:
        """A text that no header may have is not used, and complained of, without it."""
        for bad in ("a\nb", "a\r\nX: y", "a\0b", "a\tb", "a\x7fb", "caf\xe9", "\u65e5", "a\x85b"):
            held = self.credentials(credential={"env": "A"}, environ={"A": SECRET + bad})
            self.assertIsNone(held.current(), repr(bad))
            self.assertEqual(len(self.said()), 1)
        self.assertEqual(self.found, [])

    def test_needs(self) -> None:
        """Any one set of slots, whole, is enough; a slot that is not needed may be missing, and is then not there."""
        both, either = (frozenset({"a", "b"}),), (frozenset({"a"}), frozenset({"b"}))
        for needs, environ, expected in (
            (both, {"A": "1"}, None),
            (both, {"B": "1"}, None),
            (both, {"A": "1", "B": "2"}, {"a": "1", "b": "2"}),
            (either, {}, None),
            (either, {"B": "2"}, {"b": "2"}),
            (either, {"A": "1", "C": "3"}, {"a": "1", "c": "3"}),
            (either, {"C": "3"}, None),
        ):
            held = self.credentials(needs, environ, a={"env": "A"}, b={"env": "B"}, c={"env": "C"})
            self.assertEqual(held.current(), expected)

    def test_no_source(self) -> None:
        """A slot without a source is never there."""
        self.assertIsNone(self.credentials().current())

    def test_not_shown(self) -> None:
        """Neither repr nor str shows a secret."""
        held = self.credentials(credential={"env": "A"}, environ={"A": SECRET})
        self.assertNotIn(SECRET, repr(held) + str(held))


class File(CredentialsCase):
    def held(self, content: bytes | None) -> tuple[Path, Credentials]:
        path = self.path()
        if content is not None:
            path.write_bytes(content)
        return path, self.credentials(credential={"file": str(path)})

    def change(self, path: Path, do: Callable[[], object]) -> None:
        """Do what is seen as a change however coarse the file system's clock is: time itself is moved on."""
        before = path.stat().st_mtime_ns if path.exists() else 0
        do()
        if path.exists():
            os.utime(path, ns=(before + 10**9, before + 10**9))

    def test_content(self) -> None:
        """A file's text counts without the white space and new lines around it."""
        for content in (b"k", b"k\n", b"k\r\n", b"\n k \n\n"):
            _, held = self.held(content)
            self.assertEqual(held.current(), {"credential": "k"})
        self.assertEqual(self.said(), [])

    def test_changed(self) -> None:
        """A file that was written anew is read again, with the next call."""
        path, held = self.held(b"one")
        self.change(path, lambda: path.write_bytes(b"two"))
        self.assertEqual(held.current(), {"credential": "two"})
        self.assertEqual(self.found, ["one", "two"])

    def test_unchanged(self) -> None:
        """A file that did not change is not read again."""
        _, held = self.held(b"one")
        for _ in range(5):
            held.current()
        self.assertEqual(self.found, ["one"])

    def test_replaced_with_its_times(self) -> None:
        """A file that another takes the place of is read again, though size and mtime are the same."""
        path, held = self.held(b"one")
        times = path.stat()
        other = path.with_name("other")
        other.write_bytes(b"two")
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(other, path)
        self.assertEqual(held.current(), {"credential": "two"})

    def test_changed_with_its_times(self) -> None:
        """A file written in place is read again, though size, inode and mtime are the same: its ctime is not."""
        path, held = self.held(b"one")
        times = path.stat()
        path.write_bytes(b"two")
        # The file system's clock may stand still for some milliseconds.
        while path.stat().st_ctime_ns == times.st_ctime_ns:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assertEqual(path.stat().st_mtime_ns, times.st_mtime_ns)
        self.assertEqual(held.current(), {"credential": "two"})

    def test_symlink_moved(self) -> None:
        """A link that points elsewhere is a change, which is how mounted secrets are renewed."""
        path = self.path()
        one, two = path.with_name("one"), path.with_name("two")
        one.write_bytes(b"one")
        two.write_bytes(b"two")
        path.symlink_to(one)
        held = self.credentials(credential={"file": str(path)})
        self.assertEqual(held.current(), {"credential": "one"})
        path.unlink()
        path.symlink_to(two)
        self.assertEqual(held.current(), {"credential": "two"})

    def test_removed(self) -> None:
        """A file that goes takes the configuration with it, and brings it back; it is complained of once each time."""
        path, held = self.held(SECRET.encode())
        for _ in range(2):
            path.unlink()
            for _ in range(3):
                self.assertIsNone(held.current())
            self.assertEqual(len(self.said()), 1)
            path.write_bytes(SECRET.encode())
            self.assertEqual(held.current(), {"credential": SECRET})
            self.assertEqual(self.said(), [])

    def test_never_there(self) -> None:
        """A file that is not there at the start is complained of once, and read as soon as it is there."""
        path, held = self.held(None)
        self.assertEqual(len(self.said()), 1)
        held.current()
        self.assertEqual(self.said(), [])
        path.write_bytes(b"k")
        self.assertEqual(held.current(), {"credential": "k"})

    def test_unreadable(self) -> None:
        """What can't be read gives nothing, and the complaint says why."""
        path = self.path()
        path.mkdir()
        held = self.credentials(credential={"file": str(path)})
        self.assertIsNone(held.current())
        (said,) = self.said()
        self.assertIn("can't be read", said)

    def test_not_usable(self) -> None:
        """An empty file, or one of control characters or other scripts, gives nothing; each change is told once."""
        path, held = self.held(SECRET.encode())
        for bad in (b"", b"\n \n", f"{SECRET}\nsecond".encode(), b"\xff\xfe", SECRET.encode() + b"\0", b"\xc3\xa9"):
            self.change(path, lambda: path.write_bytes(SECRET.encode()))
            self.assertIsNotNone(held.current())
            self.change(path, lambda content=bad: path.write_bytes(content))
            for _ in range(2):
                self.assertIsNone(held.current(), bad)
            self.assertEqual(len(self.said()), 1, bad)

    def test_other_reason(self) -> None:
        """Another reason than the last one is told too, the same one is not."""
        path, held = self.held(b"")
        self.assertEqual(len(self.said()), 1)
        self.change(path, lambda: path.write_bytes(b"\n"))
        held.current()
        self.assertEqual(self.said(), [])
        path.unlink()
        held.current()
        self.assertEqual(len(self.said()), 1)

    def test_huge(self) -> None:
        """No more of a file is read than a credential may have."""
        _, held = self.held(b"k" * (MAX_BYTES + 100))
        secrets = held.current() or {"credential": ""}
        self.assertEqual(len(secrets["credential"]), MAX_BYTES)
