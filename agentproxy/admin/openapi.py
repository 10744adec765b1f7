"""The description of ``/api/`` as OpenAPI 3.1, made of the tables that requests and answers go by."""

from __future__ import annotations

from typing import Any

from agentproxy import __version__
from agentproxy.admin.answer import EVENTS as EVENT_STREAM
from agentproxy.admin.answer import JSON
from agentproxy.admin.parameters import LAST_EVENT_ID, Parameter
from agentproxy.admin.routes import EVENTS, OPENAPI, ROUTES, Route
from agentproxy.admin.schemas import SCHEMAS

_REFUSALS = {
    "400": "A parameter can't be used.",
    "401": "The admin token was asked for and not shown.",
    "403": "The Host or the Origin is not one that is answered.",
    "404": "It is not there, or nothing is recorded (`records_off`).",
    "503": "The records can't be read now (`records_unavailable`), or too many ask (`records_busy`).",
}


def description() -> dict[str, Any]:
    """The whole of it, as JSON's values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "agentproxy: the records",
            "version": __version__,
            "description": "Calls, turns and sessions that passed, read only. Money is integer micro-dollars.",
        },
        "security": [{"token": []}, {}],
        "paths": {route.path: {"get": _operation(route)} for route in ROUTES},
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`admin.token`, where that is set."}
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {"200": _answer(route), **{status: _refusal(why) for status, why in _REFUSALS.items()}},
    }
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    name = route.path.partition("{")[2].removesuffix("}")
    parameters: list[dict[str, Any]] = []
    if name:
        parameters.append(
            {"name": name, "in": "path", "required": True, "description": route.named, "schema": {"type": "string"}}
        )
    parameters += [_parameter(each, each.name, "query") for each in route.parameters]
    if route is EVENTS:
        parameters.append(_parameter(LAST_EVENT_ID, "Last-Event-ID", "header"))
    return parameters


def _parameter(parameter: Parameter, name: str, place: str) -> dict[str, Any]:
    about = parameter.description if place == "query" else "The latest event that was seen."
    return {"name": name, "in": place, "description": about, "schema": dict(parameter.schema)}


def _answer(route: Route) -> dict[str, Any]:
    if route is EVENTS:
        about = (
            "Events without an end: `turn` (TurnEvent) for each turn as it ends, `gap` (GapEvent) where some may be "
            "missing, and comments. Those after the one that is named come first, none of them twice."
        )
        return {"description": about, "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}
    about = "This document." if route is OPENAPI else "What was found."
    schema = {"$ref": f"#/components/schemas/{route.schema}"}
    return {"description": about, "content": {JSON: {"schema": schema}}}


def _refusal(why: str) -> dict[str, Any]:
    return {"description": why, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
