"""The admin port over memory: a site, and what it says to bytes."""

import io
import json
from http.client import HTTPResponse

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from agentproxy.admin.health import ProviderStatus, Status
from agentproxy.admin.reading import Records
from agentproxy.admin.site import admin_site
from agentproxy.observe.feed import Feed
from agentproxy.observe.metrics import Metrics
from tests.admin.stored import at_once


class Bytes:
    """What `HTTPResponse` wants of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode):
        return io.BytesIO(self._data)


def response(transport, method="GET"):
    """What was written as a response, its body in `text`."""
    answer = HTTPResponse(Bytes(transport.value()), method=method)
    answer.begin()
    answer.text = answer.read()
    return answer


def head(path, method="GET", *fields, host="localhost"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode("latin-1")


class AdminCase(SynchronousTestCase):
    """Has a site as ``site``, and a clock that it goes by."""

    def setUp(self):
        self.clock = Clock()
        provider = ProviderStatus(
            "openai", "openai", 10000, "http://127.0.0.1:10000", "https://u:pa55@api.openai.com/v1", lambda: True, True
        )
        self.status = Status("1.2.3", [provider], {"body_bytes": 1}, clock=self.clock, active={})
        self.status.state = "ready"
        self.make()

    def make(self, metrics=None, token=None, hosts=(), records=None):
        off = Records(None, at_once, Feed())
        self.site = admin_site(
            self.clock, self.status, metrics or Metrics("1.2.3"), token=token, hosts=hosts, records=records or off
        )
        self.site.startFactory()
        self.addCleanup(self.site.stopFactory)

    def connect(self):
        channel = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000))
        transport = StringTransport()
        channel.makeConnection(transport)
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        return channel, transport

    def send(self, path, method="GET", *fields, host="localhost", body=b""):
        """Ask, and look at nothing yet."""
        channel, transport = self.connect()
        channel.dataReceived(head(path, method, *fields, host=host) + body)
        return channel, transport

    def ask(self, path, method="GET", *fields, host="localhost", body=b""):
        """The response, its body in `text`; the connection has ended with it."""
        _, transport = self.send(path, method, *fields, host=host, body=body)
        self.assertTrue(transport.disconnecting)
        return response(transport, method)

    def ask_json(self, path, status=200, *fields):
        """The body of a response with this status."""
        answer = self.ask(path, "GET", *fields)
        self.assertEqual(answer.status, status, answer.text)
        self.assertEqual(answer.getheader("content-type"), "application/json")
        self.assertEqual(answer.getheader("cache-control"), "no-store")
        return json.loads(answer.text)

    def refusal(self, path, status, *fields):
        """Code and message of a refusal with this status."""
        error = self.ask_json(path, status, *fields)["error"]
        self.assertTrue(error["message"].startswith(f"[{error['code']}] "))
        return error["code"], error["message"].partition("] ")[2]
