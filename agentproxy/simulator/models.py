"""The providers' lists of models, and the little that agents ask about their account."""

from __future__ import annotations

from agentproxy.simulator import shapes
from agentproxy.simulator.answer import Answer, Request, json_answer

_OPENAI = ("gpt-5.5", "gpt-5.4", "gpt-5.4-mini")
_ANTHROPIC = ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5")
_GEMINI = ("gemini-2.5-flash", "gemini-2.5-pro")
_CREATED = 1767225600


def answer(request: Request) -> Answer:
    """Answer GET .../models."""
    value = _LISTS[request.provider](request)
    return json_answer(200, value, *shapes.identifying(request))


def _openai(request: Request) -> dict[str, object]:
    data = [{"id": name, "object": "model", "created": _CREATED, "owned_by": "openai"} for name in _OPENAI]
    listed: dict[str, object] = {"object": "list", "data": data}
    if b"client_version=" in request.query:
        # Codex reads `models`; what is missing there it knows by itself.
        listed["models"] = []
    return listed


def _chatgpt(request: Request) -> dict[str, object]:
    return {"models": []}


def _anthropic(request: Request) -> dict[str, object]:
    created = "2026-01-01T00:00:00Z"
    data = [{"type": "model", "id": name, "display_name": name, "created_at": created} for name in _ANTHROPIC]
    return {"data": data, "has_more": False, "first_id": _ANTHROPIC[0], "last_id": _ANTHROPIC[-1]}


def _gemini(request: Request) -> dict[str, object]:
    methods = ["generateContent", "countTokens"]
    limits = {"inputTokenLimit": 1048576, "outputTokenLimit": 65536}
    listed = [{"name": f"models/{name}", "displayName": name, **limits} for name in _GEMINI]
    return {"models": [{**model, "supportedGenerationMethods": methods} for model in listed]}


def _copilot(request: Request) -> dict[str, object]:
    limits = {"max_context_window_tokens": 400000, "max_output_tokens": 128000, "max_prompt_tokens": 272000}
    supports = {"streaming": True, "tool_calls": True, "parallel_tool_calls": True, "structured_outputs": True}
    data = [
        {
            "id": name,
            "name": name,
            "object": "model",
            "vendor": "OpenAI",
            "version": name,
            "preview": False,
            "model_picker_enabled": True,
            "supported_endpoints": ["/chat/completions", "/responses", "ws:/responses"],
            "policy": {"state": "enabled", "terms": ""},
            "billing": {"is_premium": False, "multiplier": 0},
            "capabilities": {
                "family": name,
                "type": "chat",
                "object": "model_capabilities",
                "tokenizer": "o200k_base",
                "limits": limits,
                "supports": supports,
            },
        }
        for name in _OPENAI
    ]
    return {"object": "list", "data": data}


_LISTS = {"openai": _openai, "chatgpt": _chatgpt, "anthropic": _anthropic, "gemini": _gemini, "copilot": _copilot}


def account(request: Request) -> Answer:
    """Answer what agents ask about the account: ``/copilot_internal/*``, ``/user``, ``/backend-api/wham/*``."""
    path = request.path
    if path.endswith(b"/token"):
        value: dict[str, object] = {
            "token": "simulated-session-token",
            "expires_at": 4102444800,
            "refresh_in": 1500,
            "endpoints": {"api": "https://api.githubcopilot.com"},
        }
    elif b"/copilot_internal/" in path:
        value = {
            "login": "simulated",
            "access_type_sku": "free_educational_quota",
            "copilot_plan": "individual",
            "chat_enabled": True,
            "organization_list": [],
            "endpoints": {"api": "https://api.githubcopilot.com"},
            "quota_snapshots": {},
        }
    elif path == b"/user":
        value = {"login": "simulated", "id": 1, "type": "User"}
    elif path.endswith(b"/accounts/check"):
        value = {"accounts": [], "account_ordering": []}
    else:
        value = {}
    return json_answer(200, value, *shapes.identifying(request))
