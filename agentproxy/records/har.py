"""
A recorded call as an entry of an HTTP Archive (HAR 1.2), with its WebSocket messages as Chromium's tools add them.

Pure. What HAR has no name for begins with an underscore, as it asks for. What is not known is -1 where HAR allows that;
bodies that were not recorded are left out with a comment.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from agentproxy import __version__

Json = dict[str, Any]

NOT_RECORDED = "not recorded"
_TYPES = {"client_message": "send", "upstream_message": "receive"}
_TEXT, _BINARY = 1, 2


def document(entries: Iterable[Json], dumps: Callable[[object], str]) -> Iterator[str]:
    """
    A whole archive, in pieces of text: an entry is made when it is its turn.

    :param dumps: makes JSON of a value.
    """
    creator = dumps({"name": "agentproxy", "version": __version__})
    yield f'{{"log": {{"version": "1.2", "creator": {creator}, "pages": [], "entries": ['
    between = "\n"
    for entry in entries:
        yield between + dumps(entry)
        between = ",\n"
    yield "\n]}}\n"


def entry(call: Mapping[str, Any], content: Sequence[Mapping[str, Any]]) -> Json:
    """
    One call.

    :param call: in the shape of `Store.call`.
    :param content: its content, in the shape of `Store.content`; empty where none was recorded.
    """
    websocket = call["protocol"] == "websocket"
    parts = {piece["part"]: piece for piece in content if piece["part"] not in _TYPES}
    timings = _timings(call)
    made: Json = {
        "startedDateTime": call["started"],
        "time": round(timings["wait"] + timings["receive"], 3),
        "request": _request(call, _head(parts.get("request_head")), parts.get("request_body"), websocket),
        "response": _response(call, _head(parts.get("response_head")), parts.get("response_body"), websocket),
        "cache": {},
        "timings": timings,
        "_id": call["id"],
        "_requestId": call["request_id"],
        "_provider": call["provider"],
        "_session": call["session"],
        "_agent": call["agent"],
    }
    if websocket:
        made["_resourceType"] = "websocket"
        made["_webSocketMessages"] = [_message(piece) for piece in content if piece["part"] in _TYPES]
        made["_webSocketClose"] = call["close"]
    if not content:
        made["comment"] = f"content {NOT_RECORDED}"
    return made


def _timings(call: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds. Sending, waiting and receiving must be there: they are told apart at the first byte back."""
    duration = max(0.0, (call["duration_s"] or 0) * 1000)
    first = duration if call["first_byte_s"] is None else min(duration, max(0.0, call["first_byte_s"] * 1000))
    return {
        "blocked": -1,
        "dns": -1,
        "connect": -1,
        "ssl": -1,
        "send": 0,
        "wait": round(first, 3),
        "receive": round(duration - first, 3),
    }


def _head(piece: Mapping[str, Any] | None) -> tuple[str, list[tuple[str, str]]]:
    """The target and the fields of a recorded head; empty where there is none, or none that can be read."""
    try:
        head = json.loads(piece["body"]) if piece else {}
        return str(head.get("target") or ""), [(str(name), str(value)) for name, value in head.get("fields") or ()]
    except (ValueError, TypeError, AttributeError):
        return "", []


def _field(fields: Iterable[tuple[str, str]], wanted: str, default: str) -> str:
    return next((value for name, value in fields if name.lower() == wanted), default)


def _pairs(fields: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in fields]


def _request(
    call: Mapping[str, Any],
    head: tuple[str, list[tuple[str, str]]],
    body: Mapping[str, Any] | None,
    websocket: bool,
) -> Json:
    target, fields = head
    # Without the recorded head neither the query nor the name that the client called us by is known.
    path = (target if target.startswith("/") else call["path"]).partition("#")[0]
    host = _field(fields, "host", f"{call['provider']}.invalid")
    made: Json = {
        "method": call["method"],
        "url": f"{'ws' if websocket else 'http'}://{host}/{path.removeprefix('/')}",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(fields),
        "queryString": _pairs(_query(path)),
        "headersSize": -1,
        "bodySize": 0 if websocket else call["bytes_in"],
    }
    if body is not None:
        # HAR has no way to say that this text is base64, as it has for a response's.
        text, encoding = _text(body)
        made["postData"] = {"mimeType": _field(fields, "content-type", ""), "params": [], "text": text}
        made["postData"] |= {"_encoding": encoding} if encoding else {}
        made["postData"] |= {"comment": body["note"]} if body["note"] else {}
    elif made["bodySize"]:
        made["comment"] = f"body {NOT_RECORDED}"
    return made


def _query(path: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(path).query, keep_blank_values=True)
    except ValueError:
        return []


def _response(
    call: Mapping[str, Any],
    head: tuple[str, list[tuple[str, str]]],
    body: Mapping[str, Any] | None,
    websocket: bool,
) -> Json:
    _, fields = head
    passed = 0 if websocket else call["bytes_out"]
    made: Json = {
        "status": call["status"],
        "statusText": _reason(call["status"]),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(fields),
        "content": _content(fields, body, passed),
        "redirectURL": _field(fields, "location", ""),
        "headersSize": -1,
        "bodySize": passed,
    }
    if call["error"]:
        made["_error"] = call["error"]
    return made


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _content(fields: Iterable[tuple[str, str]], body: Mapping[str, Any] | None, passed: int) -> Json:
    made: Json = {"size": passed, "mimeType": _field(fields, "content-type", "x-unknown")}
    if body is not None:
        text, encoding = _text(body)
        made |= {"size": len(body["body"]), "text": text}
        made |= {"encoding": encoding} if encoding else {}
        made |= {"comment": body["note"]} if body["note"] else {}
    elif passed:
        made["comment"] = f"body {NOT_RECORDED}"
    return made


def _text(piece: Mapping[str, Any]) -> tuple[str, str | None]:
    """Text as it is, other bytes in base64, and which of the two: ``base64`` or ``None``."""
    body: bytes = piece["body"]
    if piece["is_text"]:
        try:
            return body.decode("utf-8"), None
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode("ascii"), "base64"


def _message(piece: Mapping[str, Any]) -> Json:
    """As Chromium's tools write one: seconds since 1970; the data of a binary message in base64, told by its opcode."""
    text, encoding = _text(piece)
    made: Json = {
        "type": _TYPES[piece["part"]],
        "time": datetime.fromisoformat(piece["at"]).timestamp(),
        "opcode": _BINARY if encoding else _TEXT,
        "data": text,
    }
    return made | ({"_note": piece["note"]} if piece["note"] else {})
