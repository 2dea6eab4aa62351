"""A field's type and default in words, read off its JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_NAMES = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def type_words(schema: Mapping[str, object], links: Mapping[str, str]) -> str:
    """Say what a value may be; `links` are what stands for the classes, by their names."""
    return " or ".join(dict.fromkeys(_alternatives(schema, links)))


def _alternatives(schema: Mapping[str, Any], links: Mapping[str, str]) -> Iterator[str]:
    if "anyOf" in schema or "oneOf" in schema:
        for alternative in schema.get("anyOf") or schema["oneOf"]:
            yield from _alternatives(alternative, links)
    elif "$ref" in schema:
        yield links[schema["$ref"].rpartition("/")[2]]
    elif "enum" in schema or "const" in schema:
        yield from (f"`{value}`" for value in schema.get("enum") or [schema["const"]])
    else:
        yield _plain_words(schema, links)


def _plain_words(schema: Mapping[str, Any], links: Mapping[str, str]) -> str:
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of ({type_words(items, links)})"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"mapping of ({type_words(values, links)})" if isinstance(values, dict) else "mapping"
    bounds = [f" {sign} {schema[bound]:g}" for bound, sign in _BOUNDS.items() if bound in schema]
    return _NAMES.get(str(kind), "anything") + ",".join(bounds)


def default_words(field: FieldInfo) -> str:
    """Describe the value that applies if the file does not set one."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    return f"`{orjson.dumps(value).decode()}`"
