"""Bodies that are not what they should be: they pass as they came, and the records say what could not be read."""

from __future__ import annotations

import gzip
from typing import Any

from agentproxy.providers.openai_json import BROKEN, NO_JSON
from agentproxy.providers.openai_usage import INCONSISTENT, NO_COUNT
from agentproxy.providers.response_types import NO_TYPE
from agentproxy.usage import MOST_GUESSED
from tests.providers.test_anthropic_turns import END, SAID, START, TEXT
from tests.relay.table import anthropic, chat, gemini
from tests.relay.table.responses_said import DATED, MESSAGE, MODEL, begun, delta, over, response, usage
from tests.relay.table.row import ANTHROPIC, GEMINI, JSON, OPENAI, SSE, Http, Told, dumps, sse, usd

PATH = b"/v1/responses"
ASK = dumps({"model": MODEL, "input": [], "stream": True})
ASKED = len(ASK) // 4
HTML = b"<html><body>502 Bad Gateway</body></html>"
# Values that are no count of tokens; a report of nothing else is none.
NO_COUNTS: dict[str, Any] = {
    "negative": -1, "absurd": 10**12, "beyond any number": 10**30, "a float": 20.0, "a string": "20", "a truth": True,
    "a list": [20], "an object": {"tokens": 20},
}  # fmt: skip
NO_USAGES: dict[str, Any] = {"a string": "20 tokens", "a list": [20, 2], "a number": 22, "a truth": True}
NO_FIELD, NO_OBJECT = "a usage field that is no count", "a usage that is no object"


def responses(name: str, degraded: str | None, told: Told, *events: Any, **more: Any) -> Http:
    """A stream of OpenAI's with something in it."""
    answered = events[0] if isinstance(events[0], bytes) and len(events) == 1 else sse(*events)
    return Http(name, "openai", OPENAI, PATH, (told,), degraded, asked=ASK, answered=answered, **more)


def exact(degraded: str) -> Told:
    return Told(MODEL, DATED, 20, 2, cost=usd((20, "5"), (2, "30")), degraded=degraded)


def guessed(degraded: str | None, output: int, status: str = "completed", model: str | None = DATED) -> Told:
    cost = usd((ASKED, "5"), (output, "30"))
    return Told(MODEL, model, ASKED, output, source="estimated", status=status, cost=cost, degraded=degraded)


DELTA, OVER = delta("x" * 40), over("resp_1", usage(20, 0, 2))
HALF = dumps(OVER).partition(b'"usage"')[0]
NO_EVENT = "an event that is no JSON"
ZIPPED = gzip.compress(sse(begun("resp_1"), *[delta(str(n) * 9) for n in range(40)], OVER), mtime=0)
GZIP = (SSE, b"Content-Encoding: gzip")
LARGE = b"x" * (17 << 20)

