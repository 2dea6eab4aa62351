"""Reads the body of one tool call as models write it: JSON, or a tool's name with or without arguments.

A name counts only if it is a name of the task's tools; the name in a JSON object may be another, which is then an unknown tool. What
cannot be read becomes a call without a name, whose arguments are the text. Every function takes time linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson

from providers.messages import JSON

NAMES = ("name", "tool", "tool_name", "function")
"""The fields of a JSON object that may hold the name of the tool."""
ARGUMENTS = ("arguments", "parameters", "args", "input")
"""The fields of a JSON object that may hold the arguments."""
KEPT_CHARACTERS = 1_000
"""The longest text of an unreadable call that is kept."""

_DECODER = json.JSONDecoder(strict=False)
_FENCE = re.compile(r"```[A-Za-z]*+\s*+")
_INTRODUCTION = (
    r"""[\s"'`*]*+(?:<(?:tool_name|name|tool|function)[=>]\s*+|(?:tool_name|tool|function|name)\s*+[:=]\s*+)?["'`*]*+"""
)
_AFTER_NAME = re.compile(
    r"""["'`*]*+\s*+(?:</[a-z_]++>|>)?\s*+[:,]?\s*+(?:<(?:parameters|arguments|args|input)>\s*+)?"""
)
_PAIR = re.compile(r"\s*+,?\s*+([A-Za-z_]\w*+)\s*+(=|:(?=[\s\"'{\[]))[^\S\n]*+")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'""", re.DOTALL)
_WORD = re.compile(r"[^\s,)]*+")
_LINE = re.compile(r"[^\n]*+")
_LITERALS: Mapping[str, JSON] = {"True": True, "False": False, "None": None}


@dataclass(frozen=True, slots=True)
class ReadCall:
    """A call as it was read from text."""

    name: str
    """Empty where the call cannot be read."""
    arguments: str
    """The JSON text of the arguments; the text as it came where it cannot be read."""


def unreadable(body: str) -> ReadCall:
    """Return the call of a text that is none."""
    return ReadCall("", body[:KEPT_CHARACTERS])


def read_body(body: str, known: Collection[str]) -> Sequence[ReadCall]:
    """Read what stands between the tags of a call; a JSON list holds several calls."""
    body = unfenced(body)
    if body.startswith(("{", "[")):
        return read_json_calls(body, known) or [unreadable(body)]
    match = _leading_name(tuple(known)).match(body) if known else None
    if match is None:
        return [unreadable(body)]
    return [ReadCall(match[1], _read_arguments(body[match.end() :]))]


def read_json_calls(text: str, known: Collection[str]) -> Sequence[ReadCall]:
    """Read the JSON object or list at the start of a text; return no calls where one of them has no name."""
    value = _decode_start(text)
    calls = [_from_object(item, known) for item in (value if isinstance(value, list) else [value])]
    read = [call for call in calls if call is not None]
    return read if len(read) == len(calls) else []


def unfenced(text: str) -> str:
    """Remove blank text and a Markdown fence around a text."""
    text = text.strip()
    match = _FENCE.match(text)
    return text[match.end() :].removesuffix("```").strip() if match else text


@lru_cache(maxsize=256)
def _leading_name(known: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    return re.compile(rf"{_INTRODUCTION}({names})(?![\w-]|\.\w)")


def _from_object(value: JSON, known: Collection[str]) -> ReadCall | None:
    if not isinstance(value, Mapping):
        return None
    function = value.get("function")
    holder = function if isinstance(function, Mapping) else value
    name = next((name for key in NAMES if isinstance(name := holder.get(key), str)), None)
    arguments = next((holder[key] for key in ARGUMENTS if holder.get(key) is not None), {})
    if name is None and len(value) == 1:
        ((key, arguments),) = value.items()
        name = key if key in known and isinstance(arguments, Mapping) else None
    text = arguments if isinstance(arguments, str) else _as_json(arguments)
    return None if name is None or text is None else ReadCall(name, text)


def _read_arguments(text: str) -> str:
    """Read what follows a name; prose is no arguments, and arguments that cannot be read stay as they are."""
    match = _AFTER_NAME.match(text)
    text = unfenced(text[match.end() :] if match else text)
    inner = text[1:].lstrip() if text.startswith("(") else text
    if inner.startswith("{"):
        value = _decode_start(inner)
        read = _as_json(value) if isinstance(value, Mapping) else None
        return inner[:KEPT_CHARACTERS] if read is None else read
    try:
        pairs = _pairs(inner)
    except (ValueError, RecursionError):
        return text[:KEPT_CHARACTERS]
    is_unclear = text.startswith("(") and not pairs and inner not in ("", ")")
    return text[:KEPT_CHARACTERS] if is_unclear else _as_json(pairs) or "{}"


def _pairs(text: str) -> dict[str, JSON]:
    """Read `name="value"`, separated by blanks or commas, and lines `name: value`, until something else follows.

    Raises ValueError or RecursionError where a value begins as JSON and is none.
    """
    pairs: dict[str, JSON] = {}
    place = 0
    while (match := _PAIR.match(text, place)) is not None:
        pairs[match[1]], place = _value(text, match.end(), _LINE if match[2] == ":" else _WORD)
    return pairs


def _value(text: str, place: int, unquoted: re.Pattern[str]) -> tuple[JSON, int]:
    """Read the value at `place`; return it and where it ends."""
    if (quoted := _QUOTED.match(text, place)) is not None:
        return _unquoted(quoted[0]), quoted.end()
    if text.startswith(("{", "["), place):
        return _DECODER.raw_decode(text, place)
    match = unquoted.match(text, place)
    word = match[0].strip() if match else ""
    return _literal(word), match.end() if match else place


def _unquoted(text: str) -> str:
    try:
        value = _DECODER.decode(text) if text.startswith('"') else None
    except ValueError:
        value = None
    return value if isinstance(value, str) else text[1:-1].replace(f"\\{text[0]}", text[0])


def _literal(word: str) -> JSON:
    """Convert a number, true, false or null; any other word is text."""
    if word in _LITERALS:
        return _LITERALS[word]
    try:
        value: JSON = orjson.loads(word)
    except orjson.JSONDecodeError:
        return word
    return value


def _decode_start(text: str) -> JSON:
    """Decode the JSON value at the start of a text; None where there is none. Text after it is ignored."""
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            value, _ = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            return None
    return value


def _as_json(value: JSON) -> str | None:
    """Return the JSON text; None where the value is nested too deeply."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits, or half of a surrogate pair
        try:
            return json.dumps(value)
        except (ValueError, RecursionError):
            return None
