from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from providers.messages import RateLimitHint
from providers.wire.rate_limits.headers import read_hint


def test_silence_is_no_hint() -> None:
    assert read_hint({"content-type": "application/json", "x-ratelimit-reset-requests": "6m0s"}) is None


def test_a_multidict_of_any_case_is_read() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Retry-After": "2", "X-RateLimit-Remaining-Tokens": "9"}))
    assert read_hint(headers) == RateLimitHint(retry_after_s=2.0, remaining_tokens=9.0)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after-ms": "250", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "1250", "retry-after": "1"}, 1.25),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "250"}, 0.25),
    ],
)
def test_the_larger_of_two_waits_counts(headers: dict[str, str], wait_s: float) -> None:
    assert read_hint(headers, "retry after 9 seconds") == RateLimitHint(retry_after_s=wait_s)


@pytest.mark.parametrize("headers", [{"retry-after": "0"}, {"retry-after-ms": "0", "retry-after": "0.0"}])
def test_a_wait_of_nothing_says_nothing(headers: dict[str, str]) -> None:
    assert read_hint(headers) is None
    assert read_hint(headers, "Please wait 0 seconds before retrying.") is None
    assert read_hint(headers, "Please wait 7 seconds before retrying.") == RateLimitHint(retry_after_s=7.0)


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
        (r'{"raw": "{\"retryDelay\": \"34.07s\"}"}', 34.07),
        ("Please wait 48 seconds before retrying.", 48.0),
        ("Please retry in 34.07s.", 34.07),
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


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("Rate limit of 400000 per 60s exceeded for UserByModelByMinuteTokens.", (400_000.0, 60.0, "tokens")),
        ("Rate limit of 30 per 60s exceeded for UserByModelByMinute.", (30.0, 60.0, None)),
        ("Rate limit of 1,000 per 86400s exceeded for UserByModelByDayRequests.", (1000.0, 86_400.0, "requests")),
        ("Rate limit reached for m in organization o on tokens per min (TPM): Limit 30000, Used 29000.", (30_000.0, 60.0, "tokens")),
        ("Rate limit reached for m in organization o on requests per day (RPD): Limit 200, Used 200.", (200.0, 86_400.0, "requests")),
    ],
)  # fmt: skip
def test_a_limit_in_words_is_read(text: str, limit: tuple[float, float, str | None]) -> None:
    hint = read_hint({}, text)
    assert hint is not None
    assert (hint.stated_limit, hint.stated_window_s, hint.stated_kind) == limit
    assert hint.limit_tokens is hint.limit_requests is None


@pytest.mark.parametrize("epoch", ["1000000040", "1000000040000"])
@pytest.mark.parametrize("form", ['{"headers": {"X-RateLimit-Reset": "%s"}}', r'{"raw": "{"X-RateLimit-Reset": %s}"}'])
def test_a_reset_in_a_body_is_a_moment_in_seconds_or_milliseconds(form: str, epoch: str) -> None:
    date = {"date": formatdate(1_000_000_000, usegmt=True)}
    assert read_hint(date, form % epoch) == RateLimitHint(retry_after_s=40.0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59",
             "x-ratelimit-limit-tokens-minute": "9000", "x-ratelimit-remaining-tokens-minute": "8000",
             "x-ratelimit-limit-tokens-month": "7", "x-ratelimit-remaining-tokens-month": "6"},
            RateLimitHint(None, 60.0, 9000.0, 59.0, 8000.0),
        ),
        (
            {"x-ratelimit-limit-requests-minute": "30", "x-ratelimit-remaining-requests-minute": "29",
             "x-ratelimit-limit-requests-day": "900", "x-ratelimit-remaining-requests-day": "899"},
            RateLimitHint(None, 30.0, None, 29.0, None),
        ),
        ({"ratelimitbysize-limit": "500000", "ratelimitbysize-remaining": "499000"}, RateLimitHint(None, None, 500_000.0, None, 499_000.0)),
        ({"X-RateLimit-Limit": "6", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "1"}, RateLimitHint(None, 6.0, None, 5.0, None)),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "50"}, RateLimitHint(None, 100.0, None, 50.0, None)),
        ({"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=500;w=300'}, RateLimitHint(None, 100.0, None, 50.0, None)),
        ({"ratelimit": '"daily";r=50;t=30', "ratelimit-policy": '"daily";q=500;w=86400'}, None),
        ({"x-ratelimit-limit-requests-day": "900", "x-ratelimit-remaining-tokens-month": "1"}, None),
        ({"x-ratelimit-limit": "50", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9000000000000"}, None),
        ({"x-ratelimit-limit-req-10-second": "9", "x-ratelimit-renewalperiod-tokens": "60"}, None),
    ],
)  # fmt: skip
def test_the_limits_of_other_families_are_read(headers: dict[str, str], expected: RateLimitHint | None) -> None:
    assert read_hint(CIMultiDictProxy(CIMultiDict(headers))) == expected


@pytest.mark.parametrize(("limit", "remaining", "reset"), [("10000", "9999", "8.64s"), ("14400", "14370", "3m0s")])
def test_a_limit_that_flows_back_in_a_day_is_no_rate(limit: str, remaining: str, reset: str) -> None:
    headers = {"x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": remaining,
               "x-ratelimit-reset-requests": reset, "x-ratelimit-remaining-tokens": "9"}  # fmt: skip
    assert read_hint(headers) == RateLimitHint(remaining_tokens=9.0)
    headers["x-ratelimit-reset-requests"] = "6ms"
    assert read_hint(headers) == RateLimitHint(None, float(limit), None, float(remaining), 9.0)
