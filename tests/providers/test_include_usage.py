"""Which chat completions are made to ask for their usage, and that nothing else of them changes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.include_usage import MOST_BYTES, concerns, with_usage
from tests.wire.splits import PROPERTY

ASK = b'"stream_options":{"include_usage":true}'


class IncludeUsageTests(SynchronousTestCase):
    def test_concerned(self) -> None:
        """Chat completions, and the older ones, whose body can be read: (method, path, coding, length, is it)."""
        for method, path, coding, length, is_it in (
            (b"POST", b"/v1/chat/completions", None, 10, True),
            (b"POST", b"/chat/completions", None, 10, True),
            (b"POST", b"/v1/completions", None, 10, True),
            (b"GET", b"/v1/chat/completions", None, 10, False),
            (b"POST", b"/v1/responses", None, 10, False),
            (b"POST", b"/v1/chat/completions", b"gzip", 10, False),
            (b"POST", b"/v1/chat/completions", None, 0, False),
            (b"POST", b"/v1/chat/completions", None, -1, False),
            (b"POST", b"/v1/chat/completions", None, MOST_BYTES + 1, False),
        ):
            self.assertEqual(concerns(method, path, coding, length), is_it, (method, path, coding, length))

    def test_asked(self) -> None:
        """Where a stream says nothing of its usage, the question is put in, and all else stays."""
        for body, asked in (
            (b'{"stream":true}', b"{" + ASK + b',"stream":true}'),
            (b' {\n "model": "m", "stream": true }', b" {" + ASK + b',\n "model": "m", "stream": true }'),
            (b'{"stream":true,"stream_options":null}', b'{"stream":true,' + ASK + b"}"),
            (
                '{"a":"é","stream":true,"stream_options":{"x":1}}'.encode(),
                '{"a":"é","stream":true,"stream_options":{"include_usage":true,"x":1}}'.encode(),
            ),
            (
                b'{"a":"\\ud800 \\u00e9","b":1e400,"stream":true,"stream_options": { }}',
                b'{"a":"\\ud800 \\u00e9","b":1e400,"stream":true,"stream_options": {"include_usage":true }}',
            ),
        ):
            self.assertEqual(with_usage(body), asked)

    def test_left_alone(self) -> None:
        """What is no stream, has said what it wants, or can't be read, stays as it is."""
        for body in (
            b"",
            b"{}",
            b"[]",
            b'"stream"',
            b"{",
            b"\xff",
            b'{"stream":false}',
            b'{"stream":"true"}',
            b'{"stream":true,' + ASK + b"}",
            b'{"stream":true,"stream_options":{"include_usage":false}}',
            b'{"stream":true,"stream_options":7}',
            # Asked for deeper inside, where it means something else, and an encoding that is not UTF-8.
            b'{"tools":[{"stream_options":{}}],"stream":true,"stream_options":{}}',
            '{"stream":true}'.encode("utf-16-le"),
        ):
            self.assertIs(with_usage(body), body)

    @PROPERTY
    @given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=4))
    def test_same_otherwise(self, value: dict[str, object]) -> None:
        """Whatever else stands in a body means the same afterwards."""
        body = json.dumps({**value, "stream": True}).encode()
        after = json.loads(with_usage(body))
        if "stream_options" not in value:
            self.assertEqual(after.pop("stream_options"), {"include_usage": True})
            self.assertEqual(after, {**value, "stream": True})
