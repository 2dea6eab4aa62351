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


@pytest.mark.parametrize("data", [b"", b"{", b"NaNny", b'{"a": "NaN', b'["\\ud800", NaN]', b'"\\', b"Infinity of \xff"])
def test_what_is_no_json_all_the_same_is_an_error(data: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        read_json(data)


def test_strings_without_an_end_are_searched_once() -> None:
    with pytest.raises(orjson.JSONDecodeError):
        read_json(b'NaN "' + b'\\"' * 2**20)
