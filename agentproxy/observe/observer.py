"""
What `relay` tells of its calls: passed on to the log and the metrics.

It fails open: whatever goes wrong in here is counted and told once, and never reaches a call.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from agentproxy.call import Call, Close
from agentproxy.errors import ProxyError
from agentproxy.observe.log import EventLog
from agentproxy.observe.metrics import Metrics
from agentproxy.observe.redact import Redactor
from agentproxy.records.values import TurnRecord

_MOST_PARTS = 1024
_LONGEST_PART = 256
"""Characters of a method and a path whose part is kept."""


class Observer:
    """
    Told by `relay`, in the order in which things happen.

    :ivar active: running calls by provider and protocol.
    :ivar faults: how often observing itself failed.
    :ivar clean: takes secrets out of a text.

    :param clock: the one that `Call.started` is of.
    """

    def __init__(
        self, log: EventLog, metrics: Metrics, clock: IReactorTime, *, redactor: Redactor | None = None
    ) -> None:
        self.active: dict[tuple[str, str], int] = {}
        self.faults = 0
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self.clean = (redactor or Redactor()).clean
        self._good_end = log.part({"close": None, "error": None, "phase": None})
        # With what their events begin with.
        self._running: dict[Call, str] = {}
        self._parts: dict[tuple[str, str, str, str], str] = {}
        self._turns: dict[tuple[str | None, ...], str] = {}

    def call_started(self, call: Call) -> None:
        """A call's head is read: event ``call.start``."""
        if call in self._running:
            return
        self._running[call] = ""
        key = call.provider, call.protocol
        self.active[key] = self.active.get(key, 0) + 1
        try:
            self._metrics.call_started(call)
        except Exception as error:
            self._failed(error)
        try:
            if self._log.enabled("info"):
                who = self._running[call] = self._who(call)
                self._log.emit_parts("call.start", "info", who)
        except Exception as error:
            self._failed(error)

    def call_ended(self, call: Call) -> None:
        """A call is over, its fields final: event ``call.end``. A call that isn't running is not told again."""
        who = self._running.pop(call, None)
        if who is None:
            return
        self.active[call.provider, call.protocol] -= 1
        seconds = self._clock.seconds() - call.started
        try:
            self._metrics.call_ended(call, seconds)
        except Exception as error:
            self._failed(error)
        try:
            if self._log.enabled("info"):
                self._log_end(call, who or self._who(call), seconds)
        except Exception as error:
            self._failed(error)

    def progress(self, call: Call) -> None:
        """A long call goes on: what moved since is counted."""
        self._safely(self._metrics.progress, call)

    def denied(self, call: Call | str, error: ProxyError) -> None:
        """
        The proxy refused a call: event ``call.denied``. It does not end the call, if one began.

        :param call: the call, or where no head could be read the provider's name.
        """
        self._safely(self._metrics.denied, call if isinstance(call, str) else call.provider, error.code)
        self._safely(self._log_denial, call, error)

    def connect_phase(self, provider: str, phase: str, seconds: float) -> None:
        """A phase of reaching upstream took so long."""
        self._safely(self._metrics.connect_phase, provider, phase, seconds)

    def upstream_error(self, provider: str, phase: str) -> None:
        """Upstream failed a call in this phase."""
        self._safely(self._metrics.upstream_error, provider, phase)

    def tokens(self, provider: str, model: str, type: str, tokens: int) -> None:
        """Tokens of one type were used."""
        self._safely(self._metrics.usage, provider, model, type, tokens)

    def is_label(self, model: str | None) -> bool:
        """Whether the metrics know this model already."""
        return self._metrics.is_label(model)

    def cost(self, provider: str, model: str, micro_dollars: int) -> None:
        """A turn cost so many millionths of a dollar."""
        self._safely(self._metrics.cost, provider, model, micro_dollars)

    def usage(self, record: TurnRecord, model: str | None) -> None:
        """
        A turn has ended: event ``usage``.

        :param model: the one that it is told of.
        """
        if not self._log.enabled("info"):
            return
        who = record.provider, record.protocol, record.operation, record.agent, model
        part = self._turns.get(who)
        try:
            if part is None:
                keys = zip(("provider", "protocol", "operation", "agent", "model"), who, strict=True)
                part = self._log.part(dict(keys))
                if len(self._turns) >= _MOST_PARTS:
                    self._turns.clear()
                self._turns[who] = part
            rest = {
                "session": record.session,
                "status": record.status,
                "source": record.source,
                "input_tokens": record.input_tokens,
                "output_tokens": record.output_tokens,
                "cache_read_tokens": record.cache_read_tokens,
                "cache_write_tokens": record.cache_write_tokens,
                "reasoning_tokens": record.reasoning_tokens,
                "cost_micro_usd": record.cost_micro_usd,
                "duration_s": _seconds(record.duration_us),
                "first_token_s": _seconds(record.first_token_us),
            }
            self._log.emit_parts("usage", "info", self._log.part({"id": record.request_id}), part, self._log.part(rest))
        except Exception as error:
            self._failed(error)

    def failed(self, error: Exception) -> None:
        """Observing itself has failed: it is counted, and told once."""
        self._failed(error)

    def event(self, name: str, level: str = "info", **keys: object) -> None:
        """Any other event; the keys carry no header value, body or credential."""
        try:
            self._log.emit(name, level, **keys)
        except Exception as error:
            self._failed(error)

    def fault(self, call: Call, fault: str, traceback: str) -> None:
        """A mistake of the proxy's own in a call, by the exception's type: event ``call.fault``."""
        self.event("call.fault", "error", id=call.id, fault=fault, traceback=self.clean(traceback))

    def _who(self, call: Call) -> str:
        """The keys that all events of a call begin with, as a part."""
        path = self.clean(call.path)
        kind = call.provider, call.protocol, call.method, path
        part = self._parts.get(kind)
        if part is None:
            keys = {"provider": call.provider, "protocol": call.protocol, "method": call.method, "path": path}
            part = self._log.part(keys)
            # Methods and paths are the clients' to choose, and what is kept is not to be.
            if len(call.method) + len(path) <= _LONGEST_PART:
                if len(self._parts) >= _MOST_PARTS:
                    self._parts.clear()
                self._parts[kind] = part
        return self._log.part({"id": call.id}) + part

    def _log_end(self, call: Call, who: str, seconds: float) -> None:
        websocket = call.protocol == "websocket"
        moved = {
            "status": call.status,
            "bytes_in": call.bytes_in,
            "bytes_out": call.bytes_out,
            "frames_in": call.frames_in if websocket else None,
            "frames_out": call.frames_out if websocket else None,
            "duration_s": round(seconds, 6),
        }
        if call.close is None and call.error is None and call.phase is None:
            end = self._good_end
        else:
            close = None if call.close is None else self._close(call.close)
            end = self._log.part({"close": close, "error": call.error, "phase": call.phase})
        self._log.emit_parts("call.end", "info", who, self._log.part(moved), end)

    def _log_denial(self, call: Call | str, error: ProxyError) -> None:
        if isinstance(call, str):
            self._log.emit("call.denied", "warn", provider=call, status=error.status, code=error.code)
            return
        rest = {"status": error.status, "code": error.code}
        if self._log.enabled("warn"):
            self._log.emit_parts("call.denied", "warn", self._who(call), self._log.part(rest))

    def _close(self, close: Close) -> dict[str, object]:
        reason = close.reason and self.clean(close.reason)
        return {"side": close.side, "code": close.code, "reason": reason, "clean": close.clean}

    def _safely(self, tell: Callable[..., object], *args: object) -> None:
        try:
            tell(*args)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.faults += 1
        if self.faults > 1:
            return
        try:
            self._log.emit("observe.fault", "error", error=type(error).__name__, message=self.clean(str(error)))
        except Exception:
            # The log itself is what failed: the count is all that is left to say so.
            return


def _seconds(us: int | None) -> float | None:
    return None if us is None else us / 1_000_000
