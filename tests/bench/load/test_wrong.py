"""A proxy that spoils, drops, mixes up or refuses fails its row, whatever it spoils."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from bench.load.catalogue import WORKLOADS
from bench.load.run import Run
from tests.bench.load.relay import Change, Changes, as_it_is, run_load


def spoils(old: bytes, new: bytes, *, up: bool = False, warm: bool = False) -> Changes:
    """A relay that once, within the window or before, puts other bytes in place of some."""

    def changes(run: Run) -> tuple[Change, Change]:
        done: list[bool] = []

        def change(data: bytes) -> list[bytes]:
            if done or (run.began is None) != warm or old not in data:
                return [data]
            done.append(True)
            return [data.replace(old, new, 1)]

        return (change, as_it_is) if up else (as_it_is, change)

    return changes


def flips(run: Run) -> tuple[Change, Change]:
    """A relay that turns one bit of the last byte that upstream says at a time, in the window."""

    def change(data: bytes) -> list[bytes]:
        return [data if run.began is None else data[:-1] + bytes([data[-1] ^ 1])]

    return as_it_is, change


def loses(run: Run) -> tuple[Change, Change]:
    """A relay that loses the last byte of each read in the window."""
    return as_it_is, lambda data: [data if run.began is None else data[:-1]]


def falls_silent(run: Run) -> tuple[Change, Change]:
    return as_it_is, lambda data: [data] if run.began is None else []


def hangs_up(run: Run) -> tuple[Change, Change]:
    """A relay that drops connections in the window."""
    return as_it_is, lambda data: [data] if run.began is None else [b""]


def refuses_at_first() -> Changes:
    """A relay whose first three connections get an error, or an end."""
    count = 0

    def changes(run: Run) -> tuple[Change, Change]:
        nonlocal count
        count += 1
        if count > 3:
            return as_it_is, as_it_is
        if count == 2:
            return as_it_is, lambda data: [b""]
        return as_it_is, lambda data: [b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"]

    return changes


def refuses(run: Run) -> tuple[Change, Change]:
    return as_it_is, lambda data: [b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nno\n"]


class WrongTests(SynchronousTestCase):
    def wrong(self, workload: str, changes: Changes, why: str, **more: float) -> dict[str, Any]:
        result, told = run_load(workload, changes, **more)
        self.assertEqual(result["wrong"], 1, workload)
        self.assertIn(why, result["why"], workload)
        self.assertIn(told, ([], ["begin", "end"]), workload)
        return result

    def test_a_bit(self) -> None:
        """One bit that has turned is found, in every workload."""
        for name in WORKLOADS:
            self.wrong(name, flips, "", deadline=0.5)

    def test_a_byte_less(self) -> None:
        """A byte that is lost is found, by what comes behind it or by the deadline."""
        for name in ("post", "sse", "sse-paced", "ws-64", "ws-200", "download"):
            self.wrong(name, loses, "", deadline=0.5)

    def test_silence(self) -> None:
        """Nothing hangs: what does not come is a stall, and the result says of what."""
        for name in WORKLOADS:
            self.wrong(name, falls_silent, "stalled: ", deadline=0.2, seconds=5.0, hold_seconds=0.0)

    def test_hang_up(self) -> None:
        """A connection that ends in the window."""
        for name in WORKLOADS:
            self.wrong(name, hangs_up, "closed by the peer")

    def test_status(self) -> None:
        """Another status than the one that upstream gave."""
        for name in ("post", "post-1", "sse", "sse-paced", "upload", "download"):
            more = {"events": 10} if name.startswith("sse") else {}
            self.wrong(name, spoils(b" 200 OK", b" 503 No"), "503", **more)
        self.wrong("ws-handshake", spoils(b" 101 ", b" 403 "), "403")

    def test_content_type(self) -> None:
        """An agent that gets another content type does not understand the answer."""
        self.wrong("post", spoils(b"application/json", b"application/jsom", warm=True), "content-type")
        self.wrong("sse", spoils(b"text/event-stream", b"text/event-strean", warm=True), "content-type")

    def test_mixed_up(self) -> None:
        """A right answer to another request."""
        self.wrong("post", spoils(b'"number":"00000', b'"number":"00010'), "answer: byte")
        self.wrong("sse", spoils(b'"stream":"0001"', b'"stream":"0002"'), "stream 1")
        self.wrong("sse-paced", spoils(b'"stream":"0001"', b'"stream":"0002"'), "stream 1")
        self.wrong("ws-200", spoils(b'"stream":"0001"', b'"stream":"0002"'), "stream 1")

    def test_to_upstream(self) -> None:
        """What upstream gets is compared too."""
        self.wrong("post", spoils(b"coding agent", b"coding agenT", up=True), "upstream: b'POST ")
        self.wrong("sse", spoils(b"coding agent", b"coding agenT", up=True), "upstream: b'POST ")
        self.wrong("post-1", spoils(b"POST /v1/responses ", b"POST /v1/resp0nses ", up=True), "upstream: b'POST ")

        def flip(run: Run) -> tuple[Change, Change]:
            return (lambda data: [data if run.began is None else data[:-1] + bytes([data[-1] ^ 1])]), as_it_is

        self.wrong("upload", flip, "upload, from byte")
        self.wrong("ws-1m", flip, "echo")
        self.wrong("ws-64-deflate", flip, "")

    def test_handshake(self) -> None:
        """The accept key and the extension have to be right."""
        self.wrong("ws-64", spoils(b"sec-websocket-accept: ", b"sec-websocket-accept: A", warm=True), "accept")
        for name in ("permessage-deflate", "server_no_context_takeover"):
            spoilt = spoils(name.encode(), b"x" * len(name), warm=True)
            self.wrong("ws-1k-deflate", spoilt, "sec-websocket-extensions")

    def test_patience(self) -> None:
        """Before the window a proxy may fail a few times: its kept connections lead to a load that has ended."""
        for name in WORKLOADS:
            result, _ = run_load(name, refuses_at_first())
            self.assertEqual((result["wrong"], result["why"]), (0, None), name)

    def test_refused_by_upstream(self) -> None:
        """Where a proxy makes something else of a request, that is told, before the window too."""
        result = self.wrong("post", lambda run: ((lambda data: [data.replace(b"agent", b"agenT")]), as_it_is), "400")
        self.assertIn("upstream had refused b'POST ", result["why"])

    def test_refused(self) -> None:
        """A proxy that never gives an answer: what it gives in its place is told."""
        for name in ("post", "sse", "ws-64", "ws-idle", "ws-200", "download"):
            result = self.wrong(name, refuses, "502 Bad Gateway")
            self.assertEqual(result["operations"], 0)
