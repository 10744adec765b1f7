"""
What the answers below ``/api/`` are made of, as JSON Schema (2020-12). Whatever is a record's own is read from the
record's fields, so that it can't say anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from agentproxy.admin.parameters import GROUPS, TURN_STATUSES
from agentproxy.records.values import CallRecord, TurnRecord

Schema = dict[str, Any]

_KEY: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, microseconds."}
_SECONDS: Schema = {"type": "number", "minimum": 0, "description": "Seconds."}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}

_ABOUT = {
    "session_source": "`stated` by the client, or `inferred`.",
    "agent": "The client's program.",
    "sub_agent": "The part of it that called, where it says so.",
    "lane": "Which of the responses that run side by side on one connection.",
    "input_tokens": "All of the input, the cached included; null where nothing is known.",
    "cost_micro_usd": "Millionths of a US dollar; null where the price is not known.",
    "price_version": "The prices that it was reckoned with.",
    "source": "Where the counts are from: `reported`, `estimated` or `missing`.",
    "tools": "Names of the tools called, in order.",
    "degraded": "Why some of it could not be read.",
    "request_id": "The call's id in the log.",
}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Mapping[str, Schema], description: str = "") -> Schema:
    """An object that has all of these, in their order, and nothing else."""
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"description": description, **schema} if description else schema


def _fields(record: type, names: Iterable[str]) -> dict[str, Schema]:
    """A record's fields by their types."""
    hints = get_type_hints(record)
    return {name: _field(hints[name], _ABOUT.get(name)) for name in names}


def _field(hint: Any, description: str | None) -> Schema:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if hint == list[str]:
        schema = dict(_TEXTS)
    else:
        names = [_NAMES[kind] for kind in kinds if kind is not NoneType]
        schema = {"type": [*names, "null"] if NoneType in kinds else names[0]}
    return {**schema, "description": description} if description else schema


_CLOSE = _object(
    _fields(CallRecord, ("close_side", "close_code", "close_reason", "close_clean")), "How a WebSocket ended."
)
_CLOSE["properties"] = {name.removeprefix("close_"): each for name, each in _CLOSE["properties"].items()}
_CLOSE["required"] = list(_CLOSE["properties"])

_WHO = ("session", "session_source", "agent", "agent_version", "sub_agent", "working_directory")
_MODELS = ("provider", "protocol", "operation", "lane", "request_model", "response_model")
_COUNTS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "web_searches", "cost_micro_usd", "price_version",
    "source",
)  # fmt: skip

TURN = _object(
    {
        "id": _KEY,
        "call_id": _KEY,
        **_fields(TurnRecord, ("request_id", *_WHO, *_MODELS)),
        "started": _TIME,
        "first_token_s": _or_null(_SECONDS),
        "duration_s": _or_null(_SECONDS),
        **_fields(TurnRecord, _COUNTS),
        "status": {"type": "string", "enum": list(TURN_STATUSES)},
        **_fields(TurnRecord, ("stop_reason", "tools", "response_id", "upstream_request_id")),
        "close": _or_null(_ref("Close")),
        **_fields(TurnRecord, ("note", "degraded")),
    },
    "A response of a model. `close` is its call's: null while that goes on, and in events always.",
)

_SUMS = {
    "turns": _COUNT,
    "unsettled": {**_COUNT, "description": "Turns whose counts were not reported."},
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "cache_read_tokens": _COUNT,
    "cache_write_tokens": _COUNT,
    "reasoning_tokens": _COUNT,
    "cost_micro_usd": {
        "type": ["integer", "null"],
        "description": "Millionths of a US dollar: of the turns whose price is known, or null if there are none.",
    },
    "unpriced_turns": {**_COUNT, "description": "Turns whose price is not known."},
    "cache_hit": {
        "type": ["number", "null"],
        "minimum": 0,
        "description": "Which part of the input was read from a cache; null where there was none.",
    },
}

SESSION = _object(
    {
        "session": _TEXT,
        "session_source": _or_null({**_TEXT, "description": _ABOUT["session_source"]}),
        "agent": _or_null(_TEXT),
        "agent_version": _or_null(_TEXT),
        "models": {**_TEXTS, "description": "The latest used first."},
        "providers": _TEXTS,
        "working_directory": _or_null(_TEXT),
        **_SUMS,
        "first_seen": _TIME,
        "last_seen": _TIME,
    },
    "What is known of a session.",
)

_USAGE: Schema = {
    "description": "What the turns of one day, model, agent, session or provider add up to.",
    "oneOf": [_object({by: _or_null(_TEXT), **_SUMS}) for by in GROUPS],
}

CALL = _object(
    {
        "id": _KEY,
        **_fields(CallRecord, ("request_id", "provider", "protocol", "method", "path")),
        "started": _TIME,
        "duration_s": _SECONDS,
        **_fields(CallRecord, ("status", "bytes_in", "bytes_out", "frames_in", "frames_out")),
        "first_byte_s": _or_null(_SECONDS),
        **_fields(CallRecord, ("error", "phase")),
        "close": _or_null(_ref("Close")),
        **_fields(CallRecord, ("upstream_request_id", *_WHO, "degraded")),
        "turns": _COUNT,
    },
    "A request and its response, or a WebSocket.",
)

_ERROR = _object(
    {
        "error": {
            "type": "object",
            "properties": {
                "code": _TEXT,
                "message": {**_TEXT, "description": "What happened and what to do, behind the code in brackets."},
                "paths": {**_TEXTS, "description": "The paths that there are, where another was asked for."},
            },
            "required": ["code", "message"],
            "additionalProperties": False,
        }
    },
    "Why there is no other answer.",
)

_TURN_EVENT = _object(
    {
        "id": _KEY,
        "event": {"const": "turn"},
        "data": {**_TEXT, "contentMediaType": "application/json", "contentSchema": _ref("Turn")},
    },
    "A turn that has ended. Its `id`, sent back as `Last-Event-ID`, brings what came after it.",
)
_GAP_EVENT = _object(
    {
        "event": {"const": "gap"},
        "data": {
            **_TEXT,
            "contentMediaType": "application/json",
            "contentSchema": _object({"after": _KEY}),
        },
    },
    "Turns after this one and before the next event may be missing: the records can't be read.",
)


def _page(name: str, schema: str, **before: Schema) -> Schema:
    cursor = {"type": ["string", "null"], "description": "What to send as `after` for the next page; null: it is over."}
    return _object({**before, name: {"type": "array", "items": _ref(schema)}, "next": cursor})


SCHEMAS: Mapping[str, Schema] = {
    "Turn": TURN,
    "Session": SESSION,
    "Call": CALL,
    "Usage": _USAGE,
    "Close": _CLOSE,
    "Error": _ERROR,
    "TurnEvent": _TURN_EVENT,
    "GapEvent": _GAP_EVENT,
    "Turns": _page("turns", "Turn"),
    "Sessions": _page("sessions", "Session"),
    "SessionTurns": _page("turns", "Turn", session=_ref("Session")),
    "Calls": _page("calls", "Call"),
    "Usages": _page("usage", "Usage", by={"type": "string", "enum": list(GROUPS)}),
    "OpenApi": {"type": "object", "description": "OpenAPI 3.1."},
}
"""By their names in the description."""
