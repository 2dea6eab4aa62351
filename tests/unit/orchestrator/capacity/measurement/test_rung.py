"""What is read off a rung's requests: which limit a refusal names, the beat of a window, the limits that headers tell."""

from __future__ import annotations

import random

import pytest

from orchestrator.capacity.measurement.bench import RungDuration
from orchestrator.capacity.measurement.rung import (
    find_bursts,
    find_quota_variation,
    limits_from_headers,
    name_throttle,
    requested_wait_s,
)
from providers.messages import RateLimitHint, Timing, Usage
from runners.load.request_result import RequestResult, ScheduledRequest
from runners.load.run_load import ClosedLoop, LoadRun


def refused(message: str = "", hint: RateLimitHint | None = None, at: float = 0.0) -> RequestResult:
    return RequestResult(
        ScheduledRequest(0, "a", at, at, "place"), at, "throttled", "throttled", message, 429, hint=hint
    )


def answered(at: float, tokens: int = 100) -> RequestResult:
    return RequestResult(
        ScheduledRequest(0, "a", at - 1, at - 1, "place"),
        at,
        "ok",
        timing=Timing(0.0, 0.5, 0.5),
        usage=Usage(tokens, 20),
    )


@pytest.mark.parametrize(
    ("message", "unit"),
    [
        ("a: Rate limit reached for m on requests per min (RPM). Please try again in 1s.", "requests"),
        ("a: Rate limit reached for m on tokens per min (TPM).", "tokens"),
        ("a: have exceeded token rate limit of your current OpenAI S0 pricing tier", "tokens"),
        ("a: Requests to the ChatCompletions_Create Operation have exceeded call rate limit", "requests"),
        ("a: too many parallel requests", "concurrency"),
        ("a: 429: too many requests for now", "unsaid"),
        ("", "unsaid"),
    ],
)
def test_a_refusal_names_its_limit(message: str, unit: str) -> None:
    assert name_throttle(refused(message)) == unit


def test_a_header_that_says_zero_wins_over_words() -> None:
    assert name_throttle(refused("requests", RateLimitHint(remaining_requests=5, remaining_tokens=0))) == "tokens"
    assert name_throttle(refused("tokens", RateLimitHint(remaining_requests=0, remaining_tokens=9))) == "requests"


def test_bursts_are_found_by_the_silence_between_them() -> None:
    results = [answered(60 * window + n, tokens=100 + n) for window in range(4) for n in range(1, 20)]
    bursts = find_bursts(LoadRun(ClosedLoop(4), results, 0.0, 240.0, (), 0.0), 60.0)
    assert bursts is not None
    assert bursts.period_s == pytest.approx(60.0)
    assert list(bursts.requests) == [19, 19, 19]
    assert bursts.follow(60.0)
    assert not bursts.follow(30.0)


def test_a_steady_server_has_no_bursts() -> None:
    run = LoadRun(ClosedLoop(4), [answered(n) for n in range(1, 200)], 0.0, 200.0, (), 0.0)
    assert find_bursts(run, 60.0) is None


def test_a_window_of_tokens_is_constant_in_tokens_alone() -> None:
    """A server that lets in whatever fits into 60 s, against one that takes a second for each request."""
    draws = random.Random(1)
    held, now, spent = list[RequestResult](), 0.0, list[tuple[float, int]]()
    for _ in range(400):
        tokens = draws.randint(200, 800)
        while sum(amount for then, amount in spent if then > now - 60) + tokens + 20 > 13_500:
            now = min(then for then, _ in spent if then > now - 60) + 60
            spent = [(then, amount) for then, amount in spent if then > now - 60]
        spent.append((now, tokens + 20))
        held.append(answered(now + 1, tokens))
    held = [one for one in held if one.ended_at < now]  # the last window was not filled
    flow = find_quota_variation(LoadRun(ClosedLoop(4), held, 0.0, now, (), 0.0), 60.0)
    assert flow is not None
    assert flow.is_held_by_tokens
    busy = [answered(float(n), draws.randint(200, 800)) for n in range(1, 400)]
    flow = find_quota_variation(LoadRun(ClosedLoop(4), busy, 0.0, 400.0, (), 0.0), 60.0)
    assert flow is not None
    assert not flow.is_held_by_tokens


def test_limits_and_waits_are_read_off_the_headers() -> None:
    results = [refused(hint=RateLimitHint(retry_after_s=7.0, limit_requests=300.0), at=8.0), refused(at=9.0)]
    assert limits_from_headers(results) == (300.0, None)
    assert requested_wait_s(LoadRun(ClosedLoop(1), results, 0.0, 10.0, (), 0.0)) == pytest.approx(5.0)


def test_a_rung_lasts_as_long_as_its_evidence_takes() -> None:
    assert [RungDuration().first_look(concurrency) for concurrency in (2, 50, 500)] == [73, 150, 1200]
    assert [RungDuration().volume(concurrency).requests for concurrency in (2, 500)] == [800, 1200]
    assert RungDuration(window_s=60.0).volume(50).duration_s == 180.0
    assert RungDuration(duration_s=300.0, window_s=60.0).volume(1).duration_s == 360.0
    window = RungDuration(window_s=60.0).window(LoadRun(ClosedLoop(1), [], 5.0, 191.0, (), 0.0))
    assert window is not None
    assert (window.begin, window.end) == (65.0, 185.0)
