"""A file to `Settings`: the built-in default beneath it, each table in turn, then what holds between tables."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from agentproxy.config.egress import read_egress
from agentproxy.config.hosts import address, host
from agentproxy.config.own import is_own, this_machine
from agentproxy.config.provider import read_providers
from agentproxy.config.record import read_record
from agentproxy.config.table import Table, mistake, type_of
from agentproxy.config.values import Admin, Limits, Listen, Log, Settings, Timeouts

BUILT_IN = "built-in default"
"""The source of `Settings` that come from no file of the user's."""

_LEVELS = ("debug", "info", "warn", "error")
_ORIGIN = re.compile(r"https?://[^\s/?#@]+")
_GIB = 2**30
_LF = b"\n"


def default_file() -> Path:
    """The default configuration: inside the package where it is installed, else the checkout's own ``conf``."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "conf" / "agentproxy.toml"
    return shipped if shipped.is_file() else package.parent / "conf" / "agentproxy.toml"


def load(path: str | None, environ: Mapping[str, str], own_addresses: Collection[str] | None = None) -> Settings:
    """
    Read and check a configuration.

    Its ``[providers]`` replace the default's as a whole; its other tables lie over the default's, key by key.

    :param path: the file; ``None``: the built-in default.
    :param environ: where ``"env"`` is looked up. Credentials are not: they are read when they are needed.
    :param own_addresses: addresses and names of this machine, for the check that no upstream is this service itself;
        looked up without DNS where not given.
    :raises ConfigError: the first mistake, in one line.
    """
    default = _read(str(default_file()), BUILT_IN)
    given = {} if path is None else _read(path, path)
    source = BUILT_IN if path is None else path
    folder = os.path.dirname(path or "")

    Table(given, source, "").only(*default)
    tables = {name: _over(default, given, name, source) for name in default}
    settings = Settings(
        source=source,
        listen=_listen(tables["listen"]),
        egress=read_egress(tables["egress"], environ, folder),
        timeouts=_timeouts(tables["timeouts"]),
        limits=_limits(tables["limits"]),
        log=_log(tables["log"]),
        admin=_admin(tables["admin"], folder),
        record=read_record(tables["record"], environ, folder),
        providers=read_providers(tables["providers"], folder),
    )
    _check_ports(settings, tables)
    _check_loops(settings, tables, this_machine() if own_addresses is None else own_addresses)
    return settings


def _read(path: str, source: str) -> dict[str, Any]:
    want = "a readable TOML file"
    try:
        text = Path(path).read_bytes().decode("utf-8")
        return tomllib.loads(text)
    except OSError as error:
        raise mistake(source, "", want, error.strerror or type(error).__name__) from None
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        raise mistake(source, f"line {before.count(_LF) + 1}", "UTF-8", "other bytes") from None
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        line = (found and found[2]) or str(text.count("\n") + 1)
        what = found[1] if found else str(error)
        raise mistake(source, f"line {line}", "TOML", what[:1].lower() + what[1:]) from None
    except (ValueError, RecursionError) as error:
        raise mistake(source, "", want, f"one that can't be read ({type(error).__name__})") from None


def _over(default: dict[str, Any], given: dict[str, Any], name: str, source: str) -> Table:
    values = given.get(name, {})
    if name not in given or (name != "providers" and isinstance(values, dict)):
        values = {**default[name], **values}
    return Table(values, source, name)


def _listen(table: Table) -> Listen:
    table.only("interface", "origins")
    origins = table.texts("origins")
    for index, origin in enumerate(origins):
        if not _ORIGIN.fullmatch(origin):
            raise table.wrong_item("origins", index, "an origin such as https://app.example", type_of(origin))
    return Listen(table.address("interface"), tuple(origin.lower() for origin in origins))


def _timeouts(table: Table) -> Timeouts:
    table.only(*Timeouts.__slots__)
    return Timeouts(
        connect=table.seconds("connect", zero=False),
        request_head=table.seconds("request_head", zero=False),
        keep_alive=table.seconds("keep_alive", zero=False),
        first_byte=table.seconds("first_byte", zero=True),
        idle_http=table.seconds("idle_http", zero=True),
        idle_websocket=table.seconds("idle_websocket", zero=True),
        drain=table.seconds("drain", zero=True),
    )


def _limits(table: Table) -> Limits:
    table.only(*Limits.__slots__)
    return Limits(
        body_bytes=table.integer("body_bytes", 1, 1024 * _GIB),
        header_bytes=table.integer("header_bytes", 256, 16 * 2**20),
        websocket_message_bytes=table.integer("websocket_message_bytes", 1, 1024 * _GIB),
        buffer_bytes=table.integer("buffer_bytes", 1, _GIB),
    )


def _log(table: Table) -> Log:
    table.only("format", "level")
    json_or_text = table.choice("format", ("json", "text"))
    return Log("json" if json_or_text == "json" else "text", table.choice("level", _LEVELS))


def _admin(table: Table, folder: str) -> Admin:
    table.only("port", "interface", "token", "hosts")
    port, interface = table.port("port"), table.address("interface")
    token = table.credential("token", folder) if "token" in table else None
    ip = address(interface)
    if token is None and not (ip is not None and ip.is_loopback):
        raise table.wrong("token", f"one, since admin.interface is {interface} and not loopback")
    hosts = []
    for index, name in enumerate(table.texts("hosts")):
        try:
            hosts.append(host(name))
        except ValueError:
            raise table.wrong_item("hosts", index, "a host name without a port", type_of(name)) from None
    return Admin(interface, port, token, tuple(hosts))


def _check_ports(settings: Settings, tables: Mapping[str, Table]) -> None:
    taken = {settings.admin.port: "admin.port"}
    for provider in settings.providers:
        other = taken.setdefault(provider.port, f"providers.{provider.name}.port")
        if provider.port and other != f"providers.{provider.name}.port":
            table = tables["providers"].table(provider.name)
            raise table.wrong("port", "a port of its own", f"{provider.port}, which is {other}")


def _check_loops(settings: Settings, tables: Mapping[str, Table], own: Collection[str]) -> None:
    listeners = [(settings.listen.interface, provider.port) for provider in settings.providers]
    listeners.append((settings.admin.interface, settings.admin.port))
    # The names that reach the admin port reach this service.
    names = {*own, *settings.admin.hosts}
    for provider in settings.providers:
        if is_own(provider.upstream, listeners, names):
            table = tables["providers"].table(provider.name)
            raise table.wrong("upstream", "an upstream that is not this service itself")
