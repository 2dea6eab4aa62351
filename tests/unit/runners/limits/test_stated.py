from __future__ import annotations

from dataclasses import replace

from providers.messages import RateLimitHint
from runners.limits.stated import UNSTATED, stated_quota

TOKENS = RateLimitHint(stated_limit=5000.0, stated_window_s=60.0, stated_kind="tokens", stated_usage=4900.0)


def test_a_limit_of_requests_in_flight_is_no_rate() -> None:
    stated = stated_quota(RateLimitHint(stated_limit=2.0, stated_window_s=60.0, stated_kind="concurrency"))
    assert (stated.limit, stated.window_s, stated.unit) == (None, None, None)
    assert (stated.kind, stated.concurrency) == ("concurrency", 2.0)


def test_a_rate_keeps_its_unit() -> None:
    stated = stated_quota(TOKENS)
    assert (stated.limit, stated.window_s, stated.unit, stated.kind, stated.concurrency) == (
        5000.0,
        60.0,
        "tokens",
        "tokens",
        None,
    )


def test_a_quota_is_the_same_at_another_usage() -> None:
    assert stated_quota(TOKENS) == stated_quota(replace(TOKENS, stated_usage=5100.0, source="words limit"))
    assert stated_quota(TOKENS) != stated_quota(replace(TOKENS, stated_scope=("team",)))


def test_no_hint_states_nothing() -> None:
    assert stated_quota(None) == UNSTATED
