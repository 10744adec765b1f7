"""Records as values, a real record store of them, and the commands run on it as a user runs them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.cli.command import Console
from agentproxy.cli.main import main
from agentproxy.cli.records import FILE
from agentproxy.observe.redact_content import head_json
from agentproxy.records.queries import Store
from agentproxy.records.values import CallRecord, ContentRecord, TurnRecord
from agentproxy.records.writer import Writer
from tests.cli.fakes import NOW

START_US = 1_795_251_600_000_000
"""2026-11-21T09:00:00Z."""
SESSION = "0198-0000-first"
OTHER = "0198-0000-other"


def call_record(number: int = 0, **changed: Any) -> CallRecord:
    """The call of a number: one a second."""
    values: dict[str, Any] = {
        "key": f"{number:016x}",
        "request_id": f"r-{number}",
        "provider": "openai",
        "protocol": "http",
        "method": "POST",
        "path": "/v1/responses",
        "started_us": START_US + number * 1_000_000,
        "duration_us": 1_500_000,
        "status": 200,
        "bytes_in": 20,
        "bytes_out": 30,
        "frames_in": None,
        "frames_out": None,
        "first_byte_us": 500_000,
        "error": None,
        "phase": None,
        "close_side": None,
        "close_code": None,
        "close_reason": None,
        "close_clean": None,
        "upstream_request_id": "up-1",
        "session": SESSION,
        "session_source": "stated",
        "agent": "codex",
        "agent_version": "1.2.3",
        "sub_agent": None,
        "working_directory": "/repo/me/project",
        "degraded": None,
    }
    return CallRecord(**{**values, **changed})


def turn_record(number: int = 0, **changed: Any) -> TurnRecord:
    """The turn of the call of that number."""
    values: dict[str, Any] = {
        "key": f"{number:016x}",
        "call_key": f"{number:016x}",
        "request_id": f"r-{number}",
        "provider": "openai",
        "protocol": "http",
        "operation": "chat",
        "lane": None,
        "started_us": START_US + number * 1_000_000,
        "first_token_us": 600_000,
        "duration_us": 1_500_000,
        "request_model": "m-large",
        "response_model": "m-large-2026",
        "response_id": f"resp_{number}",
        "upstream_request_id": "up-1",
        "input_tokens": 1000,
        "output_tokens": 100,
        "cache_read_tokens": 250,
        "cache_write_tokens": 0,
        "cache_write_1h_tokens": 0,
        "reasoning_tokens": 10,
        "input_audio_tokens": 0,
        "output_audio_tokens": 0,
        "web_searches": 0,
        "cost_micro_usd": 1500,
        "price_version": "2026-11",
        "source": "reported",
        "status": "completed",
        "stop_reason": "stop",
        "note": None,
        "degraded": None,
        "session": SESSION,
        "session_source": "stated",
        "agent": "codex",
        "agent_version": "1.2.3",
        "sub_agent": None,
        "working_directory": "/repo/me/project",
        "tools": ["shell"],
    }
    return TurnRecord(**{**values, **changed})


def content_record(number: int, part: Any, body: bytes, place: int = 0, **changed: Any) -> ContentRecord:
    """A piece of content of the call of that number."""
    values: dict[str, Any] = {
        "call_key": f"{number:016x}",
        "number": place,
        "part": part,
        "at_us": START_US + number * 1_000_000 + 250_000,
        "pieces": [body],
        "size": len(body),
    }
    return ContentRecord(**{**values, **changed})


def write(directory: Path, *records: CallRecord | TurnRecord | ContentRecord) -> Path:
    """A record store of these; its file."""
    troubles: list[object] = []
    writer = Writer(
        directory,
        clean=lambda data: data,
        told=lambda event, level, **keys: troubles.append((event, keys)),
        days=0,
        megabytes=0,
        wall=lambda: START_US / 1_000_000,
    )
    writer.start()
    for record in records:
        hand_over = {CallRecord: writer.call, TurnRecord: writer.turn, ContentRecord: writer.content}[type(record)]
        hand_over(record)  # type: ignore[operator]
    writer.stop(30)
    if troubles or writer.lost:
        raise AssertionError(f"not all was written: {troubles}, {writer.lost}")
    return directory / "records.sqlite"


HEAD = head_json(
    [(b"Host", b"localhost:10000"), (b"Content-Type", b"a/b")], method=b"POST", target=b"/v1/responses?a=1"
)
INFERRED = "inferred-session"
HOSTILE = "\x1b]0;owned\x07\u202e=1+1"
CLOSE = {"close_side": "client", "close_code": 1000, "close_reason": "", "close_clean": True}

RECORDS = (
    call_record(0),
    content_record(0, "request_head", HEAD),
    content_record(0, "request_body", b'{"input": "hi"}', 1),
    content_record(0, "response_body", b"data: {}\n\n", 2),
    turn_record(0),
    call_record(1, status=502, error="connect_refused"),
    call_record(86400, status=403, session="calls-only"),
    call_record(2, protocol="websocket", method="GET", status=101, frames_in=1, frames_out=1, session=OTHER, **CLOSE),
    content_record(2, "client_message", b"{}"),
    content_record(2, "upstream_message", b"\x00\xff", 1, is_text=False),
    turn_record(2, protocol="websocket", session=OTHER, source="estimated", status="unsettled", cost_micro_usd=None),
    turn_record(3, call_key="0" * 15 + "2", protocol="websocket", session=OTHER, agent="claude", tools=["a", "b"]),
    turn_record(90000, session=INFERRED, session_source="inferred", agent=HOSTILE, provider="gemini"),
    turn_record(90001, session=None, session_source=None, agent=None),
)


class RecordsCase(SynchronousTestCase):
    """A record store of `RECORDS`, made once: nothing here writes to it."""

    made: Path | None = None

    def setUp(self) -> None:
        if RecordsCase.made is None:
            RecordsCase.made = Path(self.mktemp()).absolute()
            write(RecordsCase.made, *RECORDS)
        self.folder = RecordsCase.made
        self.out: io.StringIO = io.StringIO()

    def run_command(self, *arguments: str, folder: Path | None = None, **environ: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a command on the records of a folder."""
        err = io.StringIO()
        self.out.seek(0)
        self.out.truncate()
        console = Console(environ, self.out, err, lambda: NOW)
        code = main([*arguments, "--records", str(folder or self.folder)], console)
        return code, self.out.getvalue(), err.getvalue()

    def output(self, *arguments: str, **environ: str) -> str:
        """The output of a command that goes well."""
        code, out, err = self.run_command(*arguments, **environ)
        self.assertEqual((code, err), (0, ""))
        return out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.output(*arguments, "--json"))

    def finding(self, *arguments: str, code: int = 1, folder: Path | None = None) -> str:
        """What a command says that ends with this code, and with no output."""
        found, out, err = self.run_command(*arguments, folder=folder)
        self.assertEqual((found, out), (code, ""))
        self.assertTrue(err.startswith(f"agentproxy {arguments[0]}: "))
        return err

    def stored(self, call: Any) -> Any:
        store = Store(self.folder / FILE)
        self.addCleanup(store.close)
        return call(store)
