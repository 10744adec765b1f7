"""
Every error that the proxy itself makes: status, code, whether a retry can help, and the sentence a user reads.

How one is put into bytes is the provider kind's business (`providers`); nothing here knows HTTP syntax.
"""

from __future__ import annotations

from typing import ClassVar


class ConfigError(Exception):
    """A configuration that can't be used. Its text is one line: file, key, what was wanted, what was found."""


_ADVICE = {
    "connect": "Check that it runs and can be reached from where agentproxy runs (egress.proxy, egress.no_proxy).",
    "tunnel": "Check egress.proxy, and the proxy's own log.",
    "tls": "Check the upstream's address, and egress.ca_file.",
    "handshake": "Try again; if it stays so, look at the provider's status.",
    "send": "Try again; if it stays so, look at the provider's status.",
    "first_byte": "Try again; if it stays so, look at the provider's status.",
}


class ProxyError(Exception):
    """
    An error of the proxy's own.

    :ivar message: what happened and what to do, one sentence or two, never a secret; rendered behind ``[CODE] ``.
    :ivar phase: what was being waited for, where that applies (``connect``, ``tunnel``, ``tls``, ``handshake``,
        ``first_byte``, ``send``, ``idle``).
    :ivar headers: extra response headers, as name and value.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, phase: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.phase = phase
        self.headers = headers

    @property
    def text(self) -> str:
        """The message as a user reads it, with what to do about a phase that failed."""
        advice = _ADVICE.get(self.phase or "")
        return f"[{self.code}] {self.message}" + (f" {advice}" if advice else "")


class BadRequest(ProxyError):
    """Malformed or ambiguous by RFC 9112, or an upgrade that is not one by RFC 6455. The connection is closed."""

    status, code = 400, "bad_request"


class ClientUnauthorized(ProxyError):
    status, code = 401, "client_unauthorized"


class ProviderNotConfigured(ProxyError):
    status, code = 403, "provider_not_configured"


class PolicyDenied(ProxyError):
    status, code = 403, "policy_denied"


class MethodNotAllowed(ProxyError):
    status, code = 405, "method_not_allowed"


class RequestTimeout(ProxyError):
    status, code = 408, "request_timeout"


class BodyTooLarge(ProxyError):
    status, code = 413, "body_too_large"


class UriTooLong(ProxyError):
    status, code = 414, "uri_too_long"


class ExpectationFailed(ProxyError):
    status, code = 417, "expectation_failed"


class WebSocketDisabled(ProxyError):
    status, code = 426, "websocket_disabled"


class WebSocketVersion(ProxyError):
    status, code = 426, "websocket_version"


class RateLimited(ProxyError):
    status, code, retryable = 429, "rate_limited", True


class BudgetExhausted(ProxyError):
    status, code = 429, "budget_exhausted"


class HeadersTooLarge(ProxyError):
    status, code = 431, "headers_too_large"


class InternalError(ProxyError):
    """A fault of ours. Never expected; logged with its traceback."""

    status, code, retryable = 500, "internal_error", True


class UpstreamUnreachable(ProxyError):
    """Refused, reset, DNS, CONNECT refused, TLS not verified, or a response that is not one."""

    status, code, retryable = 502, "upstream_unreachable", True


class Draining(ProxyError):
    status, code, retryable = 503, "draining", True


class UpstreamTimeout(ProxyError):
    status, code, retryable = 504, "upstream_timeout", True
