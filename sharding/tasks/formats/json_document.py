"""Where the rows of a JSON document stand: the spans of the elements of one array, which may lie deep in the document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from providers.errors import InputError
from providers.suggestion import suggestion

BLANK = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


def element_spans(text: str, path: Path, rows: str | None) -> Iterator[range]:
    """Yield the span of each element of the array at the dotted path `rows`, in characters. Raises InputError with file and line."""
    place = _skip_blank(text, 0)
    for number, key in enumerate(parts := rows.split(".") if rows else []):
        place = _enter(text, place, path, key, ".".join(parts[:number]))
    if not text.startswith("[", place):
        raise InputError(_no_array(text, place, path, rows))
    place = _skip_blank(text, place + 1)
    while not text.startswith("]", place):
        end = _end_of_value(text, place, path)
        yield range(place, end)
        place = _skip_blank(text, end)
        if text.startswith(",", place):
            place = _skip_blank(text, place + 1)
        elif not text.startswith("]", place):
            raise _invalid(text, place, path, "no comma or ] after an element")


def _enter(text: str, place: int, path: Path, wanted: str, above: str) -> int:
    """Return where the value of a key starts. `above` is the path so far, for messages."""
    keys = []
    if text.startswith("{", place):
        for key, start in _members(text, place, path):
            if key == wanted:
                return start
            keys.append(key)
        known = suggestion(wanted, keys)
        raise InputError(f'{path}: rows: there is no "{wanted}"{f" in {above}" if above else ""}; {known}')
    raise InputError(
        f'{path}: rows: {above or "the document"} is not an object, so there is no "{wanted}" in it; correct rows'
    )


def _members(text: str, place: int, path: Path) -> Iterator[tuple[str, int]]:
    """Yield the keys of an object and where their values start."""
    place = _skip_blank(text, place + 1)
    while text.startswith('"', place):
        end = _end_of_value(text, place, path)
        key = str(_decode(text, place)[0])
        place = _skip_blank(text, end)
        if not text.startswith(":", place):
            raise _invalid(text, place, path, "no colon after a key")
        start = _skip_blank(text, place + 1)
        yield key, start
        place = _skip_blank(text, _end_of_value(text, start, path))
        if text.startswith(",", place):
            place = _skip_blank(text, place + 1)


def _no_array(text: str, place: int, path: Path, rows: str | None) -> str:
    if rows:
        return f"{path}: rows: {rows} is not an array of objects; name the array"
    if not text.startswith("{", place):
        return f"{path}: a .json task set must be one array of objects; name a file with one object per line .jsonl"
    if text[_skip_blank(text, _end_of_value(text, place, path)) :]:
        return f"{path}: holds one object per line; a .json task set is one array of objects, so name the file .jsonl"
    where = _first_array(_decode(text, place)[0]) or "path.to.list"
    return f"{path}: is an object, not an array of objects; say where the array is, with rows: {where}"


def _first_array(document: object) -> str | None:
    """Return the dotted path of the first array of objects, the one that is least deep."""
    level = [("", document)]
    while level:
        inner = [
            (f"{path}{key}", value) for path, held in level if isinstance(held, dict) for key, value in held.items()
        ]
        arrays = (path for path, value in inner if isinstance(value, list) and value and isinstance(value[0], dict))
        if (found := next(arrays, None)) is not None:
            return found
        level = [(f"{path}.", value) for path, value in inner]
    return None


def _end_of_value(text: str, place: int, path: Path) -> int:
    try:
        return _decode(text, place)[1]
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}); fix the line") from error
    except (RecursionError, ValueError) as error:
        line = text.count("\n", 0, place) + 1
        raise InputError(f"{path}, line {line}: nested too deeply or a number too long; fix the element") from error


def _invalid(text: str, place: int, path: Path, reason: str) -> InputError:
    return InputError(f"{path}, line {text.count(chr(10), 0, place) + 1}: not valid JSON ({reason}); fix the line")


def _skip_blank(text: str, place: int) -> int:
    match = BLANK.match(text, place)
    return match.end() if match else place
