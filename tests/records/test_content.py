"""Content made ready for the disk: what comes again is stored once, nothing that can't be cleaned is stored at all."""

import gzip
import json
import random
import time
import zlib

import brotli
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.observe.redact import MARK, Redactor
from agentproxy.observe.redact_content import ContentRedactor
from agentproxy.records import content
from agentproxy.records.content import MAX_BLOB, MAX_KEPT, cut, pack, unpack
from agentproxy.records.values import ContentRecord
from tests.wire.splits import PROPERTY, places
from tests.wire.splits import cut as split

DICE = random.Random(5)
VOCABULARY = ["".join(DICE.choices("abcdefghijklmnopqrstuvwxyz", k=DICE.randint(2, 9))) for _ in range(1500)]


def prose(size):
    """Made-up text with paragraphs."""
    words = []
    while size > 0:
        words.append(DICE.choice(VOCABULARY) + ("\n\n## " if DICE.random() < 0.02 else " "))
        size -= len(words[-1])
    return "".join(words)


SYSTEM = prose(20_000)
TOOLS = [
    {
        "name": f"tool_{number}",
        "description": prose(900),
        "parameters": {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": prose(60)} for name in VOCABULARY[number : number + 5]
            },
        },
    }
    for number in range(20)
]
ROUNDS = [(prose(60), {"path": prose(20)}, prose(120)) for _ in range(500)]


def anthropic(rounds):
    """Messages come before what never changes, and a mark of the cache moves along with their end."""
    messages = [{"role": "user", "content": "go"}]
    for number, (said, asked, result) in enumerate(rounds):
        use = {"type": "tool_use", "id": f"toolu_{number:024}", "name": "Read", "input": asked}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": said}, use]})
        answer = {"type": "tool_result", "tool_use_id": use["id"], "content": result}
        messages.append({"role": "user", "content": [answer]})
    if rounds:
        answer["cache_control"] = {"type": "ephemeral"}
    tools = [{"name": t["name"], "description": t["description"], "input_schema": t["parameters"]} for t in TOOLS]
    system = [{"type": "text", "text": "You are"}, {"type": "text", "text": SYSTEM}]
    return {"model": "claude", "messages": messages, "system": system, "tools": tools, "stream": True}


def responses(rounds):
    items = []
    for number, (said, asked, result) in enumerate(rounds):
        call = f"call_{number:024}"
        items.append({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said}]})
        items.append({"type": "function_call", "name": "shell", "arguments": json.dumps(asked), "call_id": call})
        items.append({"type": "function_call_output", "call_id": call, "output": result})
    tools = [{"type": "function", "strict": False, **tool} for tool in TOOLS]
    return {"model": "gpt", "instructions": SYSTEM, "input": items, "tools": tools, "stream": True}


