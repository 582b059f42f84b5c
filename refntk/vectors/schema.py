"""JSON documents against a JSON schema, of which the few words below are understood and any other is an error.

A reader that trusts nothing needs a schema in which every object lists its names; a validator of forty lines can be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
WORDS = {
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "$ref",
    "title",
    "description",
    "type",
    "enum",
    "const",
    "pattern",
    "anyOf",
    "required",
} | {*("properties", "patternProperties", "additionalProperties", "items", "minItems", "maxItems", "maxLength", "maxProperties")}


def validate(value: Any, schema: Mapping[str, Any], /, root: Mapping[str, Any] | None = None, at: str = "$") -> None:
    """Raises `ValueError`, naming the place, unless `value` (as from `json.loads`) is what `schema` describes.

    >>> validate({"n": 3}, {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False})
    >>> validate({"m": 3}, {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False})
    Traceback (most recent call last):
    ValueError: $: unknown name 'm'
    """
    root = schema if root is None else root
    if strange := set(schema) - WORDS:
        raise ValueError(f"the schema says {sorted(strange)}, which is not understood")
    if "$ref" in schema:
        validate(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema:
        _any_of(value, schema["anyOf"], root, at)
    if "type" in schema and type(value) is not TYPES[schema["type"]]:
        raise ValueError(f"{at}: {type(value).__name__} where {schema['type']} is expected")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{at}: {value!r} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        raise ValueError(f"{at}: {value!r} is not {schema['const']!r}")
    if isinstance(value, str):
        _text(value, schema, at)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            raise ValueError(f"{at}: {len(value)} items")
        for i, item in enumerate(value):
            validate(item, schema.get("items", {}), root, f"{at}[{i}]")
    elif isinstance(value, dict):
        _object(value, schema, root, at)


def _any_of(value: Any, ways: list[Mapping[str, Any]], root: Mapping[str, Any], at: str) -> None:
    why = []
    for way in ways:
        try:
            validate(value, way, root, at)
        except ValueError as error:
            why.append(str(error))
        else:
            return
    raise ValueError("; ".join(why))


def _text(value: str, schema: Mapping[str, Any], at: str) -> None:
    if len(value) > schema.get("maxLength", len(value)):
        raise ValueError(f"{at}: {len(value)} characters")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        raise ValueError(f"{at}: {value!r} does not fit {schema['pattern']!r}")


def _object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> None:
    if len(value) > schema.get("maxProperties", len(value)):
        raise ValueError(f"{at}: {len(value)} names")
    for name in schema.get("required", ()):
        if name not in value:
            raise ValueError(f"{at}: {name!r} is missing")
    patterns = schema.get("patternProperties", {})
    for name, item in value.items():
        found = [schema["properties"][name]] if name in schema.get("properties", {}) else []
        found += [rule for pattern, rule in patterns.items() if re.search(pattern, name)]
        if not found:
            rest = schema.get("additionalProperties", True)
            if rest is False:
                raise ValueError(f"{at}: unknown name {name!r}")
            found = [rest] if isinstance(rest, Mapping) else []
        for rule in found:
            validate(item, rule, root, f"{at}.{name}")
