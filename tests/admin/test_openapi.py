"""The description, held against the answers that a real store gives."""

import json
from pathlib import Path

from agentproxy.admin.openapi import description
from agentproxy.admin.parameters import GROUPS
from agentproxy.admin.reading import Records
from agentproxy.admin.routes import ROUTES
from agentproxy.observe.feed import Feed
from agentproxy.records.queries import NoRecords, Store
from agentproxy.records.schema import FILE
from agentproxy.records.writer import Writer
from tests.admin.asking import AdminCase
from tests.admin.following import taken
from tests.admin.schema_check import faults, resolve
from tests.admin.stored import a_call, a_turn, at_once, key

SOCKET = {
    "protocol": "websocket", "status": 101, "frames_in": 3, "frames_out": 4, "first_byte_us": 5, "close_side": "client",
    "close_code": 1000, "close_reason": "", "close_clean": True,
}  # fmt: skip
BARE = {
    "duration_us": None, "first_token_us": None, "request_model": None, "input_tokens": None, "output_tokens": None,
    "cache_read_tokens": None, "cost_micro_usd": None, "source": "missing", "status": "unsettled",
    "session": "session-2", "session_source": None, "agent": None, "tools": [],
}  # fmt: skip


class DescriptionTests(AdminCase):
    def setUp(self):
        super().setUp()
        self.spec = description()
        self.schemas = self.spec["components"]["schemas"]

    def store(self):
        """A real one, with what has every field and what has hardly any."""
        folder = Path(self.mktemp())
        writer = Writer(folder, clean=lambda data: data, told=lambda *_, **__: None, days=0, megabytes=0)
        writer.start()
        writer.turn(a_turn(1))
        writer.turn(a_turn(2, **BARE))
        writer.turn(a_turn(3, session=None, response_model="gpt-5-pro", note="n", lane="l", sub_agent="s"))
        writer.call(a_call(1, **SOCKET))
        writer.call(a_call(2, error="upstream_timeout", phase="first_byte", status=504, session=None, degraded="why"))
        writer.stop(10.0)
        return lambda: Store(folder / FILE)

    def check(self, value, name):
        self.assertEqual(faults(value, self.schemas[name], self.schemas), [])
        return value

    def test_form(self):
        """It is OpenAPI 3.1 in its outlines: unique operations, each path's names declared, every reference there."""
        self.assertEqual(self.spec["openapi"], "3.1.0")
        self.assertEqual(set(self.spec["paths"]), {route.path for route in ROUTES})
        operations = [path["get"] for path in self.spec["paths"].values()]
        self.assertEqual(len({each["operationId"] for each in operations}), len(operations))
        for path, item in self.spec["paths"].items():
            named = [each["name"] for each in item["get"]["parameters"] if each["in"] == "path"]
            self.assertEqual([f"{{{name}}}" in path for name in named], [True] * path.count("{"))
            self.assertEqual({"200", "400", "401", "403", "404", "503"}, set(item["get"]["responses"]))
        for reference in references(self.spec):
            resolve(reference, self.schemas)
        self.assertEqual(json.loads(json.dumps(self.spec)), self.spec)

    def test_served(self):
        """It is had from the port, with or without records."""
        self.assertEqual(self.ask_json("/api/openapi.json"), self.spec)

    def test_parameters(self):
        """Each parameter that is described is taken, each value that it excludes is not, and no other is taken."""
        self.make(records=Records(self.store(), at_once, Feed()))
        good = {
            "since": "1h", "until": "2027-01-01", "status": None, "limit": "1000", "by": "model", "after": None,
            "last_event_id": key(1),
        }  # fmt: skip
        bad = {"limit": "1001", "by": "hour", "last_event_id": "1", "since": "x", "until": "x", "status": "-"}
        for path, item in self.spec["paths"].items():
            path = path.format(session="session-1", call=key(1))
            for parameter in item["get"]["parameters"]:
                name, schema = parameter["name"], parameter["schema"]
                if parameter["in"] != "query":
                    continue
                value = good.get(name, "x") or ("failed" if "enum" in schema else "200" if name == "status" else None)
                if value is not None:
                    self.assertEqual(self.ask(f"{path}?{name}={value}", "HEAD").status, 200, (path, name))
                    self.assertEqual(faults(int(value) if name == "limit" else value, schema, {}), [])
                value = bad.get(name, "")
                self.assertEqual(self.ask(f"{path}?{name}={value}", "HEAD").status, 400, (path, name))
            self.assertEqual(self.ask(f"{path}?other=1", "HEAD").status, 400)

    def test_answers(self):
        """Every field of every answer is described, and every field that is described is there."""
        self.make(records=Records(self.store(), at_once, Feed()))
        page = self.check(self.ask_json("/api/turns"), "Turns")
        self.assertEqual([turn["id"] for turn in page["turns"]], [key(3), key(2), key(1)])
        self.assertEqual(page["turns"][2]["close"], {"side": "client", "code": 1000, "reason": "", "clean": True})
        page = self.check(self.ask_json("/api/sessions"), "Sessions")
        self.assertEqual([row["session"] for row in page["sessions"]], ["session-1", "session-2"])
        page = self.check(self.ask_json("/api/sessions/session-1"), "SessionTurns")
        self.assertEqual([turn["id"] for turn in page["turns"]], [key(1)])
        page = self.check(self.ask_json("/api/calls"), "Calls")
        self.assertEqual([call["id"] for call in page["calls"]], [key(2), key(1)])
        self.assertEqual(self.check(self.ask_json(f"/api/calls/{key(1)}"), "Call"), page["calls"][1])
        for by in GROUPS:
            page = self.check(self.ask_json(f"/api/usage?by={by}"), "Usages")
            self.assertEqual((page["by"], by in page["usage"][0]), (by, True))
        for path in ("/api/turns?x=1", "/api/calls/1", "/api/nothing", "/api/sessions/session"):
            self.check(json.loads(self.ask(path).text), "Error")

    def test_order(self):
        """The fields of the description are in the order of the answers', so that it reads like them."""
        self.make(records=Records(self.store(), at_once, Feed()))
        for path, name, schema in (
            ("turns", "turns", "Turn"),
            ("sessions", "sessions", "Session"),
            ("calls",) * 2 + ("Call",),
        ):
            row = self.ask_json(f"/api/{path}")[name][0]
            self.assertEqual(list(self.schemas[schema]["properties"]), list(row))

    def test_events(self):
        """Events are as described, from the store, from the feed, live, and where there is a gap."""
        feed, store = Feed(1), self.store()
        self.make(records=Records(store, at_once, feed))
        for number in (4, 5):
            feed.publish(a_turn(number))
        channel, transport = self.connect()
        channel.dataReceived(f"GET /api/events?last_event_id={key(1)} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        feed.publish(a_turn(6))
        turns = taken(transport)[1][1:]
        self.assertEqual([event["event"] for event in turns], ["turn", "turn", "gap", "turn", "turn"])
        for event in turns:
            self.check(event, "GapEvent" if event["event"] == "gap" else "TurnEvent")

        def gone():
            raise NoRecords("gone")

        self.make(records=Records(gone, at_once, feed))
        channel, transport = self.connect()
        channel.dataReceived(f"GET /api/events?last_event_id={key(1)} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        self.check(taken(transport)[1][1], "GapEvent")

    def test_cursors(self):
        """Pages of a real store follow each other without gaps or doubles, and a cursor of another list is 400."""
        self.make(records=Records(self.store(), at_once, Feed()))
        seen, after = [], ""
        while True:
            page = self.ask_json(f"/api/turns?limit=1{after}")
            seen += [turn["id"] for turn in page["turns"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        self.assertEqual(seen, [key(3), key(2), key(1)])
        self.assertEqual(self.refusal(f"/api/usage?by=day{after}", 400)[1].partition(":")[0], "after")

    def test_no_file(self):
        """Where there is no file yet that is said."""
        self.make(records=Records(lambda: Store(Path(self.mktemp()) / FILE), at_once, Feed()))
        self.assertEqual(self.refusal("/api/turns", 503)[0], "records_unavailable")


def references(value):
    if isinstance(value, dict):
        for name, each in value.items():
            yield from [each] if name == "$ref" else references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