def chat(rounds):
    messages = [{"role": "system", "content": SYSTEM}]
    for number, (said, asked, result) in enumerate(rounds):
        call = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "read", "arguments": json.dumps(asked)},
        }
        messages.append({"role": "assistant", "content": said, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    return {"messages": messages, "model": "gpt", "tools": [{"type": "function", "function": tool} for tool in TOOLS]}


def gemini(rounds):
    contents = [{"role": "user", "parts": [{"text": "go"}]}]
    for said, asked, result in rounds:
        call = {"functionCall": {"name": "read", "args": asked}}
        contents.append({"parts": [{"text": said}, call], "role": "model"})
        contents.append(
            {"parts": [{"functionResponse": {"name": "read", "response": {"output": result}}}], "role": "user"}
        )
    instruction = {"parts": [{"text": SYSTEM}]}
    return {"contents": contents, "systemInstruction": instruction, "tools": [{"functionDeclarations": TOOLS}]}


def as_it_is(data):
    return data


def record(*pieces, size=None, coding=None, is_text=True):
    size = sum(map(len, pieces)) if size is None else size
    return ContentRecord("0123456789abcdef", 3, "request_body", 17, list(pieces), size, coding, is_text)


def body_of(packed):
    return unpack(data for _, data in packed.blobs)


class PackTests(SynchronousTestCase):
    def test_fields(self):
        """What is known of a piece of content is handed on."""
        packed = pack(record(b"he", b"llo", is_text=False), as_it_is)
        self.assertEqual(
            (packed.call_key, packed.number, packed.part, packed.at_us, packed.size, packed.kept, packed.note),
            ("0123456789abcdef", 3, "request_body", 17, 5, 5, None),
        )
        self.assertFalse(packed.is_text)
        self.assertEqual([len(digest) for digest, _ in packed.blobs], [32])
        self.assertEqual(body_of(packed), b"hello")

    def test_nothing(self):
        """Nothing takes no blob."""
        packed = pack(record(), as_it_is)
        self.assertEqual((packed.blobs, packed.kept, packed.note), ([], 0, None))
        self.assertEqual(unpack([]), b"")

    @PROPERTY
    @given(st.binary(max_size=2000) | st.text(max_size=500).map(str.encode), st.data())
    def test_round_trip(self, data, draw):
        """Any bytes in any pieces come out again, but such as look compressed."""
        assume(not data.startswith((b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd")))
        pieces = split(data, draw.draw(places(len(data))))
        packed = pack(record(*pieces), as_it_is)
        self.assertEqual((body_of(packed), packed.kept, packed.note is None), (data, len(data), True))

    def test_cleaned(self):
        """What is stored is clean, a secret that came in two pieces too."""
        redactor = Redactor()
        redactor.add("hunter-2-gatherer")
        clean = ContentRedactor(redactor).clean
        packed = pack(record(b'{"a":"hunter-2', b'-gatherer","password":"x"}'), clean)
        self.assertEqual(body_of(packed).decode(), f'{{"a":"{MARK}","password":"{MARK}"}}')
        packed = pack(record(gzip.compress(b'{"a":"hunter-2-gatherer"}'), coding=b"gzip"), clean)
        self.assertEqual(body_of(packed).decode(), f'{{"a":"{MARK}"}}')

    def test_damaged(self):
        """Damaged blobs are told from content."""
        good = pack(record(b"x" * 100), as_it_is).blobs[0][1]
        large = zstandard.ZstdCompressor().compress(bytes(MAX_BLOB + 1))
        stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
        sizeless = stream.compress(b"abc") + stream.flush()
        for data in (b"", b"junk", good[:-3], b"\x00" * 40, large, sizeless):
            with self.assertRaises(ValueError):
                unpack([good, data])


class DecodingTests(SynchronousTestCase):
    BODY = b'{"model":"x","text":"' + b"words and words " * 500 + b'"}'
    CODED = {
        b"gzip": gzip.compress(BODY, mtime=0),
        b"deflate": zlib.compress(BODY),
        b"br": brotli.compress(BODY),
        b"zstd": zstandard.compress(BODY),
        b"identity": BODY,
        b"gzip, zstd": zstandard.compress(gzip.compress(BODY, mtime=0)),
    }

    def test_codings(self):
        """Content codings are undone."""
        for coding, data in self.CODED.items():
            packed = pack(record(data[:7], data[7:], coding=coding), as_it_is)
            self.assertEqual((body_of(packed), packed.note, packed.size), (self.BODY, None, len(data)))

    def test_undecodable(self):
        """Of what can't be decoded nothing is stored: only why."""
        gzipped = self.CODED[b"gzip"]
        broken = gzipped[:40] + b"\xff" * 20 + gzipped[60:]
        for data, coding, why in (
            (self.BODY, b"compress", "unknown content coding"),
            (self.BODY, b"gzip", "invalid gzip data"),
            (broken, b"gzip", "invalid gzip data"),
            (b"\xff" * 40, b"br", "invalid brotli data"),
            (gzipped, None, "looks like gzip"),
            (self.CODED[b"zstd"], None, "looks like zstd"),
            (gzip.compress(gzipped), b"gzip", "looks like gzip"),
            (gzip.compress(bytes(50_000_000)), b"gzip", None),
        ):
            packed = pack(record(data, coding=coding), as_it_is)
            if why is not None:
                self.assertEqual((packed.blobs, packed.kept, packed.note), ([], 0, f"not decoded: {why}"))
            self.assertLessEqual(packed.kept, MAX_KEPT)
            self.assertIsNotNone(packed.note)

    def test_cut_short(self):
        """What the call's bound cut is kept as far as it came, up to a word's end, and said to be cut."""
        for coding, data in self.CODED.items():
            half = data[: len(data) // 2]
            packed = pack(record(half, size=len(data), coding=coding), as_it_is)
            self.assertEqual(packed.note, f"cut at {len(half)} bytes")
            self.assertTrue(self.BODY.startswith(body_of(packed)))
            self.assertEqual(body_of(packed)[-1:].strip(b' "'), b"")
        packed = pack(record(b'{"a":1} hunter-2-gath', size=99), as_it_is)
        self.assertEqual(body_of(packed), b'{"a":1} ')

    def test_broken_off(self):
        """A coded body that its sender broke off is kept as far as it came."""
        data = self.CODED[b"gzip"]
        packed = pack(record(data[:-9], coding=b"gzip"), as_it_is)
        self.assertEqual(packed.note, "a body that ends inside gzip data")
        self.assertTrue(self.BODY.startswith(body_of(packed)))

    def test_bound(self):
        """No more is kept of one piece of content than its bound, coded or not."""
        line = b"all work and no play \n"
        data = line * (MAX_KEPT // len(line) + 10)
        for pieces, coding in (([data], None), ([data[:100], data[100:]], None), ([gzip.compress(data, 1)], b"gzip")):
            packed = pack(record(*pieces, coding=coding), as_it_is)
            self.assertEqual(packed.note, f"cut at {MAX_KEPT} bytes")
            self.assertGreater(packed.kept, MAX_KEPT - 4096)
            self.assertEqual(body_of(packed), data[: packed.kept])
            self.assertNotEqual(data[MAX_KEPT - 1 : MAX_KEPT + 1].strip(), b"", "a word stands there")
            self.assertIn(body_of(packed)[-1:], (b" ", b"\n"))


class CutTests(SynchronousTestCase):
    @PROPERTY
    @given(st.lists(st.sampled_from(['{"role":', ',{"', '"text":"', "x" * 700, "\\n\\n", "\n\n", '"tools":[', "y"])))
    def test_whole(self, parts):
        """The blobs together are the content, none is too large and none is empty."""
        data = "".join(parts).encode() * 9
        blobs = list(cut(data))
        self.assertEqual(b"".join(blobs), data)
        self.assertTrue(all(0 < len(blob) <= MAX_BLOB for blob in blobs))

    def test_sizes(self):
        """Content without a mark is cut at the most that a blob may hold; with marks everywhere, not too small."""
        self.assertEqual([len(blob) for blob in cut(bytes(MAX_BLOB * 2 + 5))], [MAX_BLOB, MAX_BLOB, 5])
        sizes = [len(blob) for blob in cut(json.dumps([{"role": prose(9)} for _ in range(9000)]).encode())]
        self.assertGreater(min(sizes[1:-1]), content.NEAR)
        self.assertLess(sum(sizes) / len(sizes), 6 * content.NEAR)
        self.assertGreaterEqual(min(sizes), 256)

    def test_cuts_hold(self):
        """A change moves no cut that is farther from it than marks can see."""
        body = json.dumps(anthropic(ROUNDS[:200])).encode()
        before = set(cut(body))
        for at in range(1000, len(body), 9973):
            changed = body[:at] + b'x{"role":"y"},{"' + body[at:]
            new = [blob for blob in cut(changed) if blob not in before]
            self.assertLessEqual(sum(map(len, new)), 12 * content.NEAR)

    def test_stored_once(self):
        """Instructions and tools that come in requests growing by 500 rounds are stored once, whatever the provider."""
        for shape in (anthropic, responses, chat, gemini):
            first = dict(pack(self.request(shape, 0), as_it_is).blobs)
            stored = dict(first)
            sent = 0
            for count in range(10, 501, 10):
                packed = pack(self.request(shape, count), as_it_is)
                sent += packed.size
                stored.update(packed.blobs)
            said = zlib.compress(json.dumps(ROUNDS).encode())
            grown = sum(map(len, stored.values())) - sum(map(len, first.values()))
            # Besides to what is new, each request has a few blobs at the places where it grew.
            self.assertLess(grown, len(said) * 2 + 50 * content.NEAR, shape)
            self.assertLess(grown, sent / 15, shape)

    def test_few_blobs_each(self):
        """One round more takes a few blobs more, and nothing of the instructions and tools is stored again."""
        for shape in (anthropic, responses, chat, gemini):
            stored = dict(pack(self.request(shape, 100), as_it_is).blobs)
            for count in range(101, 111):
                packed = pack(self.request(shape, count), as_it_is)
                new = [unpack([data]) for digest, data in packed.blobs if digest not in stored]
                self.assertLessEqual(len(new), 4, shape)
                self.assertLess(sum(map(len, new)), 8 * content.NEAR, shape)
                stored.update(packed.blobs)

    def test_linear(self):
        """Content made of marks takes no more than its length's time."""
        for seed in (
            b'{"',
            b',{"',
            b'[ {  "',
            b'"text":',
            b"\\n\\n",
            b"\n\n",
            b'"tools":["',
            b",  ",
            b"[" + b" " * 64 + b"{",
            b'"',
        ):
            data = seed * (512 * 1024 // len(seed))
            began = time.process_time()
            list(cut(data))
            # A tenth of this is usual.
            self.assertLess(time.process_time() - began, 2, seed)

    def request(self, shape, count):
        return record(json.dumps(shape(ROUNDS[:count]), separators=(",", ":")).encode())
