"""The JSON text of a call's arguments, as servers write it: sometimes empty, `null`, or encoded twice."""

from __future__ import annotations

import orjson


def plain_arguments(text: str) -> str:
    """Return the text of the arguments themselves; none at all are an empty object. What is not valid JSON stays as it is."""
    if text.startswith("{"):
        return text
    try:
        value = orjson.loads(text) if text.strip() else None
    except orjson.JSONDecodeError:
        return text
    return (value or "{}") if isinstance(value, str) else "{}" if value is None else text
