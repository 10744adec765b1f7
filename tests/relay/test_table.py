"""
The table of what each provider's traffic costs: every row passes a port, in one piece and in many, byte for byte as it
was sent, and leaves the records that the row says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from agentproxy.observe.pricing import Prices
from tests.relay.harness import request, upgrade
from tests.relay.table import (
    anthropic,
    bad,
    bad_sockets,
    chat,
    codings,
    copilot,
    gemini,
    live,
    realtime,
    responses,
    simulated,
    sockets,
)
from tests.relay.table.prices import OWN
from tests.relay.table.row import CLOSES, SSE, Http, Row, Socket, Told
from tests.relay.test_websocket import WebSocketCase

TABLES = (anthropic, bad, bad_sockets, chat, codings, copilot, gemini, live, realtime, responses, simulated, sockets)
PRICES = Prices(OWN)

Cut = Callable[[bytes], Iterator[bytes]]


def in_one_piece(data: bytes) -> Iterator[bytes]:
    """As it is."""
    if data:
        yield data


def in_small_pieces(data: bytes) -> Iterator[bytes]:
    """From one byte to a few; if that were too many pieces, so many times more."""
    times, at = 1 + len(data) // (20_000 if len(data) < 1 << 20 else 1_000), 0
    for size in cycle((1, 2, 7, 3, 13, 1, 8)):
        if at >= len(data):
            return
        yield data[at : at + size * times]
        at += size * times


class TableTests(WebSocketCase):
    """Has a test for each row."""

    maxDiff = None

    def passes(self, row: Row) -> None:
        """A row's call passes, however it is cut."""
        for cut in (in_one_piece, in_small_pieces):
            harness = self.start(row.kind, host=row.host, limits=row.limits, prices=PRICES)
            if isinstance(row, Http):
                self.asks_and_answers(harness, row, cut)
            elif isinstance(row, Socket):
                self.talks(harness, row, cut)
            self.assertEqual([Told.by(record) for record in harness.sink.turns], list(row.turns), cut.__name__)
            (call,) = harness.sink.calls
            self.assertEqual(call.degraded, row.degraded, cut.__name__)

    def asks_and_answers(self, harness: Any, row: Http, cut: Cut) -> None:
        client = harness.client()
        length = b"Content-Length: %d" % len(row.asked)
        for piece in cut(request(b"POST " + row.path, length, *row.asked_fields, body=row.asked)):
            client.say(piece)
        self.assertEqual(self.asked(harness).body, row.asked)
        for piece in cut(self.response(row)):
            harness.upstream.say(piece)
        whole = row.ends == "whole"
        if row.ends == "upstream":
            harness.upstream.lost()
        answer = self.answer(client)
        self.assertEqual((answer.body, answer.whole), (row.answered, whole))
        client.lost()
        harness.settle(1)

    def response(self, row: Http) -> bytes:
        """A stream is chunked, an object of a known length."""
        head = b"\r\n".join([b"HTTP/1.1 " + row.status, *row.fields, b""])
        if SSE in row.fields:
            chunk = b"%x\r\n%b\r\n" % (len(row.answered), row.answered) if row.answered else b""
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n" * (row.ends == "whole")
        missing = 0 if row.ends == "whole" else 1
        return head + b"Content-Length: %d\r\n\r\n" % (len(row.answered) + missing) + row.answered

    def talks(self, harness: Any, row: Socket, cut: Cut) -> None:
        client = harness.client()
        extensions = () if row.extensions is None else (b"Sec-WebSocket-Extensions: " + row.extensions,)
        client.say(upgrade(*extensions, target=row.path))
        upstream = harness.upstream
        self.accepts(upstream, *extensions)
        self.assertEqual(self.answer(client).status, 101)
        said = (*row.said, *CLOSES) if row.ends == "closed" else row.said
        for from_client, data in said:
            sender, receiver = (client, upstream) if from_client else (upstream, client)
            for piece in cut(data):
                sender.say(piece)
            # Too much for a message, if it should fail.
            self.assertTrue(receiver.taken() == data, "other bytes")
        if row.ends != "closed":
            (client if row.ends == "client" else upstream).lost()
        client.lost()
        harness.settle(1)


def _test(row: Row) -> Callable[[TableTests], None]:
    def test(case: TableTests) -> None:
        case.passes(row)

    return test


for _table in TABLES:
    for _row in _table.ROWS:
        _name = "test_" + re.sub(r"\W+", "_", f"{_table.__name__.rpartition('.')[2]} {_row.name}")
        assert not hasattr(TableTests, _name), _name
        setattr(TableTests, _name, _test(_row))
