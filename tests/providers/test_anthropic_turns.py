"""The turns of Anthropic's API: tokens to the last one, whatever the stream looks like and wherever it ends."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.anthropic_turns import reader
from agentproxy.usage import MOST_TOKENS, Usage
from tests.providers.booked import Booked, dump, used
from tests.simulator.support import QUIET, Link, events, request, split

ASKED = {"model": "claude-opus-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "x" * 400}]}
USAGE = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 1000,
    "cache_read_input_tokens": 20000,
    "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
    "output_tokens": 1,
    "service_tier": "standard",
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5-20251101", "content": [],
    "stop_reason": None, "stop_sequence": None, "usage": USAGE,
}  # fmt: skip
START = {"type": "message_start", "message": MESSAGE}
PING = {"type": "ping"}
THINKS = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
THOUGHT = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm, " * 10}}
SIGNED = {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "Eq" * 40}}
STOP = {"type": "content_block_stop", "index": 0}
TEXT = {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}
SAID = {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello, world"}}
CALLS = {"type": "content_block_start", "index": 2, "content_block": {
    "type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}}  # fmt: skip
ARGUMENT = {"type": "content_block_delta", "index": 2, "delta": {
    "type": "input_json_delta", "partial_json": '{"command": "ls"}'}}  # fmt: skip
LAST = {"output_tokens": 89, "output_tokens_details": {"thinking_tokens": 30}}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": LAST}
END = {"type": "message_stop"}
STREAM = [START, PING, THINKS, THOUGHT, SIGNED, STOP, TEXT, SAID, STOP, CALLS, ARGUMENT, STOP, DELTA, END]
TOKENS = Usage(21004, 89, 20000, 1000, 600, 30)


def booked(path: bytes = b"/v1/messages?beta=true") -> Booked:
    return Booked(lambda ended: reader(b"POST", path, False, ended))


def with_usage(usage: object) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


class ReaderTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """Messages and text completions are turns, and nothing else is."""
        for method, path, upgrade, found in (
            (b"POST", b"/v1/messages", False, "messages"),
            (b"POST", b"/v1/messages?beta=true", False, "messages"),
            (b"POST", b"/anthropic/v1/messages", False, "messages"),
            (b"POST", b"/messages", False, "messages"),
            (b"POST", b"/v1/complete", False, "text_completion"),
            (b"POST", b"/v1/messages/count_tokens", False, None),
            (b"POST", b"/v1/messages/count_tokens?x=/messages", False, None),
            (b"POST", b"/v1/messages/batches", False, None),
            (b"GET", b"/v1/messages", False, None),
            (b"HEAD", b"/", False, None),
            (b"GET", b"/v1/models", False, None),
            (b"POST", b"/v1/messages", True, None),
            (b"POST", b"/v1/messages/", False, None),
        ):
            turns: list[Any] = []
            made = reader(method, path, upgrade, turns.append)
            self.assertEqual(made is not None, found is not None, path)
            if made is not None:
                made.asked(b'{"model":"m"}', 1.0)
                made.closed(2.0)
                self.assertEqual(turns[0].operation, found)


class StreamTests(SynchronousTestCase):
    def test_stream(self) -> None:
        """A whole stream gives every field; the cache's tokens are part of the input's."""
        call = booked().asked(ASKED).told(*STREAM)
        (turn,) = call.turns
        self.assertEqual(turn.usage, TOKENS)
        self.assertEqual((turn.status, turn.source, turn.stop_reason), ("completed", "reported", "tool_use"))
        self.assertEqual((turn.model_asked, turn.model_answered), ("claude-opus-4-5", "claude-opus-4-5-20251101"))
        self.assertEqual((turn.response_id, turn.tools, turn.operation), ("msg_1", ["Bash"], "messages"))
        self.assertEqual((turn.started, turn.first_token, turn.ended), (1.0, 5.0, 15.0))
        self.assertEqual((turn.note, turn.lane, call.reader.degraded), (None, None, None))
        self.assertEqual(call.closed(), turn)

    def test_however_it_is_written(self) -> None:
        """Spaces, and `type` in another place than the first, change nothing."""
        for write in (
            lambda value: json.dumps(value, separators=(",", ":")),
            lambda value: json.dumps(value, indent=1),
            lambda value: " \r\n\t" + json.dumps(value) + " ",
            lambda value: json.dumps(dict(reversed(value.items()))),
            lambda value: json.dumps(value, separators=(",", ":"))[:-1] + "      }",
        ):
            call = booked().asked(write(ASKED).encode()).told(*(write(event).encode() for event in STREAM))
            (turn,) = call.turns
            self.assertEqual((turn.usage, turn.model_asked, turn.tools), (TOKENS, "claude-opus-4-5", ["Bash"]))
            self.assertEqual((turn.source, call.reader.degraded), ("reported", None))

    def test_cumulative(self) -> None:
        """A later usage replaces what it names, null names nothing, and what it does not name stays."""
        for deltas, tokens in (
            ([{"output_tokens": 5}], Usage(21004, 5, 20000, 1000, 600)),
            ([{"output_tokens": 5}, {"output_tokens": 9}], Usage(21004, 9, 20000, 1000, 600)),
            ([{"input_tokens": 7, "output_tokens": 9}], Usage(21007, 9, 20000, 1000, 600)),
            ([{"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 9}],
             Usage(21004, 9, 20000, 1000, 600)),
            ([{**USAGE, "output_tokens": 12}], Usage(21004, 12, 20000, 1000, 600)),
            ([{"cache_read_input_tokens": 0, "output_tokens": 9}], Usage(1004, 9, 0, 1000, 600)),
            ([{"cache_creation": {"ephemeral_1h_input_tokens": 1000}, "output_tokens": 9}],
             Usage(21004, 9, 20000, 1000, 1000)),
            ([{"server_tool_use": {"web_search_requests": 1}, "output_tokens": 9},
              {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 2}, "output_tokens": 10}],
             Usage(21004, 10, 20000, 1000, 600, web_searches=3)),
        ):  # fmt: skip
            (turn,) = booked().asked(ASKED).told(START, SAID, *map(with_usage, deltas), END).turns
            self.assertEqual((turn.usage, turn.source), (tokens, "reported"), deltas)

    def test_cache_split(self) -> None:
        """The hour's part is never more than all that was written; where only the split is given, it is the whole."""
        for usage, written, hour in (
            ({"cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 7}}, 12, 7),
            ({"cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 7}}, 5, 5),
            ({"cache_creation_input_tokens": 5}, 5, 0),
            ({"cache_creation_input_tokens": 5, "cache_creation": None}, 5, 0),
            ({"cache_creation_input_tokens": None}, 0, 0),
        ):
            message = {"type": "message", "usage": {"input_tokens": 3, "output_tokens": 2, **usage}}
            (turn,) = booked().asked(ASKED).told(message).turns
            self.assertEqual(turn.usage, Usage(3 + written, 2, 0, written, hour), usage)

    def test_compaction(self) -> None:
        """A compaction's tokens are in the iterations alone and are added; an advisor's are left out, with a note."""
        iterations = [
            {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500, "cache_read_input_tokens": 100},
            {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
        ]
        usage = {"input_tokens": 23000, "output_tokens": 1000, "iterations": iterations}
        for told in ([{"type": "message", "usage": usage}], [START, with_usage({**USAGE, **usage}), END]):
            (turn,) = booked().asked(ASKED).told(*told).turns
            more = 0 if told[0] is not START else 21000
            self.assertEqual(used(turn).input_tokens, 180000 + 100 + 23000 + more)
            self.assertEqual(used(turn).output_tokens, 4500)
            self.assertEqual((turn.source, turn.note), ("reported", None))
        iterations[0]["type"] = "advisor_message"
        (turn,) = booked().asked(ASKED).told({"type": "message", "usage": usage}).turns
        self.assertEqual((turn.usage, turn.note is None), (Usage(23000, 1000), False))

    def test_most(self) -> None:
        """However many iterations there are, no count is beyond its bound; thoughts are never more than the output."""
        iterations = [{"type": "compaction", "output_tokens": MOST_TOKENS}] * 9
        usage = {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 1000}}
        (turn,) = booked().asked(ASKED).told({"type": "message", "usage": {**usage, "iterations": iterations}}).turns
        self.assertEqual((used(turn).output_tokens, used(turn).reasoning_tokens), (MOST_TOKENS, 9))
        (turn,) = booked().asked(ASKED).told({"type": "message", "usage": usage}).turns
        self.assertEqual((used(turn).output_tokens, used(turn).reasoning_tokens), (9, 9))

    def test_reasons(self) -> None:
        """An answer that was cut short is incomplete; all other reasons complete it."""
        for reason, status in (
            ("end_turn", "completed"),
            ("stop_sequence", "completed"),
            ("tool_use", "completed"),
            ("pause_turn", "completed"),
            ("compaction", "completed"),
            ("max_tokens", "incomplete"),
            ("model_context_window_exceeded", "incomplete"),
            ("refusal", "incomplete"),
        ):
            delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}
            (turn,) = booked().asked(ASKED).told(START, delta, END).turns
            self.assertEqual((turn.status, turn.stop_reason), (status, reason))

    def test_tools(self) -> None:
        """Tools are named in order, the provider's own too, and never more than are worth noting."""
        blocks = [("tool_use", "Read"), ("server_tool_use", "web_search"), ("text", "no"), ("mcp_tool_use", "ask")]
        starts = [{"type": "content_block_start", "content_block": {"type": kind, "name": name}}
                  for kind, name in blocks]  # fmt: skip
        (turn,) = booked().asked(ASKED).told(START, *starts, DELTA, END).turns
        self.assertEqual(turn.tools, ["Read", "web_search", "ask"])
        (turn,) = booked().asked(ASKED).told(START, *[CALLS] * 1000, DELTA, END).turns
        self.assertLessEqual(len(turn.tools), 256)

    def test_whole(self) -> None:
        """A message in one body says the same; when its first token came is not known."""
        message = {**MESSAGE, "content": [{"type": "tool_use", "name": "Bash", "input": {}}],
                   "stop_reason": "tool_use", "usage": {**USAGE, **LAST}}  # fmt: skip
        call = booked().asked(ASKED).told(message)
        turn = call.closed()
        self.assertEqual((turn.usage, turn.status, turn.source), (TOKENS, "completed", "reported"))
        self.assertEqual((turn.stop_reason, turn.tools, turn.response_id), ("tool_use", ["Bash"], "msg_1"))
        self.assertEqual((turn.first_token, turn.ended, call.reader.degraded), (None, 2.0, None))

    def test_simulated(self) -> None:
        """What the simulator sends is read to the token, streamed and whole, its cache warm and cold."""
        link = Link(script=QUIET)
        long = {"model": "claude", "messages": [{"role": "user", "content": "x" * 4000}]}
        for stream in (True, False, True):
            _, _, body = split(link.send(request("/v1/messages", {**long, "stream": stream})))
            told = events(body) if stream else [json.loads(body)]
            usage = told[-2]["usage"] if stream else told[0]["usage"]
            turn = booked().asked(long).told(*told).closed()
            read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
            self.assertEqual(
                turn.usage,
                Usage(usage["input_tokens"] + read + written, usage["output_tokens"], read, written),
            )
            self.assertEqual((turn.source, turn.status, turn.stop_reason), ("reported", "completed", "end_turn"))


class BreakOffTests(SynchronousTestCase):
    def test_everywhere(self) -> None:
        """Wherever a stream breaks off its turn is booked once: with what was reported, and an estimate of the rest."""
        for told in range(len(STREAM)):
            for status in ((), ("cancelled",)):
                call = booked().asked(ASKED).told(*STREAM[:told])
                turn = call.closed(*status)
                tokens = used(turn)
                settled = told > STREAM.index(DELTA)
                if told == 0:
                    self.assertEqual(tokens, Usage(len(dump(ASKED)) // 4, 1))
                else:
                    seen = (told > 3) * 40 + (told > 7) * 12 + (told > 10) * 21
                    self.assertEqual(tokens.output_tokens, 89 if settled else max(1, seen // 4), told)
                    self.assertEqual((tokens.input_tokens, tokens.cache_read_tokens), (21004, 20000))
                    self.assertEqual((tokens.cache_write_tokens, tokens.cache_write_1h_tokens), (1000, 600))
                self.assertEqual(turn.status, "completed" if settled else (*status, "unsettled")[0])
                self.assertEqual(turn.source, "reported" if settled else "estimated")
                self.assertIsNone(call.reader.degraded)

    def test_not_asked(self) -> None:
        """A call of which nothing was seen is no turn; closing twice books nothing twice."""
        call = booked()
        call.reader.closed(1.0)
        self.assertEqual(call.turns, [])
        call.asked(ASKED).closed()
        call.closed()

    def test_errors(self) -> None:
        """An error is the turn's end, as its first message and in the middle of it; what was reported stays."""
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"}
        turn = booked().asked(ASKED).told(error).closed()
        self.assertEqual((turn.status, turn.stop_reason, turn.source), ("failed", "overloaded_error", "missing"))
        turn = booked().asked(ASKED).told({**error, "error": {"type": "api_error"}}).closed()
        self.assertEqual((turn.status, turn.stop_reason, turn.source), ("failed", "api_error", "estimated"))
        self.assertEqual((used(turn).input_tokens, turn.note is None), (len(dump(ASKED)) // 4, False))
        turn = booked().asked(ASKED).told(START, SAID, error, END).closed()
        self.assertEqual((turn.status, turn.stop_reason, turn.source), ("failed", "overloaded_error", "estimated"))
        self.assertEqual((turn.usage, turn.note), (Usage(21004, 3, 20000, 1000, 600), None))
        turn = booked().asked(ASKED).told({"type": "error", "error": "no object"}).closed()
        self.assertEqual((turn.status, turn.stop_reason), ("failed", "error"))
        self.assertEqual(booked().asked(ASKED).closed("failed").status, "failed")

    def test_no_usage(self) -> None:
        """A gateway that leaves the usage out gets an estimate, though its stream is whole."""
        start = {"type": "message_start", "message": {"id": "m", "model": "c"}}
        delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
        turn = booked().asked(ASKED).told(start, *[SAID] * 10, delta, END).closed()
        self.assertEqual((turn.usage, turn.status), (Usage(len(dump(ASKED)) // 4, 30), "completed"))
        self.assertEqual(turn.source, "estimated")
        turn = booked().asked(ASKED).told(START, *[SAID] * 10, delta, END).closed()
        self.assertEqual((turn.usage, turn.source), (Usage(21004, 30, 20000, 1000, 600), "estimated"))

    def test_completion(self) -> None:
        """A text completion says nothing of its tokens: an estimate, with a note."""
        ask = {"model": "claude-2.1", "prompt": "x" * 79, "max_tokens_to_sample": 10}
        piece = {"type": "completion", "id": "c", "completion": "abcd" * 5, "model": "claude-2.1"}
        pieces = [{**piece, "stop_reason": reason} for reason in (None, None, "max_tokens")]
        turn = booked(b"/v1/complete").asked(ask).told(pieces[0], PING, *pieces[1:]).closed()
        self.assertEqual((turn.usage, turn.source), (Usage(len(dump(ask)) // 4, 15), "estimated"))
        self.assertEqual((turn.status, turn.stop_reason, turn.first_token), ("incomplete", "max_tokens", 2.0))
        self.assertEqual((turn.operation, turn.note), ("text_completion", "this API reports no usage"))
        turn = booked(b"/v1/complete").asked(ask).told({**pieces[0], "stop_reason": "stop_sequence"}).closed()
        self.assertEqual((turn.status, turn.response_id, used(turn).output_tokens), ("completed", "c", 5))
        turn = booked(b"/v1/complete").asked(ask).told(pieces[0]).closed()
        self.assertEqual((turn.status, turn.source), ("unsettled", "estimated"))
