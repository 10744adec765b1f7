"""
Reads the one turn of a Chat Completions call, streamed or whole, of the older Completions, and of Embeddings.

Facts: https://platform.openai.com/docs/api-reference/chat, .../completions, .../embeddings. Many servers speak this,
each a little otherwise: DeepSeek puts the usage on the chunk that finishes, Moonshot into that chunk's choice, Groq
into a member of its own; vLLM can have it on every chunk, of all so far.
"""

from __future__ import annotations

import re
from typing import Any

from agentproxy.providers.flights import Flight, Flights
from agentproxy.providers.json_fields import note_tool, rows, table, text
from agentproxy.providers.openai_json import BROKEN, NO_JSON, characters, error_code, read, refuses
from agentproxy.providers.openai_usage import CHAT, Counted, counted
from agentproxy.usage import Alike, Ended, Status, Turn

NOT_ASKED = "the client did not ask for usage"

# A chunk with one choice, which goes on with the text and neither finishes nor has a usage, from its delta on.
_PLAIN = re.compile(
    rb'"delta"\s*+:\s*+\{\s*+(?:"role"\s*+:\s*+"assistant"\s*+,\s*+)?'
    rb'"(?:content|reasoning_content|reasoning)"\s*+:\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+\}'
    rb'(?:\s*+,\s*+"(?:(?!finish_reason")[^"\\]*+"\s*+:\s*+(?:null|\{\}|\d++|"[^"\\]*+")|finish_reason"\s*+:\s*+null))*+'
    rb"\s*+\}\s*+\]"
    rb'(?:\s*+,\s*+"[^"\\]*+"\s*+:\s*+(?:null|\d++|"[^"\\]*+"))*+\s*+\}\s*+',
    re.DOTALL,
)
_SAID_BEFORE = (b"finish_reason", b"usage", b"error")
_NO_USAGE = re.compile(rb'"usage"\s*:\s*null')
_LAST_USAGE = re.compile(rb'"usage"\s*:\s*\{[^{}]{0,400}\}')
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,256})"')
_SPOKEN = ("content", "reasoning_content", "reasoning", "refusal")
_CUT_SHORT = frozenset({"length", "content_filter"})


