"""One ``[providers.NAME]`` table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from agentproxy.config.table import Table, type_of
from agentproxy.config.urls import BadUrl, parse_upstream
from agentproxy.config.values import CredentialSource, Provider, Upstream
from agentproxy.providers import KINDS, Kind
from agentproxy.wire.rules import HOP_BY_HOP

_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"(?:[!-~\x80-\U0010ffff](?:[ -~\x80-\U0010ffff]*[!-~\x80-\U0010ffff])?)?")
# The framing, the authority, the handshake and what is the proxy's own: the relay writes these itself.
_KEPT = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_KEPT_PREFIXES = (b"proxy-", b"sec-websocket-", b"x-agentproxy-")


def read_providers(tables: Table, folder: str) -> tuple[Provider, ...]:
    """
    All providers, in the file's order.

    :param folder: the folder to which relative file names belong.
    :raises ConfigError: the first mistake.
    """
    providers = []
    for name in tables:
        if not _NAME.fullmatch(name):
            raise tables.wrong(name, "a name of at most 32 of a-z, 0-9, _ and -", "another")
        providers.append(_read_provider(name, tables.table(name), folder))
    return tuple(providers)


def _read_provider(name: str, table: Table, folder: str) -> Provider:
    kind = KINDS[table.choice("kind", tuple(KINDS))]
    keys = [slot.key for slot in kind.slots]
    table.only("kind", "port", "upstream", *keys, "websocket", "cookies", "headers", "include_usage")
    return Provider(
        name=name,
        kind=kind,
        port=table.port("port"),
        upstream=_upstream(table),
        secrets=_secrets(table, kind, folder),
        websocket=table.flag("websocket", True),
        cookies=table.flag("cookies", False),
        headers=_headers(table.table("headers")),
        include_usage=table.flag("include_usage", False),
    )


def _upstream(table: Table) -> Upstream:
    want = "an http:// or https:// URL of host, port and path"
    try:
        return parse_upstream(table.secret_text("upstream", want))
    except BadUrl as error:
        raise table.wrong("upstream", want, error.got) from None


def _secrets(table: Table, kind: Kind, folder: str) -> Mapping[str, CredentialSource]:
    sources = {}
    for slot in kind.slots:
        if slot.key in table:
            sources[slot.key] = table.credential(slot.key, folder)
        elif slot.env is not None:
            sources[slot.key] = CredentialSource(env=slot.env)
    return MappingProxyType(sources)


def _headers(table: Table) -> tuple[tuple[bytes, bytes], ...]:
    fields: dict[bytes, tuple[bytes, bytes]] = {}
    for name in table:
        if not _TOKEN.fullmatch(name):
            raise table.wrong(name, "a header name of RFC 9110's token characters", "another")
        key = name.lower().encode("ascii")
        if key in _KEPT or key.startswith(_KEPT_PREFIXES):
            raise table.wrong(name, "a header that the proxy does not write itself", "one that it does")
        if key in fields:
            raise table.wrong(name, "each header once", "one that is there in another case")
        want = "a string without control characters and without spaces around it"
        value = table.secret_text(name, want)
        if not _VALUE.fullmatch(value):
            raise table.wrong(name, want, type_of(value))
        fields[key] = (name.encode("ascii"), value.encode("utf-8"))
    return tuple(fields.values())
