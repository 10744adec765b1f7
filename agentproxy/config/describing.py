"""A configuration as it was understood, as text; secrets only as ``set`` or ``missing``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentproxy.config.table import join
from agentproxy.config.urls import DEFAULT_PORTS
from agentproxy.config.values import CredentialSource, Provider, ProxyUrl, Settings, Upstream


def describe(settings: Settings, environ: Mapping[str, str]) -> str:
    """
    TOML for a reader, not for another start.

    A secret is ``set`` where its variable or file has something in it, else ``missing``, and ``command`` where a
    command gives it: none is run.
    """
    return "\n".join(_lines(settings, environ)) + "\n"


def _lines(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    yield f"# {_text(settings.source)[1:-1]}"
    yield from _table("listen", {"interface": settings.listen.interface, "origins": list(settings.listen.origins)})
    egress = settings.egress
    yield ""
    yield "[egress]"
    yield _proxy("https", egress.https)
    yield _proxy("http", egress.http)
    yield f"no_proxy = {_text(list(egress.no_proxy))}"
    yield f"ca_file = {_text(egress.ca_file or 'system')}"
    for name in ("timeouts", "limits", "log"):
        values = getattr(settings, name)
        yield from _table(name, {key: getattr(values, key) for key in values.__slots__})
    admin = settings.admin
    yield from _table("admin", {"port": admin.port, "interface": admin.interface})
    if admin.token is not None:
        yield _secret("token", admin.token, environ)
    yield f"hosts = {_text(list(admin.hosts))}"
    record = settings.record
    yield from _table("record", {key: getattr(record, key) or "" for key in ("directory", "content", "prices")})
    for key in ("content_bytes", "days", "megabytes"):
        yield f"{key} = {_text(getattr(record, key))}"
    for provider in settings.providers:
        yield from _provider(provider, environ)


def _provider(provider: Provider, environ: Mapping[str, str]) -> Iterator[str]:
    yield from _table(
        f"providers.{provider.name}",
        {"kind": provider.kind.name, "port": provider.port, "upstream": _url(provider.upstream)},
    )
    for key, source in provider.secrets.items():
        yield _secret(key, source, environ)
    yield f"websocket = {_text(provider.websocket)}"
    yield f"cookies = {_text(provider.cookies)}"
    yield f"include_usage = {_text(provider.include_usage)}"
    names = [join("", name.decode("ascii")) for name, _ in provider.headers]
    # A header's value may be a gateway's key.
    yield "headers = { " + ", ".join(f'{name} = "set"' for name in names) + " }" if names else "headers = { }"


def _table(name: str, values: Mapping[str, object]) -> Iterator[str]:
    yield ""
    yield f"[{name}]"
    for key, value in values.items():
        yield f"{key} = {_text(value)}"


def _text(value: object) -> str:
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    return json.dumps(value)


def _secret(key: str, source: CredentialSource, environ: Mapping[str, str]) -> str:
    if source.env is not None:
        found = bool(environ.get(source.env, "").strip())
        # A lower-case name that is nowhere set may well be a key, pasted where its variable's name belongs.
        where = f"env {source.env}" if found or source.env.isupper() else "env"
        return f'{key} = "{"set" if found else "missing"}"  # {where}'
    if source.file is not None:
        return f'{key} = "{"set" if _has_text(source.file) else "missing"}"  # file {_text(source.file)}'
    return f'{key} = "command"'


def _has_text(path: str) -> bool:
    try:
        return bool(Path(path).read_bytes().strip())
    except OSError:
        return False


def _proxy(key: str, proxy: ProxyUrl | None) -> str:
    if proxy is None:
        return f'{key} = "direct"'
    login = "" if proxy.authorization is None else "  # user and password set"
    return f"{key} = {_text(f'{proxy.scheme}://{_authority(proxy.host, proxy.port)}')}{login}"


def _url(upstream: Upstream) -> str:
    port = None if upstream.port == DEFAULT_PORTS[upstream.scheme] else upstream.port
    return f"{upstream.scheme}://{_authority(upstream.host, port)}{upstream.path}"


def _authority(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
