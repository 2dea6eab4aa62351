"""Reads JSON with the deviations of servers: NaN and Infinity, a byte order mark at the start, invalid UTF-8, half surrogate pairs.

Models write half characters, and Python servers write NaN. Only what cannot be read as it is gets mended: good JSON is parsed once.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_STRING_OR_NO_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*+"?|(-?\b(?:NaN|Infinity)\b)', re.DOTALL)
"""A string is matched whole, so that a word inside it stays; an unterminated one too, so that the search takes linear time."""


_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""A pair of surrogates is matched whole, so that only half of one is in the group; an escaped backslash too."""


def read_json(data: bytes) -> object:
    """Parse JSON; NaN and Infinity become null, half characters become U+FFFD. Raises orjson.JSONDecodeError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        mended = _mended(data)
        if mended == data:
            raise
    return orjson.loads(mended)


def _mended(data: bytes) -> bytes:
    mended = data.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").encode()
    if b"\\u" in mended:
        mended = _ESCAPE.sub(_whole_character, mended)
    if b"NaN" in mended or b"Infinity" in mended:
        mended = _STRING_OR_NO_NUMBER.sub(_null_for_no_number, mended)
    return mended


def _whole_character(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match[1] else match[0]


def _null_for_no_number(match: re.Match[bytes]) -> bytes:
    return b"null" if match[1] else match[0]
