"""The error bodies that the providers' clients know how to read."""

from __future__ import annotations

from agentproxy.errors import ProxyError

_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}

_GOOGLE_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    408: "DEADLINE_EXCEEDED",
    417: "FAILED_PRECONDITION",
    426: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def openai_error(error: ProxyError, request_id: str) -> object:
    """``{"error": {...}}`` as the OpenAI API, Copilot and ChatGPT answer."""
    if error.status == 429:
        kind = "rate_limit_error" if error.retryable else "insufficient_quota"
    elif error.status >= 500:
        kind = "server_error"
    else:
        kind = "invalid_request_error"
    return {"error": {"message": error.text, "type": kind, "code": error.code, "param": None}}


def anthropic_error(error: ProxyError, request_id: str) -> object:
    """``{"type": "error", ...}`` with one of the types that docs.anthropic.com lists under Errors."""
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": error.text}, "request_id": request_id}


def google_error(error: ProxyError, request_id: str) -> object:
    """``{"error": {...}}`` by google.rpc.Status, our code as the ErrorInfo's reason (aip.dev/193)."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code,
        "domain": "agentproxy",
        "metadata": {"request_id": request_id},
    }
    status = _GOOGLE_STATUSES.get(error.status, "INVALID_ARGUMENT")
    # The reason comes first: clients look at details[0].
    return {"error": {"code": error.status, "message": error.text, "status": status, "details": [info]}}
