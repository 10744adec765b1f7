"""Counting the responses that run on a WebSocket, from a copy of its messages."""

import zlib

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.providers.openai import turn
from agentproxy.relay.turns import TurnCount
from agentproxy.wire.deflate import DeflateParams
from agentproxy.wire.frames import FrameFollower
from tests.relay.harness import MASK
from tests.relay.wires import frame

CREATE = b'{"type":"response.create"}'
CREATED = b'{"type":"response.created"}'
DONE = b'{"type":"response.completed"}'
OTHER = b'{"type":"session.update"}'


class TurnCase(SynchronousTestCase):
    def follow(self, deflate=None):
        """A count, and what takes a message's bytes by direction."""
        count = TurnCount(turn, deflate)
        followers = {
            side: FrameFollower(
                masked=side, rsv1=deflate is not None, max_message_bytes=1 << 30, tap=count.tap(from_client=side)
            )
            for side in (True, False)
        }

        def say(from_client, payload, opcode=1, **how):
            data = frame(opcode, payload, mask=MASK if from_client else None, **how)
            self.assertEqual(followers[from_client].feed(data), data)

        return count, say


class TurnCountTests(TurnCase):
    def test_counts(self):
        """What runs after each message, as (from the client?, message, running)."""
        for steps in (
            [],
            [(True, CREATE, 1), (False, CREATED, 1), (False, DONE, 0)],
            [(True, CREATE, 1), (True, CREATE, 2), (False, CREATED, 2), (False, DONE, 1), (False, DONE, 0)],
            [(True, OTHER, None), (False, CREATED, 1), (False, DONE, 0), (True, OTHER, 0)],
            [(False, DONE, 0), (True, CREATE, 1), (False, b'{"type":"error"}', 0)],
            [(True, DONE, None), (False, CREATE, None)],
            [(True, b"", None), (True, b"\xff\xfe", None), (True, b"[]", None), (True, b'{"type":1}', None)],
        ):
            count, say = self.follow()
            self.assertEqual(count.running, 0)
            for from_client, message, running in steps:
                say(from_client, message)
                self.assertEqual(count.running, running, (steps, message))

    def test_type_behind(self):
        """Where the type stands behind an id it is found, in long messages too."""
        count, say = self.follow()
        say(
            True, b'{"event_id":"event_0123456789abcdef","type":"response.create","instructions":"' + b"x" * 500 + b'"}'
        )
        self.assertEqual(count.running, 1)
        say(
            False,
            b'{"event_id":"event_0123456789abcdef","type":"response.done","response":{"a":"' + b"x" * 500 + b'"}}',
        )
        self.assertEqual(count.running, 0)

    def test_unclear(self):
        """Once a message was too long to be read to its type, nothing is sure any more."""
        count, say = self.follow()
        say(True, CREATE)
        say(False, b'{"response":{"id":"' + b"x" * 500 + b'"},"type":"response.done"}')
        self.assertIsNone(count.running)

    def test_fragments(self):
        """A message in fragments, with a control frame among them, is one."""
        count, say = self.follow()
        say(True, CREATE[:5], final=False)
        say(True, DONE, opcode=9)
        say(True, CREATE[5:9], opcode=0, final=False)
        self.assertEqual(count.running, 0)
        say(True, CREATE[9:], opcode=0)
        self.assertEqual(count.running, 1)

    def test_huge_message(self):
        """Of a long message only the beginning is looked at."""
        count, say = self.follow()
        say(True, b'{"type":"response.create","input":"' + b"x" * 1000000 + b'"}')
        self.assertEqual(count.running, 1)

    def test_deflated(self):
        """Compressed messages are read, with and without a context that lives on."""
        for alone in (False, True):
            params = DeflateParams(client_no_context_takeover=alone, server_no_context_takeover=alone)
            count, say = self.follow(params)
            streams = {}
            for from_client, message, running in [(True, CREATE, 1), (False, CREATED, 1), (False, DONE, 0)] * 3:
                if alone:
                    streams.clear()
                stream = streams.setdefault(from_client, zlib.compressobj(wbits=-15))
                say(from_client, (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4], rsv1=True)
                self.assertEqual(count.running, running)

    def test_broken_deflate(self):
        """What can't be inflated ends the understanding, whatever was counted before."""
        count, say = self.follow(DeflateParams())
        say(True, CREATE)
        self.assertEqual(count.running, 1)
        say(False, b"no deflate at all", rsv1=True)
        self.assertIsNone(count.running)
        say(False, DONE)
        self.assertIsNone(count.running)
