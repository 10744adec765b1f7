"""The ready-made configurations in `conf/`: each loads, and the package ships them as they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from agentproxy import config

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"


class ConfFileTests(SynchronousTestCase):
    def test_each_loads(self) -> None:
        """Every file in `conf/` is right, in an empty environment and on any machine."""
        names = sorted(path.name for path in CONF.glob("*.toml"))
        self.assertLessEqual({"agentproxy.toml", "firewall.toml"}, set(names))
        for name in names:
            with self.subTest(name):
                config.load(str(CONF / name), {}, ())

    def test_default_is_agentproxy_toml(self) -> None:
        """The built-in default is `conf/agentproxy.toml`, byte for byte."""
        self.assertEqual(config.default_file().read_bytes(), (CONF / "agentproxy.toml").read_bytes())

    def test_default_is_complete(self) -> None:
        """Each key that a provider can have is in each of the default's tables."""
        tables = tomllib.loads((CONF / "agentproxy.toml").read_text())["providers"]
        for provider in config.load(None, {}).providers:
            keys = {"kind", "port", "upstream", "websocket", "cookies", "headers", "include_usage"}
            keys.update(slot.key for slot in provider.kind.slots)
            self.assertEqual(set(tables[provider.name]), keys)
            for slot in provider.kind.slots:
                self.assertEqual(tables[provider.name][slot.key], {"env": slot.env})

    def test_firewall(self) -> None:
        """The sandbox's configuration: all interfaces, a token for the admin port, out by Squid alone."""
        loaded = config.load(str(CONF / "firewall.toml"), {"NO_PROXY": "*", "HTTPS_PROXY": "http://other:1"}, ())
        squid = config.ProxyUrl("http", "squid", 3128)
        self.assertEqual(loaded.egress, config.Egress(squid, squid, (), None))
        self.assertEqual((loaded.listen.interface, loaded.admin.interface), ("0.0.0.0", "0.0.0.0"))
        self.assertEqual(loaded.admin.token, config.CredentialSource(env="AGENTPROXY_ADMIN_TOKEN"))
        self.assertEqual(len(loaded.providers), 6)

    def test_shipped(self) -> None:
        """A built package holds every file of `conf/`, byte for byte."""
        if not (ROOT / "setup.cfg").is_file() or find_spec("setuptools") is None:
            raise SkipTest("nothing to build here, or nothing to build it with")
        copy = Path(self.mktemp())
        shutil.copytree(ROOT / "agentproxy", copy / "agentproxy", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "twisted", copy / "twisted", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(CONF, copy / "conf")
        for name in ("setup.cfg", "pyproject.toml", "README.md"):
            if (ROOT / name).is_file():
                shutil.copy(ROOT / name, copy)
        build = "from setuptools import setup; setup()"
        subprocess.run(
            [sys.executable, "-c", build, "-q", "build_py", "--build-lib", "built"],
            cwd=copy, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        shipped = {path.name: path.read_bytes() for path in (copy / "built/agentproxy/conf").glob("*.toml")}
        self.assertEqual(shipped, {path.name: path.read_bytes() for path in CONF.glob("*.toml")})
