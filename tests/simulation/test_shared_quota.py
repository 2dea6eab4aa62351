"""One quota behind three deployments, on a virtual clock: the time, the refusals, the sentence. And what only looks like one."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from benchmarks.rate_control_model.admission import SILENT
from benchmarks.rate_control_model.quotas import (
    AZURE_WORDS,
    LIMIT_IN_WORDS,
    LOOKALIKES,
    TOKENS_PER_MINUTE,
    Lookalike,
    minute,
    run_lookalike,
    run_quota,
    shared,
    sliding,
    two_thousand_tokens,
)
from providers.errors import Throttled
from providers.instance import Instance
from providers.messages import JSON, ChatRequest, ChatResponse, RateLimitHint, Usage
from providers.simulator.limits.quota import FixedWindow, Meter
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.event_loop.virtual_time import run_virtual
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.permit import Cost, Settled
from tests.unit.runners.doubles import a_permit, a_response, an_instance, evidence

SAMPLES, TOKENS = 3_000, 2_000
WINDOWS = SAMPLES * TOKENS // TOKENS_PER_MINUTE
LATENCY_S = 5.0
LEAST_S = (WINDOWS - 1) * 60 + LATENCY_S
"""All that a window holds at its very beginning."""
METERS: dict[str, Callable[[], Meter]] = {
    "a window from the first request on": lambda: FixedWindow(TOKENS_PER_MINUTE, 60.0),
    "a window that began before": lambda: minute(20.0),
    "a sliding window": sliding,
}


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("words", [AZURE_WORDS, LIMIT_IN_WORDS, SILENT], ids=["by model", "limit", "wait"])
def test_three_deployments_of_one_quota_take_what_the_quota_takes(meter: str, words: RateLimitHint) -> None:
    run = run_quota(shared(METERS[meter], words), two_thousand_tokens(SAMPLES, random.Random(1)), 1)
    assert run.loop.left == 0
    assert run.loop.timeline.now <= (1.15 if words is SILENT else 1.1) * LEAST_S  # waits alone tell of it later
    assert run.loop.refused <= 0.01 * run.loop.sent
    assert len({id(instance.controller) for instance in run.loop.instances}) == 1


def test_words_that_count_by_model_are_understood_at_the_first_refusals() -> None:
    run = run_quota(shared(METERS["a sliding window"], AZURE_WORDS), two_thousand_tokens(600, random.Random(1)), 1)
    assert run.merged_at[0] < 60
    assert run.mergers[0].quota.limit == TOKENS_PER_MINUTE


@pytest.mark.parametrize("lookalike", LOOKALIKES, ids=lambda one: one.name)
def test_what_only_looks_like_one_quota_is_left_apart(lookalike: Lookalike) -> None:
    found = [merger.quota for index in range(6) for merger in run_lookalike(lookalike, index).mergers]
    assert found == []


# ------------------------------------------------------------------ through the dispatcher
class OneQuota:
    """Deployments that count against one window of tokens and say so as Azure does."""

    def __init__(self) -> None:
        self.refused = self.sent = 0
        self.answered = Counter[str]()
        self._meter = FixedWindow(TOKENS_PER_MINUTE, 60.0)

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        now = asyncio.get_running_loop().time()
        self.sent += 1
        ready_at = self._meter.ready_at(TOKENS, now)
        if ready_at > now:
            self.refused += 1
            await asyncio.sleep(0.1)
            hint = RateLimitHint(
                retry_after_s=float(int(ready_at - now) + 1),
                stated_limit=TOKENS_PER_MINUTE,
                stated_window_s=60.0,
                stated_kind="tokens",
                stated_quota="UserByModelByMinuteTokens",
            )
            raise Throttled("rate limit exceeded", evidence(on.name, status=429, hint=hint))
        self._meter.count(TOKENS, now)
        await asyncio.sleep(LATENCY_S)
        self.answered[on.name] += 1
        return a_response(usage=Usage(1_500, 500))


class Said:
    def __init__(self) -> None:
        self.shared: list[Mapping[str, JSON]] = []

    def __call__(self, instance: str, event: str, what: Mapping[str, JSON]) -> None:
        if event == "quota_shared":
            self.shared.append(what)


async def ask(dispatcher: Dispatcher, server: OneQuota, own: str) -> None:
    """One sample: refused as often as it takes."""
    while True:
        async with a_permit(
            dispatcher,
            Cost(1_500, 500),
            prefer=own,
            avoid=frozenset(),
            deadline=asyncio.get_running_loop().time() + 1e5,
        ) as permit:
            began_at = asyncio.get_running_loop().time()
            try:
                response = await server.complete(permit.instance, ChatRequest(()), request_id="", deadline=1e9)
            except Throttled as error:
                now = asyncio.get_running_loop().time()
                dispatcher.finish(permit, Settled("throttled", now - began_at, hint=error.evidence.hint), error)
                continue
            dispatcher.finish(permit, Settled("succeeded", LATENCY_S, response.usage), None)
            return


def test_the_dispatcher_lets_three_instances_share_one_limiter_and_says_why() -> None:
    async def scene() -> None:
        server, said = OneQuota(), Said()
        limiters = [AdaptiveLimiter(AdaptiveLimits(most=100)) for _ in range(3)]
        instance_states = [
            InstanceState(an_instance(name, workers=100), server, limiter)
            for name, limiter in zip("abc", limiters, strict=True)
        ]
        dispatcher = Dispatcher("m", instance_states, said)
        async with asyncio.TaskGroup() as group:
            for ordinal in range(SAMPLES):
                group.create_task(ask(dispatcher, server, "abc"[ordinal % 3]))
        assert asyncio.get_running_loop().time() <= 1.1 * LEAST_S
        assert server.refused <= 0.01 * server.sent
        assert server.answered.total() == SAMPLES
        assert len({id(instance_state.limiter) for instance_state in instance_states}) == 1
        assert all(limiter.snapshot(asyncio.get_running_loop().time())["in_flight"] == 0 for limiter in limiters)
        assert said.shared[-1]["instances"] == ["a", "b", "c"]
        assert "a, b and c share one quota" in str(said.shared[-1]["evidence"])
        assert "three deployments are not three quotas: a third of the time cannot be had" in str(
            said.shared[-1]["evidence"]
        )

    run_virtual(scene())
