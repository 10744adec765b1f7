"""Content codings of bodies, either way: what is read is a copy, and what passes is what came."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import zstandard

from tests.relay.table import anthropic, chat, gemini
from tests.relay.table.responses_said import DATED, MODEL, begun, delta, over, response, usage
from tests.relay.table.row import ANTHROPIC, CHATGPT, GEMINI, JSON, OPENAI, SSE, Http, Told, dumps, sse, usd

Coding = Callable[[bytes], bytes]


def bare(data: bytes) -> bytes:
    """deflate as some servers send it: without zlib's frame."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def twice(data: bytes) -> bytes:
    packed: bytes = brotli.compress(gzip.compress(data, mtime=0))
    return packed


CODINGS: dict[str, Coding] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "br": brotli.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "deflate": zlib.compress,
}
ASK = dumps({"model": MODEL, "instructions": "Be brief." * 20, "input": [], "stream": True})
STREAM = sse(begun("resp_1"), *[delta("Hello ")] * 20, over("resp_1", usage(1_500, 1_024, 70)))
TURN = Told(MODEL, DATED, 1_500, 70, cache_read=1_024, cost=usd((476, "5"), (1_024, "0.50"), (70, "30")))
WHOLE = dumps(response("resp_1", "completed", usage=usage(1_500, 1_024, 70)))
CUT = gzip.compress(STREAM, mtime=0)[:-400]
# How a stream is compressed so that each event goes out at once.
FLUSHED = zlib.compressobj(wbits=31)
EVENTS = [event + b"\n\n" for event in STREAM.split(b"\n\n")[:-1]]
LIVE = b"".join(FLUSHED.compress(event) + FLUSHED.flush(zlib.Z_SYNC_FLUSH) for event in EVENTS)
LEFT = usd((len(ASK) // 4, "5"), (30, "30"))


def coded(name: str) -> bytes:
    return b"Content-Encoding: " + name.encode()


ROWS = [
    *(
        Http(f"a stream in {name}", "openai", OPENAI, b"/v1/responses", (TURN,), asked=ASK, answered=code(STREAM),
             fields=(SSE, coded(name)))
        for name, code in CODINGS.items()
    ),
    *(
        Http(f"an object in {name}", "openai", OPENAI, b"/v1/responses", (TURN,), asked=ASK, answered=code(WHOLE),
             fields=(JSON, coded(name)))
        for name, code in CODINGS.items()
    ),
    *(
        Http(f"a request in {name}", "chatgpt", CHATGPT, b"/backend-api/codex/responses", (TURN,), asked=code(ASK),
             answered=STREAM, asked_fields=(JSON, coded(name)))
        for name, code in CODINGS.items()
    ),
    Http("deflate without its frame", "openai", OPENAI, b"/v1/responses", (TURN,), asked=ASK, answered=bare(STREAM),
         fields=(SSE, coded("deflate"))),
    Http("one over the other", "openai", OPENAI, b"/v1/responses", (TURN,), asked=ASK, answered=twice(STREAM),
         fields=(SSE, coded("gzip, br"))),
    Http("gzip in two members", "openai", OPENAI, b"/v1/responses", (TURN,), asked=ASK,
         answered=CODINGS["gzip"](STREAM[:200]) + CODINGS["gzip"](STREAM[200:]), fields=(SSE, coded("x-gzip"))),
    Http("flushed behind each event", "openai", OPENAI, b"/v1/responses", (TURN,), asked=ASK, ends="whole",
         answered=LIVE + FLUSHED.flush(), fields=(SSE, coded("gzip"))),
    # What an estimate goes by is what the body says, not what it came in: 20 times 6 characters.
    Http(
        "the client leaves a compressed stream",
        "openai", OPENAI, b"/v1/responses",
        (Told(MODEL, DATED, len(ASK) // 4, 30, source="estimated", status="unsettled", cost=LEFT),),
        asked=CODINGS["zstd"](ASK),
        answered=(lambda stream: stream.compress(sse(begun("resp_1"), *[delta("Hello ")] * 20))
                  + stream.flush(zlib.Z_SYNC_FLUSH))(zlib.compressobj(wbits=31)),
        fields=(SSE, coded("gzip")),
        asked_fields=(JSON, coded("zstd")),
        ends="client",
    ),
    Http("anthropic in br", "anthropic", ANTHROPIC, b"/v1/messages", (anthropic.TURN,), asked=anthropic.ASK,
         answered=brotli.compress(anthropic.STREAM), fields=(SSE, coded("br"))),
    Http("gemini in gzip", "gemini", GEMINI, gemini.path(gemini.PRO), (gemini.TURN,), asked=gemini.ASK,
         answered=CODINGS["gzip"](sse(*gemini.STREAM)), fields=(SSE, coded("gzip"))),
    Http("chat in zstd", "openai", OPENAI, chat.PATH,
         (Told(chat.MODEL, chat.DATED, 20, 5, stop_reason="stop", cost=usd((20, "2"), (5, "8"))),),
         asked=chat.ask(), answered=CODINGS["zstd"](sse(chat.ROLE, *[chat.text("Hi")] * 30, chat.chunk({}, "stop"),
                                                        chat.last(chat.SMALL), chat.DONE)),
         fields=(SSE, coded("zstd"))),
]  # fmt: skip
