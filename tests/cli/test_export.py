"""`agentproxy export` on a real record store."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from agentproxy.records.queries import Filter
from tests.cli.stored import INFERRED, OTHER, SESSION, RecordsCase


class ExportTests(RecordsCase):
    def test_jsonl(self) -> None:
        """A line each turn, in the shape of the store, in order."""
        lines = self.output("export").splitlines()
        self.assertEqual(
            [json.loads(line) for line in lines], self.stored(lambda store: list(store.each_turn(Filter())))
        )
        self.assertEqual([json.loads(line)["id"] for line in lines], sorted(json.loads(line)["id"] for line in lines))
        self.assertEqual(self.output("export", "--json").splitlines(), lines)

    def test_csv(self) -> None:
        """The same, flat."""
        rows = list(csv.DictReader(io.StringIO(self.output("export", "--format", "csv"), newline="")))
        self.assertEqual([row["session"] for row in rows], [SESSION, OTHER, OTHER, INFERRED, ""])
        self.assertEqual([row["close_code"] for row in rows], ["", "1000", "1000", "", ""])
        self.assertEqual(rows[2]["tools"], "a b")
        self.assertEqual(rows[3]["agent"], "\\x1b]0;owned\\x07\\u202e=1+1")

    def test_har(self) -> None:
        """Each call, with what was said where that was recorded."""
        log = json.loads(self.output("export", "--format", "har"))["log"]
        first, failed, socket, _ = log["entries"]
        self.assertEqual(first["request"]["url"], "http://localhost:10000/v1/responses?a=1")
        self.assertEqual(first["request"]["postData"], {"mimeType": "a/b", "params": [], "text": '{"input": "hi"}'})
        self.assertEqual(first["response"]["content"]["text"], "data: {}\n\n")
        self.assertEqual((failed["response"]["_error"], failed["comment"]), ("connect_refused", "content not recorded"))
        self.assertEqual(
            socket["_webSocketMessages"],
            [
                {"type": "send", "time": 1795251602.25, "opcode": 1, "data": "{}"},
                {"type": "receive", "time": 1795251602.25, "opcode": 2, "data": "AP8="},
            ],
        )
        self.assertEqual(socket["_webSocketClose"]["code"], 1000)

    def test_filters(self) -> None:
        """Only what is asked for, in each format."""
        self.assertEqual(len(self.output("export", "--session", "0198-0000-o").splitlines()), 2)
        self.assertEqual(len(self.output("export", "--format", "csv", "--since", "2026-11-22").splitlines()), 3)
        for arguments, calls in ((("--session", SESSION), 2), (("--until", "2026-11-21T09:00:01Z"), 1)):
            log = json.loads(self.output("export", "--format", "har", *arguments))["log"]
            self.assertEqual(len(log["entries"]), calls)

    def test_session_without_turns(self) -> None:
        """A session of calls that came to nothing has no turns, and yet its calls can be exported."""
        log = json.loads(self.output("export", "--format", "har", "--session", "calls-only"))["log"]
        self.assertEqual([entry["response"]["status"] for entry in log["entries"]], [403])
        self.assertEqual(self.output("export", "--session", "calls-only"), "")
        self.assertIn("no session nobody's", self.finding("export", "--session", "nobody's"))

    def test_file(self) -> None:
        """``-o`` writes what the output would have got."""
        for kind in ("jsonl", "csv", "har"):
            path = Path(self.mktemp())
            self.assertEqual(self.output("export", "--format", kind, "-o", str(path)), "")
            self.assertEqual(path.read_text("utf-8"), self.output("export", "--format", kind))

    def test_no_place(self) -> None:
        """A file that can't be written is a finding."""
        self.assertIn("can't be written", self.finding("export", "-o", str(self.folder / "no" / "file")))
