"""What the providers' answers have in common: who is asked, by which host or path, with which key, and their errors."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from agentproxy.simulator.answer import Answer, Field, Request, json_answer

HOSTS: dict[bytes, str] = {
    b"api.openai.com": "openai",
    b"api.anthropic.com": "anthropic",
    b"api.githubcopilot.com": "copilot",
    b"api.individual.githubcopilot.com": "copilot",
    b"api.business.githubcopilot.com": "copilot",
    b"api.enterprise.githubcopilot.com": "copilot",
    b"api.github.com": "copilot",
    b"generativelanguage.googleapis.com": "gemini",
    b"chatgpt.com": "chatgpt",
}
"""The providers' names in DNS, which the simulator answers for."""

# Where the host is none of these, the path tells: the first that is found in it.
_PATHS = (
    (b"/backend-api/", "chatgpt"),
    (b"/v1beta/", "gemini"),
    (b"/v1alpha/", "gemini"),
    (b"google.ai.generativelanguage", "gemini"),
    (b"/v1/messages", "anthropic"),
    (b"/v1/", "openai"),
)
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_SCHEME = re.compile(rb"(?:bearer|token) +(.*)", re.IGNORECASE)


def provider_of(request: Request) -> str:
    """The provider that a request is for: by its host, else by its path."""
    head = request.head
    host = (head.first(b"host") or b"").lower().rpartition(b":")[0] or (head.first(b"host") or b"").lower()
    found = HOSTS.get(host)
    if found is not None:
        return found
    if request.path == b"/" or head.first(b"anthropic-version") is not None:
        return "anthropic"
    for part, provider in _PATHS:
        if part in request.path:
            return provider
    return "copilot"


def allowed(request: Request, keys: dict[str, tuple[str, ...]]) -> bool:
    """Whether the request has a key that its provider accepts."""
    accepted = keys.get(request.provider)
    return accepted is None or any(key.decode("latin-1") in accepted for key in _keys(request))


def _keys(request: Request) -> list[bytes]:
    head = request.head
    keys = [match.group(1) for value in head.values(b"authorization") if (match := _SCHEME.fullmatch(value))]
    if request.provider == "anthropic":
        keys += head.values(b"x-api-key")
    elif request.provider == "gemini":
        keys += head.values(b"x-goog-api-key")
        keys += [value.encode() for value in parse_qs(request.query.decode("latin-1")).get("key", [])]
    elif request.provider == "openai":
        prefix = b"openai-insecure-api-key."
        offered = [part.strip() for value in head.values(b"sec-websocket-protocol") for part in value.split(b",")]
        keys += [name.removeprefix(prefix) for name in offered if name.startswith(prefix)]
    return keys


def unauthorized(request: Request) -> Answer:
    """What the provider says to a wrong or missing key."""
    messages = {
        "openai": "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
        "anthropic": "invalid x-api-key",
        "gemini": "API key not valid. Please pass a valid API key.",
        "chatgpt": "Could not parse your authentication token. Please try signing in again.",
        "copilot": "unauthorized: token is not valid",
    }
    return error_answer(request, 401, messages[request.provider], "invalid_api_key")


def error_value(provider: str, status: int, message: str, code: str | None, identity: str) -> dict[str, object]:
    """An error in the provider's own shape."""
    if provider == "anthropic":
        error = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
        return {"type": "error", "error": error, "request_id": identity}
    if provider == "gemini":
        return {"error": {"code": status, "message": message, "status": _GOOGLE_STATUS.get(status, "INTERNAL")}}
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_answer(request: Request, status: int, message: str, code: str | None = None, *fields: Field) -> Answer:
    """The same as an answer."""
    value = error_value(request.provider, status, message, code, request_id(request))
    return json_answer(status, value, *identifying(request), *fields)


def scripted_error(request: Request) -> Answer:
    """The answer that the script's status asks for."""
    script = request.script
    fields: list[Field] = [(b"retry-after", script.retry_after.encode())] if script.retry_after else []
    if script.body:
        head = ((b"content-type", b"application/json"), *identifying(request), *fields)
        return Answer(script.status, head, script.body)
    if script.status < 400:
        return Answer(script.status, (*identifying(request), *fields), b"")
    return error_answer(request, script.status, f"The simulator was told to answer {script.status}.", None, *fields)


def request_id(request: Request) -> str:
    """The provider's own id of the request."""
    return f"req_{request.serial:024x}"


def identifying(request: Request) -> list[Field]:
    """The headers that every answer of the provider has: an id, and a cookie where it sets one."""
    identity = request_id(request).encode()
    if request.provider == "anthropic":
        return [(b"request-id", identity), (b"anthropic-organization-id", b"org-simulated")]
    if request.provider == "gemini":
        return [(b"server-timing", b"gfet4t7; dur=1")]
    if request.provider == "copilot":
        return [(b"x-github-request-id", identity), (b"x-request-id", identity)]
    cookie = (b"set-cookie", b"__cf_bm=simulated; path=/; HttpOnly; Secure")
    return [(b"x-request-id", identity), (b"openai-version", b"2020-10-01"), cookie]
