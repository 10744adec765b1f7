"""How an answer is given: its text and pace, and all the ways in which it can go wrong. A value, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from urllib.parse import parse_qsl

GREETING = "Hello from the simulator of agentproxy, which answers for {model}."
"""What is answered by default; ``{model}`` becomes the model that was asked for."""


class BadScript(ValueError):
    """A parameter of a scripted path that cannot be read."""


@dataclass(frozen=True, slots=True)
class Script:
    """
    :ivar text: the answer's text; ``{model}`` in it becomes the model asked for.
    :ivar model: the ``openai-model`` of a 101, where no model has been asked for yet (Codex warns its user where that
        is another than the one it asks for); empty: none.
    :ivar pace: seconds between the events of a stream, and between the pieces of a drip.
    :ivar events: text deltas of a streamed answer.
    :ivar event_bytes: bytes of each delta; 0 spreads the text over the events.
    :ivar status: answer with this status and ``body`` in place of the answer proper; 0: do not. It refuses WebSockets.
    :ivar body: the body that goes with ``status``; empty: the provider's own error shape.
    :ivar retry_after: the ``Retry-After`` that goes with ``status``.
    :ivar fail: ``before``: reset before any answer; ``head``: reset in the middle of the head; ``body``: reset after
        ``after`` body bytes; ``end``: the same, but with an orderly end of the connection.
    :ivar after: body bytes that come before the failure or the silence.
    :ivar silence: say nothing any more at ``tls`` (of a TLS port: not even the handshake), ``head`` or ``body``.
    :ivar drip: bytes at a time, ``pace`` seconds apart; 0: as they come.
    :ivar framing: of HTTP: ``both`` (Content-Length and chunked), ``lengths`` (two different ones), ``garbage`` (no
        HTTP at all), ``control`` (a bare CR in a header), ``chunks`` (a broken chunk size), ``switch`` (a 101 that
        nobody asked for). Of the 101: ``accept`` (wrong Sec-WebSocket-Accept), ``protocol`` or ``extension`` (one
        that was not offered), ``plain`` (200 instead).
    :ivar interim: 1xx responses that come first; the first is a 103 with a ``Link``, the others 102.
    :ivar long_head: bytes of a padding header.
    :ivar close: the body ends with the connection, without any length.
    :ivar deflate: whether permessage-deflate is accepted; ``takeover``: whether contexts are kept, both ways.
    """

    text: str = GREETING
    model: str = "gpt-5.5"
    pace: float = 0.0
    events: int = 8
    event_bytes: int = 0
    status: int = 0
    body: bytes = b""
    retry_after: str = ""
    fail: str = ""
    after: int = 0
    silence: str = ""
    drip: int = 0
    framing: str = ""
    interim: int = 0
    long_head: int = 0
    close: bool = False
    deflate: bool = True
    takeover: bool = True

    @property
    def straight(self) -> bool:
        """Whether an answer goes out whole and sound."""
        return not (
            self.fail or self.silence or self.drip or self.framing or self.interim or self.long_head or self.close
        )

    def deltas(self, model: str) -> list[str]:
        """The answer's text in the pieces in which a stream gives it, none of them empty."""
        text = self.text.replace("{model}", model) or " "
        count = max(1, self.events)
        if self.event_bytes:
            line = (text + " ") * (self.event_bytes // len(text) + 1)
            return [line[: self.event_bytes]] * count
        size = max(1, -(-len(text) // count))
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        return pieces + [" ."] * (count - len(pieces))

    def altered(self, query: str) -> Script:
        """
        The script with the parameters of a query that are named like its fields (``-`` for ``_``).

        :raises BadScript: a number is none.
        """
        given = dict(parse_qsl(query, keep_blank_values=True))
        if not given:
            return self
        changes: dict[str, object] = {}
        for field in fields(self):
            value = given.get(field.name, given.get(field.name.replace("_", "-")))
            if value is not None:
                changes[field.name] = _read(field.name, value, getattr(self, field.name))
        return replace(self, **changes) if changes else self  # type: ignore[arg-type]


def _read(name: str, value: str, default: object) -> object:
    try:
        if isinstance(default, bool):
            return value not in ("", "0", "false", "no")
        if isinstance(default, int):
            return max(0, int(value))
        if isinstance(default, float):
            return max(0.0, float(value))
    except ValueError:
        raise BadScript(f"{name}: want a number, got {value!r}") from None
    return value.encode() if isinstance(default, bytes) else value
