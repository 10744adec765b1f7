"""OpenAI's messages as JSON, whole, cut short and broken."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers import openai_json
from agentproxy.providers.json_fields import MOST_PARTS, parsed
from agentproxy.providers.openai_json import characters, error_code, read, type_of
from tests.wire.splits import PROPERTY

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


def within(part: Any, whole: Any) -> bool:
    """Whether every member of ``part`` is one of ``whole``, as it is there, or the same of objects inside."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(value, whole[key]) for key, value in part.items())
    return bool(part == whole)


class CrowdTests(SynchronousTestCase):
    def test_crowded(self) -> None:
        """A text of very many objects or arrays, which would cost far more than its bytes, is read at its beginning."""
        for part in (b"[]", b"{}", b'{"a":1}'):
            body = b'{"id":"x","output":[%b],"usage":{"input_tokens":1}}' % b",".join([part] * (MOST_PARTS + 1))
            value, whole = read(body)
            self.assertFalse(whole)
            self.assertEqual((value or {}).get("id"), "x")
            self.assertRaises(ValueError, parsed, body)
        self.assertTrue(read(b'{"a":"%b"}' % (b"[{" * MOST_PARTS))[1] is False)
        self.assertEqual(read(b'{"a":[%b]}' % b",".join([b"1"] * 500_000))[1], True)

    def test_numbers(self) -> None:
        """Long rows of numbers are left out of large texts, all else is as it was."""
        said = "a row, [1, 2], in a text"
        for form in ({"separators": (",", ":")}, {"indent": 1}):
            body = {"data": [{"index": at, "embedding": [at / 7, -1e-9] * 200} for at in range(20)], "model": said}
            data = json.dumps({**body, "usage": {"few": [1, 2.5]}}, **form).encode()
            left = {
                "data": [{"index": at, "embedding": []} for at in range(20)],
                "model": said,
                "usage": {"few": [1, 2.5]},
            }
            self.assertEqual((read(data), parsed(data)), ((left, True), left))
        row = json.dumps({"data": [0.5] * 1000}).encode()
        self.assertEqual(parsed(row), json.loads(row))

    def test_many_members(self) -> None:
        """Of a broken text of very many members the first ones are read."""
        value, whole = read(b"{" + b",".join(b'"%d":1' % number for number in range(100_000)))
        self.assertFalse(whole)
        self.assertEqual(len(value or {}), 256)


class TypeTests(SynchronousTestCase):
    def test_type(self) -> None:
        """The type is known without parsing where it stands first, or behind an event's id."""
        for message, expected in (
            (b'{"type":"response.created","response":{}}', b"response.created"),
            (b' {\n "type" : "error" , ', b"error"),
            (b'{"event_id":"event_1","type":"response.done"', b"response.done"),
            (b'{"response":{"type":"x"},"type":"y"}', None),
            (b'{"type":"a\\u0062"}', None),
            (b'{"type":"' + b"a" * 97 + b'"}', None),
            (b'{"type":7}', None),
            (b'["type","x"]', None),
            (b"", None),
        ):
            self.assertEqual(type_of(message), expected, message)


class ReadTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A whole object is read as it is."""
        self.assertEqual(read(b'{"a":[1,{"b":null}]}'), ({"a": [1, {"b": None}]}, True))

    def test_none(self) -> None:
        """What is no object is none."""
        for message in (b"", b"[]", b"null", b"7", b'"x"', b"<html>", b"\xff\xfe", b"\x00", b"[" * 100000, b"1" * 9999):
            self.assertEqual(read(message), (None, False), message[:9])

    def test_broken(self) -> None:
        """Of a broken object what stands before the fault is read."""
        deep = b'{"a":1,"b":' + b"[" * 100000
        for message, expected in (
            (b'{"a":1,"b":}', {"a": 1}),
            (b'{"a":1,"c":"x" "b":2}', {"a": 1, "c": "x"}),
            (b'{"a":"\xff","b":2}', {"a": "\ufffd", "b": 2}),
            (b'{"a":1}{"b":2}', {"a": 1}),
            (b'{"a":1,2:3}', {"a": 1}),
            (b'{"r":{"id":"x","n":{"m":1,"k":"y', {"r": {"id": "x", "n": {"m": 1}}}),
            (b'{"a":{"b":{"c":{"d":1,', {"a": {"b": {}}}),
            (b"{", {}),
            (deep, {"a": 1}),
        ):
            self.assertEqual(read(message), (expected, False), message[:20])

    def test_number_at_the_end(self) -> None:
        """A number may have gone on: it is not taken for what it is so far."""
        for end in (b"12", b"12.", b"12.5e", b"12e+", b"-", b"tru", b"true"):
            self.assertEqual(read(b'{"u":{"i":1,"o":' + end), ({"u": {"i": 1}}, False), end)

    def test_too_long(self) -> None:
        """Of what is too long the beginning is read."""
        self.patch(openai_json, "MOST_BYTES", 100)
        message = json.dumps({"type": "x", "id": "y", "text": "z" * 1000}).encode()
        self.assertEqual(read(message), ({"type": "x", "id": "y", "text": "z" * 1000}, False))
        self.patch(openai_json, "_BEGINNING", 50)
        self.assertEqual(read(message), ({"type": "x", "id": "y"}, False))

    @PROPERTY
    @given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.integers(0, 400), st.booleans())
    def test_any_cut(self, value: dict[str, Any], place: int, plain: bool) -> None:
        """Cut anywhere, what is read of an object is in it."""
        data = json.dumps(value, ensure_ascii=plain).encode("utf-8", "surrogatepass")[:place]
        found, whole = read(data)
        if whole:
            self.assertEqual(found, value)
        elif found is not None and "\ufffd" not in str(found):
            self.assertTrue(within(found, value), (found, value))

    @PROPERTY
    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are read without a fault."""
        for message in (data, b"{" + data, b'{"type":"' + data, b'{"a":{"b":' + data + b"}"):
            read(message)
            type_of(message)
            characters(data)


class PartTests(SynchronousTestCase):
    def test_characters(self) -> None:
        """A string's characters are counted, not its bytes."""
        for text in ("", "abc", "a\nb", 'q"\\', "h\xe9llo", "\U0001f600", "\u4e2d\u6587"):
            for plain in (True, False):
                raw = json.dumps(text, ensure_ascii=plain).encode()[1:-1]
                self.assertEqual(characters(raw), len(text), text)
        self.assertEqual(characters(b"\xff\xff"), 2)

    def test_error_code(self) -> None:
        """An error's code, else its type, wherever it stands; never its message."""
        for value, expected in (
            ({"type": "error", "error": {"type": "invalid_request_error", "code": "bad", "message": "m"}}, "bad"),
            ({"error": {"type": "server_error", "code": None, "message": "m"}}, "server_error"),
            ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, "rate_limit_exceeded"),
            ({"type": "error", "error": "overloaded"}, "overloaded"),
            ({"type": "error", "error": "You said: secret things"}, None),
            ({"error": {"code": 429, "message": "m"}}, None),
            ({"error": {"code": "a b", "type": ["x"]}}, None),
            ({"type": "error"}, None),
            ({}, None),
        ):
            self.assertEqual(error_code(value), expected, value)
