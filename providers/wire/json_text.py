"""JSON as servers write it: Python servers put NaN and Infinity where JSON knows no number, and some begin with a byte order mark."""

from __future__ import annotations

import re
from typing import Final

import orjson

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_STRING_OR_NO_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*+"?|(-?\b(?:NaN|Infinity)\b)', re.DOTALL)
"""A string is matched whole, so that a word inside it stays; one without an end too, so that the search is linear."""


def read_json(data: bytes) -> object:
    """Parse JSON; numbers that JSON does not have become null. Raises orjson.JSONDecodeError."""
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
