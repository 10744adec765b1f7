"""The records of calls and turns, field by field."""

from __future__ import annotations

from datetime import UTC, datetime

from agentproxy.call import Close
from agentproxy.observe.pricing import Prices
from agentproxy.records.values import CallRecord, TurnRecord
from tests.observe.ledger_case import ALL, BEGUN_US, LedgerCase, turn
from tests.observe.page_case import (
    WALL,
    asks,
    dump,
)


class RecordTests(LedgerCase):
    def tearDown(self) -> None:
        self.assert_no_fault()

    def test_turn(self) -> None:
        """Every field of a turn's record."""
        books = self.ledger(self.sink)
        head = asks(b"/v1/responses", (b"User-Agent", b"codex_cli_rs/0.99.0 (Linux)"), (b"session_id", b"session-1"))
        page = self.http(books, head)
        page.call.upstream_request_id = "req_1"
        self.clock.advance(4)
        books.settle(page, turn(), "a reason")
        [record] = self.sink.turns
        who = page.who
        self.assertEqual((who.session, who.session_source, who.agent), ("session-1", "stated", "codex"))
        cost = Prices().cost(
            "openai", "api.openai.com", "gpt-5.5-2026-09-01", ALL, datetime.fromtimestamp(WALL + 4, UTC)
        )
        self.assertEqual(
            record,
            TurnRecord(
                key=record.key,
                call_key=page.key,
                request_id="id-1",
                provider="one",
                protocol="http",
                operation="responses",
                lane="lane-1",
                started_us=BEGUN_US + 1_500_000,
                first_token_us=750_000,
                duration_us=2_500_000,
                request_model="gpt-5.5",
                response_model="gpt-5.5-2026-09-01",
                response_id="resp_1",
                upstream_request_id="req_1",
                input_tokens=1000,
                output_tokens=200,
                cache_read_tokens=300,
                cache_write_tokens=100,
                cache_write_1h_tokens=50,
                reasoning_tokens=60,
                input_audio_tokens=7,
                output_audio_tokens=8,
                web_searches=2,
                cost_micro_usd=cost,
                price_version=None if cost is None else Prices().version,
                source="reported",
                status="completed",
                stop_reason="stop",
                note="a note",
                degraded="a reason",
                session="session-1",
                session_source="stated",
                agent="codex",
                agent_version=who.agent_version,
                sub_agent=who.sub_agent,
                working_directory=who.working_directory,
                tools=["shell", "apply_patch"],
            ),
        )
        self.assertEqual(self.published, [record])

    def test_unknown_usage(self) -> None:
        """Where nothing is known there is no count, and no 0."""
        record = self.settled(turn(None))
        counts = [name for name in TurnRecord.__slots__ if name.endswith("_tokens") or name == "web_searches"]
        self.assertEqual(len(counts), 9)
        self.assertEqual({getattr(record, name) for name in counts}, {None})
        self.assertEqual((record.cost_micro_usd, record.price_version, record.source), (None, None, "missing"))

    def test_no_times(self) -> None:
        """A turn without a first token, or whose end came before its beginning, has no odd times."""
        record = self.settled(turn(first_token=None, ended=1.0))
        self.assertEqual((record.first_token_us, record.duration_us), (None, 0))

    def test_call(self) -> None:
        """Every field of an HTTP call's record."""
        books = self.ledger(self.sink)
        page = self.http(books, asks(b"/v1/models?key=x", (b"User-Agent", b"curl/8.5"), method=b"GET"))
        call = page.call
        self.clock.advance(3)
        call.status, call.bytes_in, call.bytes_out, call.first_byte = 502, 11, 22, 1.25
        call.error, call.phase, call.upstream_request_id = "upstream_unreachable", "connect", "req_1"
        page.ended()
        [record] = self.sink.calls
        self.assertEqual(
            record,
            CallRecord(
                key=page.key,
                request_id="id-1",
                provider="one",
                protocol="http",
                method="GET",
                path="/v1/models",
                started_us=BEGUN_US,
                duration_us=3_000_000,
                status=502,
                bytes_in=11,
                bytes_out=22,
                frames_in=None,
                frames_out=None,
                first_byte_us=1_250_000,
                error="upstream_unreachable",
                phase="connect",
                close_side=None,
                close_code=None,
                close_reason=None,
                close_clean=None,
                upstream_request_id="req_1",
                session=record.session,
                session_source=record.session_source,
                agent="curl",
                agent_version="8.5",
                sub_agent=None,
                working_directory=None,
                degraded=None,
            ),
        )

    def test_socket_call(self) -> None:
        """What a WebSocket's record has besides."""
        page = self.socket(self.ledger(self.sink))
        page.call.frames_in, page.call.frames_out = 3, 0
        page.call.close = Close("upstream", 1011, "oh", clean=False)
        page.ended()
        [record] = self.sink.calls
        self.assertEqual((record.protocol, record.frames_in, record.frames_out), ("websocket", 3, 0))
        self.assertEqual(
            (record.close_side, record.close_code, record.close_reason, record.close_clean),
            ("upstream", 1011, "oh", False),
        )
        self.assertEqual((record.session_source, record.first_byte_us), ("inferred", None))

    def test_keys(self) -> None:
        """Keys are 16 hex digits that grow, of calls and turns alike, from one process to the next."""
        books = self.ledger(self.sink)
        keys = [books.key() for _ in range(1000)]
        self.clock.advance(0.002)
        keys += [self.ledger(None).key()]
        self.assertEqual(keys, sorted(set(keys)))
        self.assertEqual({len(key) for key in keys}, {16})
        self.assertEqual(int(keys[0], 16) >> 20, int(WALL * 1000))

    def test_wall(self) -> None:
        """A clock that was set between a turn's begin and its end moves both alike."""
        ahead = [0.0]
        books = self.ledger(self.sink, wall=lambda: WALL + self.clock.seconds() + ahead[0])
        page = self.http(books)
        ahead[0] = 3600.0
        self.clock.advance(4)
        books.settle(page, turn(), None)
        self.assertEqual(self.sink.turns[0].started_us, BEGUN_US + 3600 * 10**6 + 1_500_000)
        self.assertEqual(self.sink.turns[0].duration_us, 2_500_000)

    def test_without_a_sink(self) -> None:
        """Where nothing is kept, turns are told and counted all the same."""
        books = self.ledger(None)
        page = self.http(books, asks(b"/v1/models", method=b"GET"))
        books.settle(page, turn(), None)
        page.ended()
        self.assertEqual((len(self.published), len(self.events("usage"))), (1, 1))

    def test_a_session(self) -> None:
        """A request that follows a response is of its session."""
        books = self.ledger(self.sink)
        first = self.http(books)
        first._look(dump({"model": "m", "input": "one"}))
        books.settle(first, turn(), None)
        second = self.http(books)
        second._look(dump({"model": "m", "input": "two", "previous_response_id": "resp_1"}))
        books.settle(second, turn(response_id="resp_2"), None)
        other = self.http(books)
        other._look(dump({"model": "m", "input": "three"}))
        books.settle(other, turn(response_id="resp_3"), None)
        one, two, three = (record.session for record in self.sink.turns)
        self.assertEqual((one == two, one == three), (True, False))
