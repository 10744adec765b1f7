"""The simulator's WebSockets, byte by byte."""

from __future__ import annotations

import json
import zlib
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.simulator.frames import DEFLATED, FINAL, FrameReader, Violation, pack
from agentproxy.wire.frames import close_frame
from agentproxy.wire.masking import masked, whole_frame
from agentproxy.wire.messages import TEXT
from tests.simulator.support import QUIET, Link

MASK = b"\x01\x02\x03\x04"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


def frame(first: int, payload: bytes) -> bytes:
    """A client's frame."""
    plain = pack(first, payload)
    head = plain[: len(plain) - len(payload)]
    return head[:1] + bytes((head[1] | 0x80,)) + head[2:] + MASK + masked(payload, MASK)


def received(data: bytes) -> list[tuple[int, bytes]]:
    """A server's frames: first byte and payload."""
    frames = []
    while data:
        size, start = data[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        frames.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return frames


class Client(Link):
    """A client whose upgrade was sent."""

    def __init__(self, target: str, *headers: str, **options: Any) -> None:
        super().__init__(**options)
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key]
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *upgrade, *headers, "", ""]
        self.answer, _, self.first = self.send("\r\n".join(lines).encode()).partition(b"\r\n\r\n")

    def say(self, value: object) -> list[dict[str, Any]]:
        """Send a JSON text; returns what came for it."""
        out = received(self.send(whole_frame(TEXT, json.dumps(value).encode(), MASK)))
        return [json.loads(payload) for _, payload in out]


class HandshakeTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        """The 101 has the accept key of RFC 6455, 1.3, and the provider's headers."""
        client = Client("/v1/responses")
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", client.answer)
        for name in (b"x-codex-turn-state", b"openai-model", b"x-request-id", b"set-cookie"):
            self.assertIn(b"\r\n" + name + b": ", client.answer)
        self.assertNotIn(b"Extensions", client.answer)
        self.assertEqual(client.simulator.requests[0].protocol, "websocket")

    def test_keyless(self) -> None:
        """A wrong key gets 401 in place of the 101."""
        self.assertIn(b" 401 ", Client("/v1/responses", keys={"openai": "sk"}).answer)
        self.assertIn(b" 101 ", Client("/v1/responses", "Authorization: Bearer sk", keys={"openai": "sk"}).answer)

    def test_refused(self) -> None:
        """Other versions, other paths and scripted refusals get their status."""
        self.assertIn(b" 429 ", Client("/simulator/ws/refuse?code=429").answer)
        self.assertIn(b" 426 ", Client("/simulator/with/status=426/v1/responses").answer)
        self.assertIn(b" 404 ", Client("/v1/nothing").answer)

    def test_bad_handshakes(self) -> None:
        """Each way to get the 101 wrong."""
        self.assertNotIn(b"s3pPLMBi", Client("/simulator/ws/echo?framing=accept").answer)
        self.assertIn(b"Protocol: never-offered", Client("/simulator/ws/echo?framing=protocol").answer)
        self.assertIn(b"permessage-deflate", Client("/simulator/ws/echo?framing=extension").answer)
        self.assertIn(b" 200 ", Client("/simulator/ws/echo?framing=plain").answer)
        self.assertEqual(Client("/simulator/ws/echo?silence=head").answer, b"")
        self.assertTrue(Client("/simulator/ws/echo?fail=before").wire.aborted)

    def test_subprotocol(self) -> None:
        """A subprotocol that carries a key is never the one that is chosen."""
        client = Client("/v1/realtime", "Sec-WebSocket-Protocol: openai-insecure-api-key.sk, realtime")
        self.assertIn(b"Sec-WebSocket-Protocol: realtime", client.answer)
        self.assertNotIn(b"sk", client.answer)


