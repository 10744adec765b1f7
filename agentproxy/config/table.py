"""One table of a TOML file, read key by key with the checks that every mistake's one line comes from."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from agentproxy.config.values import CredentialSource
from agentproxy.errors import ConfigError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A reactor's poll takes milliseconds in 31 bits; a longer wait than this is as good as none.
MAX_SECONDS = 1_000_000
_LONGEST_SHOWN = 80


def mistake(source: str, path: str, want: str, got: str) -> ConfigError:
    """The one line that a user reads. ``path`` is empty where the file itself is wrong."""
    where = f"{source}: {path}" if path else source
    return ConfigError(" ".join(f"{where}: want {want}, got {got}".splitlines()))


def type_of(value: object) -> str:
    """What a TOML value is, without what it says: for values that may be secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a float"
        case str():
            return "a string" if value else "an empty string"
        case list():
            return "a list"
        case dict():
            return "a table"
    return "a date or time"


def shown(value: object) -> str:
    """A TOML value as a user wrote it, on one line; long and nested ones only by their type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**20):
        return str(value)
    if isinstance(value, str) and len(value) <= _LONGEST_SHOWN:
        return json.dumps(value)
    return type_of(value)


def join(path: str, key: str) -> str:
    """A dotted key, quoted where TOML would quote it."""
    key = key if _BARE_KEY.fullmatch(key) else json.dumps(key)
    return f"{path}.{key}" if path else key


class Table:
    """
    A table that is being read. Each method takes a key that must be there, unless it says otherwise.

    :param values: what TOML gave for it.
    :param source: the file's name for the user.
    :param path: the table's own dotted key.
    :raises ConfigError: by every method, for the first mistake it finds.
    """

    __slots__ = ("_path", "_source", "_values")

    def __init__(self, values: object, source: str, path: str) -> None:
        if not isinstance(values, dict):
            raise mistake(source, path, "a table", type_of(values))
        self._values: Mapping[str, Any] = values
        self._source = source
        self._path = path

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def only(self, *known: str) -> None:
        """Refuse every key but these."""
        for key in self._values:
            if key not in known:
                want = f"one of {', '.join(known)}" if len(known) > 1 else f"only {known[0]}"
                raise mistake(self._source, join(self._path, key), want, "an unknown key")

    def wrong(self, key: str, want: str, got: str | None = None) -> ConfigError:
        """The mistake at a key. Without ``got`` its value is shown: give one where it may be secret."""
        return mistake(self._source, join(self._path, key), want, shown(self._values.get(key)) if got is None else got)

    def table(self, key: str) -> Table:
        return Table(self._values.get(key, {}), self._source, join(self._path, key))

    def secret_text(self, key: str, want: str) -> str:
        """A string whose value no error shows."""
        value = self._values.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, want, type_of(value))
        return value

    def text(self, key: str, want: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.wrong(key, want)
        return value

    def text_or_none(self, key: str, want: str) -> str | None:
        """The same, or ``None`` for an empty one."""
        return None if self._values.get(key) == "" else self.text(key, want)

    def choice(self, key: str, choices: Collection[str]) -> str:
        value = self._values.get(key)
        if not isinstance(value, str) or value not in choices:
            raise self.wrong(key, "one of " + ", ".join(json.dumps(choice) for choice in choices))
        return value

    def flag(self, key: str, default: bool) -> bool:
        """``true`` or ``false``; may be missing."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(key, f"an integer from {low} to {high}")
        return value

    def port(self, key: str) -> int:
        """A port; 0 too, for any free one."""
        value = self._values.get(key)
        if value == 0 and type(value) is int:
            return 0
        return self.integer(key, 1, 65535)

    def seconds(self, key: str, *, zero: bool) -> float:
        """:param zero: whether 0 has a meaning."""
        value: Any = self._values.get(key)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # Infinity, and what is not a number, are in no range.
        if number and (0 < value <= MAX_SECONDS or (value == 0 and zero)):
            return float(value)
        want = f"seconds from 0 to {MAX_SECONDS}" if zero else f"seconds above 0, at most {MAX_SECONDS}"
        raise self.wrong(key, want)

    def address(self, key: str) -> str:
        """An IP address."""
        value = self.text(key, "an IP address")
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise self.wrong(key, "an IP address") from None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self._values.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list of strings")
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item.strip():
                raise self.wrong_item(key, index, "a string that is not empty", shown(item))
        return tuple(value)

    def wrong_item(self, key: str, index: int, want: str, got: str) -> ConfigError:
        return mistake(self._source, f"{join(self._path, key)}[{index}]", want, got)

    def credential(self, key: str, folder: str) -> CredentialSource:
        """
        Where a secret is read from.

        :param folder: the folder to which relative file names belong.
        """
        want = '{ env = "NAME" }, { file = "PATH" } or { command = ["PROGRAM", ...] }'
        value = self._values.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, want, type_of(value))
        if len(value) != 1 or not value.keys() <= {"env", "file", "command"}:
            # The keys are not named: one may be the secret itself, in the wrong place.
            raise self.wrong(key, want, "a table of other keys" if value else "an empty table")
        table = self.table(key)
        if "env" in value:
            name = table.secret_text("env", "the name of an environment variable")
            if not _VARIABLE.fullmatch(name):
                raise table.wrong("env", "the name of an environment variable", type_of(name))
            return CredentialSource(env=name)
        if "file" in value:
            name = table.secret_text("file", "the path of a file")
            if not name or "\0" in name:
                raise table.wrong("file", "the path of a file", type_of(name))
            return CredentialSource(file=os.path.abspath(os.path.join(folder, name)))
        words = value["command"]
        right = isinstance(words, list) and all(isinstance(word, str) and "\0" not in word for word in words)
        if not right or not words or not words[0]:
            raise table.wrong("command", "a list of strings: a program and its arguments", type_of(words))
        return CredentialSource(command=tuple(words))
