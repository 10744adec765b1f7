"""Bodies: the chunked coding taken off and put on, bodies of known length, and what comes behind either."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.body import LAST_CHUNK, BadBody, ChunkedReader, LengthReader, UntilCloseReader, chunk
from tests.wire.splits import PROPERTY, cut, every_split, places

LIMIT = 64
LINE = 4096


def read(pieces: list[bytes], limit: int = LIMIT) -> tuple[bytes, bytes | None]:
    """The body, and what came behind it; ``None`` where it has not ended."""
    reader = ChunkedReader(limit)
    body = []
    for number, piece in enumerate(pieces):
        body.append(reader.feed(piece))
        if reader.done:
            return b"".join(body), reader.rest + b"".join(pieces[number + 1 :])
    return b"".join(body), None


def told(pieces: list[bytes]) -> object:
    try:
        return read(pieces)
    except BadBody:
        return BadBody


GOOD = [
    (b"0\r\n\r\n", b"", b""),
    (b"000\r\n\r\n0\r\n\r\n", b"", b"0\r\n\r\n"),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""),
    (b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"hello", b"GET / HTTP/1.1\r\n\r\n"),
    (b"5\r\nhello\r\n0\r\n\r\n\r\n", b"hello", b"\r\n"),
    (b"00A\r\n\r\n\r\n\r\n\r\n\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n", b"\r\n" * 5 + b"0123456789a", b""),
    (b'1;a\r\nx\r\n1 ; a = "b;c"\r\ny\r\n1;\r\nz\r\n0\t;\xff\r\n\r\n!', b"xyz", b"!"),
    (b"1\r\nx\r\n0\r\nA: 1\r\nB:\r\nC:\xe9\t\r\n\r\n\x00", b"x", b"\x00"),
    (b"000000000000001\r\nx\r\n0\r\n\r\n", b"x", b""),
]

BAD = [
    b"\r\n",
    b"\r\n5\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n",
    b"\t5\r\nhello\r\n",
    b"5 \r\nhello\r\n",
    b"5\t\r\nhello\r\n",
    b"5  \r\nhello\r\n",
    b"0x5\r\nhello\r\n",
    b"x5\r\nhello\r\n",
    b"-1\r\nhello\r\n",
    b"-0\r\n\r\n",
    b"+5\r\nhello\r\n",
    b"5h\r\nhello\r\n",
    b"5_0\r\nhello\r\n",
    b"5,\r\nhello\r\n",
    b"g\r\n",
    b"\xb2\r\n",
    b"5 5\r\nhello\r\n",
    b";a\r\n",
    b"5;a\x00\r\nhello\r\n",
    b"5;a\rb\r\nhello\r\n",
    b"5;a\nb\r\nhello\r\n",
    b"5;\x7f\r\nhello\r\n",
    b"1000000000000000\r\n",
    b"0000000000000000\r\n\r\n",
    b"f" * 16 + b"\r\n",
    b"f" * 400 + b"\r\n",
    b"5\nhello",
    b"5\n",
    b"5\r\nhello\n",
    b"5\r\nhello\rx",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhelloo\r\n",
    b"5\r\nhello\r\n\r\n",
    b"0\r\nA : 1\r\n\r\n",
    b"0\r\n A: 1\r\n\r\n",
    b"0\r\nA: 1\r\n folded\r\n\r\n",
    b"0\r\nno colon\r\n\r\n",
    b"0\r\n: 1\r\n\r\n",
    b"0\r\nA: \x00\r\n\r\n",
    b"0\r\nA: 1\rB: 2\r\n\r\n",
    b"0\r\nA: 1\nB: 2\r\n\r\n",
    b"0\n\n",
    b"0\r\n\n",
    b"0\r\nA: 1\n",
    b"0\r\n5\r\nhello\r\n",
]


class Chunked(SynchronousTestCase):
    def test_good(self) -> None:
        """Body and rest are exact, in every split; extensions and trailers are dropped."""
        for data, body, rest in GOOD:
            for pieces in every_split(data):
                self.assertEqual(read(pieces), (body, rest), pieces)

    def test_bad(self) -> None:
        """Malformed sizes, extensions, ends and trailers are refused, in every split; a bare LF at once."""
        for data in BAD:
            for pieces in every_split(data):
                self.assertIs(told(pieces), BadBody, pieces)

    def test_unfinished(self) -> None:
        """No beginning of a good body is refused, or taken for the whole."""
        for data, body, rest in GOOD:
            for end in range(len(data) - len(rest)):
                got, behind = read([data[:end]])
                self.assertIsNone(behind)
                self.assertTrue(body.startswith(got))

    def test_body_is_not_held_back(self) -> None:
        """Body bytes come out with the bytes they came in."""
        reader = ChunkedReader(LIMIT)
        self.assertEqual(reader.feed(b"5\r\nhe"), b"he")
        self.assertEqual(reader.feed(b"l"), b"l")
        self.assertEqual(reader.feed(b"lo\r\n1\r\n!"), b"lo!")
        self.assertFalse(reader.done)

    @PROPERTY
    @given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=12), places(250))
    def test_round_trip(self, parts: list[bytes], rest: bytes, at: list[int]) -> None:
        """What `chunk` and `LAST_CHUNK` write is read back, whatever the split, and the rest with it."""
        data = b"".join(chunk(part) for part in parts) + LAST_CHUNK + rest
        self.assertEqual(read(cut(data, at)), (b"".join(parts), rest))

    @PROPERTY
    @given(
        st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"0", b"1", b"a", b";", b" ", b":", b"A: 1", b"\0"])),
        places(30),
    )
    def test_noise(self, noise: list[bytes], at: list[int]) -> None:
        """Whatever comes, a split changes nothing of what is made of a whole body, and only `BadBody` is raised."""
        data = b"".join(noise)
        whole, pieces = told([data]), told(cut(data, at))
        if whole is BadBody or (isinstance(whole, tuple) and whole[1] is not None):
            self.assertEqual(pieces, whole)

    def test_chunk(self) -> None:
        """A chunk is its length in hex, and itself."""
        self.assertEqual(chunk(b"x" * 26), b"1a\r\n" + b"x" * 26 + b"\r\n")


class ChunkedLimits(SynchronousTestCase):
    def test_size_line(self) -> None:
        """The longest size line passes however it is cut; a longer one is refused, ended or not."""
        line = b"1;" + b"a" * (LINE - 2)
        data = line + b"\r\nx\r\n0\r\n\r\n"
        for place in (1, 2000, *range(LINE - 2, LINE + 4)):
            self.assertEqual(read([data[:place], data[place:]]), (b"x", b""))
        for over in (line + b"a\r\nx\r\n0\r\n\r\n", line + b"ab"):
            self.assertIs(told([over]), BadBody)

    def test_trailers(self) -> None:
        """A trailer section of exactly the limit passes in every split, one byte more in none."""
        for lines in ((b"A: %b",), (b"A: 1", b"B:", b"C:%b")):
            bare = b"".join(line.replace(b"%b", b"") + b"\r\n" for line in lines)
            section = b"".join(line.replace(b"%b", b"v" * (LIMIT - len(bare))) + b"\r\n" for line in lines)
            self.assertEqual(len(section), LIMIT)
            for pieces in every_split(b"0\r\n" + section + b"\r\nrest"):
                self.assertEqual(read(pieces), (b"", b"rest"), pieces)
            for pieces in every_split(b"0\r\n" + section[:-2] + b"v\r\n\r\n"):
                self.assertIs(told(pieces), BadBody, pieces)

    def test_endless_trailer(self) -> None:
        """A trailer line that does not end is refused once it is over the limit."""
        self.assertIs(told([b"0\r\nA:" + b"v" * LIMIT]), BadBody)
        self.assertEqual(told([b"0\r\nA:" + b"v" * (LIMIT - 2)]), (b"", None))

    def test_no_trailers(self) -> None:
        """Where no trailers are allowed, a body still ends."""
        for pieces in every_split(b"0\r\n\r\nrest"):
            self.assertEqual(read(pieces, 0), (b"", b"rest"))
        self.assertRaises(BadBody, read, [b"0\r\nA:\r\n\r\n"], 0)


class Others(SynchronousTestCase):
    @PROPERTY
    @given(st.binary(max_size=30), st.integers(0, 40), places(30))
    def test_length(self, data: bytes, length: int, at: list[int]) -> None:
        """So many bytes are the body's, the others the rest, whatever the split."""
        reader = LengthReader(length)
        body = b""
        pieces = cut(data, at)
        while pieces and not reader.done:
            body += reader.feed(pieces.pop(0))
            self.assertEqual(reader.left, length - len(body))
        self.assertEqual(reader.done, len(body) == length)
        self.assertEqual(body, data[:length])
        self.assertEqual(reader.rest + b"".join(pieces), data[length:])

    def test_exact_length(self) -> None:
        """A body whose last byte ends a piece has ended with it, and one of no bytes before any."""
        for pieces in every_split(b"hello"):
            reader = LengthReader(5)
            self.assertEqual(b"".join(reader.feed(piece) for piece in pieces), b"hello")
            self.assertTrue(reader.done)
            self.assertEqual(reader.rest, b"")
        self.assertTrue(LengthReader(0).done)
        self.assertFalse(LengthReader(1).done)

    def test_until_close(self) -> None:
        """Every byte is the body's, and it never ends by itself."""
        reader = UntilCloseReader()
        for data in (b"a", b"", b"\r\n\r\n"):
            self.assertEqual(reader.feed(data), data)
            self.assertFalse(reader.done)
        self.assertEqual(reader.rest, b"")
