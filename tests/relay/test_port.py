"""How a client's head becomes the one that goes upstream."""

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.wire.parse import parse_request
from tests.relay.harness import Harness, request


class OutboundTests(SynchronousTestCase):
    def outbound(self, *fields, line=b"GET /a", version=b"HTTP/1.1", interim=None, **options):
        harness = Harness(**options)
        head = parse_request(request(line, *fields, version=version))
        return harness.port.outbound(head, "the-id", harness.credentials.current(), interim)

    def test_whole(self):
        """Client's fields in their order, then the id, then configured ones, then the credential."""
        outbound = self.outbound(
            b"B: 1", b"A: 2", b"B: 3", headers=((b"X-Team", b"t"),), line=b"PATCH /a?b", path="/v1"
        )
        self.assertEqual((outbound.method, outbound.target), (b"PATCH", b"/v1/a?b"))
        self.assertEqual(
            outbound.fields,
            [
                (b"B", b"1"), (b"A", b"2"), (b"B", b"3"), (b"x-request-id", b"the-id"), (b"X-Team", b"t"),
                (b"Authorization", b"Bearer true-credential"),
            ],
        )  # fmt: skip

    def test_configured_and_injected(self):
        """A configured header can be no second credential beside the true one, nor a second of the client's."""
        outbound = self.outbound(b"X-A: 1", b"x-a: 2", headers=((b"x-A", b"3"), (b"X-a", b"4")))
        self.assertEqual(
            [pair for pair in outbound.fields if pair[0].lower() == b"x-a"], [(b"x-A", b"3"), (b"X-a", b"4")]
        )

    def test_own_credential(self):
        """A configured credential, such as a gateway's, takes the place of the kind's own."""
        harness = Harness()
        mine = b"Bearer gateways-own"
        port = dataclasses.replace(harness.port, own_credentials=((b"authorization", mine),))
        head = parse_request(request(b"GET /", b"Authorization: Bearer clients-own"))
        fields = port.outbound(head, "the-id", harness.credentials.current(), None).fields
        self.assertEqual([value for name, value in fields if name.lower() == b"authorization"], [mine])

    def test_expect(self):
        """An expectation goes on from HTTP/1.1 only, in one spelling."""
        for version, wanted in ((b"HTTP/1.1", [(b"Expect", b"100-continue")]), (b"HTTP/1.0", [])):
            outbound = self.outbound(b"expect: 100-CONTINUE", version=version)
            self.assertEqual([pair for pair in outbound.fields if pair[0].lower() == b"expect"], wanted)

    def test_interim(self):
        """Who is to hear of interim responses goes with it."""
        told = []
        self.assertEqual(self.outbound(interim=told.append).interim, told.append)

    def test_repr(self):
        """Its repr shows no credential."""
        self.assertNotIn("true-credential", repr(self.outbound()))


class RequestIdTests(SynchronousTestCase):
    def test_made(self):
        """Each of ours is new and one that would be kept from a client."""
        port = Harness().port
        made = {port.new_request_id() for _ in range(100)}
        self.assertEqual(len(made), 100)
        for each in made:
            head = parse_request(request(b"GET /", b"x-request-id: " + each.encode()))
            self.assertEqual(port.request_id(head), each)
