"""What a store says of what was written: turns, calls, content; and when there is none to read."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from agentproxy.records import database
from agentproxy.records.errors import NoRecords
from agentproxy.records.paging import Filter
from agentproxy.records.queries import Store, turn_json
from tests.records.store_case import NOON_US, SECOND_US, SOON, QueryCase, call, content, key, turn

TURN_KEYS = [
    "id",
    "call_id",
    "request_id",
    "session",
    "session_source",
    "agent",
    "agent_version",
    "sub_agent",
    "working_directory",
    "provider",
    "protocol",
    "operation",
    "lane",
    "request_model",
    "response_model",
    "started",
    "first_token_s",
    "duration_s",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "web_searches",
    "cost_micro_usd",
    "price_version",
    "source",
    "status",
    "stop_reason",
    "tools",
    "response_id",
    "upstream_request_id",
    "close",
    "note",
    "degraded",
]
CALL_KEYS = [
    "id",
    "request_id",
    "provider",
    "protocol",
    "method",
    "path",
    "started",
    "duration_s",
    "status",
    "bytes_in",
    "bytes_out",
    "frames_in",
    "frames_out",
    "first_byte_s",
    "error",
    "phase",
    "close",
    "upstream_request_id",
    "session",
    "session_source",
    "agent",
    "agent_version",
    "sub_agent",
    "working_directory",
    "degraded",
    "turns",
]


class Turns(QueryCase):
    def test_shape(self) -> None:
        """A turn's row is what the turn itself becomes for a live event, key by key."""
        record = turn(1, sub_agent="explorer", lane="2", note="n", degraded="d", web_searches=0)
        bare = turn(2, **dict.fromkeys(("first_token_us", "duration_us", "agent", "cost_micro_usd")), tools=[])
        for row, value in zip(self.store(record, bare).turns(Filter(), newest_first=False).rows, (record, bare)):
            self.assertEqual(list(row), TURN_KEYS)
            self.assertEqual(row, turn_json(value))
            self.assertEqual(json.loads(json.dumps(row)), row)
        self.assertEqual(turn_json(record)["started"], "2026-01-02T03:04:06.000000Z")
        self.assertEqual((turn_json(record)["first_token_s"], turn_json(record)["duration_s"]), (0.25, 2.0))
        self.assertEqual((turn_json(bare)["first_token_s"], turn_json(bare)["duration_s"]), (None, None))

    def test_close(self) -> None:
        """A turn of a WebSocket has how that ended; one of a call that has not, or of HTTP, has nothing."""
        closed = call(1, close_side="upstream", close_code=1001, close_reason="bye", close_clean=False)
        store = self.store(closed, call(2), turn(1), turn(2), turn(3))
        self.assertEqual(
            [row["close"] for row in store.turns(Filter()).rows],
            [None, None, {"side": "upstream", "code": 1001, "reason": "bye", "clean": False}],
        )

    def test_order(self) -> None:
        """Turns come by when they began, either way; those of one moment by their ids."""
        store = self.store(turn(3, started_us=1), turn(1, started_us=2), turn(2, started_us=2))
        wanted = [key(2), key(1), key(3)]
        self.assertEqual([row["id"] for row in store.turns(Filter()).rows], wanted)
        self.assertEqual([row["id"] for row in store.turns(Filter(), newest_first=False).rows], wanted[::-1])

    def test_filters(self) -> None:
        """Each part of a filter holds, and all together."""
        store = self.store(
            turn(1),
            turn(2, session="other", agent="codex", provider="openai", status="failed"),
            turn(3, request_model="sonnet-1", response_model=None),
            turn(4, session=None, request_model="haiku", response_model=None),
        )
        for filter, wanted in [
            (Filter(), "4321"),
            (Filter(since_us=NOON_US + 2 * SECOND_US), "432"),
            (Filter(until_us=NOON_US + 2 * SECOND_US), "1"),
            (Filter(session="other"), "2"),
            (Filter(agent="codex"), "2"),
            (Filter(provider="anthropic"), "431"),
            (Filter(model="sonnet"), "21"),
            (Filter(model="sonnet-1"), "321"),
            (Filter(model="haiku"), "4"),
            (Filter(status="failed"), "2"),
            (Filter(session="session-one", since_us=NOON_US + 2 * SECOND_US, model="sonnet-1"), "3"),
            (Filter(session="' OR 1=1 --"), ""),
            (Filter(session="\ud800"), ""),
            (Filter(since_us=2**80), ""),
            (Filter(until_us=-(2**80)), ""),
        ]:
            self.assertEqual("".join(row["id"][-1] for row in store.turns(filter).rows), wanted, filter)
            ascending = [row["id"][-1] for row in store.each_turn(filter)]
            self.assertEqual("".join(ascending[::-1]), wanted, filter)

    def test_after(self) -> None:
        """Turns that ended behind another: by their ids, whenever they began; up to and with the last wanted."""
        store = self.store(
            *(turn(number, started_us=NOON_US - number) for number in range(10)), call(4, close_code=1000)
        )
        ids = [row["id"] for row in store.turns_after(key(2), None, 100)]
        self.assertEqual(ids, [key(number) for number in range(3, 10)])
        self.assertEqual([row["id"] for row in store.turns_after(key(2), key(5), 100)], [key(3), key(4), key(5)])
        self.assertEqual([row["id"] for row in store.turns_after(key(2), key(5), 2)], [key(3), key(4)])
        self.assertEqual(store.turns_after(key(9), None, 100), [])
        self.assertEqual(store.turns_after("", None, 1)[0]["id"], key(0))
        self.assertEqual(list(store.turns_after(key(3), None, 1)[0]), TURN_KEYS)

    def test_many(self) -> None:
        """An export has each turn and call once, over however many steps, some of them of one moment."""
        store = self.store(*(turn(number, started_us=number // 700) for number in range(2500)), *map(call, range(1001)))
        self.assertEqual([row["id"] for row in store.each_turn(Filter())], [key(number) for number in range(2500)])
        self.assertEqual([row["id"] for row in store.each_call(Filter())], [key(number) for number in range(1001)])


class Calls(QueryCase):
    def test_shape(self) -> None:
        """A call's row has its record's fields, times as text and seconds, and the number of its turns."""
        closed = call(2, protocol="websocket", frames_in=3, frames_out=4, close_side="client", close_code=1000,
                      close_reason="", close_clean=True)  # fmt: skip
        store = self.store(call(1), closed, turn(1), turn(2, call_key=key(2)), turn(3, call_key=key(2)))
        rows = store.calls(Filter()).rows
        self.assertEqual([row["id"] for row in rows], [key(2), key(1)])
        for row in rows:
            self.assertEqual(list(row), CALL_KEYS)
            self.assertEqual(store.call(row["id"]), row)
        socket, plain = rows
        self.assertEqual(socket["close"], {"side": "client", "code": 1000, "reason": "", "clean": True})
        self.assertEqual((socket["turns"], socket["frames_out"]), (2, 4))
        self.assertEqual((plain["close"], plain["turns"], plain["duration_s"]), (None, 1, 2.0))
        self.assertEqual((plain["started"], plain["first_byte_s"]), ("2026-01-02T03:04:06.000000Z", 0.05))

    def test_no_call(self) -> None:
        """There is no call of another id, whatever is asked for."""
        store = self.store(call(1))
        for name in ("", key(2), "\ud800", "\0", "%"):
            self.assertIsNone(store.call(name))

    def test_filters(self) -> None:
        """A call is found by its own words, its status or its error, and by the models of its turns."""
        store = self.store(
            call(1),
            call(2, status=429, agent="codex"),
            call(3, status=0, error="client_gone", session="other", provider="openai"),
            turn(1), turn(9, call_key=key(3), request_model="haiku", response_model=None),
        )  # fmt: skip
        for filter, wanted in [
            (Filter(), "321"),
            (Filter(since_us=NOON_US + 2 * SECOND_US, until_us=NOON_US + 3 * SECOND_US), "2"),
            (Filter(session="other"), "3"),
            (Filter(agent="codex"), "2"),
            (Filter(provider="openai"), "3"),
            (Filter(status="429"), "2"),
            (Filter(status="client_gone"), "3"),
            (Filter(status="9" * 50), ""),
            (Filter(model="haiku"), "3"),
            (Filter(model="sonnet"), "1"),
        ]:
            self.assertEqual("".join(row["id"][-1] for row in store.calls(filter).rows), wanted, filter)
            self.assertEqual("".join(row["id"][-1] for row in store.each_call(filter)), wanted[::-1], filter)


class Content(QueryCase):
    def test_content(self) -> None:
        """What was kept of a call comes back, in order, as bytes."""
        body = b"a long body, " * 20_000
        store = self.store(content(1, b"second", place=1), content(1, body), content(2, b"another's"))
        rows = store.content(key(1))
        self.assertEqual([(row["number"], row["body"]) for row in rows], [(0, body), (1, b"second")])
        self.assertEqual(
            {name: value for name, value in rows[1].items() if name != "body"},
            {
                "part": "request_body",
                "number": 1,
                "at": "2026-01-02T03:04:06.000000Z",
                "size": 6,
                "kept": 6,
                "note": None,
                "is_text": True,
            },
        )
        self.assertEqual(store.content(key(3)), [])

    def test_damaged(self) -> None:
        """What can't be had of one piece is said there; the others come."""
        self.write([content(1, b"one"), content(1, b"two", place=1), content(1, b"three", place=2)])
        with closing(sqlite3.connect(self.file)) as link:
            link.execute("UPDATE blobs SET data = x'00' WHERE rowid = 1")
            link.execute("DELETE FROM blobs WHERE rowid = 2")
            link.commit()
        rows = self.store().content(key(1))
        self.assertEqual([row["body"] for row in rows], [b"", b"", b"three"])
        self.assertIn("damaged", rows[0]["note"])
        self.assertEqual(rows[1]["note"], "deleted meanwhile")


class Unreadable(QueryCase):
    def check(self, *words: str) -> None:
        with self.assertRaises(NoRecords) as caught:
            Store(self.file)
        for word in (str(self.file), *words):
            self.assertIn(word, str(caught.exception))

    def test_no_file(self) -> None:
        """No file, or a directory in its place, is a sentence, and nothing is made."""
        self.check("no records yet")
        self.assertFalse(self.directory.exists())
        self.file.mkdir(parents=True)
        self.check("no records yet")

    def test_no_store(self) -> None:
        """Garbage, another's database and an empty file are each told as what they are."""
        self.directory.mkdir()
        self.file.write_bytes(b"garbage" * 1000)
        self.check("no record store")
        self.file.write_bytes(b"")
        self.check("nothing in it yet")
        with closing(sqlite3.connect(self.file)) as link:
            link.execute("CREATE TABLE theirs (a)")
        self.check("not a record store")

    def test_damage(self) -> None:
        """Damage that is met while reading is a sentence, too."""
        self.write(map(turn, range(500)))
        data = self.file.read_bytes()
        self.file.write_bytes(data[: 8 * 4096] + b"\xa5" * (len(data) - 8 * 4096))
        with closing(Store(self.file)) as store, self.assertRaises(NoRecords) as caught:
            list(store.each_turn(Filter()))
        self.assertIn("damaged", str(caught.exception))

    def test_strange_name(self) -> None:
        """A directory may have any name."""
        self.directory = Path(self.mktemp() + " a%20?b#c&mode=rw")
        self.file = self.directory / "records.sqlite"
        self.assertEqual(len(self.store(turn(1)).turns(Filter()).rows), 1)

    def test_stopped(self) -> None:
        """What nobody waits for any more ends."""
        self.patch(database, "LOOK_UP", 1)
        self.write([turn(1)])
        stopped = False
        with closing(Store(self.file, lambda: stopped)) as store:
            self.assertEqual(len(store.turns(Filter()).rows), 1)
            stopped = True
            self.assertRaises(NoRecords, store.turns, Filter())

    def test_read_only_place(self) -> None:
        """Where nothing may be made beside it, a file is read while nobody writes it, and otherwise not."""
        self.write([turn(1)])
        connect = sqlite3.connect

        def connect_here(name: str, **options: Any) -> sqlite3.Connection:
            # As it is for who may write anywhere, such as these tests' user.
            if "immutable" not in name:
                raise sqlite3.OperationalError("unable to open database file")
            return connect(name, **options)

        self.patch(sqlite3, "connect", connect_here)
        with closing(Store(self.file)) as store:
            self.assertEqual(len(store.turns(Filter()).rows), 1)
        database.log_of(self.file).write_bytes(b"x")
        self.check("unable to open")

    def test_writes_nothing(self) -> None:
        """A reader can't write."""
        store = self.store(turn(1))
        with self.assertRaisesRegex(Exception, "readonly"):
            store._connection.exec_driver_sql("DELETE FROM turns")


class BesideAWriter(QueryCase):
    def test_beside(self) -> None:
        """A reader sees what was written since, and neither waits for the other."""
        writer = self.writer()
        writer.turn(turn(0))
        self.assertTrue(writer.flush(SOON))
        with closing(Store(self.file)) as store:
            rows = store.each_turn(Filter())
            next(rows)
            for number in range(1, 30):
                writer.turn(turn(number))
                self.assertTrue(writer.flush(SOON))
                self.assertEqual(store.turns(Filter(), limit=1).rows[0]["id"], key(number))
            with closing(sqlite3.connect(self.file, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                self.assertEqual(len(store.turns(Filter()).rows), 30)
                other.execute("ROLLBACK")
        self.assertEqual((writer.lost, self.told), (0, []))
