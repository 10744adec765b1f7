"""What the clients say and what upstream answers: the shapes and sizes that agents and their providers send."""

from __future__ import annotations

import json
import random

PATH = "/v1/responses"
AGENT = "codex_cli_rs/0.50.0 (Debian 12; x86_64) bench"
KEY = "Bearer sk-bench-this-is-no-key"
NUMBERS = 1000
"""Requests and answers carry one of as many numbers, so that answers that were mixed up are noticed."""
WORDS = ("agent", "answer", "branch", "build", "call", "diff", "error", "file", "function", "line", "merge", "output",
         "patch", "read", "return", "run", "search", "stream", "test", "tool", "value", "write")  # fmt: skip


def dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def prose(size: int, seed: int) -> bytes:
    """Words, ``size`` bytes of them, the same for the same seed. They compress about as well as agents' messages."""
    chance = random.Random(seed)
    block = " ".join(chance.choice(WORDS) + str(chance.randrange(1000)) for _ in range(min(size, 65536) // 4 + 2))
    text = f"{seed} {block} "
    return (text * (size // len(text) + 1))[:size].encode()


def question(number: int) -> bytes:
    """The body of a small request, about 300 bytes, always the same size."""
    return dumps(
        {
            "model": "gpt-5-codex",
            "instructions": "You are a coding agent. Answer in one line.",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": prose(100, 1).decode()}]}],
            "store": False,
            "stream": False,
            "prompt_cache_key": f"bench-thread-{number:06}",
        }
    )


def reply(number: int) -> bytes:
    """The body of its answer, about 500 bytes, always the same size."""
    return dumps(
        {
            "id": f"resp_{'0' * 40}{number:06}",
            "object": "response",
            "created_at": 1760000000,
            "status": "completed",
            "model": "gpt-5-codex",
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": prose(150, 2).decode(), "annotations": []}],
                }
            ],
            "usage": {"input_tokens": 61, "output_tokens": 27, "total_tokens": 88},
            "metadata": {"number": f"{number:06}"},
        }
    )


def question_fields(length: int, accept: str = "application/json") -> list[tuple[str, str]]:
    """Header fields of a request with a JSON body."""
    return [
        ("user-agent", AGENT),
        ("accept", accept),
        ("content-type", "application/json"),
        ("authorization", KEY),
        ("content-length", str(length)),
    ]


def reply_fields(kind: str = "application/json") -> list[tuple[str, str]]:
    """Header fields of an answer, without the body's framing."""
    return [
        ("date", "Fri, 21 Nov 2025 12:00:00 GMT"),
        ("content-type", kind),
        ("server", "bench"),
        ("x-request-id", "req_0123456789abcdef0123456789abcdef"),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "42"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ]
