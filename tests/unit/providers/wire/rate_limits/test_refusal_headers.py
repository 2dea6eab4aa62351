"""Which limit a refusal is about, from its headers, alone and beside its words."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from providers.messages import LimitKind, RateLimitHint
from providers.wire.rate_limits.headers import read_hint


def _hint(headers: dict[str, str], text: str = "", status: int = 429) -> RateLimitHint:
    hint = read_hint(CIMultiDictProxy(CIMultiDict(headers)), text, status)
    assert hint is not None
    return hint


@pytest.mark.parametrize(
    ("word", "kind"),
    [("max_parallel_requests", "concurrency"), ("requests", "requests"), ("tokens", "tokens")],
)
def test_litellm_names_the_kind(word: str, kind: LimitKind) -> None:
    hint = _hint({"rate_limit_type": word, "retry-after": "60", "reset_at": "2026-11-27 05:00:00 UTC"})
    assert (hint.stated_kind, hint.source, hint.retry_after_s) == (kind, "header rate_limit_type", 60.0)


def test_a_header_that_names_the_kind_is_not_overruled_by_words() -> None:
    hint = _hint({"rate_limit_type": "tokens"}, "Rate limit exceeded for team: x. Max parallel request limit reached")
    assert (hint.stated_kind, hint.stated_limit, hint.stated_scope) == ("tokens", None, ("team",))


def test_words_add_limit_and_scope_to_the_named_kind() -> None:
    text = "Rate limit exceeded for api_key: sk. Limit type: max_parallel_requests. Current limit: 2, Remaining: 0. Limit resets at: 9"
    hint = _hint({"rate_limit_type": "max_parallel_requests"}, text)
    assert (hint.stated_kind, hint.stated_limit, hint.stated_usage, hint.stated_scope) == (
        "concurrency",
        2.0,
        2.0,
        ("key",),
    )


@pytest.mark.parametrize(
    ("headers", "kind", "limit", "window_s"),
    [
        ({"X-RateLimit-Limit-Minute": "10", "X-RateLimit-Remaining-Minute": "0", "RateLimit-Limit": "10", "RateLimit-Reset": "34"},
         "requests", 10.0, 60.0),
        ({"X-RateLimit-Limit-Hour": "100", "X-RateLimit-Remaining-Hour": "0", "X-RateLimit-Remaining-Minute": "4"},
         "requests", 100.0, 3600.0),
        ({"X-AI-RateLimit-Limit-minute-azure": "1000", "X-AI-RateLimit-Remaining-minute-azure": "0"}, "tokens", 1000.0, 60.0),
        ({"x-ratelimit-limit-tokens-minute": "9000", "x-ratelimit-remaining-tokens-minute": "0",
          "x-ratelimit-remaining-requests-minute": "5"}, "tokens", 9000.0, 60.0),
        ({"RateLimit": '"per-minute";r=0;t=30', "RateLimit-Policy": '"per-minute";q=100;w=60'}, "requests", 100.0, 60.0),
        ({"RateLimit": '"burst";r=3;t=1, "hour";r=0;t=900', "RateLimit-Policy": '"burst";q=5;w=1, "hour";q=500;w=3600'},
         "requests", 500.0, 3600.0),
        ({"RateLimit": '"tokens";r=0;t=9', "RateLimit-Policy": '"tokens";q=8000;w=60'}, "tokens", 8000.0, 60.0),
        ({"RateLimit": '"slots";r=0', "RateLimit-Policy": '"slots";q=4;qu="concurrent-requests"'}, "concurrency", 4.0, None),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "0"}, "tokens", None, None),
        ({"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "0"}, "requests", None, None),
    ],
)  # fmt: skip
def test_the_one_limit_that_is_used_up_is_the_one(
    headers: dict[str, str], kind: LimitKind, limit: float | None, window_s: float | None
) -> None:
    hint = _hint(headers)
    assert (hint.stated_kind, hint.stated_limit, hint.stated_window_s) == (kind, limit, window_s)
    assert hint.source is not None
    assert hint.source.startswith("header ")


def test_two_limits_that_are_used_up_name_none() -> None:
    headers = {"x-ratelimit-remaining-minute": "0", "x-ratelimit-remaining-hour": "0"}
    assert _hint(headers | {"retry-after": "3"}).stated_window_s is None


def test_an_answer_states_nothing() -> None:
    hint = read_hint({"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "0"})
    assert hint is not None
    assert hint.stated_kind is None


def test_529_is_the_load_of_others_unless_the_words_name_a_limit() -> None:
    assert _hint({}, "busy", 529).stated_kind == "overload"
    assert _hint({}, "", 529).source == "status 529"
    assert _hint({}, "rate limit of 50 requests per minute", 529).stated_kind == "requests"
