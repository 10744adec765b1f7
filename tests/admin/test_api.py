"""The records over HTTP: what is asked of the store, and how its answers and its troubles are told."""

import json

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from agentproxy.admin.reading import MOST_WAITING, Records
from agentproxy.admin.routes import ROUTES, find
from agentproxy.call import Secret
from agentproxy.observe.feed import Feed
from agentproxy.records.errors import NoRecords
from agentproxy.records.queries import Filter
from tests.admin.asking import AdminCase, head, response
from tests.admin.stored import FakeStore, Held, a_turn, at_once, key

PATHS = [route.path.format(session="session-1", call=key(1)) for route in ROUTES]


class ApiTests(AdminCase):
    def setUp(self):
        super().setUp()
        self.store = FakeStore()
        self.records()

    def records(self, run=at_once, **options):
        records = Records(self.store.open, run, Feed(), wall=lambda: 7200.0)
        self.make(records=records, **options)

    def asked(self):
        (asked,) = self.store.asked
        self.store.asked.clear()
        return asked

    def test_lists(self):
        """Each list is a page of rows under its name, with the cursor of the next."""
        self.store.add(*map(a_turn, range(3)))
        self.assertEqual(self.ask_json("/api/sessions"), {"sessions": [{"session": "session-1"}], "next": None})
        self.assertEqual(self.ask_json("/api/calls"), {"calls": [{"id": key(1)}], "next": None})
        self.assertEqual(self.ask_json("/api/usage"), {"by": "day", "usage": [{"day": "x"}], "next": None})
        page = self.ask_json("/api/turns?limit=2")
        self.assertEqual(([row["id"] for row in page["turns"]], page["next"]), ([key(2), key(1)], "2"))
        page = self.ask_json("/api/turns?limit=2&after=2")
        self.assertEqual(([row["id"] for row in page["turns"]], page["next"]), ([key(0)], None))

    def test_filters(self):
        """The parameters reach the store as its filter and bounds."""
        query = "since=1h&until=1970-01-02&session=s&agent=a&provider=p&model=m&limit=1000&after=5"
        given = Filter(since_us=3_600_000_000, until_us=86_400_000_000, session="s", agent="a", provider="p", model="m")
        self.ask_json(f"/api/calls?{query}&status=429")
        self.assertEqual(self.asked(), ("calls", Filter(*_values(given, status="429")), 1000, "5"))
        wanted = Filter(*_values(given, status="failed"))
        for path, name in (("turns", "turns"), ("sessions", "sessions"), ("usage?by=agent&", "usage by agent")):
            self.ask_json(f"/api/{path}{'' if '?' in path else '?'}{query}&status=failed")
            self.assertEqual(self.asked(), (name, wanted, 1000, "5"))

    def test_defaults(self):
        """Without parameters nothing is left out, and a page has 100."""
        for path in ("turns", "sessions", "usage", "calls"):
            self.ask_json(f"/api/{path}")
            self.assertEqual(self.asked()[1:], (Filter(), 100, None))

    def test_session(self):
        """A session is its summary and a page of its turns, found by the beginning of its id too."""
        self.store.add(*map(a_turn, range(3)))
        page = self.ask_json("/api/sessions/session?limit=2")
        self.assertEqual(list(page), ["session", "turns", "next"])
        self.assertEqual((page["session"], len(page["turns"]), page["next"]), ({"session": "session/1"}, 2, "2"))
        self.assertEqual(self.asked(), ("turns", Filter(session="session/1"), 2, None))
        self.ask_json("/api/sessions/session%2F1?after=2")
        self.assertEqual(self.asked(), ("turns", Filter(session="session/1"), 100, "2"))

    def test_call(self):
        """A call is itself."""
        self.assertEqual(self.ask_json(f"/api/calls/{key(1)}"), {"id": key(1)})

    def test_not_there(self):
        """What is not there is 404, and so is what could not be."""
        for path in (
            f"/api/calls/{key(2)}",
            "/api/calls/1",
            "/api/calls/%20",
            "/api/sessions/other",
            "/api/sessions/%00",
        ):
            self.assertEqual(self.refusal(path, 404)[0], "not_found")
        for path in ("/api/", "/api/turns/", f"/api/turns/{key(1)}", "/api/sessions/", "/api/sessions/a/b",
                     "/api/Turns", "/api//turns", "/api/sessions/%ff", "/api/%74urns"):  # fmt: skip
            error = self.ask_json(path, 404)["error"]
            self.assertEqual((error["code"], error["paths"]), ("not_found", [route.path for route in ROUTES]))
        self.assertEqual(self.ask_json("/api", 404)["error"]["code"], "not_found")
        self.assertEqual(self.store.closed, 5, "only the first could have been there")

    def test_ambiguous(self):
        """The beginning of more than one session is 400."""
        code, message = self.refusal("/api/sessions/sessi", 400)
        self.assertEqual(code, "bad_request")
        self.assertTrue(message.startswith("session: "))

    def test_bad_parameters(self):
        """A parameter that can't be used is 400 on every path, and names itself; the store is not asked."""
        for path in PATHS:
            for query, name in (("nothing=1", "nothing"), ("%ff=1", "the query")):
                code, message = self.refusal(f"{path}?{query}", 400)
                self.assertEqual((code, message.partition(":")[0]), ("bad_request", name))
        for path in ("/api/turns", "/api/sessions", "/api/calls", "/api/usage"):
            for query in ("limit=0", "limit=1&limit=1", "since=x", "status=-1"):
                self.assertTrue(self.refusal(f"{path}?{query}", 400)[1].startswith(f"{query.partition('=')[0]}: "))
        self.assertTrue(self.refusal("/api/calls?by=day", 400)[1].startswith("by: there is no such"))
        self.assertEqual((self.store.asked, self.store.closed), ([], 0))

    def test_bad_cursor(self):
        """A cursor that no page has told is 400."""
        code, message = self.refusal("/api/turns?after=me", 400)
        self.assertEqual((code, message.partition(":")[0]), ("bad_request", "after"))

    def test_off(self):
        """Where nothing is recorded what reads the records says so, and how to change that."""
        self.make()
        for path in PATHS:
            if path == "/api/openapi.json":
                self.assertEqual(self.ask(path).status, 200)
            elif path != "/api/events":
                code, message = self.refusal(path, 404)
                self.assertEqual(code, "records_off")
                self.assertIn("record.content", message)

    def test_unavailable(self):
        """A store that can't be opened is 503 with its sentence; one that breaks keeps its reason for the log."""
        self.store.fails = NoRecords("the record store is of a newer version")
        self.assertEqual(
            self.refusal("/api/turns", 503), ("records_unavailable", "the record store is of a newer version")
        )
        self.store.fails = OSError("private")
        code, message = self.refusal("/api/turns", 503)
        self.assertEqual(code, "records_unavailable")
        self.assertNotIn("private", message)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.store.fails = None
        self.ask_json("/api/turns")

    def test_store_is_let_go(self):
        """The store is closed behind each query, whatever comes of it."""
        self.ask_json("/api/turns")
        self.refusal("/api/turns?after=me", 400)
        self.refusal(f"/api/calls/{key(2)}", 404)
        self.assertEqual(self.store.closed, 3)

    def test_guarded(self):
        """Host, Origin and token are asked for before anything else."""
        self.records(token=lambda: Secret("s3cret"))
        for path in (*PATHS, "/api/nothing", "/api/turns?limit=0"):
            self.assertEqual(self.ask(path).status, 401, path)
            self.assertEqual(self.ask(path, "GET", "Authorization: Bearer s3cret", host="evil.example").status, 403)
            self.assertEqual(self.ask(path, "GET", "Authorization: Bearer s3cret", "Origin: http://x").status, 403)
        self.assertEqual(self.store.closed, 0)
        self.ask_json("/api/turns", 200, "Authorization: Bearer s3cret")

    def test_methods(self):
        """Only GET and HEAD are answered; HEAD as GET, without the body; no other site's pages are invited."""
        self.store.add(a_turn(1))
        for path in PATHS:
            refused = self.ask(path, "POST", "Content-Length: 5", body=b"12345")
            self.assertEqual((refused.status, refused.getheader("allow")), (405, "GET, HEAD"))
            asked = self.ask(path, "HEAD")
            self.assertEqual((asked.status, asked.text), (200, b""))
            self.assertIsNone(asked.getheader("access-control-allow-origin"))
            if path != "/api/events":
                self.assertEqual(asked.getheaders(), self.ask(path).getheaders())

    def test_waits(self):
        """An answer comes when the query is done, and the connection ends with it, not before."""
        held = Held()
        self.records(held)
        _, transport = self.send("/api/turns")
        self.assertEqual((transport.value(), transport.disconnecting), (b"", False))
        held.go()
        self.assertTrue(transport.disconnecting)
        self.assertEqual(json.loads(response(transport).text), {"turns": [], "next": None})
        self.assertIn(b"Connection: close", transport.value())

    def test_client_goes(self):
        """A client that goes away is no error: what waits for it is forgotten, what runs for it is thrown away."""
        held = Held()
        self.records(held)
        for _ in range(3):
            channel, transport = self.send("/api/turns")
            channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(held.jobs), 1)
        held.go()
        self.assertEqual((held.jobs, transport.value()), ([], b""))
        _, transport = self.send("/api/turns")
        held.go()
        self.assertEqual(response(transport).status, 200)
        self.assertEqual(self.clock.getDelayedCalls()[1:], [], "the deadline of the one connection that is there")

    def test_busy(self):
        """Beyond a bound queries are 503 and may come again; those that wait are answered."""
        held = Held()
        self.records(held)
        waiting = [self.send("/api/turns")[1] for _ in range(1 + MOST_WAITING)]
        refused = self.ask("/api/calls")
        self.assertEqual((refused.status, refused.getheader("retry-after")), (503, "1"))
        self.assertEqual(json.loads(refused.text)["error"]["code"], "records_busy")
        while held.jobs:
            self.assertEqual(len(held.jobs), 1, "one at a time")
            held.go()
        self.assertEqual({response(transport).status for transport in waiting}, {200})
        held.jobs.clear()

    def test_deadline(self):
        """A query that takes too long is cut off with its connection."""
        held = Held()
        self.records(held)
        _, transport = self.send("/api/turns")
        self.clock.advance(60)
        self.assertTrue(transport.disconnected)

    def test_one_request(self):
        """What follows a request while it is answered is nobody's next one."""
        held = Held()
        self.records(held)
        channel, transport = self.send("/api/turns", body=head("/reflect"))
        channel.dataReceived(head("/reflect"))
        held.go()
        channel.dataReceived(head("/reflect"))
        self.assertEqual(transport.value().count(b"HTTP/1.1 "), 1)

    def test_unforeseen(self):
        """A row that can't be put into JSON is 503, as any trouble of the store."""
        self.store.turn_rows.append({"id": object()})
        self.assertEqual(self.refusal("/api/turns", 503)[0], "records_unavailable")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_find(self):
        """Each route is found by its path, and names don't reach over slashes."""
        for route, path in zip(ROUTES, PATHS, strict=True):
            found, name = find(path.encode())
            self.assertIs(found, route)
            self.assertEqual(name in path and bool(name), "{" in route.path)
        self.assertEqual(find(b"/api/sessions/a%2Fb%25%C3%A9")[1], "a/b%\u00e9")


def _values(filter, **changes):
    return ({name: getattr(filter, name) for name in filter.__slots__} | changes).values()
