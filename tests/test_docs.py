"""The documents are true: what their tables name is what the code has."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy import errors
from agentproxy.observe.metrics import Metrics
from agentproxy.providers import CREDENTIAL_HEADERS, CREDENTIAL_SUBPROTOCOLS, KINDS
from agentproxy.records.shapes import call_row, turn_shape
from agentproxy.records.summaries import session_shape
from agentproxy.records.values import CallRecord, TurnRecord

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PROVIDERS = (ROOT / "docs" / "providers.md").read_text()
README = (ROOT / "README.md").read_text()
DEFAULT = tomllib.loads((ROOT / "conf" / "agentproxy.toml").read_text())


class Anything:
    """A row that has every column, and in each a number."""

    def __getattr__(self, name: str) -> Any:
        return 0


class OperationsTests(SynchronousTestCase):
    def test_errors(self) -> None:
        """The table of errors has every error of ours, its status and whether a retry helps."""
        told = {}
        for status, code, retry in re.findall(r"^\| ([\d, ]+) \| (`[^|]+`) \|[^|]+\| (yes|no) \|$", OPERATIONS, re.M):
            for number, name in zip(status.split(", ") * code.count("`"), re.findall(r"`(\w+)`", code), strict=False):
                told[name] = (int(number), retry == "yes")
        known = {
            error.code: (error.status, error.retryable)
            for error in vars(errors).values()
            if isinstance(error, type) and issubclass(error, errors.ProxyError) and error is not errors.ProxyError
        }
        reserved = {"client_unauthorized", "rate_limited", "budget_exhausted"}
        for code in reserved:
            self.assertIn(f"`{code}`", OPERATIONS)
        self.assertEqual(told, {code: value for code, value in known.items() if code not in reserved})

    def test_metrics(self) -> None:
        """The table of metrics names those that there are."""
        told = set(re.findall(r"^\| `(agentproxy_\w+)` \|", OPERATIONS, re.M))
        body, _ = Metrics("1").render()
        families = set(re.findall(r"^# TYPE (\w+) ", body.decode(), re.M))
        self.assertEqual(told, families)

    def test_log_events(self) -> None:
        """The table of log events names those that the code emits."""
        told = set(
            re.findall(r"^\| `(\w+(?:\.\w+)?)` \| (?!`)?", OPERATIONS.partition("## Log")[2].partition("## ")[0], re.M)
        )
        emitted = set()
        for path in (ROOT / "agentproxy").rglob("*.py"):
            emitted |= set(re.findall(r"(?:emit|emit_parts|\.event|_told)\(\s*\"([a-z.]+)\"", path.read_text()))
        self.assertEqual(told, emitted)

    def test_records(self) -> None:
        """The tables of the records name every field of a turn and a call, and each column."""
        records = OPERATIONS.partition("## Records")[2].partition("## Admin port")[0]
        turns = records.partition("### A turn")[2].partition("### A call")[0]
        calls = records.partition("### A call")[2].partition("### Sessions")[0]
        for text, shape in ((turns, turn_shape(Anything(), [], None)), (calls, call_row(Anything()))):
            named = set()
            for row in re.findall(r"^\| (`[^|]+`) \|", text, re.M):
                named |= set(re.findall(r"`(\w+)`", row))
            self.assertEqual(named, set(shape))
        for record in (TurnRecord, CallRecord):
            for field in fields(record):
                self.assertIn(f"`{field.name}`", records)

    def test_estimates(self) -> None:
        """So much is an estimate at most, and these statuses are refusals."""
        from agentproxy.observe.reading import REFUSALS
        from agentproxy.usage import MOST_GUESSED

        self.assertIn(f"at most {MOST_GUESSED:,} of", OPERATIONS)
        self.assertEqual(REFUSALS, {*range(300, 500), 503, 529})
        self.assertIn("by a status of 3xx, 4xx, 503 or 529", OPERATIONS)

    def test_sessions_and_usage(self) -> None:
        """The sums of a session are named."""
        for name in session_shape(Anything(), []):
            self.assertIn(f"`{name}`", OPERATIONS)

    def test_bounds_of_records(self) -> None:
        """So often is written and swept, so much is read, asked for and named."""
        from agentproxy.admin.parameters import MOST_LIMIT
        from agentproxy.observe.metrics import MOST_MODELS
        from agentproxy.providers.include_usage import MOST_BYTES
        from agentproxy.records.queries import SHORTEST_PREFIX
        from agentproxy.records.writer import Pace
        from agentproxy.usage import MOST_TOLD

        self.assertEqual((Pace().batch_s, Pace().sweep_s, SHORTEST_PREFIX), (0.25, 600, 6))
        self.assertIn("each quarter of a second", OPERATIONS)
        self.assertIn("every ten minutes", OPERATIONS)
        self.assertIn(f"more than {MOST_MODELS} different ones", OPERATIONS)
        self.assertIn(f"more than {MOST_TOLD >> 20} MiB in one message", OPERATIONS)
        self.assertIn(f"`limit` (1 to {MOST_LIMIT}, 100 where", OPERATIONS)
        self.assertIn(f"over {MOST_BYTES >> 20} MiB", OPERATIONS)

    def test_pool(self) -> None:
        """What is said of kept connections is what the pool does."""
        from agentproxy.upstream import pool

        self.assertIn(
            f"at most {pool.MAX_IDLE} idle ones a provider, each for {pool.IDLE_SECONDS:g} seconds", OPERATIONS
        )

    def test_sessions(self) -> None:
        """So long are TLS sessions resumed."""
        from agentproxy.engine import tls

        self.assertEqual(tls.RESUMED_SECONDS, 3600)
        self.assertIn("after an hour the certificate is asked for again", OPERATIONS)


class ProvidersTests(SynchronousTestCase):
    def test_table(self) -> None:
        """Each provider of the default configuration has its row, with port, kind, upstream and credential."""
        for name, table in DEFAULT["providers"].items():
            row = re.search(rf"^\| {name} \|.*$", PROVIDERS, re.M)
            assert row is not None, name
            for value in (table["port"], table["kind"], table["upstream"]):
                self.assertIn(str(value), row[0])
            if name != "opencode":
                self.assertIn(table["credential"]["env"], row[0])

    def test_stripped(self) -> None:
        """Every place in which a credential may hide is named."""
        text = PROVIDERS.lower()
        for header in CREDENTIAL_HEADERS - {b"cookie2"}:
            self.assertIn(f"`{header.decode()}`", text)
        for prefix in CREDENTIAL_SUBPROTOCOLS:
            self.assertIn(f"`{prefix.decode()}…`", text)
        for kind in KINDS.values():
            for name in kind.credential_query:
                self.assertIn(f"`{name.decode()}`", text)


class ReadmeTests(SynchronousTestCase):
    def test_ports(self) -> None:
        """The settings for agents point at the ports of the default configuration."""
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", README)}
        known = {table["port"] for table in DEFAULT["providers"].values()} | {DEFAULT["admin"]["port"]}
        self.assertEqual(ports, known)

    def test_links(self) -> None:
        """What is linked to is there."""
        for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
            for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
                self.assertTrue((path.parent / target).exists(), (path.name, target))

    def test_performance(self) -> None:
        """The figures are those of all workloads that the benchmark has."""
        from bench.workloads import WORKLOADS

        text = (ROOT / "docs" / "performance.md").read_text()
        for workload in WORKLOADS:
            self.assertIn(f"| {workload.name} | {workload.metrics[0].title} (", text)

    def test_architecture(self) -> None:
        """Every file that the architecture names is there."""
        text = (ROOT / "docs" / "architecture.md").read_text()
        for name in set(re.findall(r"`((?:\w+/)*\w+\.(?:py|toml))`", text)):
            found = list((ROOT / "agentproxy").rglob(name)) or list(ROOT.glob(name))
            self.assertTrue(found, name)