class ResponsesTests(SynchronousTestCase):
    def test_turns(self) -> None:
        """A prewarm is created and completed, and what follows it on the socket knows its id."""
        client = Client("/v1/responses", script=QUIET)
        create = {"type": "response.create", "model": "m", "input": [], "store": False}
        warm = client.say({**create, "generate": False})
        self.assertEqual([warm[0]["type"], warm[-1]["type"]], ["response.created", "response.completed"])
        self.assertEqual(warm[-1]["response"]["output"], [])
        turn = client.say({**create, "previous_response_id": warm[-1]["response"]["id"], "stream_id": "s1"})
        self.assertEqual({event["stream_id"] for event in turn}, {"s1"})
        self.assertGreater(turn[-1]["response"]["usage"]["output_tokens"], 0)
        self.assertNotEqual(turn[-1]["response"]["id"], warm[-1]["response"]["id"])

    def test_unknown_response(self) -> None:
        """What follows an unknown response is an error, not the end."""
        client = Client("/v1/responses")
        error = client.say({"type": "response.create", "previous_response_id": "resp_no"})
        self.assertEqual(error[0]["error"]["code"], "previous_response_not_found")
        self.assertFalse(client.wire.disconnecting)

    def test_lanes(self) -> None:
        """Turns of different streams go on at once, those of one stream one after the other."""
        client = Client("/v1/responses", script=QUIET)
        frames = [{"type": "response.create", "stream_id": lane} for lane in ("a", "b", "a")]
        out = received(client.send(b"".join([whole_frame(TEXT, json.dumps(value).encode(), MASK) for value in frames])))
        self.assertEqual(sum(b"response.completed" in payload for _, payload in out), 3)

    def test_deflate(self) -> None:
        """With permessage-deflate both ways keep their contexts, and the journal has what was meant."""
        client = Client("/v1/responses", OFFER, script=QUIET)
        self.assertIn(b"Sec-WebSocket-Extensions: permessage-deflate\r\n", client.answer + b"\r\n")
        deflater, inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
        text = json.dumps({"type": "response.create", "input": "hi"}).encode()
        types = []
        for _ in range(2):
            packed = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
            for first, payload in received(client.send(frame(FINAL | DEFLATED | 1, packed))):
                self.assertEqual(first, FINAL | DEFLATED | 1)
                types.append(json.loads(inflater.decompress(payload + b"\x00\x00\xff\xff"))["type"])
        self.assertEqual(types.count("response.completed"), 2)
        socket = client.simulator.websockets[0]
        self.assertEqual((list(socket.messages), socket.deflate), ([text.decode()] * 2, True))

    def test_no_takeover(self) -> None:
        """Contexts are given up where the script or the client says so."""
        answer = Client("/simulator/with/takeover=0/v1/responses", OFFER).answer
        self.assertIn(b"permessage-deflate; client_no_context_takeover; server_no_context_takeover", answer)
        self.assertNotIn(b"Extensions", Client("/simulator/with/deflate=0/v1/responses", OFFER).answer)


class SpeechTests(SynchronousTestCase):
    def test_realtime(self) -> None:
        """Realtime greets, and its responses have their own usage."""
        client = Client("/v1/realtime?model=gpt-realtime", script=QUIET)
        self.assertEqual(json.loads(received(client.first)[0][1])["type"], "session.created")
        self.assertEqual(client.say({"type": "response.create"})[-1]["response"]["usage"]["output_tokens"], 2)

    def test_live(self) -> None:
        """Gemini Live answers in binary frames."""
        path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
        client = Client(path, script=QUIET)
        self.assertEqual(client.say({"setup": {"model": "m"}}), [{"setupComplete": {}}])
        self.assertEqual(
            client.say({"clientContent": {"turnComplete": True}})[-1]["usageMetadata"]["responseTokenCount"], 2
        )


