"""Every workload against its own upstream: what is right is counted, however it is cut, and nothing is invented."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.simulator.ca import ThrowawayCA
from bench.load.catalogue import WORKLOADS
from bench.load.frames import CLOSE, PING, Frames, client_frame, deflate, header, inflate, server_frame, unmask
from bench.load.message import Head, Reader
from bench.load.run import Run
from tests.bench.load.relay import Change, Changes, as_it_is, run_load, untouched

LARGE = {"ws-64k", "ws-1m", "ws-64k-deflate", "ws-1m-deflate", "upload", "download", "slow"}
TYPICAL = [
    "post", "sse", "sse-paced", "ws-64", "ws-64k", "ws-64-deflate", "ws-handshake", "ws-200", "upload", "download"
]  # fmt: skip
"""Of each way to ask and to answer one; the others differ in size."""
SOCKETS = [name for name in WORKLOADS if name.startswith("ws-")]


def contexts(folder: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of an upstream and of its client."""
    ca = ThrowawayCA()
    issued = ca.issue("127.0.0.1")
    cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
    cert.write_bytes(issued.cert_pem)
    key.write_bytes(issued.key_pem)
    upstream = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    upstream.load_cert_chain(cert, key)
    return upstream, ssl.create_default_context(cadata=ca.pem.decode())


def cut(size: int) -> Changes:
    """A relay that passes on a few bytes at a time."""

    def change(data: bytes) -> list[bytes]:
        return [data[at : at + size] for at in range(0, len(data), size)]

    return lambda run: (change, change)


def framed_anew(run: Run) -> tuple[Change, Change]:
    """A relay that reads messages and writes them with another mask, in two frames, with a ping before."""
    return behind_heads(Anew(masked=True)), behind_heads(Anew(masked=False))


def behind_heads(change: Change) -> Change:
    """Leave the handshake as it is."""
    before = b""
    open_ = False

    def take(data: bytes) -> list[bytes]:
        nonlocal before, open_
        if open_:
            return change(data)
        before += data
        head, end, rest = before.partition(b"\r\n\r\n")
        if not end:
            return []
        open_ = True
        return [head + end, *(change(rest) if rest else [])]

    return take


class Anew:
    def __init__(self, *, masked: bool) -> None:
        self._masked = masked
        self._frames = Frames(masked=masked)

    def __call__(self, data: bytes) -> list[bytes]:
        return [self._framed(*found) for found in self._frames.feed(data) if found[0] != 10]

    def _framed(self, opcode: int, deflated: bool, payload: bytes) -> bytes:
        if deflated:
            payload = deflate(inflate(payload))
        if opcode >= CLOSE:
            return self._frame(opcode, payload)
        half = len(payload) // 2
        first = bytearray(self._frame(opcode, payload[:half], deflated))
        first[0] &= 0x7F
        return self._frame(PING, b"are you there") + bytes(first) + self._frame(0, payload[half:])

    def _frame(self, opcode: int, payload: bytes, deflated: bool = False) -> bytes:
        if not self._masked:
            return server_frame(payload, opcode, deflated=deflated)
        head = header(len(payload), opcode, masked=True, deflated=deflated)
        return head + b"\1\2\3\4" + unmask(payload, b"\1\2\3\4")


def chunked_anew(run: Run) -> tuple[Change, Change]:
    """A relay that reads an answer's chunks and writes others."""
    out: list[bytes] = []

    def head(found: Head) -> None:
        fields = b"".join(b"%b: %b\r\n" % pair for pair in found.fields.items())
        out.append(found.start + b"\r\n" + fields + b"\r\n")

    def body(data: bytes) -> None:
        for at in range(0, len(data), 100):
            piece = data[at : at + 100]
            out.append(b"%X;why=not\r\n%b\r\n" % (len(piece), piece))

    reader = Reader(head, body, lambda: out.append(b"0\r\n\r\n"))

    def down(data: bytes) -> list[bytes]:
        out.clear()
        reader.feed(data)
        return list(out)

    return as_it_is, down


class WorkloadTests(SynchronousTestCase):
    def right(self, workload: str, changes: Changes | None = untouched, **more: float) -> dict[str, Any]:
        result, told = run_load(workload, changes, **more)
        if not result["operations"] and not result["wrong"]:
            # The window is so short that a pause of the machine fills it.
            result, told = run_load(workload, changes, **{**more, "seconds": 2.0})
        self.assertEqual((result["wrong"], result["why"]), (0, None), workload)
        self.assertEqual(told, ["begin", "end"], workload)
        self.assertGreater(result["operations"], 0, workload)
        self.assertGreaterEqual(result["checked"], result["operations"], workload)
        self.assertGreater(result["seconds"], 0, workload)
        return result

    def test_direct(self) -> None:
        """Against upstream itself."""
        for name in WORKLOADS:
            self.right(name, None)

    def test_cut(self) -> None:
        """However the bytes are cut on their way."""
        for name in TYPICAL:
            self.right(name, cut(30_000 if name in LARGE else 50), deadline=40.0)

    def test_framed_anew(self) -> None:
        """A proxy may mask, cut and mix frames with its own pings, and compress again."""
        for name in set(SOCKETS) & set(TYPICAL):
            self.right(name, framed_anew, seconds=0.5 if name in LARGE else 0.03)

    def test_chunked_anew(self) -> None:
        """A proxy may choose its own chunks."""
        for name in ("sse", "sse-paced"):
            self.right(name, chunked_anew)

    def test_tls(self) -> None:
        """Upstream over TLS, asked by clients that verify it."""
        with tempfile.TemporaryDirectory() as folder:
            tls = contexts(folder)
        for name in WORKLOADS:
            result, _ = run_load(name, None, tls=tls)
            self.assertEqual((result["wrong"], result["why"]), (0, None), name)
            self.assertGreater(result["operations"], 0, name)

    def test_values(self) -> None:
        """Through a relay: what the report needs beside the rate."""
        values = {name: self.right(name)["values"] for name in WORKLOADS}
        for name in ("post", "post-1", "sse-paced", "ws-64", "ws-200"):
            self.assertLessEqual(0, values[name]["p50_ms"], name)
            self.assertLessEqual(values[name]["p50_ms"], values[name]["p99_ms"], name)
        for name in ("upload", "download"):
            self.assertEqual(values[name]["megabytes"], 3.0)
            self.assertGreater(values[name]["megabytes_per_s"], 0)
        self.assertEqual(values["ws-idle"]["sessions"], 40)
        self.assertEqual(values["post"]["generator"], "own")

    def test_idle_window(self) -> None:
        """Idle sessions are opened within the window; that they live is asked behind it."""
        result, _ = run_load("ws-idle", sessions=40, settle_seconds=0.2)
        self.assertEqual(result["operations"], 40)
        self.assertGreaterEqual(result["seconds"], 0.2)
        self.assertEqual(result["checked"], 41)

    def test_client_frames(self) -> None:
        """The frames of the tests' relay are those of a client."""
        self.assertEqual(Frames(masked=True).feed(client_frame(b"a")), [(1, False, b"a")])
