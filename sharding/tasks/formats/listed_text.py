"""Lists and objects that a CSV file holds as text: as JSON, or as Python writes them (`str(list)`)."""

from __future__ import annotations

import ast
import io
import tokenize
from itertools import pairwise

import orjson

from providers.messages import JSON

UNREADABLE = (
    "it is neither JSON nor a Python list (of an array's text the parts cannot be told apart); save the file with its lists again: "
    'df.to_json("tasks.jsonl", orient="records", lines=True)'
)


def parse_listed(text: str) -> JSON:
    """Parse the text of a list or an object. Raises ValueError with reason and remedy."""
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _python_value(text.strip())
    return value


def _python_value(text: str) -> JSON:
    try:
        value: JSON = None if _joins_texts(text) else ast.literal_eval(text)
        orjson.dumps(value)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError, tokenize.TokenError) as error:
        raise ValueError(UNREADABLE) from error
    if value is None:
        raise ValueError(UNREADABLE)
    return list(value) if isinstance(value, tuple) else value


def _joins_texts(text: str) -> bool:
    """Return whether two texts stand side by side without a comma, as in the text of an array: Python would make one of them."""
    kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.string.strip()]
    return (tokenize.STRING, tokenize.STRING) in pairwise(kinds)
