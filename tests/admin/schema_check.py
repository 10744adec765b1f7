"""Checks a value against the part of JSON Schema that the description uses; a word that it doesn't know is an error."""

import json
import re
from datetime import datetime

TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip
SAYS_NOTHING = {"description", "default", "format", "contentMediaType"}


def faults(value, schema, schemas, at="$"):
    """Sentences on what is wrong, none if nothing is. :param schemas: by name, for references."""
    found = []
    for word, wanted in schema.items():
        found += _WORDS[word](value, wanted, schema, schemas, at) if word not in SAYS_NOTHING else []
    if schema.get("format") == "date-time" and isinstance(value, str):
        datetime.fromisoformat(value)
        found += [] if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value) else [f"{at}: no such time"]
    return found


def resolve(reference, schemas):
    prefix, name = reference.rsplit("/", 1)
    assert prefix == "#/components/schemas", reference
    return schemas[name]


def _type(value, wanted, schema, schemas, at):
    names = [wanted] if isinstance(wanted, str) else wanted
    fits = any(isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool)) for name in names)
    return [] if fits else [f"{at}: want {wanted}, got {value!r}"]


def _properties(value, wanted, schema, schemas, at):
    found = []
    for name in wanted.keys() & value.keys() if isinstance(value, dict) else ():
        found += faults(value[name], wanted[name], schemas, f"{at}.{name}")
    return found


def _required(value, wanted, schema, schemas, at):
    return [f"{at}: {name} is missing" for name in wanted if isinstance(value, dict) and name not in value]


def _additional(value, wanted, schema, schemas, at):
    assert wanted is False
    known = schema["properties"].keys()
    return [f"{at}: {name} is not described" for name in value if name not in known] if isinstance(value, dict) else []


def _items(value, wanted, schema, schemas, at):
    found = []
    for number, item in enumerate(value if isinstance(value, list) else ()):
        found += faults(item, wanted, schemas, f"{at}[{number}]")
    return found


def _one_of(value, wanted, schema, schemas, at):
    fitting = [each for each in wanted if not faults(value, each, schemas, at)]
    return [] if len(fitting) == 1 else [f"{at}: fits {len(fitting)} of the kinds that there are"]


def _any_of(value, wanted, schema, schemas, at):
    found = [faults(value, each, schemas, at) for each in wanted]
    return [] if not all(found) else [sentence for each in found for sentence in each]


def _pattern(value, wanted, schema, schemas, at):
    return [f"{at}: {value!r} is not like {wanted}"] if isinstance(value, str) and not re.search(wanted, value) else []


def _minimum(value, wanted, schema, schemas, at):
    return [f"{at}: {value!r} is too little"] if isinstance(value, int | float) and value < wanted else []


def _length(value, wanted, schema, schemas, at):
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(value))
    return [] if least <= len(value) <= most else [f"{at}: is {len(value)} long"]


def _maximum(value, wanted, schema, schemas, at):
    return [f"{at}: {value!r} is too much"] if isinstance(value, int | float) and value > wanted else []


_WORDS = {
    "minLength": _length,
    "maxLength": _length,
    "maximum": _maximum,
    "type": _type,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "pattern": _pattern,
    "minimum": _minimum,
    "$ref": lambda value, wanted, schema, schemas, at: faults(value, resolve(wanted, schemas), schemas, at),
    "enum": lambda value, wanted, schema, schemas, at: (
        [] if value in wanted else [f"{at}: {value!r} is none of {wanted}"]
    ),
    "const": lambda value, wanted, schema, schemas, at: [] if value == wanted else [f"{at}: want {wanted!r}"],
    "contentSchema": lambda value, wanted, schema, schemas, at: faults(
        json.loads(value), wanted, schemas, f"{at} (JSON)"
    ),
}
