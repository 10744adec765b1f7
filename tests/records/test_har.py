"""Calls as an HTTP Archive: held against HAR 1.2, field by field."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy import __version__
from agentproxy.records import har
from tests.cli.fakes import Row, call, content

Fields = dict[str, Any]

# HAR 1.2: what each object must have, and what it may have besides.
ENTRY: Fields = {
    "startedDateTime": str, "time": (int, float), "request": dict, "response": dict, "cache": dict, "timings": dict,
}  # fmt: skip
REQUEST: Fields = {
    "method": str, "url": str, "httpVersion": str, "cookies": list, "headers": list, "queryString": list,
    "headersSize": int, "bodySize": int,
}  # fmt: skip
RESPONSE: Fields = {
    "status": int, "statusText": str, "httpVersion": str, "cookies": list, "headers": list, "content": dict,
    "redirectURL": str, "headersSize": int, "bodySize": int,
}  # fmt: skip
TIMINGS = ("blocked", "dns", "connect", "ssl", "send", "wait", "receive")
HEAD = json.dumps(
    {
        "method": "POST",
        "target": "/v1/responses?a=1&b=&c=%C3%BC",
        "fields": [["Host", "127.0.0.1:10000"], ["Content-Type", "application/json"], ["X-A", "1"], ["X-A", "2"]],
    }
).encode()
ANSWER = json.dumps({"status": 200, "fields": [["content-type", "text/event-stream"], ["location", "/x"]]}).encode()
FULL = [
    content("request_head", HEAD, 0),
    content("request_body", b'{"input": "h\xc3\xbc"}', 1),
    content("response_head", ANSWER, 2),
    content("response_body", b"data: {}\n\n", 3, size=30),
]


class HarTests(SynchronousTestCase):
    def check(self, found: Fields, required: Fields, *optional: str) -> None:
        """It has all fields it must have, of their types, and no other but of its own."""
        for name, kind in required.items():
            self.assertIsInstance(found[name], kind, name)
        surplus = {name for name in found if not name.startswith("_")} - required.keys() - set(optional)
        self.assertEqual(surplus, set())
        self.assertIsInstance(found.get("comment", ""), str)

    def check_entry(self, entry: Fields) -> Fields:
        """An entry is one of HAR 1.2."""
        self.check(entry, ENTRY, "comment")
        self.assertEqual(entry["cache"], {})
        self.assertRegex(entry["startedDateTime"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\Z")
        timings = entry["timings"]
        self.assertEqual(tuple(timings), TIMINGS)
        for name in ("send", "wait", "receive"):
            self.assertGreaterEqual(timings[name], 0)
        self.assertAlmostEqual(entry["time"], sum(value for value in timings.values() if value != -1), 3)
        request, response = entry["request"], entry["response"]
        self.check(request, REQUEST, "postData", "comment")
        self.check(response, RESPONSE, "comment")
        self.check(response["content"], {"size": int, "mimeType": str}, "text", "encoding", "comment")
        if "postData" in request:
            self.check(request["postData"], {"mimeType": str, "params": list, "text": str}, "comment")
        for pair in (*request["headers"], *request["queryString"], *response["headers"]):
            self.assertEqual(list(pair), ["name", "value"])
        url = urlsplit(request["url"])
        self.assertTrue(url.scheme)
        self.assertTrue(url.netloc)
        self.assertNotIn("#", request["url"])
        json.dumps(entry)
        return entry

    def entry(self, call: Row, pieces: list[Row] | None = None) -> Fields:
        return self.check_entry(har.entry(call, pieces or []))

    def test_full(self) -> None:
        """A call of which all was recorded."""
        entry = self.entry(call(), FULL)
        self.assertEqual(entry["startedDateTime"], "2026-11-21T09:00:00.000000Z")
        self.assertEqual((entry["time"], entry["_id"], entry["_session"]), (1500.0, "00000000", "5e55-10n-one"))
        self.assertNotIn("comment", entry)
        self.assertEqual(
            entry["request"],
            {
                "method": "POST",
                "url": "http://127.0.0.1:10000/v1/responses?a=1&b=&c=%C3%BC",
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": [
                    {"name": "Host", "value": "127.0.0.1:10000"},
                    {"name": "Content-Type", "value": "application/json"},
                    {"name": "X-A", "value": "1"},
                    {"name": "X-A", "value": "2"},
                ],
                "queryString": [
                    {"name": "a", "value": "1"},
                    {"name": "b", "value": ""},
                    {"name": "c", "value": "ü"},
                ],
                "headersSize": -1,
                "bodySize": 20,
                "postData": {"mimeType": "application/json", "params": [], "text": '{"input": "hü"}'},
            },
        )
        self.assertEqual(
            entry["response"],
            {
                "status": 200,
                "statusText": "OK",
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": [
                    {"name": "content-type", "value": "text/event-stream"},
                    {"name": "location", "value": "/x"},
                ],
                "content": {"size": 10, "mimeType": "text/event-stream", "text": "data: {}\n\n"},
                "redirectURL": "/x",
                "headersSize": -1,
                "bodySize": 30,
            },
        )

    def test_not_recorded(self) -> None:
        """Without content there are the sizes, empty lists and comments."""
        entry = self.entry(call())
        self.assertEqual(entry["comment"], "content not recorded")
        self.assertEqual(entry["request"]["url"], "http://openai.invalid/v1/responses")
        self.assertEqual((entry["request"]["bodySize"], entry["request"]["comment"]), (20, "body not recorded"))
        self.assertNotIn("postData", entry["request"])
        self.assertEqual(
            entry["response"]["content"], {"size": 30, "mimeType": "x-unknown", "comment": "body not recorded"}
        )

    def test_no_bodies(self) -> None:
        """Where no body passed none is missing."""
        entry = self.entry(call(bytes_in=0, bytes_out=0, method="GET"), [FULL[0]])
        self.assertNotIn("comment", entry["request"])
        self.assertNotIn("comment", entry["response"]["content"])

    def test_binary(self) -> None:
        """Bytes that are no text are base64, and told so."""
        for piece, is_text in ((b"\x00\xff", False), (b"plain", False), (b"\xc3", True)):
            entry = self.entry(
                call(),
                [content("request_body", piece, is_text=is_text), content("response_body", piece, is_text=is_text)],
            )
            expected = base64.b64encode(piece).decode()
            sent, answered = entry["request"]["postData"], entry["response"]["content"]
            self.assertEqual((sent["text"], sent["_encoding"]), (expected, "base64"))
            self.assertEqual(
                (answered["text"], answered["encoding"], answered["size"]), (expected, "base64", len(piece))
            )

    def test_notes(self) -> None:
        """What the store notes of a piece, such as that it was cut, is a comment."""
        entry = self.entry(
            call(),
            [content("request_body", b"{", note="cut at 1 bytes"), content("response_body", b"", note="not decoded")],
        )
        self.assertEqual(entry["request"]["postData"]["comment"], "cut at 1 bytes")
        self.assertEqual(entry["response"]["content"]["comment"], "not decoded")

    def test_timings(self) -> None:
        """Waiting ends at the first byte, where one came, and never after the call."""
        for duration, first, wait, receive in (
            (1.5, 0.5, 500.0, 1000.0),
            (1.5, None, 1500.0, 0.0),
            (1.5, 2.0, 1500.0, 0.0),
            (0.0, 0.0, 0.0, 0.0),
            (0.000001, 0.000001, 0.001, 0.0),
            (-1.0, None, 0.0, 0.0),
        ):
            timings = self.entry(call(duration_s=duration, first_byte_s=first))["timings"]
            self.assertEqual((timings["wait"], timings["receive"]), (wait, receive))
            self.assertEqual([timings[name] for name in ("blocked", "dns", "connect", "ssl", "send")], [-1] * 4 + [0])

    def test_asterisk(self) -> None:
        """The URL is absolute for OPTIONS * too."""
        self.assertEqual(self.entry(call(path="*"))["request"]["url"], "http://openai.invalid/*")

    def test_fragment(self) -> None:
        """The URL has no fragment, as the format wants it."""
        self.assertEqual(self.entry(call(path="/v1/x#y"))["request"]["url"], "http://openai.invalid/v1/x")

    def test_failed(self) -> None:
        """A call that got no answer has status 0, and why."""
        response = self.entry(call(status=0, error="connect_timeout", bytes_out=0))["response"]
        self.assertEqual((response["status"], response["statusText"], response["_error"]), (0, "", "connect_timeout"))
        self.assertEqual(self.entry(call(status=529))["response"]["statusText"], "")

    def test_websocket(self) -> None:
        """A WebSocket's messages are in the order in which they passed, as Chromium's tools write them."""
        close = {"side": "client", "code": 1000, "reason": "", "clean": True}
        entry = self.entry(
            call(protocol="websocket", method="GET", status=101, close=close, frames_in=1, frames_out=2),
            [
                FULL[0],
                content("client_message", b'{"type": "response.create"}', 1),
                content("upstream_message", "{…}".encode(), 2, at="2026-11-21T09:00:01.000000Z"),
                content("upstream_message", b"\x00\x01", 3, is_text=False, note="cut at 2 bytes"),
            ],
        )
        self.assertEqual(entry["_resourceType"], "websocket")
        self.assertEqual(entry["_webSocketClose"], close)
        self.assertTrue(entry["request"]["url"].startswith("ws://127.0.0.1:10000/v1/responses?"))
        self.assertEqual((entry["request"]["bodySize"], entry["response"]["bodySize"]), (0, 0))
        self.assertEqual(entry["response"]["statusText"], "Switching Protocols")
        self.assertEqual(
            entry["_webSocketMessages"],
            [
                {"type": "send", "time": 1795251600.25, "opcode": 1, "data": '{"type": "response.create"}'},
                {"type": "receive", "time": 1795251601.0, "opcode": 1, "data": "{…}"},
                {"type": "receive", "time": 1795251600.25, "opcode": 2, "data": "AAE=", "_note": "cut at 2 bytes"},
            ],
        )

    @given(
        st.binary(max_size=40)
        | st.sampled_from([b"null", b"[]", b'{"fields": 1}', b'{"fields": [[1]]}', b'{"target": "*"}'])
    )
    def test_any_head(self, head: bytes) -> None:
        """A head that can't be read is none: the entry stays right."""
        entry = self.entry(call(), [content("request_head", head), content("response_head", head, 1)])
        self.assertEqual(entry["request"]["url"], "http://openai.invalid/v1/responses")
        self.assertEqual(entry["request"]["headers"], [])

    def test_document(self) -> None:
        """The pieces are one archive, and an entry is made when it is its turn."""
        for number in (0, 1, 3):
            made: list[int] = []

            def entries(number: int = number, made: list[int] = made) -> Any:
                for place in range(number):
                    made.append(place)
                    yield har.entry(call(), FULL)

            pieces = har.document(entries(), json.dumps)
            text = next(pieces)
            self.assertEqual(made, [])
            for place, piece in enumerate(pieces):
                text += piece
                self.assertEqual(len(made), min(place + 1, number))
            log = json.loads(text)["log"]
            self.assertEqual(json.loads(text).keys(), {"log"})
            self.assertEqual(list(log), ["version", "creator", "pages", "entries"])
            self.assertEqual((log["version"], log["pages"]), ("1.2", []))
            self.assertEqual(log["creator"], {"name": "agentproxy", "version": __version__})
            self.assertEqual(len(log["entries"]), number)
            for entry in log["entries"]:
                self.check_entry(entry)
