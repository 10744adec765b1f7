"""What `wire.sse` tells of an event stream: the standard's rules at every split, bounds, hostile streams."""

from __future__ import annotations

import re
import time
import tracemalloc

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.sse import MAX_NAME, SseReader
from tests.wire.splits import PROPERTY, cut, every_split, places

Told = tuple[str, bytes, bool]

RULES: list[tuple[str, bytes, list[tuple[str, bytes]]]] = [
    ("nothing", b"", []),
    ("one event", b"data: a\n\n", [("message", b"a")]),
    ("CRLF", b"event: e\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [("e", b"a"), ("message", b"b")]),
    ("CR", b"event: e\rdata: a\r\rdata: b\r\r", [("e", b"a"), ("message", b"b")]),
    ("line ends mixed", b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n\n", [("message", bytes([c])) for c in b"abc"]),
    ("LF then CR are two line ends", b"data: a\n\rdata: b\n\n", [("message", b"a"), ("message", b"b")]),
    ("a CR at the very end is a line end", b"data: a\r\n\r", [("message", b"a")]),
    ("no space", b"event:e\ndata:a\n\n", [("e", b"a")]),
    ("one space goes, the others stay", b"data:  a \n\ndata: \ta\n\n", [("message", b" a "), ("message", b"\ta")]),
    ("several data lines", b"data: a\ndata:b\ndata:  c\n\n", [("message", b"a\nb\n c")]),
    ("data without a colon, or empty", b"data\n\ndata\ndata\n\ndata:\n\n", [("message", d) for d in (b"", b"\n", b"")]),
    ("no data: not told, and the name is forgotten", b"event: e\n\ndata: a\n\n", [("message", b"a")]),
    ("an empty name is message", b"event: e\nevent:\ndata: a\n\n", [("message", b"a")]),
    ("a name without a colon is empty", b"event: e\nevent\ndata: a\n\n", [("message", b"a")]),
    ("the last name counts, wherever it is", b"event: d\ndata: a\nevent: e\n\n", [("e", b"a")]),
    ("comments", b": hello\n\n:\n\n:data: x\ndata: a\n: data: y\n\n", [("message", b"a")]),
    ("id and retry", b"id: 7\nretry: 3\ndata: a\nid\n\n", [("message", b"a")]),
    ("other fields", b"Data: x\ndatax: x\n data: x\ndat: x\nevents: x\ndata : x\ndata: a\n\n", [("message", b"a")]),
    ("colons inside", b"event: a:b\ndata: c: d\n\ndata::\n\n", [("a:b", b"c: d"), ("message", b":")]),
    ("unfinished at the end", b"data: a\n\nevent: e\ndata: b\n", [("message", b"a")]),
    ("unfinished line at the end", b"data: a\n\ndata: b", [("message", b"a")]),
    ("empty lines", b"\n\n\ndata: a\n\n\n\n\n\ndata: b\n\n\n", [("message", b"a"), ("message", b"b")]),
    ("BOM", b"\xef\xbb\xbfdata: a\n\n", [("message", b"a")]),
    ("BOM before an empty line", b"\xef\xbb\xbf\ndata: a\n\n", [("message", b"a")]),
    ("only one BOM", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", b"b")]),
    ("a BOM later is none", b"\n\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", b"b")]),
    ("half a BOM", b"\xef\xbbdata: a\n\ndata: b\n\n", [("message", b"b")]),
    ("not UTF-8", b"event: \xff\ndata: \xff\xfe\x00\n\n", [("\ufffd", b"\xff\xfe\x00")]),
    ("line ends of Unicode are none", b"data: a\x0b\x85\xe2\x80\xa8b\n\n", [("message", b"a\x0b\x85\xe2\x80\xa8b")]),
    ("OpenAI", b'event: response.created\ndata: {"a":1}\n\n', [("response.created", b'{"a":1}')]),
    ("chat completions", b'data: {"a":1}\n\ndata: [DONE]\n\n', [("message", b'{"a":1}'), ("message", b"[DONE]")]),
    ("Anthropic", b'event: ping\ndata: {"type": "ping"}\n\n', [("ping", b'{"type": "ping"}')]),
    ("Gemini", b'data: {"a": 1}\r\n\r\ndata: {"a": 2}\r\n\r\n', [("message", b'{"a": 1}'), ("message", b'{"a": 2}')]),
]  # fmt: skip


def nothing(events: int, size: int) -> None:
    """Nobody asked for runs of events."""
    raise AssertionError((events, size))


def told(pieces: list[bytes], max_bytes: int = 1 << 20) -> list[Told]:
    """What a reader tells of a whole stream."""
    events: list[Told] = []
    reader = SseReader(lambda *event: events.append(event), nothing, max_bytes=max_bytes)
    for piece in pieces:
        reader.feed(piece)
    reader.close()
    return events


def by_the_book(stream: bytes, max_bytes: int) -> list[Told]:
    """The standard's algorithm, a line at a time."""
    events: list[Told] = []
    name, data = b"", None
    *lines, _ = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))
    for line in lines:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data is not None:
                text = name[:MAX_NAME].decode("utf-8", "replace") or "message"
                events.append((text, data[:max_bytes], len(data) > max_bytes))
            name, data = b"", None
        elif field == b"data":
            data = value if data is None else data + b"\n" + value
        elif field == b"event":
            name = value
    return events