ROWS = [
    # What is no JSON is passed over, and the turn is counted to the token.
    responses("no JSON in a stream", NO_EVENT, exact(NO_EVENT), begun("resp_1"), HTML, DELTA, OVER),
    responses("no JSON object in a stream", NO_JSON, exact(NO_JSON), begun("resp_1"), b"[1,2]", DELTA, OVER),
    responses("bytes that are no UTF-8", NO_EVENT, exact(NO_EVENT), begun("resp_1"), b"\xff\xfe{}", DELTA, OVER),
    responses("a byte inside that is no UTF-8", BROKEN, exact(BROKEN), begun("resp_1"), DELTA,
              dumps(OVER).replace(b'"model":', b'"who":"\xff","model":', 1)),
    responses("an unknown type", NO_TYPE, exact(NO_TYPE), begun("resp_1"), {"type": "surprise"}, DELTA, OVER),
    responses("no type", NO_TYPE, exact(NO_TYPE), begun("resp_1"), {"surprise": 1}, {"type": 7}, DELTA, OVER),
    responses("nested too deeply", BROKEN, exact(BROKEN), begun("resp_1"), b'{"type":' + b"[" * 100_000, DELTA, OVER),
    # Half of the last event: how it ended is told, and of its tokens nothing.
    responses("half an event", BROKEN, guessed(BROKEN, 10), begun("resp_1"), DELTA, HALF),
    responses("half an object", BROKEN, guessed(BROKEN, 200 // 4),
              dumps(response("resp_1", "completed", output=[{"type": "message"}] * 100, usage=usage(20, 0, 2)))[:200],
              fields=(JSON,), ends="upstream"),
    responses("another page in place of an object", NO_JSON, guessed(NO_JSON, 1, "unsettled", None), HTML,
              fields=(JSON,)),
    responses("nothing in place of an object", None, guessed(None, 1, "unsettled", None), b"", fields=(JSON,)),
    *(
        responses(f"a count that is {name}", NO_COUNT, guessed(NO_COUNT, 10), begun("resp_1"), DELTA,
                  over("resp_1", {"input_tokens": odd, "output_tokens": odd}))
        for name, odd in NO_COUNTS.items()
    ),
    *(
        responses(f"a usage that is {name}", NO_COUNT, guessed(NO_COUNT, 10), begun("resp_1"), DELTA,
                  over("resp_1", odd))
        for name, odd in NO_USAGES.items()
    ),
    # 12 characters were said, none of them in a stream.
    *(
        responses(f"an object with a usage of {name}", flaw, guessed(flaw, 3),
                  dumps(response("resp_1", "completed", output=[MESSAGE], usage=odd)), fields=(JSON,))
        for name, flaw, odd in (
            ("nothing", None, None), ("a string", NO_COUNT, "20 tokens"), ("zeros", None, usage(0, 0, 0)),
            ("counts that are none", NO_COUNT, {"input_tokens": -1, "output_tokens": -1}),
        )
    ),
    # One count of two is believed: 20 in; what was said, 40 characters, is 10.
    responses(
        "one count that is none", NO_COUNT,
        Told(MODEL, DATED, 20, 10, source="estimated", cost=usd((20, "5"), (10, "30")), degraded=NO_COUNT),
        begun("resp_1"), DELTA, over("resp_1", {"input_tokens": 20, "output_tokens": -2}),
    ),
    responses(
        "parts that are more than the whole", INCONSISTENT,
        Told(MODEL, DATED, 20, 2, cache_read=20, reasoning=2, cost=usd((20, "0.50"), (2, "30")), degraded=INCONSISTENT),
        begun("resp_1"), over("resp_1", usage(20, 999, 2, 50)),
    ),
    # Codings that are none, or break off: what came before is read, and what was said so far is estimated.
    responses("gzip that is none", "invalid gzip data", guessed("invalid gzip data", 1, "unsettled", None),
              sse(begun("resp_1"), OVER), fields=GZIP),
    responses("gzip that breaks off", "a body that ends inside gzip data",
              guessed("a body that ends inside gzip data", 1, "unsettled", None), ZIPPED[:20], fields=GZIP),
    responses("a coding of which nothing is known", "a response of an unknown content coding",
              guessed("a response of an unknown content coding", 1, "unsettled", None), sse(begun("resp_1"), OVER),
              fields=(SSE, b"Content-Encoding: exi")),
    Http(
        "a request in a coding of which nothing is known", "openai", OPENAI, PATH,
        (Told(None, DATED, 20, 2, cost=usd((20, "5"), (2, "30")),
              degraded="a request of an unknown content coding"),),
        "a request of an unknown content coding",
        asked=ASK, answered=sse(begun("resp_1"), DELTA, OVER), asked_fields=(JSON, b"Content-Encoding: exi"),
    ),
    Http(
        "a request that is no JSON", "openai", OPENAI, PATH,
        (Told(None, DATED, 20, 2, cost=usd((20, "5"), (2, "30")), degraded=NO_JSON),), NO_JSON,
        asked=HTML, answered=sse(begun("resp_1"), DELTA, OVER),
    ),
    responses("an event too large", "an event too large to read",
              guessed("an event too large to read", 10, "unsettled"),
              begun("resp_1"), DELTA, dumps(OVER).replace(b'"error"', b'"x":"' + LARGE + b'","error"')),
    responses("an object too large", "a response too large to read",
              guessed("a response too large to read", MOST_GUESSED),
              dumps(response("resp_1", "completed", output=LARGE.decode(), usage=usage(20, 0, 2))), fields=(JSON,)),
    # Chat.
    Http(
        "no JSON in a chat", "openai", OPENAI, chat.PATH,
        (Told(chat.MODEL, chat.DATED, 20, 5, stop_reason="stop", cost=usd((20, "2"), (5, "8")), degraded=NO_EVENT),),
        NO_EVENT, asked=chat.ask(),
        answered=sse(chat.ROLE, chat.text("Hi"), HTML, chat.chunk({}, "stop"), chat.last(chat.SMALL), chat.DONE),
    ),
    Http(
        "a chunk of a chat that breaks off", "openai", OPENAI, chat.PATH,
        (Told(chat.MODEL, chat.DATED, 20, 5, stop_reason="stop", cost=usd((20, "2"), (5, "8")), degraded=BROKEN),),
        BROKEN, asked=chat.ask(),
        answered=sse(chat.ROLE, dumps(chat.text("Hi"))[:-9], chat.chunk({}, "stop"), chat.last(chat.SMALL), chat.DONE),
    ),
    *(
        Http(
            f"a chat's usage that is {name}", "openai", OPENAI, chat.PATH,
            (Told(chat.MODEL, chat.DATED, len(chat.ask()) // 4, 10, stop_reason="stop", source="estimated",
                  cost=usd((len(chat.ask()) // 4, "2"), (10, "8")), degraded=NO_COUNT),),
            NO_COUNT, asked=chat.ask(),
            answered=sse(chat.ROLE, chat.text("x" * 40), chat.chunk({}, "stop"), chat.last(odd), chat.DONE),
        )
        for name, odd in {**NO_USAGES, "negative": {"prompt_tokens": -1, "completion_tokens": -1}}.items()
    ),
    # Anthropic.
    Http("no JSON in a message", "anthropic", ANTHROPIC, anthropic.PATH,
         (Told(anthropic.OPUS, anthropic.DATED, 10, 2, stop_reason="end_turn", cost=usd((10, "5"), (2, "25")),
               degraded=NO_EVENT),),
         NO_EVENT, asked=anthropic.ASK,
         answered=sse(anthropic.start(input_tokens=10), HTML, SAID, anthropic.stops("end_turn", output_tokens=2), END)),
    Http("an event of a message of an unknown type", "anthropic", ANTHROPIC, anthropic.PATH,
         (Told(anthropic.OPUS, anthropic.DATED, 10, 2, stop_reason="end_turn", cost=usd((10, "5"), (2, "25")),
               degraded="a message of an unknown type"),),
         "a message of an unknown type", asked=anthropic.ASK,
         answered=sse(anthropic.start(input_tokens=10), {"type": "surprise"}, SAID,
                      anthropic.stops("end_turn", output_tokens=2), END)),
    *(
        Http(f"a message's count that is {name}", "anthropic", ANTHROPIC, anthropic.PATH,
             (Told(anthropic.OPUS, anthropic.DATED, 10, 3, stop_reason="end_turn", source="estimated",
                   cost=usd((10, "5"), (3, "25")), degraded=NO_FIELD),),
             NO_FIELD, asked=anthropic.ASK,
             answered=sse(anthropic.start(input_tokens=10), SAID, anthropic.stops("end_turn", output_tokens=odd), END))
        for name, odd in NO_COUNTS.items()
    ),
    *(
        Http(f"a message's usage that is {name}", "anthropic", ANTHROPIC, anthropic.PATH,
             (Told(anthropic.OPUS, anthropic.DATED, 10, 3, stop_reason="end_turn", source="estimated",
                   cost=usd((10, "5"), (3, "25")), degraded=NO_OBJECT),),
             NO_OBJECT, asked=anthropic.ASK,
             answered=sse(anthropic.start(input_tokens=10), SAID, {**anthropic.stops("end_turn"), "usage": odd}, END))
        for name, odd in NO_USAGES.items()
    ),
    # Each is booked: the first with what was known of it when the second began.
    Http("a message inside another", "anthropic", ANTHROPIC, anthropic.PATH,
         (
             Told(anthropic.OPUS, anthropic.DATED, 10, 3, source="estimated", status="unsettled",
                  cost=usd((10, "5"), (3, "25")), degraded="a message inside another"),
             Told(None, anthropic.DATED, 30, 4, stop_reason="end_turn", cost=usd((30, "5"), (4, "25")),
                  degraded="a message inside another"),
         ),
         "a message inside another", asked=anthropic.ASK,
         answered=sse(anthropic.start(input_tokens=10), TEXT, SAID, anthropic.start(input_tokens=30), SAID,
                      anthropic.stops("end_turn", output_tokens=4), END)),
    Http("half a message", "anthropic", ANTHROPIC, anthropic.PATH,
         (Told(anthropic.OPUS, None, len(anthropic.ASK) // 4, 25, source="estimated", status="unsettled",
               cost=usd((len(anthropic.ASK) // 4, "5"), (25, "25")), degraded="a message that is no JSON"),),
         "a message that is no JSON", asked=anthropic.ASK, answered=dumps(START["message"])[:100], fields=(JSON,),
         ends="upstream"),
    # Gemini.
    *(
        Http(f"a count of gemini's that is {name}", "gemini", GEMINI, gemini.path(gemini.FLASH),
             (Told(gemini.FLASH, gemini.FLASH, 100, 10, stop_reason="STOP", source="estimated",
                   cost=usd((100, "0.30"), (10, "2.50")), degraded=NO_FIELD),),
             NO_FIELD, asked=gemini.ASK,
             answered=sse(gemini.text("x" * 40, {"promptTokenCount": 100, "candidatesTokenCount": odd}, gemini.FLASH,
                                      finishReason="STOP")))
        for name, odd in NO_COUNTS.items()
    ),
    Http("gemini's usage that is a string", "gemini", GEMINI, gemini.path(gemini.FLASH),
         (Told(gemini.FLASH, gemini.FLASH, len(gemini.ASK) // 4, 10, stop_reason="STOP", source="estimated",
               cost=usd((len(gemini.ASK) // 4, "0.30"), (10, "2.50")), degraded=NO_OBJECT),),
         NO_OBJECT, asked=gemini.ASK,
         answered=sse(gemini.text("x" * 40, "100 tokens", gemini.FLASH, finishReason="STOP"))),
    Http("gemini's array that breaks off", "gemini", GEMINI, gemini.path(gemini.PRO, "streamGenerateContent"),
         (Told(gemini.PRO, gemini.PRO, 1_000, 32, cache_read=768, reasoning=30, source="estimated", status="unsettled",
               cost=usd((232, "1.25"), (768, "0.125"), (32, "10")), degraded="an array that breaks off"),),
         "an array that breaks off", asked=gemini.ASK,
         answered=b"[" + b",\r\n".join(map(dumps, gemini.STREAM[:2])) + b',\r\n{"candidates": [{"con',
         fields=(JSON,), ends="upstream"),
]  # fmt: skip