class ScriptedTests(SynchronousTestCase):
    def test_echo(self) -> None:
        """Frames come back as they were, fragmented ones and compressed ones too; a ping gets its pong."""
        client = Client("/simulator/ws/echo", OFFER)
        sent = [(0x01, b"he"), (0x89, b"p"), (0x80, b"llo"), (0x82, b"\x00" * 70000), (0xC1, b"zz")]
        got = received(client.send(b"".join([frame(*one) for one in sent])))
        self.assertEqual(got, [(0x8A, b"p") if first == 0x89 else (first, payload) for first, payload in sent])

    def test_close(self) -> None:
        """A close is said, whatever its code; one received is answered and kept."""
        client = Client("/simulator/ws/close?code=4000&reason=bye")
        self.assertEqual(received(client.first), [(0x88, b"\x0f\xa0bye")])
        self.assertEqual(received(Client("/simulator/ws/close?code=").first), [(0x88, b"")])
        client = Client("/simulator/ws/silent")
        self.assertEqual(received(client.send(close_frame(1001, "x", mask=MASK))), [(0x88, b"\x03\xe9")])
        self.assertEqual(client.simulator.websockets[0].close, (1001, "x"))
        self.assertTrue(client.wire.disconnecting)

    def test_push(self) -> None:
        """So many messages of so many bytes, then a close."""
        out = received(Client("/simulator/ws/push?n=3&bytes=200").first)
        self.assertEqual([len(payload) for _, payload in out[:3]], [200] * 3)
        self.assertEqual(out[3][0], 0x88)

    def test_drop(self) -> None:
        """The connection ends without a close frame, in the middle of a frame if told so."""
        client = Client("/simulator/ws/drop")
        self.assertEqual((client.first, client.wire.disconnecting), (b"", True))
        self.assertEqual(len(Client("/simulator/ws/drop?partial=1").first), 50)
        self.assertTrue(Client("/simulator/ws/drop?reset=1").wire.aborted)

    def test_ping_and_bad(self) -> None:
        """Pings are sent, and frames that break the rules."""
        self.assertEqual(received(Client("/simulator/ws/ping?n=2").first), [(0x89, b"ping-1"), (0x89, b"ping-2")])
        self.assertEqual(Client("/simulator/ws/bad").first[0], 0x83)

    def test_violation(self) -> None:
        """A client's frame without a mask is told as what it is, in the journal and with 1002."""
        client = Client("/simulator/ws/silent")
        self.assertEqual(received(client.send(pack(FINAL | 1, b"x"))), [(0x88, b"\x03\xea")])
        self.assertEqual(client.simulator.websockets[0].violation, "a client's frame must be masked")


class FrameReaderTests(SynchronousTestCase):
    @settings(max_examples=100)
    @given(
        sizes=st.lists(st.sampled_from([0, 1, 125, 126, 65535, 65536, 70000]), max_size=4),
        cuts=st.lists(st.integers(0, 200000), max_size=6),
    )
    def test_any_split(self, sizes: list[int], cuts: list[int]) -> None:
        """How the bytes are cut makes no difference to the frames."""
        payloads = [bytes(range(256)) * (size // 256) + b"x" * (size % 256) for size in sizes]
        data = b"".join([frame(FINAL | 2, payload) for payload in payloads])
        places = sorted({0, len(data), *(at for at in cuts if at < len(data))})
        reader = FrameReader(False)
        got = [one for a, b in pairwise(places) for one in reader.feed(data[a:b])]
        self.assertEqual([one.payload for one in got], payloads)

    def test_violations(self) -> None:
        """Each rule of RFC 6455, 5, is held."""
        broken = (
            b"\x83\x80", b"\xc1\x80", b"\x80\x80", b"\x09\x80", b"\x89\xfe", b"\x81\x00",
            b"\x81\xfe\x00\x05" + MASK, b"\x81\xff" + b"\x00" * 7 + b"\x05" + MASK, b"\x01\x80" + MASK + b"\x81\x80",
        )  # fmt: skip
        for data in broken:
            self.assertRaises(Violation, FrameReader(False).feed, data)
