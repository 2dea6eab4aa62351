from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from providers.headers import read_hint
from providers.messages import RateLimitHint


def test_silence_is_no_hint() -> None:
    assert read_hint({"content-type": "application/json", "x-ratelimit-reset-requests": "6m0s"}) is None


def test_a_multidict_of_any_case_is_read() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Retry-After": "2", "X-RateLimit-Remaining-Tokens": "9"}))
    assert read_hint(headers) == RateLimitHint(retry_after_s=2.0, remaining_tokens=9.0)


def test_milliseconds_win_over_seconds() -> None:
    hint = read_hint({"retry-after-ms": "250", "retry-after": "1"}, "retry after 9 seconds")
    assert hint == RateLimitHint(retry_after_s=0.25)


def test_unreadable_milliseconds_fall_back_to_seconds() -> None:
    assert read_hint({"retry-after-ms": "soon", "retry-after": "1.5"}) == RateLimitHint(retry_after_s=1.5)


def test_a_date_is_counted_from_the_server_s_own_clock() -> None:
    date, later = formatdate(1_000_000_000, usegmt=True), formatdate(1_000_000_020, usegmt=True)
    assert read_hint({"retry-after": later, "date": date}) == RateLimitHint(retry_after_s=20.0)


def test_a_date_without_the_server_s_clock_is_counted_from_ours() -> None:
    hint = read_hint({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert hint is not None
    assert hint.retry_after_s is not None
    assert 50 < hint.retry_after_s <= 100


@pytest.mark.parametrize("away_s", [-7200, 7200])
def test_a_date_without_the_server_s_clock_is_not_believed_where_ours_may_be_wrong(away_s: float) -> None:
    assert read_hint({"retry-after": formatdate(time.time() + away_s, usegmt=True)}) is None


@pytest.mark.parametrize("value", ["9" * 300, "999999999999", "1e30"])
def test_a_wait_of_years_is_absent(value: str) -> None:
    assert read_hint({"retry-after": value, "retry-after-ms": value}) is None


@pytest.mark.parametrize(
    "value", ["-1", "nan", "inf", "soon", "", formatdate(1_000_000_000, usegmt=True), "Mon, 99 Foo"]
)
def test_a_wait_that_is_none_is_absent(value: str) -> None:
    assert read_hint({"retry-after": value}) is None


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("Please retry after 6 seconds.", 6.0),
        ("Please try again in 20s.", 20.0),
        ("please retry in 34.5s", 34.5),
        ("Try again in 250 milliseconds", 0.25),
        ("try again in 120ms", 0.12),
        ("try again in 6m0s", 360.0),
        ("Retry in 10 h 17 m", 37_020.0),
        ('{"retryDelay": "34s"}', 34.0),
        ("retry after 3 attempts", None),
        ("the limit is 20 requests", None),
        ("", None),
    ],
)
def test_a_wait_in_words_is_read(text: str, wait_s: float | None) -> None:
    hint = read_hint({}, text)
    assert (hint.retry_after_s if hint else None) == wait_s


def test_openai_s_limits_are_read_and_negative_ones_are_absent() -> None:
    headers = {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-limit-tokens": "60000",
        "x-ratelimit-remaining-tokens": "-1",
    }
    assert read_hint(headers) == RateLimitHint(None, 600.0, 60_000.0, 599.0, None)


def test_limits_that_are_all_unknown_are_no_hint() -> None:
    assert read_hint({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-remaining-tokens": "-1"}) is None


def test_anthropic_s_limits_are_read() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "retry-after": "3",
    }
    assert read_hint(headers) == RateLimitHint(3.0, 50.0, 40_000.0, 49.0, 39_000.0)
