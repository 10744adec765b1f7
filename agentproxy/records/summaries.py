"""Turns added up: the statements behind sessions and usage, and what their rows become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Label, Row, Select, Table, case, func, or_, select, tuple_

from agentproxy.records.paging import By, Filter, Key, number_of, text_of
from agentproxy.records.schema import turns
from agentproxy.records.shapes import Shape, moment, sums

MOST_MODELS = 20

_MODEL = func.coalesce(turns.c.response_model, turns.c.request_model)
_GROUPS: dict[By, ColumnElement[Any]] = {
    "day": func.strftime("%Y-%m-%d", turns.c.started_us // 1_000_000, "unixepoch"),
    "model": _MODEL,
    "agent": turns.c.agent,
    "session": turns.c.session,
    "provider": turns.c.provider,
}
_SUMMED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def wanted_rows(table: Table, filter: Filter) -> list[ColumnElement[bool]]:
    """What a turn and a call must be alike: all but its model and its status."""
    wanted: list[ColumnElement[bool]] = []
    if filter.since_us is not None:
        wanted.append(table.c.started_us >= number_of(filter.since_us))
    if filter.until_us is not None:
        wanted.append(table.c.started_us < number_of(filter.until_us))
    for name in ("session", "agent", "provider"):
        value = getattr(filter, name)
        if value is not None:
            wanted.append(table.c[name] == text_of(value))
    return wanted


def wanted_turns(filter: Filter) -> list[ColumnElement[bool]]:
    """What a turn must be."""
    wanted = wanted_rows(turns, filter)
    if filter.status is not None:
        wanted.append(turns.c.status == text_of(filter.status))
    if filter.model is not None:
        name = text_of(filter.model)
        wanted.append(or_(turns.c.response_model == name, turns.c.request_model == name))
    return wanted


def _sums() -> list[Label[Any]]:
    # A sum of money that nobody knows is not 0.
    cost = turns.c.cost_micro_usd
    return [
        func.count().label("turns"),
        func.sum(case((turns.c.source == "reported", 0), else_=1)).label("unsettled"),
        *(func.coalesce(func.sum(turns.c[name]), 0).label(name) for name in _SUMMED),
        func.sum(cost).label("cost_micro_usd"),
        (func.count() - func.count(cost)).label("unpriced_turns"),
    ]


def sessions_of(filter: Filter, after: tuple[Key, ...] | None) -> Select[Any]:
    """Sessions with their sums, the one seen last first; ``after``: its `session_keys`."""
    each = (
        select(
            turns.c.session,
            *_sums(),
            func.min(turns.c.started_us).label("first_us"),
            func.max(turns.c.started_us + func.coalesce(turns.c.duration_us, 0)).label("last_us"),
        )
        .where(turns.c.session.is_not(None), *wanted_turns(filter))
        .group_by(turns.c.session)
        .subquery()
    )
    statement = select(each).order_by(each.c.last_us.desc(), each.c.session.desc())
    if after is not None:
        statement = statement.where(tuple_(each.c.last_us, each.c.session) < tuple_(*after))
    return statement


def session_keys(row: Row[Any]) -> tuple[Key, ...]:
    return row.last_us, row.session


def sights_of(sessions: Iterable[str], filter: Filter) -> Select[Any]:
    """What these sessions were seen as and what they used, what was last seen first."""
    seen = (
        turns.c.session, turns.c.session_source, turns.c.agent, turns.c.agent_version, turns.c.working_directory,
        turns.c.provider, _MODEL.label("model"),
    )  # fmt: skip
    return (
        select(*seen)
        .where(turns.c.session.in_(list(sessions)), *wanted_turns(filter))
        .group_by(*seen)
        .order_by(func.max(turns.c.started_us).desc())
    )


def session_shape(row: Row[Any], sights: list[Row[Any]]) -> Shape:
    """A session as `sessions_of` and `sights_of` know it."""

    def last(name: str) -> Any:
        return next((value for sight in sights if (value := getattr(sight, name)) is not None), None)

    def distinct(name: str) -> list[Any]:
        return list(dict.fromkeys(value for sight in sights if (value := getattr(sight, name)) is not None))

    return {
        "session": row.session,
        "session_source": last("session_source"),
        "agent": last("agent"),
        "agent_version": last("agent_version"),
        "models": distinct("model")[:MOST_MODELS],
        "providers": distinct("provider"),
        "working_directory": last("working_directory"),
        **sums(row),
        "first_seen": moment(row.first_us),
        "last_seen": moment(row.last_us),
    }


def usage_of(by: By, filter: Filter, after: tuple[Key, ...] | None) -> Select[Any]:
    """Sums for each day, first to last, or for each of something, the dearest first; ``after``: its `usage_keys`."""
    each = select(_GROUPS[by].label("value"), *_sums()).where(*wanted_turns(filter)).group_by("value").subquery()
    keys: list[ColumnElement[Any]]
    if by == "day":
        keys = [each.c.value]
    else:
        # All ascend, so that a place among them is one comparison. What has no name is last among its equals.
        keys = [
            -func.coalesce(each.c.cost_micro_usd, -1),
            -(each.c.input_tokens + each.c.output_tokens),
            case((each.c.value.is_(None), 1), else_=0),
            func.coalesce(each.c.value, ""),
        ]
    statement = select(each).order_by(*keys)
    if after is not None:
        statement = statement.where(tuple_(*keys) > tuple_(*after))
    return statement


def usage_types(by: By) -> tuple[type[Key], ...]:
    return (str,) if by == "day" else (int, int, int, str)


def usage_keys(by: By, row: Row[Any]) -> tuple[Key, ...]:
    if by == "day":
        return (row.value,)
    cost = -1 if row.cost_micro_usd is None else row.cost_micro_usd
    return -cost, -(row.input_tokens + row.output_tokens), int(row.value is None), row.value or ""


def usage_shape(by: By, row: Row[Any]) -> Shape:
    return {by: row.value, **sums(row)}
