"""The house's own rules, read from its source: who imports whom, how long a module is, and that it says what it is."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "agentproxy"
MAX_LINES = 300

BASE = frozenset({"call", "engine", "errors", "sockets", "timers", "usage"})
LOW = BASE | {"wire", "providers", "config"}
ROOMS = LOW | {"policy", "upstream", "agents", "records", "observe"}
MAY_IMPORT: dict[str, frozenset[str]] = {
    "call": frozenset(),
    "engine": frozenset(),
    "errors": frozenset(),
    "sockets": frozenset(),
    "timers": frozenset(),
    "usage": frozenset(),
    "wire": frozenset({"errors"}),
    "providers": frozenset({"errors", "usage"}),
    "config": BASE | {"wire", "providers"},
    "policy": LOW,
    "upstream": LOW,
    "agents": frozenset({"errors", "usage", "wire"}),
    "records": LOW,
    "observe": LOW | {"agents", "records"},
    "relay": ROOMS,
    "admin": ROOMS,
    "recording": ROOMS | {"admin"},
    "service": ROOMS | {"relay", "admin", "recording"},
    "simulator": frozenset({"errors", "wire"}),
}
"""Rooms of the house by what they may import of it, besides themselves and its version."""
TOP = frozenset({"demo", "tap", "cli"})
"""These may import all rooms, and no room may import them."""
WITHOUT_TWISTED = frozenset({"call", "errors", "usage", "wire", "providers", "config", "agents", "records"})


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that a module imports, anywhere in it; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


class Layout(SynchronousTestCase):
    def setUp(self) -> None:
        self.sources = {path: path.read_text("utf-8") for path in sorted(HOUSE.rglob("*.py"))}
        self.imports = {}
        for path, source in self.sources.items():
            package = ".".join(path.parent.relative_to(ROOT).parts)
            self.imports[path] = set(imported(ast.parse(source), package))

    def assert_none(self, wrong: list[str]) -> None:
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_reads_imports(self) -> None:
        """The reader of imports finds each way to write one, inside functions too."""
        source = "import a.b, c as d\nfrom e import f\ndef g():\n    from . import h\n    from ..i import j\n"
        self.assertEqual(
            set(imported(ast.parse(source), "p.q")), {"a.b", "c", "e", "e.f", "p.q", "p.q.h", "p.i", "p.i.j"}
        )

    def test_every_room_is_known(self) -> None:
        """Each room of the house has its place in the order."""
        rooms = {room_of(path) for path in self.sources} - {"__init__", "__main__"}
        self.assertEqual(rooms - MAY_IMPORT.keys() - TOP, set())
        self.assertEqual((MAY_IMPORT.keys() | TOP) - rooms, set())

    def test_order_has_no_circles(self) -> None:
        """What a room may import may not import it back."""
        for room, below in MAY_IMPORT.items():
            for other in below:
                self.assertNotIn(room, MAY_IMPORT[other])

    def test_one_way(self) -> None:
        """Imports go one way through the rooms."""
        wrong = []
        for path, names in self.imports.items():
            room = room_of(path)
            for name in names:
                parts = name.split(".")
                if parts[0] != "agentproxy" or len(parts) == 1 or parts[1].startswith("__"):
                    continue
                if room in TOP or parts[1] == room or parts[1] in MAY_IMPORT.get(room, ()):
                    continue
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
        self.assert_none(sorted(wrong))

    def test_no_room_imports_through_the_package(self) -> None:
        """The package itself imports nothing of ours, so that importing a room brings in no other."""
        names = self.imports[HOUSE / "__init__.py"]
        self.assertEqual([name for name in names if within(name, "agentproxy") or within(name, "twisted")], [])

    def test_pure_rooms(self) -> None:
        """What is pure knows no Twisted, nor what stands on it."""
        outside = ("twisted", "autobahn", "treq")
        self.assert_none(
            [
                f"{path.relative_to(ROOT)} imports {name}"
                for path, names in self.imports.items()
                if room_of(path) in WITHOUT_TWISTED
                for name in names
                if any(within(name, module) for module in outside)
            ]
        )

    def test_reactor(self) -> None:
        """Only tap.py imports the reactor."""
        users = {
            str(path.relative_to(HOUSE))
            for path, names in self.imports.items()
            if any(within(name, "twisted.internet.reactor") for name in names)
        }
        self.assertEqual(users, {"tap.py"})

    def test_lengths(self) -> None:
        """No module is over 300 lines."""
        lengths = {str(path.relative_to(ROOT)): len(source.splitlines()) for path, source in self.sources.items()}
        self.assert_none([f"{name}: {lines} lines" for name, lines in lengths.items() if lines > MAX_LINES])

    def test_docstrings(self) -> None:
        """Each module says at its top what it is."""
        self.assert_none(
            [
                str(path.relative_to(ROOT))
                for path, source in self.sources.items()
                if not (ast.get_docstring(ast.parse(source)) or "").strip()
            ]
        )

    def test_packages(self) -> None:
        """Each room that is a folder is installed."""
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        folders = {".".join(path.parent.relative_to(ROOT).parts) for path in HOUSE.rglob("__init__.py")}
        packages = set(setup["options"]["packages"].split())
        self.assertEqual(packages - folders, {"agentproxy.conf", "twisted.plugins"})
        self.assertEqual(folders - packages, set())

    def test_plugin_folder(self) -> None:
        """`twisted/` is Twisted's own package: no __init__.py of ours, and its plugin imports nothing of ours."""
        folder = ROOT / "twisted"
        self.assertEqual(list(folder.rglob("__init__.py")), [])
        plugins = list((folder / "plugins").glob("*.py"))
        self.assertTrue(plugins)
        for plugin in plugins:
            names = imported(ast.parse(plugin.read_text("utf-8")), "twisted.plugins")
            self.assertEqual([name for name in names if within(name, "agentproxy")], [])
