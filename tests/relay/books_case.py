"""What the tests of the books share: calls, answers, and what must be on record of them."""

import json

from tests.providers import response_shapes as shapes
from tests.relay.harness import RelayCase, request

USED = shapes.usage(500, 100, 40, 4)
JSON = b"Content-Type: application/json"
SSE = b"Content-Type: text/event-stream"
CHUNKED = b"Transfer-Encoding: chunked"


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def events(*values):
    return b"".join(b"event: %b\ndata: %b\n\n" % (value["type"].encode(), dump(value)) for value in values)


def chunks(data, size):
    """A chunked body in chunks of this size."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def head(*fields, status=b"200 OK"):
    return b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", b""])


def ask(body, *fields, path=b"/v1/responses"):
    return request(b"POST " + path, b"Content-Length: %d" % len(body), *fields, body=body)


ASKED = dump({"model": shapes.MODEL, "input": "hi", "stream": True})
WHOLE = dump(shapes.response("resp_1", "completed", usage=USED))
STREAM = events(
    shapes.created("resp_1"),
    *(shapes.delta(word) for word in ("Hello", " there", ", ", "you") * 5),
    shapes.item(**shapes.CALL),
    shapes.over("resp_1", USED),
)


class BookCase(RelayCase):
    def records(self, harness):
        """The records so far: (turns, calls). Each turn's call is among them, or still runs."""
        keys = [record.key for record in harness.sink.calls]
        self.assertEqual(len(set(keys)), len(keys))
        return harness.sink.turns, harness.sink.calls

    def assert_exact(self, turn, **fields):
        """The turn is as upstream reported it."""
        self.assertEqual(
            (turn.source, turn.status, turn.input_tokens, turn.output_tokens, turn.cache_read_tokens),
            ("reported", "completed", 500, 40, 100),
        )
        self.assertEqual((turn.request_model, turn.response_model), (shapes.MODEL, shapes.DATED))
        self.assertEqual((turn.response_id, turn.degraded), ("resp_1", None))
        self.assertEqual({name: getattr(turn, name) for name in fields}, fields)

    def assert_guessed(self, turn):
        """It was not settled, and is booked with an estimate."""
        self.assertEqual((turn.status, turn.source), ("unsettled", "estimated"))
        self.assertGreater(turn.input_tokens, 0)
        self.assertGreater(turn.output_tokens, 0)


CREATE = dump(shapes.create(input="hi" * 50))
CREATED = dump(shapes.created("resp_1"))
DELTA = dump(shapes.delta("Hello"))
DONE = dump(shapes.over("resp_1", USED))
