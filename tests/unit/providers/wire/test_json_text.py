from __future__ import annotations

import orjson
import pytest

from providers.wire.json_text import read_json


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": NaN, "b": [-Infinity, Infinity]}', {"a": None, "b": [None, None]}),
        (b'{"NaN": "-Infinity \\" NaN", "a": NaN}', {"NaN": '-Infinity " NaN', "a": None}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf["\\\\", NaN]', ["\\", None]),
    ],
)
def test_numbers_that_json_lacks_are_null_and_words_in_strings_stay(data: bytes, value: object) -> None:
    assert read_json(data) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'["\\ud800", NaN]', ["\ufffd", None]),
        (b'["a\\uD83D", "\\ude00b"]', ["a\ufffd", "\ufffdb"]),
        (
            b'["\\ud83d\\ude00", "\\ud83d\\ud83d\\ude00", "\\ude00\\ud83d"]',
            ["\U0001f600", "\ufffd\U0001f600", "\ufffd\ufffd"],
        ),
        (b'["\\\\ud800", "\\ud800"]', ["\\ud800", "\ufffd"]),
        (b'{"a": "\xff", "b": "\xf0\x9f\x98"}', {"a": "\ufffd", "b": "\ufffd"}),
        (b'["\xed\xa0\xbd"]', ["\ufffd\ufffd\ufffd"]),
        (b'["\xf0\x9f\x98\x80\xff"]', ["\U0001f600\ufffd"]),
    ],
)
def test_half_characters_are_replaced_and_whole_ones_stay(data: bytes, value: object) -> None:
    assert read_json(data) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a": "\xf0\x9f', b'["\\ud8', b'["\\ud800",', b"NaNny", b'{"a": "NaN', b'"\\', b"Infinity of \xff"],
)
def test_what_is_no_json_all_the_same_is_an_error(data: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        read_json(data)


def test_strings_without_an_end_are_searched_once() -> None:
    with pytest.raises(orjson.JSONDecodeError):
        read_json(b'NaN "' + b'\\"' * 2**20)
