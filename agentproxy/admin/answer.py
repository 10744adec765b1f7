"""What the admin port is asked and answers: values, taken from and put into bytes by `pages` alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.web.http_headers import Headers

JSON = "application/json"
EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A request that may be answered.

    :ivar path: as it was sent, without the query; ``query``: without its question mark.
    """

    path: bytes
    query: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A response.

    :ivar headers: beyond the content type and those that every answer has.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """
    A response that goes on until one of the two ends it.

    :ivar begin: takes the request, of `twisted.web`, to write to and to finish; not called where only the head was
        asked for.
    """

    begin: Callable[[Any], None]
    content_type: str = EVENTS


def to_json(value: object) -> bytes:
    """The value as one line of JSON."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def refusal(status: int, code: str, message: str, *headers: tuple[str, str], **more: object) -> Answer:
    """An answer that says no: ``{"error": {"code", "message", ...}}``, the message as a user reads it."""
    error = {"code": code, "message": f"[{code}] {message}", **more}
    return Answer(status, to_json({"error": error}), headers=headers)
