"""Whatever a server writes into its headers: a hint of finite numbers that are not negative, or none."""

from __future__ import annotations

import math
from dataclasses import astuple

from hypothesis import example, given
from hypothesis import strategies as st

from providers.messages import ChatRequest
from providers.wire.rate_limits.headers import read_hint
from providers.wire.received import Received

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
    "rate_limit_type",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "x-ratelimit-limit-minute",
    "x-ratelimit-remaining-minute",
    "x-ratelimit-remaining-hour",
    "x-ai-ratelimit-remaining-day-azure",
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


pieces = st.sampled_from(
    (
        "Rate limit exceeded for api_key: ", "Limit type: tokens. Current limit: ", ", Remaining: ", "rate limit type = team. ",
        "Crossed TPM / RPM / Max Parallel Request Limit. current rpm: ", ", rpm limit: ", ", current tpm: ", ", tpm limit: ",
        " on tokens per min (TPM): Limit ", ", Used ", "rate limit of ", " requests per minute", " per ", "s exceeded for UserByModel",
        '"quotaId": "', '"quotaValue": "', "limit_rpm/", "overloaded", "max organization RPM: ", "İ", "\\", '"',
    )
)  # fmt: skip
numbers = st.integers().map(str) | st.sampled_from(("nan", "inf", "-1", "1e999", "9" * 400, "1,000", "٣", "²"))
words = st.lists(pieces | numbers | st.text(max_size=5), max_size=12).map("".join)


@given(
    st.dictionaries(
        st.sampled_from(NAMES), values | words | st.sampled_from(('"a";r=0;t=1', '"a";q=1;w=1', "tokens", "0"))
    ),
    st.binary(max_size=200) | words.map(str.encode),
    st.integers(400, 600),
)
@example(
    {
        "rate_limit_type": "tokens" * 200_000,
        "ratelimit": '"a";r=0,' * 200_000,
        "ratelimit-policy": '"a";q=1,' * 200_000,
    },
    b"",
    429,
)
@example({}, b"rate limit of " + b"1" * 2**20, 429)
@example({}, b"\xff" * 2**20, 529)
@example({}, "current rpm: ².".encode(), 429)
def test_any_refusal_gives_a_hint_or_none(headers: dict[str, str], body: bytes, status: int) -> None:
    hint = Received("m/i", "1", ChatRequest([]), status, headers, body).evidence().hint
    if hint is None:
        return
    amounts = (hint.stated_limit, hint.stated_window_s, hint.stated_usage)
    assert all(math.isfinite(amount) and 0 <= amount <= 1e12 for amount in amounts if amount is not None)
    assert hint.stated_limit != 0
    assert hint.source is None or len(hint.source) <= 100
    assert hint.stated_quota is None or len(hint.stated_quota) <= 120
