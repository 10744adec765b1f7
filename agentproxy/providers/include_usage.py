"""
Asks for a streamed chat completion's usage where the client did not.

OpenAI reports the tokens of a stream only to those who ask (``stream_options.include_usage``,
https://platform.openai.com/docs/api-reference/chat/create), in a chunk of its own at the end.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from agentproxy.providers.json_fields import parsed

MOST_BYTES = 2 << 20
"""A larger body is sent as it is."""

_GIVEN = re.compile(rb'("stream_options"\s*:\s*)(\{|null)')
_OPTIONS = b'"stream_options":{"include_usage":true}'


def concerns(method: bytes, path: bytes, coding: bytes | None, length: int) -> bool:
    """
    Whether a request may be a chat completion whose body can be looked at.

    :param coding: its ``Content-Encoding``; ``length``: of its body, in bytes; negative: not known.
    """
    readable = coding is None and 0 < length <= MOST_BYTES
    return method == b"POST" and readable and unquote_to_bytes(path).endswith(b"/completions")


def with_usage(body: bytes) -> bytes:
    """
    The body, made to ask for its usage if it asks for a stream and does not say whether it wants it.

    All else stays byte for byte as it is; so does a body that is no JSON object.
    """
    value = _object(body)
    if value is None or value.get("stream") is not True:
        return body
    options = value.get("stream_options")
    if "stream_options" not in value:
        begin = body.index(b"{") + 1
        asked = body[:begin] + _OPTIONS + b"," + body[begin:]
    elif options is None or (isinstance(options, dict) and "include_usage" not in options):
        more = b'"include_usage":true,' if options else b'"include_usage":true'
        asked = _GIVEN.sub(lambda found: found[1] + b"{" + more + (b"}" if found[2] == b"null" else b""), body, count=1)
    else:
        return body
    # Another member of that name, somewhere deeper, may have been found first.
    wanted = {**value, "stream_options": {**(options or {}), "include_usage": True}}
    return asked if _object(asked) == wanted else body


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        # Strictly: what is put in is ASCII, which other encodings of Unicode are not made of.
        value = parsed(body.decode("utf-8").encode("utf-8"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
