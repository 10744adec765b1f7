"""Runs of events that are alike, which are passed over: all are counted, and none that differs is among them."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.sse import SseReader
from tests.wire.splits import PROPERTY, cut, every_split, places


class Like(NamedTuple):
    """What the events have in common."""

    prefix: bytes
    each: tuple[bytes, ...] = ()
    never: tuple[bytes, ...] = ()

    def fits(self, data: bytes) -> bool:
        """Whether an event with this data is one of them."""
        return (
            data.startswith(self.prefix)
            and all(data.count(mark) == 1 for mark in self.each)
            and not any(mark in data for mark in self.never)
        )


TEXT = Like(b'{"d":"', (b'"}',), (b"usage",))
THOUGHT = Like(b'{"t":"')


class Skimming:
    """
    A reader of whose events some need not be told.

    :ivar told: names and data of those that were.
    :ivar events: how many were passed over; ``size``: bytes of their data, as they were told.
    """

    def __init__(self, *likes: Like, max_bytes: int = 1 << 20) -> None:
        self._likes = likes
        self.told: list[tuple[str, bytes]] = []
        self.events = 0
        self.size = 0
        self.reader = SseReader(self._event, self._skimmed, max_bytes=max_bytes)

    def feed(self, *pieces: bytes) -> Skimming:
        for piece in pieces:
            self.reader.feed(piece)
        return self

    def different(self) -> list[bytes]:
        """The data of the events told that are like no others."""
        return [data for _, data in self.told if not any(like.fits(data) for like in self._likes)]

    def _event(self, name: str, data: bytes, cut: bool) -> Like | None:
        self.told.append((name, data))
        for like in self._likes:
            if like.fits(data):
                return like
        return None

    def _skimmed(self, events: int, size: int) -> None:
        assert events > 0
        self.events += events
        self.size += size


def stream(datas: list[bytes], frame: bytes = b"data: %b\n\n") -> bytes:
    return b"".join(frame % data for data in datas)


WORDS = st.sampled_from([b"", b"a", b"Hello", b" world", b"x" * 90, b"\xc3\xa9", b'\\"', b"data: ", b"event: ", b"t"])
TEXTS = WORDS.map(lambda word: b'{"d":"%b"}' % word)
THOUGHTS = WORDS.map(lambda word: b'{"t":"%b","n":7}' % word)
# Of the sort that looks alike at first sight, and the ends of streams.
OTHERS = st.sampled_from(
    [b"[DONE]", b"{}", b"", b'{"type":"end"}', b'{"d":"x","finish":"stop"}]"}', b'{"d":"x"} "}', b' {"d":"a"}',
     b'{"d":"y","usage":{"input":1}}', b'{"u":"{"d":"z"}"}', b'{"d":"']
)  # fmt: skip
DATAS = st.lists(TEXTS | TEXTS | TEXTS | THOUGHTS | OTHERS, max_size=25)
FRAMES = st.sampled_from(
    [b"data: %b\n\n", b"data:%b\n\n", b"event: e\ndata: %b\n\n", b"event:delta\ndata:%b\n\n", b"data: %b\r\n\r\n",
     b"event: e\r\ndata: %b\r\n\r\n", b"data: %b\r\r", b"id: 7\ndata: %b\n\n", b": \n\ndata: %b\n\n"]
)  # fmt: skip


class RunTests(SynchronousTestCase):
    @PROPERTY
    @given(DATAS, FRAMES, places(400))
    @example([b'{"d":"a"}'] * 5 + [b"[DONE]"], b"data: %b\n\n", [])
    def test_any_split(self, datas: list[bytes], frame: bytes, at: list[int]) -> None:
        """Told and passed over are all events, none that differs is passed over, and the sizes add up."""
        # What begins with a space has lost it behind `data:`.
        if frame.find(b"data:%b") >= 0:
            datas = [data.removeprefix(b" ") for data in datas]
        whole = stream(datas, frame)
        for pieces in ([whole], cut(whole, at), [whole[place : place + 1] for place in range(len(whole))]):
            read = Skimming(TEXT, THOUGHT).feed(*pieces)
            self.assertEqual(len(read.told) + read.events, len(datas))
            self.assertEqual(read.different(), [data for data in datas if not (TEXT.fits(data) or THOUGHT.fits(data))])
            self.assertEqual(sum(len(data) for _, data in read.told) + read.size, sum(map(len, datas)))

    @PROPERTY
    @given(st.lists(st.tuples(TEXTS | OTHERS, FRAMES), max_size=15), places(400))
    def test_frames_mixed(self, events: list[tuple[bytes, bytes]], at: list[int]) -> None:
        """Where each event is framed in its own way, still all are counted, and each that differs is told."""
        whole = b"".join(frame % data.strip() for data, frame in events)
        datas = [data.strip() for data, _ in events]
        for pieces in ([whole], cut(whole, at)):
            read = Skimming(TEXT).feed(*pieces)
            self.assertEqual(len(read.told) + read.events, len(datas))
            self.assertEqual(read.different(), [data for data in datas if not TEXT.fits(data)])

    def test_a_run(self) -> None:
        """The first of a run is told, the others are passed over, until one comes that differs."""
        datas = [b'{"d":"%d"}' % number for number in range(100, 200)]
        for frame in (b"data: %b\n\n", b"data:%b\n\n", b"event: e\ndata: %b\n\n", b"data: %b\r\n\r\n"):
            read = Skimming(TEXT).feed(stream(datas, frame))
            self.assertEqual(([data for _, data in read.told], read.events, read.size), (datas[:1], 99, 99 * 11), frame)
            read.feed(stream([b"[DONE]"], frame))
            self.assertEqual((read.told[1:], read.events), ([(read.told[0][0], b"[DONE]")], 99), frame)

    def test_across_pieces(self) -> None:
        """A run goes on in the pieces that follow, and behind an event that came in two of them."""
        run = stream([b'{"d":"a"}'] * 10)
        read = Skimming(TEXT).feed(run, run)
        self.assertEqual((len(read.told), read.events), (1, 19))
        read.feed(run[:-5], run[-5:] + run)
        # The one that was cut in two is told.
        self.assertEqual((len(read.told), read.events), (2, 38))

    def test_ends_are_told(self) -> None:
        """Whatever stands behind, before or among a run is told, wherever the stream is cut."""
        text = b'{"d":"a"}'
        for datas in (
            [text, text, b"[DONE]"],
            [text, b"[DONE]", text],
            [text, text, b'{"d":"a","usage":1}', text],
            [text, text, b'{"d":"a"}"}', b"[DONE]"],
            [b"{}", text, text, b"{}"],
            [text, b'{"t":"a"}', b'{"t":"b"}', text, text, b"[DONE]"],
        ):
            for pieces in every_split(stream(datas)):
                read = Skimming(TEXT, THOUGHT).feed(*pieces)
                self.assertEqual(len(read.told) + read.events, len(datas), pieces)
                self.assertEqual(
                    read.different(), [data for data in datas if data in (b"[DONE]", b"{}") or data.count(b'"}') > 1
                                       or b"usage" in data], pieces
                )  # fmt: skip

    def test_each(self) -> None:
        """What stands in each must stand in each of a run."""
        like = Like(b"a", (b";", b"."))
        for odd in (b"a;", b"a.", b"a", b"a;;.", b"a;.."):
            read = Skimming(like).feed(stream([b"a;.", b"a1;.", odd, b"a2;."]))
            self.assertEqual(read.different(), [odd])
            self.assertEqual(len(read.told) + read.events, 4)

    def test_each_by_the_whole_run(self) -> None:
        """Marks are counted over the whole run: one too many here hides one too few there, which is still counted."""
        read = Skimming(Like(b"a", (b";",))).feed(stream([b"a;", b"a;;", b"a"]))
        self.assertEqual((read.told, read.events, read.size), ([("message", b"a;")], 2, 4))

    def test_never(self) -> None:
        """What may stand in none ends the run, wherever it stands."""
        like = Like(b"a", never=(b"!", b"?"))
        for odd in (b"a!", b"a?", b"a bc!d"):
            read = Skimming(like).feed(stream([b"a", b"a", b"a", odd, b"a"]))
            self.assertEqual(read.different(), [odd])
            self.assertEqual(len(read.told) + read.events, 5)

    def test_not_at_the_beginning(self) -> None:
        """A prefix counts at the beginning of an event's data, and nowhere else."""
        like = Like(b'{"d"')
        for odd in (b'x{"d"', b'data: {"d"', b'{"e":{"d"'):
            read = Skimming(like).feed(stream([b'{"d":1}', b'{"d":2}', odd, b'{"d":3}']))
            self.assertEqual(read.different(), [odd])

    def test_another_likeness(self) -> None:
        """Events that are like each other in another way are a run of their own."""
        datas = [b'{"d":"a"}'] * 5 + [b'{"t":"b"}'] * 5 + [b'{"d":"c"}'] * 5
        read = Skimming(TEXT, THOUGHT).feed(*(stream(datas[at : at + 5]) for at in (0, 5, 10)))
        self.assertEqual([data for _, data in read.told], [b'{"d":"a"}', b'{"t":"b"}', b'{"d":"c"}'])
        self.assertEqual((read.events, read.size), (12, 12 * 9))

    def test_cut(self) -> None:
        """An event over the limit is told, as cut, and ends the run; inside a run its size still counts."""
        told: list[tuple[bytes, bool]] = []

        def event(name: str, data: bytes, cut: bool) -> Like | None:
            told.append((data, cut))
            return None if cut else THOUGHT

        skimmed: list[tuple[int, int]] = []
        reader = SseReader(event, lambda events, size: skimmed.append((events, size)), max_bytes=10)
        long = b'{"t":"' + b"x" * 50
        reader.feed(stream([long, long]))
        self.assertEqual((told, skimmed), ([(long[:10], True)] * 2, []))
        reader.feed(stream([b'{"t":"a"}', long, b'{"t":"b"}']))
        self.assertEqual((told[2:], skimmed), ([(b'{"t":"a"}', False)], [(2, len(long) + 9)]))

    def test_nothing_after_close(self) -> None:
        """What the end of the stream cuts off is neither told nor counted."""
        read = Skimming(TEXT).feed(stream([b'{"d":"a"}'] * 3) + b'data: {"d":"a"}\n')
        read.reader.close()
        self.assertEqual((len(read.told), read.events), (1, 2))

    def test_two_lines_of_data(self) -> None:
        """An event of several lines of data is one event, and hides none that differs behind it."""
        read = Skimming(Like(b"a")).feed(stream([b"a1", b"a2\ndata: a3", b"[DONE]", b"a4"]))
        self.assertEqual(len(read.told) + read.events, 4)
        self.assertEqual(read.different(), [b"[DONE]"])

    def test_another_name(self) -> None:
        """An event of another name is not of the run."""
        read = Skimming(Like(b"a")).feed(
            stream([b"a1", b"a2"], b"event: e\ndata: %b\n\n") + stream([b"a3"], b"event: end\ndata: %b\n\n")
        )
        self.assertEqual([name for name, _ in read.told], ["e", "e", "end"])
