"""The way out: the proxy, what is reached without it, and the trusted authorities, from the file or environment."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import ssl
from collections.abc import Mapping

from agentproxy.config.hosts import address, authority
from agentproxy.config.table import Table, shown, type_of
from agentproxy.config.urls import BadUrl, parse_proxy
from agentproxy.config.values import Egress, ProxyUrl

_A_PROXY = "an http:// or https:// proxy"


def read_egress(table: Table, environ: Mapping[str, str], folder: str) -> Egress:
    """
    The ``[egress]`` table, with ``"env"`` looked up.

    :param folder: the folder to which a relative ``ca_file`` belongs.
    :raises ConfigError: the first mistake.
    """
    table.only("proxy", "ca_file", "no_proxy")
    https, http, skipped = _proxies(table, environ)
    no_proxy = table.texts("no_proxy")
    for index, entry in enumerate(no_proxy):
        if not _is_no_proxy(entry):
            raise table.wrong_item("no_proxy", index, "a host, .suffix, address or CIDR", shown(entry))
    return Egress(https, http, (*skipped, *no_proxy), _ca_file(table, environ, folder))


def _proxies(table: Table, environ: Mapping[str, str]) -> tuple[ProxyUrl | None, ProxyUrl | None, tuple[str, ...]]:
    """The proxies for https and http upstreams, and what NO_PROXY adds."""
    want = f'"env", "direct" or {_A_PROXY}'
    value = table.secret_text("proxy", want)
    if value == "direct":
        return None, None, ()
    if value == "env":
        _, skipped = variable(environ, "NO_PROXY")
        https, http = _proxy_of(table, environ, "HTTPS_PROXY"), _proxy_of(table, environ, "HTTP_PROXY")
        return https, http, tuple(re.findall(r"[^,\s]+", skipped))
    try:
        proxy = parse_proxy(value)
    except BadUrl as error:
        raise table.wrong("proxy", want, error.got or type_of(value)) from None
    return proxy, proxy, ()


def _proxy_of(table: Table, environ: Mapping[str, str], wanted: str) -> ProxyUrl | None:
    for name in (wanted, "ALL_PROXY"):
        name, value = variable(environ, name)
        if value:
            try:
                return parse_proxy(value if "://" in value else f"http://{value}")
            except BadUrl as error:
                raise table.wrong("proxy", f"{_A_PROXY} in {name}", error.got or type_of(value)) from None
    return None


def variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """
    A variable that is known in lower and upper case; lower wins, as in curl, and an empty one is none.

    :returns: the name it was found by, and its value, perhaps empty.
    """
    for spelling in (name.lower(), name):
        value = environ.get(spelling, "").strip()
        if value:
            return spelling, value
    return name, ""


def _is_no_proxy(entry: str) -> bool:
    if entry == "*" or address(entry) is not None:
        return True
    try:
        if "/" in entry:
            ipaddress.ip_network(entry, strict=False)
        else:
            authority(entry.removeprefix("*.").removeprefix("."), 1)
    except ValueError:
        return False
    # Upstreams are compared in their ASCII form.
    return entry.isascii()


def _ca_file(table: Table, environ: Mapping[str, str], folder: str) -> str | None:
    want = "a readable file of PEM certificates"
    value = table.text("ca_file", f'"env" or {want}')
    if value != "env":
        path = os.path.join(folder, value)
    elif not (path := environ.get("SSL_CERT_FILE", "")):
        return None
    else:
        want += " in SSL_CERT_FILE"
    path = os.path.abspath(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
        count = context.cert_store_stats()["x509"]
    except ssl.SSLError:
        count = 0
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file name"
        raise table.wrong("ca_file", want, f"{json.dumps(path)}: {why}") from None
    if not count:
        raise table.wrong("ca_file", want, f"{json.dumps(path)}: no certificate in it")
    return path