class ChatReader:
    """
    A `TurnReader` of one HTTP call.

    :param operation: ``chat``, ``text_completion`` or ``embeddings``.
    :ivar degraded: the first reason why something could not be read, or ``None``.
    """

    def __init__(self, ended: Ended, operation: str) -> None:
        self.degraded: str | None = None
        self._operation = operation
        self._flights = Flights(ended)
        self._flight: Flight | None = None
        self._over = False
        self._streams: bool | None = None
        self._asks_usage: bool | None = None
        self._reported: Counted | None = None
        self._known = False
        self._alike: Alike | None = None
        self._around = 0

    def asked(self, data: bytes, at: float) -> None:
        """See `TurnReader`."""
        try:
            if not self._over and self._flight is None:
                self._asked(data, at)
        except Exception as error:
            self._note(f"the reader raised {type(error).__name__}")

    def told(self, data: bytes, at: float) -> Alike | None:
        """See `TurnReader`."""
        try:
            return None if self._over else self._told(data, at)
        except Exception as error:
            self._note(f"the reader raised {type(error).__name__}")
            return None

    def skimmed(self, events: int, size: int) -> None:
        """See `TurnReader`."""
        if self._flight is not None and not self._over:
            self._flight.turn.output_characters += max(0, size - events * self._around)

    def closed(self, at: float, status: Status = "unsettled") -> None:
        """See `TurnReader`."""
        flight = self._flight
        if not self._over and flight is not None:
            # Some servers end a stream without `[DONE]`.
            self._end(flight, status if flight.turn.stop_reason is None else _status(flight.turn), at)
        self._over = True

    def _note(self, reason: str | None) -> None:
        self.degraded = self.degraded or reason

    def _asked(self, data: bytes, at: float) -> None:
        value, whole = read(data)
        if value is None:
            self._note(NO_JSON)
            value = {}
        # Of a request that is cut short it is not known what stands behind.
        if whole or "stream" in value:
            self._streams = value.get("stream") is True
        if whole or "stream_options" in value:
            self._asks_usage = table(value.get("stream_options")).get("include_usage") is True
        turn = self._begun(at).turn
        turn.model_asked = text(value.get("model"))
        turn.input_bytes = len(data)

    def _begun(self, at: float) -> Flight:
        if self._flight is None:
            self._flight = Flight(Turn(self._operation, at))
            self._flights.ask(self._flight)
        return self._flight

    def _told(self, data: bytes, at: float) -> Alike | None:
        flight = self._begun(at)
        said = _plain(data) if self._known else None
        if said is None:
            self._told_more(flight, data, at)
            return None
        begin, end = said
        self._spoke(flight.turn, characters(data[begin:end]), at)
        if flight.turn.first_token is None:
            # Chunks that say nothing yet: the first that does has to be told.
            return None
        self._around = len(data) - (end - begin)
        alike = _alike(data, begin, end)
        if alike != self._alike:
            self._alike = alike
        return self._alike

    def _told_more(self, flight: Flight, data: bytes, at: float) -> None:
        stripped = data.strip()
        if stripped == b"[DONE]":
            self._end(flight, _status(flight.turn), at)
        elif stripped and not (self._operation == "embeddings" and self._embedded(flight, data, at)):
            value, whole = read(data)
            if value is None:
                self._note(NO_JSON)
                return
            if not whole:
                self._note(BROKEN)
                # Of half a body its length is all that an estimate can go by.
                flight.turn.output_characters += len(data)
            self._message(flight, value, whole, at)

    def _embedded(self, flight: Flight, data: bytes, at: float) -> bool:
        """Whether the usage was found behind the megabytes of numbers, which are not parsed for it."""
        begin, end = data[:1024], data[-1024:]
        found = _LAST_USAGE.search(end)
        value, _ = read(b"{%b}" % found[0]) if found is not None else (None, False)
        usage = counted(table(value).get("usage"), CHAT)
        if usage is None:
            return False
        model = _MODEL.search(end) or _MODEL.search(begin)
        flight.turn.model_answered = text(model[1].decode("utf-8", "replace")) if model is not None else None
        flight.created = True
        self._take(usage)
        self._end(flight, "completed", at)
        return True

    def _message(self, flight: Flight, value: dict[str, Any], whole_json: bool, at: float) -> None:
        turn = flight.turn
        if value.get("error"):
            turn.stop_reason = error_code(value) or "error"
            flight.refused = not flight.created and refuses(value)
            self._end(flight, "failed", at)
            return
        flight.created = True
        # Azure's first chunk has neither.
        turn.response_id = turn.response_id or text(value.get("id"))
        turn.model_answered = turn.model_answered or text(value.get("model"))
        self._known = turn.response_id is not None
        choices = [table(choice) for choice in rows(value.get("choices"))]
        whole = self._is_whole(value, choices)
        for choice in choices:
            self._choice(turn, choice, table(choice.get("message" if whole else "delta")), at)
        place = choices[0] if choices else {}
        usage = value.get("usage") or place.get("usage") or table(value.get("x_groq")).get("usage")
        self._take(counted(usage or None, CHAT, value.get("copilot_usage")))
        if whole:
            self._end(flight, _status(turn) if whole_json else "unsettled", at)

    def _is_whole(self, value: dict[str, Any], choices: list[dict[str, Any]]) -> bool:
        """Whether it is the whole answer and no chunk of it: the older Completions name both the same."""
        kind = value.get("object")
        if isinstance(kind, str) and kind.endswith(".chunk"):
            return False
        return kind in ("chat.completion", "list") or self._streams is False or any("message" in one for one in choices)

    def _choice(self, turn: Turn, choice: dict[str, Any], said: dict[str, Any], at: float) -> None:
        functions = [table(said.get("function_call"))]
        for call in map(table, rows(said.get("tool_calls"))):
            functions.append(table(call.get("function") or call.get("custom")))
        texts = [said.get(name) for name in _SPOKEN]
        texts += [choice.get("text"), table(said.get("audio")).get("transcript")]
        for function in functions:
            texts += [function.get("name"), function.get("arguments"), function.get("input")]
            note_tool(turn, function.get("name"))
        self._spoke(turn, sum(len(each) for each in texts if isinstance(each, str)), at)
        turn.stop_reason = text(choice.get("finish_reason")) or turn.stop_reason

    def _spoke(self, turn: Turn, size: int, at: float) -> None:
        """So many characters of output were seen."""
        if size:
            turn.output_characters += size
            if turn.first_token is None:
                turn.first_token = at

    def _take(self, usage: Counted | None) -> None:
        """Of several usages in one stream the last stands for all."""
        if usage is not None:
            self._note(usage.flaw)
            self._reported = usage

    def _end(self, flight: Flight, status: Status, at: float) -> None:
        self._over = True
        usage = self._reported
        if usage is None and self._operation == "embeddings":
            # There is no output to reckon.
            usage = Counted()
            usage.output = True
        elif usage is None and self._streams and self._asks_usage is False:
            flight.turn.note = NOT_ASKED
        self._flights.end(flight, status, at, usage)


def _plain(data: bytes) -> tuple[int, int] | None:
    """
    Where in a chunk the text is, if it only goes on with the text, as most do, which are not parsed; else ``None``.
    """
    begin = data.find(b'"delta"')
    found = _PLAIN.fullmatch(data, begin) if begin > 0 else None
    if found is None or any(data.find(name, 0, begin) >= 0 for name in _SAID_BEFORE):
        return None
    return found.span(1)


def _alike(data: bytes, begin: int, end: int) -> Alike:
    """
    What chunks like this one have in common, which only goes on with its text from ``begin`` to ``end``: all that
    stands before, and behind it as far as the choice goes; and no usage but the same null.
    """
    behind = data.rfind(b"]")
    choice = data[end : behind + 1]
    null = _NO_USAGE.search(data, behind)
    return Alike(data[:begin], (choice, null[0])) if null is not None else Alike(data[:begin], (choice,), (b'usage"',))


def _status(turn: Turn) -> Status:
    return "incomplete" if turn.stop_reason in _CUT_SHORT else "completed"
