"""Every TCP connection is set so that small writes leave at once and a vanished peer is noticed."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.sockets import KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, tcp_of, tune
from tests.fakes import FakeTransport


class TuneTests(SynchronousTestCase):
    def test_options(self) -> None:
        """No delay and keep-alive are on, and the system's own questions come within minutes, not hours."""
        transport = FakeTransport()
        with socket.socket() as handle:
            transport.socket = handle
            tune(transport, 12345)
            asked = [
                handle.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
        self.assertEqual(asked, [KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT])
        self.assertTrue(transport.no_delay)
        self.assertTrue(transport.keep_alive)
        self.assertEqual(transport.bufferSize, 12345)

    def test_without_a_socket(self) -> None:
        """A transport that shows no socket is set as far as it goes."""
        transport = FakeTransport()
        tune(transport)
        self.assertTrue(transport.no_delay)
        self.assertEqual(transport.bufferSize, FakeTransport.bufferSize)

    def test_what_it_stands_on(self) -> None:
        """Below any layers there is one TCP transport."""

        class Layer:
            def __init__(self, transport: object) -> None:
                self.transport = transport

        transport = FakeTransport()
        self.assertIs(tcp_of(transport), transport)
        self.assertIs(tcp_of(Layer(Layer(transport))), transport)