TOKENS = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"a", b"bcdef",
     b"\xef\xbb\xbf", b"\xff", b"data: ", b"data:", b"event: ", b"event:e\n", b"data: x\n\n", b"\x00", b"y" * 300]
)  # fmt: skip
STREAMS = st.lists(TOKENS, max_size=40).map(b"".join)


class SseTests(SynchronousTestCase):
    def test_rules(self) -> None:
        """Each rule of the standard, whole, byte by byte, and in two at every place."""
        for what, stream, want in RULES:
            wanted = [(name, data, False) for name, data in want]
            for pieces in every_split(stream):
                self.assertEqual(told(pieces), wanted, (what, pieces))

    def test_rules_by_the_book(self) -> None:
        """The tests' own reading of the standard agrees with the table."""
        for what, stream, want in RULES:
            self.assertEqual(by_the_book(stream, 1 << 20), [(name, data, False) for name, data in want], what)

    @PROPERTY
    @given(STREAMS, places(200), st.integers(0, 12))
    @example(b"data: " + b"a" * 6 + b"\n\n", [5], 5)
    @example(b"event: " + b"a" * 300 + b"\ndata: b\n\n", [270], 5)
    def test_any_split(self, stream: bytes, at: list[int], max_bytes: int) -> None:
        """However a stream is cut, and however little of an event is kept, the standard's events come out."""
        want = by_the_book(stream, max_bytes)
        self.assertEqual(told([stream], max_bytes), want)
        self.assertEqual(told(cut(stream, at), max_bytes), want)

    @PROPERTY
    @given(STREAMS)
    def test_byte_by_byte(self, stream: bytes) -> None:
        """One byte at a time, and with empty pieces between, nothing changes."""
        pieces = [piece for at in range(len(stream)) for piece in (stream[at : at + 1], b"")]
        self.assertEqual(told(pieces), by_the_book(stream, 1 << 20))

    def test_told_at_once(self) -> None:
        """An event is told as soon as its blank line is here, a lone CR not waiting for what follows it."""
        for stream in (b"data: a\n\n", b"data: a\r\n\r\n", b"data: a\r\r"):
            events: list[Told] = []
            reader = SseReader(lambda *event: events.append(event), nothing, max_bytes=9)
            reader.feed(stream[:-1] if stream.endswith(b"\r\n") else stream)
            self.assertEqual(events, [("message", b"a", False)], stream)

    def test_cut(self) -> None:
        """Of data over the limit its beginning is told, as cut; the events that follow are whole."""
        for stream, want in (
            (b"data: 12345\n\n", (b"12345", False)),
            (b"data: 123456\n\n", (b"12345", True)),
            (b"data:123456\n\n", (b"12345", True)),
            (b"data: 1\ndata: 2\ndata: 3\n\n", (b"1\n2\n3", False)),
            (b"data: 1\ndata: 2\ndata: 34\n\n", (b"1\n2\n3", True)),
            (b"data: 12345\ndata\n\n", (b"12345", True)),
            (b"data: 1234\ndata\n\n", (b"1234\n", False)),
            (b"data: 1234\ndata: 5\n\n", (b"1234\n", True)),
        ):
            for pieces in every_split(stream + b"data: next\ndata:\n\ndata: x\n\n"):
                self.assertEqual(
                    told(pieces, 5),
                    [("message", *want), ("message", b"next\n", False), ("message", b"x", False)],
                    pieces,
                )

    def test_long_name(self) -> None:
        """A name is cut at its limit, wherever the stream was split."""
        name = "n" * (MAX_NAME + 100)
        for pieces in ([b"event: %b\ndata: a\n\n" % name.encode()], [b"event: " + name.encode(), b"\ndata: a\n\n"]):
            self.assertEqual(told(pieces, 1), [(name[:MAX_NAME], b"a", False)])

    def test_nothing_after_close(self) -> None:
        """What is unfinished at the end is dropped for good."""
        events: list[Told] = []
        reader = SseReader(lambda *event: events.append(event), nothing, max_bytes=9)
        reader.feed(b"event: e\ndata: a\nda")
        reader.close()
        reader.feed(b"ta: b\n\ndata: c\n\n")
        self.assertEqual(events, [("message", b"c", False)])

    def test_large_event(self) -> None:
        """An event far larger than a read comes whole."""
        body = bytes(range(32, 127)) * 20000
        stream = b"event: e\ndata: " + body + b"\n\ndata: b\n\n"
        pieces = [stream[at : at + 4096] for at in range(0, len(stream), 4096)]
        for split in (pieces, [stream]):
            self.assertEqual(told(split, 1 << 22), [("e", body, False), ("message", b"b", False)])

    def test_memory(self) -> None:
        """Endless lines, events, comments, names and line ends take no more than a few times the limit."""
        limit = 1 << 16
        endless = {
            "line": (b"data: ", b"x" * 32768),
            "event": (b"", b"data: ab\n" * 4000),
            "short lines": (b"", b"data\n" * 6500),
            "comment": (b":", b"x" * 32768),
            "comments": (b"data: a\n", b": a\n" * 8000),
            "name": (b"event: ", b"x" * 32768),
            "line ends": (b"", b"\n" * (1 << 17)),
            "carriage returns": (b"", b"\r" * (1 << 17)),
            "lines": (b"", b"a\n" * 16384),
        }
        for what, (first, again) in endless.items():
            reader = SseReader(lambda *event: None, nothing, max_bytes=limit)
            reader.feed(first)
            tracemalloc.start()
            for _ in range(8):
                reader.feed(again)
            held, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertLess(held, 3 * limit, what)
            self.assertLess(peak, 16 * limit, what)
            reader.close()

    def test_time(self) -> None:
        """Streams made to be slow take time in proportion to their length."""
        for what, pieces in {
            "a line byte by byte": [b"data: ", *[b"x"] * 200_000, b"\n\n"],
            "an event line by line": [b"data\n"] * 100_000,
            "one piece of lines": [b"data\n" * 400_000],
            "one piece of no events": [b"a\n\n" * 400_000],
        }.items():
            began = time.process_time()
            told(pieces)
            self.assertLess(time.process_time() - began, 5, what)

    def test_last_event_of_a_whole_body(self) -> None:
        """Where the body is whole, an event that lacks its empty line is told; else it is dropped."""
        for stream, last in (
            (b"data: a\n\nevent: e\ndata: b", [("e", b"b", False)]),
            (b"data: a\n\ndata: b\n", [("message", b"b", False)]),
            (b"data: a\n\nevent: e\n", []),
            (b"data: a\n\n", []),
        ):
            for whole in (True, False):
                for pieces in every_split(stream):
                    events: list[Told] = []
                    reader = SseReader(lambda *event, told=events: told.append(event), nothing, max_bytes=99)
                    for piece in pieces:
                        reader.feed(piece)
                    reader.close(whole=whole)
                    self.assertEqual(events, [("message", b"a", False), *(last if whole else [])])
