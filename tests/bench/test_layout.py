"""The rules of the benchmark's own house: it is outside agentproxy, and its judge knows nothing of whom it judges."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.peers import peers
from tests.test_layout import MAX_LINES, imported, within

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
KNOWS_AGENTPROXY = {"peers/certificates.py"}


class LayoutTests(SynchronousTestCase):
    def setUp(self) -> None:
        files = sorted([*BENCH.glob("*.py"), *BENCH.glob("load/*.py"), *BENCH.glob("peers/*.py")])
        self.sources = {path: path.read_text("utf-8") for path in files}
        self.imports = {
            path: set(imported(ast.parse(source), ".".join(path.parent.relative_to(ROOT).parts)))
            for path, source in self.sources.items()
        }

    def test_load(self) -> None:
        """The load imports the standard library, itself and bench.machine."""
        wrong = [
            f"{path.relative_to(ROOT)} imports {name}"
            for path, names in self.imports.items()
            if path.parent.name == "load"
            for name in names
            if name.partition(".")[0] not in sys.stdlib_module_names
            and name != "bench"
            and not within(name, "bench.load")
            and not within(name, "bench.machine")
        ]
        self.assertEqual(wrong, [])

    def test_agentproxy(self) -> None:
        """Only upstream's certificate is made with something of agentproxy's."""
        users = {
            str(path.relative_to(BENCH))
            for path, names in self.imports.items()
            if any(within(name, "agentproxy") for name in names)
        }
        self.assertEqual(users, KNOWS_AGENTPROXY)

    def test_not_shipped(self) -> None:
        """agentproxy imports nothing of it, and it is not installed."""
        for path in (ROOT / "agentproxy").rglob("*.py"):
            self.assertFalse(any(within(name, "bench") for name in imported(ast.parse(path.read_text()), "")), path)
        self.assertNotIn("bench", (ROOT / "setup.cfg").read_text())

    def test_readme(self) -> None:
        """Its links lead somewhere, and its table has the peers, each with its name."""
        text = (BENCH / "README.md").read_text()
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            self.assertTrue((BENCH / target).exists(), target)
        self.assertEqual(set(re.findall(r"^\| (\w+) \| (?!what)", text, re.M)), {peer.name for peer in peers()})

    def test_lengths_and_docstrings(self) -> None:
        """No module is too long, and each says what it is."""
        for path, source in self.sources.items():
            self.assertLessEqual(len(source.splitlines()), MAX_LINES, path)
            self.assertTrue((ast.get_docstring(ast.parse(source)) or "").strip(), path)
