"""Collects the codes and messages of an error body in one pass, from every field where servers put them.

Only fields that are known to hold a code or a message are read, because a body may repeat the prompt, which may contain any text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from ..json_text import read_json
from ..received import Received

_NESTED = ("error", "innererror", "inner_error", "detail", "details", "errors", "metadata", "raw", "detailMessage", "message")  # fmt: skip
"""Fields that hold a nested object, a list of objects, or an object as JSON in a string."""
_CODES = ("code", "type", "status", "reason", "error_code", "errorCode", "error_type")
_SENTENCES = (
    "message", "detail", "details", "error", "msg", "detailMessage", "raw", "error_msg", "error_message", "errorMessage",
)  # fmt: skip
_LEVELS = 8
_ITEMS = 8
"""Items of a list that are read; further ones repeat the first."""
_SENTENCE_LIMIT = 2000
_TEXT_LIMIT = 8000

PAGE = "html"
"""The code that stands for a web page."""

_JSON = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Complaint:
    """Codes and messages of an error body, in lower case where patterns are matched."""

    codes: frozenset[str]
    text: str
    """Codes and messages."""
    words: str
    """The messages as they are shown to the user."""


def read_complaint(received: Received) -> Complaint:
    """Read the body of an error; it may be any text."""
    try:
        body = read_json(received.body)
    except orjson.JSONDecodeError:
        text = re.sub(r"<[^>]{0,200}>", " ", received.text())
        return Complaint(frozenset({PAGE}) if received.is_page() else frozenset(), text.lower(), text)
    return complaint_of(body, received)


def is_complaint(body: Mapping[str, object]) -> bool:
    """Return whether a body without an answer holds an error in the server's own format, under a status that reports success."""
    return not body.get("choices") and any(_is_sentence(body.get(key)) for key in _SENTENCES)


def complaint_of(body: object, received: Received) -> Complaint:
    """Collect codes and messages of a decoded body; the start of its text where it has no known field."""
    codes, sentences = dict[str, None](), dict[str, None]()
    if isinstance(body, str):
        sentences[body[:_SENTENCE_LIMIT]] = None
    for part in _objects(body):
        codes.update((str(part[key]).lower()[:200], None) for key in _CODES if _is_code(part.get(key)))
        sentences.update((_sentence(part, key), None) for key in _SENTENCES if _is_sentence(part.get(key)))
    text = " ".join([*codes, *sentences])[:_TEXT_LIMIT] if sentences else " ".join([*codes, received.text()])
    return Complaint(frozenset(codes), text.lower(), _to_read(list(sentences)))


def _objects(value: object, levels: int = _LEVELS) -> Iterator[Mapping[str, object]]:
    """Yield the objects that may hold a code or a message, the innermost first: vendors and gateways nest them differently."""
    if not levels:
        return
    if isinstance(value, str):
        value = _embedded(value)
    if isinstance(value, list):
        for item in value[:_ITEMS]:
            yield from _objects(item, levels - 1)
    elif isinstance(value, Mapping):
        for key in _NESTED:
            yield from _objects(value.get(key), levels - 1)
        yield value


def _embedded(text: str) -> object:
    """Parse JSON inside a string, as gateways send it; text after it is ignored."""
    start = text[:_TEXT_LIMIT].lstrip()
    if not start.startswith(("{", "[")):
        return None
    try:
        return _JSON.raw_decode(start)[0]
    except (ValueError, RecursionError):
        return None


def _is_code(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and not value.isspace() and value != ""


def _sentence(part: Mapping[str, object], key: str) -> str:
    """Return a message, with the field that it concerns where a validator names one."""
    loc = part.get("loc")
    location = f" ({'.'.join(str(step) for step in loc)})" if isinstance(loc, list) and key == "msg" else ""
    return str(part[key])[:_SENTENCE_LIMIT] + location


def _to_read(sentences: list[str]) -> str:
    """Join the innermost message and the one around it; JSON that was read already is left out."""
    plain = [text for text in sentences if _embedded(text) is None] or sentences
    return "; ".join(text for number, text in enumerate(plain[:2]) if number == 0 or text not in plain[0])
