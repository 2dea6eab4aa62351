"""Reads JSON with the deviations of servers: NaN and Infinity, which Python servers write, and a byte order mark at the start."""

from __future__ import annotations

import re
from typing import Final

import orjson

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_STRING_OR_NO_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*+"?|(-?\b(?:NaN|Infinity)\b)', re.DOTALL)
"""A string is matched whole, so that a word inside it stays; an unterminated one too, so that the search takes linear time."""


def read_json(data: bytes) -> object:
    """Parse JSON; NaN and Infinity become null. Raises orjson.JSONDecodeError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        mended = data.removeprefix(BYTE_ORDER_MARK)
        if b"NaN" in mended or b"Infinity" in mended:
            mended = _STRING_OR_NO_NUMBER.sub(_null_for_no_number, mended)
        if mended == data:
            raise
    return orjson.loads(mended)


def _null_for_no_number(match: re.Match[bytes]) -> bytes:
    return b"null" if match[1] else match[0]
