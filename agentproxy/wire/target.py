"""Request targets: upstream's base path put before them, and query parameters taken out of them."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import unquote_to_bytes


def with_base(base: bytes, target: bytes) -> bytes:
    """
    Put a base path before a target, unless the target's path begins with it already, by whole segments.

    :param base: such as ``/v1``, without a slash at its end; may be empty.
    """
    if not base:
        return target
    if target.startswith(base) and target[len(base) : len(base) + 1] in (b"", b"/", b"?"):
        return target
    return base + target


def without_parameters(target: bytes, names: Collection[bytes]) -> bytes:
    """
    A target without the query parameters of these lower-case names; the others stay as they were sent.

    Names are compared percent-decoded and in lower case, as lenient servers read them.
    """
    path, mark, query = target.partition(b"?")
    if not mark or not names:
        return target
    kept = [part for part in query.split(b"&") if _name(part) not in names]
    return path + mark + b"&".join(kept) if kept else path


def _name(parameter: bytes) -> bytes:
    name = parameter.partition(b"=")[0].replace(b"+", b" ")
    return unquote_to_bytes(name).strip().lower()
