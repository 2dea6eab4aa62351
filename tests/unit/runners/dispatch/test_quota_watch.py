"""Stations whose quota turns out to be one: who is told, who changes limiters, and who waits on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from providers.messages import JSON, RateLimitHint
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState, Permit
from runners.dispatch.permit_request import PermitRequest
from runners.dispatch.quota_watch import consequence, sentence
from runners.event_loop.virtual_time import run_virtual
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Cost, Settled
from runners.limits.shared_quota import SharedQuota
from tests.unit.runners.doubles import an_instance, take_permit, throttled

COST = Cost(1_000, 1_000)
HINT = RateLimitHint(
    30.0, stated_limit=8_000.0, stated_window_s=60.0, stated_kind="tokens", stated_quota="UserByModelByMinuteTokens"
)


class Said:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, Mapping[str, JSON]]] = []

    def __call__(self, instance: str, event: str, what: Mapping[str, JSON]) -> None:
        self.events.append((instance, event, what))

    @property
    def shared(self) -> list[Mapping[str, JSON]]:
        return [what for _, event, what in self.events if event == "quota_shared"]


class Model:
    """Deployments a and b, and what is asked of them."""

    def __init__(self, mode: str = "adaptive", providers: tuple[str, str] = ("east", "east")) -> None:
        self.said = Said()
        self.instance_states = [
            InstanceState(replace(an_instance(name), provider=provider), None, _limiter(mode))  # type: ignore[arg-type]
            for name, provider in zip("ab", providers, strict=True)
        ]
        self.dispatcher = Dispatcher("m", self.instance_states, self.said)

    async def send(self, name: str) -> Permit:
        return await take_permit(self.dispatcher, PermitRequest(COST, name, frozenset(), 1e6))

    async def fill(self) -> None:
        """Two requests of 2,000 tokens are on their way from each."""
        for _ in range(2):
            await self.send("a")
            await self.send("b")

    async def refuse(self, name: str) -> Permit:
        permit = await self.send(name)
        await asyncio.sleep(0.05)
        error = throttled(name)
        error = type(error)(str(error), replace(error.evidence, hint=HINT))
        self.dispatcher.finish(permit, Settled("throttled", 0.05, hint=HINT), error)
        return permit


def _limiter(mode: str) -> AdaptiveLimiter | FixedLimiter:
    return AdaptiveLimiter(AdaptiveLimits(most=8)) if mode == "adaptive" else FixedLimiter(workers=8, qps=None)


async def both_refused(model: Model) -> None:
    await model.fill()
    await asyncio.gather(model.refuse("a"), model.refuse("b"))


def test_both_instances_have_one_limiter_from_then_on_and_it_is_said_once() -> None:
    async def scene() -> None:
        model = Model()
        await both_refused(model)
        assert model.instance_states[0].limiter is model.instance_states[1].limiter
        (shared,) = model.said.shared
        assert shared["instances"] == ["a", "b"]
        assert shared["limit"] == 8_000

    run_virtual(scene())


@pytest.mark.parametrize(("mode", "providers"), [("fixed", ("east", "east")), ("adaptive", ("east", "west"))])
def test_a_fixed_rate_and_another_endpoint_are_left_alone(mode: str, providers: tuple[str, str]) -> None:
    async def scene() -> None:
        model = Model(mode, providers)
        await both_refused(model)
        assert model.instance_states[0].limiter is not model.instance_states[1].limiter
        assert not model.said.shared

    run_virtual(scene())


def test_what_was_in_flight_is_settled_where_it_was_taken() -> None:
    async def scene() -> None:
        model = Model()
        earlier = [await model.send("a"), await model.send("b"), await model.send("a"), await model.send("b")]
        limiters = {permit.limiter for permit in earlier}
        await asyncio.gather(model.refuse("a"), model.refuse("b"))
        for permit in earlier:
            model.dispatcher.finish(permit, Settled("succeeded", 1.0), None)
        assert len(limiters) == 2
        assert all(limiter.snapshot(1.0)["in_flight"] == 0 for limiter in limiters)

    run_virtual(scene())


def test_who_waits_at_the_other_limiter_comes_over() -> None:
    async def scene() -> None:
        model = Model()
        await model.fill()
        await model.refuse("a")
        await model.send("a")  # the trial of whether it came by chance
        waiting = asyncio.create_task(model.send("a"))
        await asyncio.sleep(0.01)
        await model.refuse("b")
        permit = await waiting
        assert permit.limiter is model.instance_states[0].limiter is model.instance_states[1].limiter
        assert asyncio.get_running_loop().time() > 30

    run_virtual(scene())


def test_the_sentence_says_what_was_seen_and_what_it_means() -> None:
    found = SharedQuota(("a", "b", "c"), 1, (128_000, 136_000, 136_000), "tokens", 400_000, 60.0, True)
    assert sentence(found, ["a", "b", "c"]) == (
        "a, b and c share one quota: they were refused together once, with waits that end at the same moment, "
        "after 128,000 + 136,000 + 136,000 tokens in 60 s (the stated limit is 400,000); "
        "three deployments are not three quotas: a third of the time cannot be had, and they share one limiter"
    )
    unstated = replace(found, episodes=3, is_stated=False)
    assert "3 times" in sentence(unstated, ["a", "b", "c"])
    assert "together 400,000 each time" in sentence(unstated, ["a", "b", "c"])
    assert consequence(7).startswith("7 deployments are not 7 quotas: 1/7 of the time")
