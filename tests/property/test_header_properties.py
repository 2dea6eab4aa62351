"""Whatever a server writes into its headers: a hint of finite numbers that are not negative, or none."""

from __future__ import annotations

import math
from dataclasses import astuple

from hypothesis import example, given
from hypothesis import strategies as st

from providers.wire.headers import read_hint

NAMES = (
    "retry-after",
    "retry-after-ms",
    "date",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-input-tokens-limit",
    "anthropic-ratelimit-input-tokens-remaining",
)
dates = st.from_regex(
    r"(Mon|Foo)?,? ?[0-9]{1,3} (Jan|Feb|X) [0-9]{0,6} ?[0-9]{0,3}:?[0-9]{0,3}:?[0-9]{0,12} ?(GMT|[+-][0-9]{0,9}|Z)?"
)
values = st.text(max_size=30) | st.floats().map(str) | st.integers().map(str) | dates
waits = st.from_regex(
    r'(retry after|try again in|"retryDelay": ?") ?([0-9]{1,14}\.?[0-9]{0,14} ?(ms|m|s|h|min)? ?){0,4}'
)


@given(st.dictionaries(st.sampled_from(NAMES), values), st.text(max_size=40) | waits)
@example({"retry-after": "1e308"}, "")
@example({"retry-after-ms": "-0"}, "")
@example({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"}, "")
@example({"retry-after": "Mon, 01 Jan 9999 00:00:00 GMT", "date": "Mon, 01 Jan 0001 00:00:00 GMT"}, "")
@example({"retry-after": "1 Jan 2026 0:0:99999999999 -9999999"}, "")
@example({}, "try again in " + "1" * 4000)
@example({}, "try again in " + "1m" * 2000)
def test_a_hint_is_finite_and_not_negative(headers: dict[str, str], text: str) -> None:
    hint = read_hint(headers, text)
    said = [] if hint is None else [value for value in astuple(hint) if value is not None and value != ()]
    assert all(math.isfinite(value) and value >= 0 for value in said if isinstance(value, float))
    assert hint is None or said
