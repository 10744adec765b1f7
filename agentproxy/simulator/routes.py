"""Which request is whose: the scripted paths, then the provider's own, else its own 404."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentproxy.simulator import anthropic, chat, gemini, models, openai, realtime, scripted, shapes, sockets
from agentproxy.simulator.answer import Answer, Field, Request, json_answer

if TYPE_CHECKING:
    from agentproxy.simulator.server import Simulator
    from agentproxy.simulator.websocket import App

_SCRIPTED = b"/simulator/"
_WITH = b"/simulator/with/"


def locate(request: Request) -> None:
    """
    Find out the request's provider, and take a ``/simulator/with/PARAMETERS`` off its path.

    :raises BadScript: the parameters cannot be read.
    """
    at = request.path.find(_SCRIPTED)
    if at >= 0 and request.path.startswith(_WITH, at):
        parameters, _, rest = request.path[at + len(_WITH) :].partition(b"/")
        request.script = request.script.altered(parameters.decode("latin-1"))
        request.retarget(b"/" + rest + (b"?" + request.query if request.query else b""))
        at = request.path.find(_SCRIPTED)
    if at >= 0:
        request.provider = "simulator"
        request.path = request.path[at + len(_SCRIPTED) :]
        if request.query:
            request.script = request.script.altered(request.query.decode("latin-1"))
    else:
        request.provider = shapes.provider_of(request)


def answer(request: Request, simulator: Simulator) -> Answer:
    """Answer a whole request."""
    if request.provider == "simulator":
        return scripted.answer(request)
    if request.script.status:
        return shapes.scripted_error(request)
    if request.head.method == b"HEAD":
        return Answer(200, ((b"content-type", b"application/json"), *shapes.identifying(request)), b"{}")
    if not shapes.allowed(request, simulator.keys):
        return shapes.unauthorized(request)
    found = _post(request, simulator) if request.head.method == b"POST" else _get(request)
    return found or shapes.error_answer(request, 404, f"No such endpoint: {request.path.decode('latin-1')}")


def _post(request: Request, simulator: Simulator) -> Answer | None:
    path, memory = request.path, simulator.memory
    if path.endswith(b"/responses"):
        return openai.answer(request, memory, simulator.clock)
    if path.endswith(b"/v1/messages"):
        return anthropic.answer(request, memory)
    if path.endswith(b"/chat/completions"):
        return chat.answer(request, memory, simulator.clock)
    if path.endswith(b"/count_tokens"):
        return anthropic.count(request)
    if request.provider == "gemini":
        return gemini.answer(request, memory)
    if request.provider in ("chatgpt", "copilot"):
        return json_answer(200, {}, *shapes.identifying(request))
    return None


def _get(request: Request) -> Answer | None:
    if request.path.endswith(b"/models") or b"/models/" in request.path:
        return models.answer(request)
    if b"/copilot_internal/" in request.path or b"/wham/" in request.path or request.path == b"/user":
        return models.account(request)
    return None


def socket(request: Request, simulator: Simulator) -> Answer | tuple[App, list[Field]]:
    """What is behind a WebSocket upgrade: an app and the 101's own headers, or a refusal."""
    if request.provider == "simulator":
        return sockets.app(request)
    if request.script.status:
        return shapes.scripted_error(request)
    if not shapes.allowed(request, simulator.keys):
        return shapes.unauthorized(request)
    path = request.path
    if path.endswith(b"/responses"):
        return openai.socket(request, simulator.memory)
    if b"/realtime" in path:
        return realtime.RealtimeSocket(request), shapes.identifying(request)
    if request.provider == "gemini" and b"BidiGenerateContent" in path:
        return realtime.LiveSocket(request), shapes.identifying(request)
    return shapes.error_answer(request, 404, f"No such endpoint: {path.decode('latin-1')}")
