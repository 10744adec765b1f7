"""What the real clients send, cut down, with invented ids: heads and bodies to build tests from."""

from __future__ import annotations

import json
from typing import Any

from agentproxy.wire.head import RequestHead

SESSION = "0198a1c2-7d3e-7f40-9a5b-6c7d8e9f0a1b"
THREAD = "0198a1c2-8e4f-7a51-8b6c-7d8e9f0a1b2c"
PLACE = "/repo/ada/engine"

CODEX = "codex_exec/0.169.0 (Debian 12.0.0; x86_64) dumb (codex_exec; 0.169.0)"
CLAUDE = "claude-cli/2.1.197 (external, sdk-cli)"
COPILOT = "copilot/1.0.102 (linux v24.20.0) term/unknown client/github/cli"
OPENCODE = "opencode/1.18.33 (linux 6.18.44; x64) ai-sdk/provider-utils/4.0.40 runtime/bun/1.3.14"
GEMINI = "GeminiCLI-tui/0.61.0/gemini-2.5-flash (linux; x64; terminal)"


def head(target: str = "/v1/responses", *, socket: bool = False, **fields: str | bytes) -> RequestHead:
    """A request's head; ``_`` stands for ``-`` in the fields' names."""
    given = {key.replace("_", "-"): value for key, value in fields.items()}
    return raw_head(target, given, socket=socket)


def raw_head(target: str, fields: dict[str, str | bytes], *, socket: bool = False) -> RequestHead:
    """A request's head."""
    made = [
        (
            key.lower().encode(),
            key.encode(),
            value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value,
        )
        for key, value in fields.items()
    ]
    result = RequestHead(b"GET" if socket else b"POST", target.encode(), 1, made)
    if socket:
        result.connection = frozenset({b"upgrade"})
    return result


def _encoded(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def dump(value: object) -> bytes:
    """JSON as JavaScript and Rust write it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def codex_turn(**more: object) -> str:
    """``x-codex-turn-metadata``."""
    turn = {"installation_id": "7e6f5a4b", "session_id": SESSION, "thread_id": SESSION, "agent_name": "/root"}
    return dump({**turn, "window_id": f"{SESSION}:0", "thread_source": "user", "sandbox": "none", **more}).decode()


def codex_fields(**more: str) -> dict[str, str | bytes]:
    """The header fields of a POST and of a handshake."""
    return {
        "user-agent": CODEX,
        "originator": "codex_exec",
        "x-codex-turn-metadata": codex_turn(),
        "x-client-request-id": SESSION,
        "session-id": SESSION,
        "thread-id": SESSION,
        "x-codex-window-id": f"{SESSION}:0",
        **more,
    }


def codex_body(*texts: str, place: str | None = PLACE, **metadata: object) -> bytes:
    """A request of the Responses API, or a ``response.create``."""
    items = [_codex_item("developer", "You are Codex, a coding agent.")]
    if place is not None:
        items.append(_codex_item("user", f"<environment_context>\n  <cwd>{place}</cwd>\n  <shell>bash</shell>\n"))
    items += [_codex_item("user", text) for text in texts]
    told = {"session_id": SESSION, "x-codex-window-id": f"{SESSION}:0", "x-codex-turn-metadata": codex_turn()}
    return dump(
        {
            "type": "response.create",
            "model": "gpt-5.5",
            "input": items,
            "tools": [{"type": "function", "name": "exec_command", "parameters": {"type": "object"}}],
            "prompt_cache_key": SESSION,
            "client_metadata": {**told, **metadata},
        }
    )


def _codex_item(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def claude_body(
    *texts: str, user_id: object = None, place: str | None = PLACE, billing: str = "", first: str = "messages"
) -> bytes:
    """
    A request for a message, in which user and model speak in turn.

    :param first: which of ``messages`` and ``system`` comes first.
    """
    roles = ("user", "assistant")
    messages = [
        {"role": roles[at % 2], "content": [{"type": "text", "text": text}]} for at, text in enumerate(texts or ("Hi",))
    ]
    prompt = "You work in the current working directory.\n# Environment\n"
    if place is not None:
        prompt += f" - Primary working directory: {place}\n - Is a git repository: false\n"
    billed = f"x-anthropic-billing-header: cc_version=2.1.197.b97; cc_entrypoint=sdk-cli;{billing}"
    system = [{"type": "text", "text": billed}, {"type": "text", "text": prompt}]
    parts: dict[str, object] = {"messages": messages, "system": system}
    second = "system" if first == "messages" else "messages"
    if user_id is None:
        user_id = dump({"device_id": "75e4a6f5", "account_uuid": "", "session_id": SESSION}).decode()
    return dump(
        {
            "model": "claude-sonnet-4-5",
            first: parts[first],
            second: parts[second],
            "tools": [{"name": "Bash", "description": "Runs.", "input_schema": {"type": "object"}}],
            "metadata": {"user_id": user_id},
            "max_tokens": 32000,
        }
    )


def copilot_prompt(place: str = PLACE) -> str:
    """The prompt of Copilot CLI."""
    return f"You are the GitHub Copilot CLI.\n<environment_context>\n* Current working directory: {place}\n* Git: no\n"


def copilot_chat(*texts: str, place: str = PLACE) -> bytes:
    """A request of Chat Completions."""
    said = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    messages = [{"role": "system", "content": copilot_prompt(place)}, *said]
    return dump({"model": "gpt-5", "messages": messages, "tools": [], "stream": True})


def copilot_create(*texts: str, headers: object = None, **more: object) -> bytes:
    """A ``response.create``, or a request of the Responses API."""
    said = [{"role": "user", "content": [{"type": "input_text", "text": text}], "type": "message"} for text in texts]
    made = {"type": "response.create", "model": "gpt-5", "instructions": copilot_prompt(), "input": said, **more}
    return dump(made if headers is None else {**made, "headers": headers})


def gemini_body(*texts: str, place: str = PLACE) -> bytes:
    """A request for content, in which user and model speak in turn."""
    context = (
        "<session_context>\nThis is the Gemini CLI. We are setting up the context for our chat.\n"
        f"- **Workspace Directories:**\n  - {place}\n- **Directory Structure:**\n</session_context>"
    )
    said = [{"parts": [{"text": text}], "role": ("user", "model")[at % 2]} for at, text in enumerate(texts)]
    said[0]["parts"].insert(0, {"text": context})  # type: ignore[attr-defined]
    return dump({"contents": said, "systemInstruction": {"parts": [{"text": "You are a CLI agent."}], "role": "user"}})
