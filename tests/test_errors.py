"""The proxy's own errors: the table that users and agents rely on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from agentproxy import errors
from agentproxy.errors import ProxyError

TABLE = {
    # code: status, whether a retry helps
    "bad_request": (400, False),
    "client_unauthorized": (401, False),
    "provider_not_configured": (403, False),
    "policy_denied": (403, False),
    "method_not_allowed": (405, False),
    "request_timeout": (408, False),
    "body_too_large": (413, False),
    "uri_too_long": (414, False),
    "headers_too_large": (431, False),
    "expectation_failed": (417, False),
    "websocket_disabled": (426, False),
    "websocket_version": (426, False),
    "rate_limited": (429, True),
    "budget_exhausted": (429, False),
    "upstream_unreachable": (502, True),
    "draining": (503, True),
    "upstream_timeout": (504, True),
    # A fault of the proxy's own, which is not to happen.
    "internal_error": (500, True),
}


class ErrorTests(SynchronousTestCase):
    def kinds(self) -> list[type[ProxyError]]:
        found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ProxyError)]
        return [kind for kind in found if kind is not ProxyError]

    def test_table(self) -> None:
        """Status and retry of each code, no code missing, twice or more than these."""
        kinds = self.kinds()
        self.assertEqual({kind.code: (kind.status, kind.retryable) for kind in kinds}, TABLE)
        self.assertEqual(len({kind.code for kind in kinds}), len(kinds))

    def test_text(self) -> None:
        """What a user reads begins with the code in brackets."""
        for kind in self.kinds():
            self.assertEqual(kind("Do this.").text, f"[{kind.code}] Do this.")

    def test_values(self) -> None:
        """Message, phase and headers are kept; the last two may be missing."""
        plain = errors.Draining("Wait.")
        self.assertEqual((plain.message, plain.phase, plain.headers, str(plain)), ("Wait.", None, (), "Wait."))
        full = errors.UpstreamTimeout("Wait.", phase="tls", headers=(("Retry-After", "5"),))
        self.assertEqual((full.phase, full.headers), ("tls", (("Retry-After", "5"),)))

    def test_configuration_errors_are_not_answers(self) -> None:
        """A wrong configuration stops the start; it is never rendered to a client."""
        self.assertFalse(issubclass(errors.ConfigError, ProxyError))


class AdviceTests(SynchronousTestCase):
    def test_phases(self) -> None:
        """Where a phase failed, the message says what to do about it; elsewhere it says so itself."""
        for phase in ("connect", "tunnel", "tls", "handshake", "send", "first_byte"):
            text = errors.UpstreamUnreachable("It failed.", phase=phase).text
            self.assertRegex(text, r"\A\[upstream_unreachable\] It failed\. (Check|Try) .+\.\Z")
        self.assertEqual(errors.BadRequest("Send less.").text, "[bad_request] Send less.")
