"""What the admin port answers: a value, put into bytes by `site` alone."""

from __future__ import annotations

import json
from dataclasses import dataclass

JSON = "application/json"


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


def to_json(value: object) -> bytes:
    """The value as one line of JSON."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def refusal(status: int, code: str, message: str, *headers: tuple[str, str], **more: object) -> Answer:
    """An answer that says no: ``{"error": {"code", "message", ...}}``, the message as a user reads it."""
    error = {"code": code, "message": f"[{code}] {message}", **more}
    return Answer(status, to_json({"error": error}), headers=headers)
