"""The proxy's own errors in each provider's shape."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from agentproxy.errors import ProxyError
from agentproxy.providers import KINDS

ERRORS = sorted(ProxyError.__subclasses__(), key=lambda kind: (kind.status, kind.code))

ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "request_too_large",
    414: "invalid_request_error",
    417: "invalid_request_error",
    426: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "api_error",
}

# google/rpc/code.proto
GOOGLE = {
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}  # fmt: skip


class Shapes(SynchronousTestCase):
    def test_openai(self) -> None:
        """OpenAI, Copilot and ChatGPT: an object with exactly message, type, our code, and param."""
        for name in ("openai", "copilot", "chatgpt"):
            for kind in ERRORS:
                value = json.loads(json.dumps(KINDS[name].error_body(kind("What. Do."), "id-1")))
                self.assertEqual(list(value), ["error"])
                error = value["error"]
                self.assertEqual(set(error), {"message", "type", "code", "param"})
                self.assertEqual((error["message"], error["code"]), (f"[{kind.code}] What. Do.", kind.code))
                self.assertIsNone(error["param"])
                self.assertIsInstance(error["type"], str)

    def test_anthropic(self) -> None:
        """Anthropic: its own type for the status, and the request id."""
        for kind in ERRORS:
            self.assertEqual(
                KINDS["anthropic"].error_body(kind("What. Do."), "id-1"),
                {
                    "type": "error",
                    "error": {"type": ANTHROPIC[kind.status], "message": f"[{kind.code}] What. Do."},
                    "request_id": "id-1",
                },
            )

    def test_gemini(self) -> None:
        """Gemini: the status as a number and by Google's name, and our code as the first detail's reason."""
        expected = {
            400: "INVALID_ARGUMENT",
            401: "UNAUTHENTICATED",
            403: "PERMISSION_DENIED",
            429: "RESOURCE_EXHAUSTED",
            500: "INTERNAL",
            503: "UNAVAILABLE",
            504: "DEADLINE_EXCEEDED",
        }
        for kind in ERRORS:
            value = json.loads(json.dumps(KINDS["gemini"].error_body(kind("What. Do."), "id-1")))
            self.assertEqual(list(value), ["error"])
            error = value["error"]
            self.assertEqual(set(error), {"code", "message", "status", "details"})
            self.assertEqual((error["code"], error["message"]), (kind.status, f"[{kind.code}] What. Do."))
            self.assertIn(error["status"], GOOGLE)
            self.assertEqual(error["status"], expected.get(kind.status, error["status"]))
            self.assertEqual(error["details"][0]["reason"], kind.code)
            self.assertTrue(all("@type" in detail for detail in error["details"]))

    def test_any_text(self) -> None:
        """A message with quotes, new lines and other scripts stays the message."""
        text = 'a "b"\n\u65e5\\'
        for kind in KINDS.values():
            value = json.loads(json.dumps(kind.error_body(ERRORS[0](text), "i")))
            self.assertTrue(value["error"]["message"].endswith(text))
