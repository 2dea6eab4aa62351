"""Which instance a request goes to, and that a permit is given back exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from providers.errors import ProviderError
from providers.messages import Usage
from runners.dispatch.dispatcher import Dispatcher, NoUsableInstance
from runners.dispatch.health import FIRST_PROBE_S, Health, InstanceHealth
from runners.dispatch.instance_state import InstanceState, Permit
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Limiter, Settled
from runners.limits.refusal_chance import CHANCE_TRIALS
from tests.unit.runners.doubles import (
    COST,
    BareSlot,
    Decisions,
    FreeLimiter,
    ScriptedSender,
    a_dispatcher,
    a_permit,
    an_instance,
    connection_lost,
    missing,
    out_of_quota,
    revoked,
)
from tests.unit.runners.limits.test_adaptive_limiter import Turnstile
from tests.unit.runners.limits.test_fixed import refused

pytestmark = pytest.mark.looptime

NOBODY: frozenset[str] = frozenset()


def now() -> float:
    return asyncio.get_running_loop().time()


def end(dispatcher: Dispatcher, permit: Permit, error: ProviderError | None = None) -> None:
    dispatcher.finish(permit, Settled("failed" if error else "succeeded", 0.0), error)


async def chosen(
    dispatcher: Dispatcher, *, prefer: str = "a", avoid: frozenset[str] = NOBODY, is_begun: bool = False
) -> str:
    slot = BareSlot()
    slot.was_sent = is_begun
    request = a_permit(
        dispatcher, COST, prefer=prefer, avoid=avoid, deadline=now() + 1000, is_begun=is_begun, slot=slot
    )
    async with request as permit:
        return permit.instance.name


def with_limiters(**limiters: Limiter) -> Dispatcher:
    return a_dispatcher(ScriptedSender(), *limiters, limiters=limiters)


def fixed_and_shut(for_s: float) -> FixedLimiter:
    limiter = FixedLimiter(workers=10, qps=None)
    for _ in range(1 + CHANCE_TRIALS):
        ticket = limiter.try_acquire(COST, 0.0)
        assert ticket is not None
        limiter.settle(ticket, refused(retry_after_s=for_s), 0.0)
    return limiter


async def test_a_sample_goes_to_its_own_instance() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a", "b", "c")
    assert [await chosen(dispatcher, prefer=name) for name in "cab"] == ["c", "a", "b"]


async def test_an_avoided_instance_is_used_only_if_it_is_alone() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a", "b")
    assert await chosen(dispatcher, avoid=frozenset("a")) == "b"
    dispatcher.give_up(dispatcher.instance_states["b"], revoked("b"))
    assert await chosen(dispatcher, avoid=frozenset("a")) == "a"


async def test_a_sample_waits_for_its_own_instance_while_the_others_have_work_of_their_own() -> None:
    dispatcher = with_limiters(a=FreeLimiter(opens=60), b=FreeLimiter())
    assert await chosen(dispatcher) == "a"
    assert now() == 60


async def test_who_must_go_elsewhere_goes_where_it_opens_soonest() -> None:
    dispatcher = with_limiters(a=FreeLimiter(), b=FreeLimiter(opens=60), c=FreeLimiter(opens=30))
    assert await chosen(dispatcher, avoid=frozenset("a")) == "c"
    assert now() == 30


@pytest.mark.parametrize("shut", [lambda for_s: AdaptiveLimiter(Turnstile(opens=for_s)), fixed_and_shut])
async def test_a_drain_sends_everybody_back_who_has_no_answer_yet_even_behind_one_that_has(
    shut: Callable[[float], Limiter],
) -> None:
    dispatcher = with_limiters(a=shut(500.0))
    waiting = [asyncio.create_task(chosen(dispatcher)) for _ in range(3)]
    begun = asyncio.create_task(chosen(dispatcher, is_begun=True))
    await asyncio.sleep(10)
    dispatcher.drain()
    found = await asyncio.gather(*waiting, chosen(dispatcher), return_exceptions=True)
    assert [type(one) for one in found] == 4 * [asyncio.CancelledError]
    assert now() == 10
    assert await begun == "a"
    assert now() == 500


async def test_a_drain_sends_those_back_who_wait_for_a_silent_instance() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a")
    await fail(dispatcher, 5)
    waiting = asyncio.create_task(chosen(dispatcher))
    await asyncio.sleep(0.1)
    dispatcher.drain()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_instance_that_runs_dry_takes_over_who_waits_longest() -> None:
    dispatcher = with_limiters(a=AdaptiveLimiter(Turnstile(opens=500.0)), b=FreeLimiter())
    waiting = [asyncio.create_task(chosen(dispatcher)) for _ in range(3)]
    await asyncio.sleep(10)
    dispatcher.run_dry("b")
    assert [await one for one in waiting] == ["b", "b", "b"]
    assert now() == 10


async def test_an_instance_that_stays_silent_is_left_but_for_one_probe_at_a_time() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a", "b")
    await fail(dispatcher, 5)
    assert dispatcher.instance_states["a"].health.state is Health.SUSPECT
    assert await chosen(dispatcher) == "b"
    await asyncio.sleep(FIRST_PROBE_S)
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=1000) as probe:
        assert probe.instance.name == "a"
        assert await chosen(dispatcher) == "b"
        end(dispatcher, probe)
    assert dispatcher.instance_states["a"].health == InstanceHealth()


async def test_a_probe_is_sent_by_a_sample_of_its_own_instance_though_others_are_healthy() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a", "b")
    await fail(dispatcher, 5, prefer="b")
    assert dispatcher.instance_states["b"].health.state is Health.SUSPECT
    await asyncio.sleep(FIRST_PROBE_S)
    async with a_permit(dispatcher, COST, prefer="b", avoid=NOBODY, deadline=1000) as probe:
        assert (probe.instance.name, probe.is_probe) == ("b", True)


async def test_a_cancelled_probe_lets_another_go() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a")
    await fail(dispatcher, 5)
    await asyncio.sleep(FIRST_PROBE_S)
    assert await chosen(dispatcher) == "a"
    assert await chosen(dispatcher) == "a"


async def test_while_the_only_instance_is_silent_its_next_probe_is_waited_for() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a")
    await fail(dispatcher, 5)
    assert await chosen(dispatcher) == "a"
    assert now() == FIRST_PROBE_S


async def test_probes_that_fail_come_ever_more_rarely_until_the_instance_counts_as_down() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a")
    await fail(dispatcher, 5)
    for _ in range(3):
        await fail(dispatcher, 1)
    assert dispatcher.instance_states["a"].health.state is Health.DOWN
    assert now() == FIRST_PROBE_S * (1 + 2 + 4)


async def fail(dispatcher: Dispatcher, times: int, prefer: str = "a") -> None:
    for _ in range(times):
        async with a_permit(dispatcher, COST, prefer=prefer, avoid=NOBODY, deadline=1000) as permit:
            end(dispatcher, permit, connection_lost())


async def test_an_instance_of_another_model_is_no_preference() -> None:
    assert await chosen(a_dispatcher(ScriptedSender(), "x", "y"), prefer="a") == "x"


async def test_who_waits_for_an_instance_that_goes_moves_at_once() -> None:
    lost, other = AdaptiveLimiter(Turnstile(opens=500.0)), AdaptiveLimiter(Turnstile(opens=600.0))
    dispatcher = with_limiters(a=lost, b=other)
    waiting = asyncio.create_task(chosen(dispatcher))
    await asyncio.sleep(10)
    dispatcher.give_up(dispatcher.instance_states["a"], revoked())
    assert await waiting == "b"
    assert now() == 600


async def test_a_lost_instance_is_never_chosen_again_and_said_to_be_lost_once() -> None:
    decisions = Decisions()
    instance_states = [InstanceState(an_instance(name), ScriptedSender(), FreeLimiter()) for name in "ab"]
    dispatcher = Dispatcher("m", instance_states, decisions)
    dispatcher.give_up(instance_states[0], revoked())
    dispatcher.give_up(instance_states[0], out_of_quota())
    assert [await chosen(dispatcher) for _ in range(3)] == ["b", "b", "b"]
    assert decisions.made == [("a", "instance_lost")]
    assert "401" in instance_states[0].health.evidence


async def test_when_all_are_lost_everybody_who_waits_is_told_why() -> None:
    dispatcher = with_limiters(a=FixedLimiter(workers=1, qps=None), b=FixedLimiter(workers=1, qps=None))
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=1000) as held:
        waiting = [asyncio.create_task(chosen(dispatcher)) for _ in range(3)]
        await asyncio.sleep(1)
        dispatcher.give_up(dispatcher.instance_states["b"], missing("b"))
        dispatcher.give_up(held.instance_state, revoked())
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, NoUsableInstance) for result in results)
    assert "a: key not accepted (401: key revoked); b: deployment missing" in str(results[0])


async def test_a_shared_limiter_that_turns_one_away_still_serves_the_other() -> None:
    shared = FixedLimiter(workers=1, qps=None)
    dispatcher = with_limiters(a=shared, b=shared)
    async with a_permit(dispatcher, COST, prefer="b", avoid=NOBODY, deadline=1000):
        waiting = asyncio.create_task(chosen(dispatcher, prefer="a"))
        await asyncio.sleep(1)
        dispatcher.give_up(dispatcher.instance_states["a"], revoked())
    assert await waiting == "b"


async def test_waiting_for_leave_ends_at_the_deadline() -> None:
    dispatcher = with_limiters(a=AdaptiveLimiter(Turnstile(opens=500.0)))
    with pytest.raises(TimeoutError):
        async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=25):
            pass
    assert now() == 25
    assert dispatcher.instance_states["a"].counters.in_flight == 0


async def test_a_permit_that_is_settled_twice_is_given_back_once() -> None:
    limiter = FreeLimiter()
    dispatcher = with_limiters(a=limiter)
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=10) as permit:
        dispatcher.finish(permit, Settled("succeeded", 1.0, Usage(3, 4)), None)
        dispatcher.finish(permit, Settled("failed", 1.0), connection_lost())
        dispatcher.abandon(permit)
    assert limiter.settled == ["succeeded"]
    counters = dispatcher.instance_states["a"].counters
    assert (counters.in_flight, counters.succeeded, counters.failed, counters.tokens) == (0, 1, 0, 7)


async def test_leaving_without_a_word_counts_as_cancelled() -> None:
    limiter = FreeLimiter()
    dispatcher = with_limiters(a=limiter)
    with pytest.raises(ZeroDivisionError):
        async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=10):
            raise ZeroDivisionError
    assert limiter.settled == ["cancelled"]
    assert dispatcher.instance_states["a"].counters.in_flight == 0


@pytest.mark.parametrize("cancel_at", [0.0, 1.0, 5.0, 6.0, 11.0])
async def test_a_permit_is_given_back_exactly_once_however_its_holder_is_cancelled(cancel_at: float) -> None:
    state = Turnstile(opens=5.0)
    dispatcher = with_limiters(a=AdaptiveLimiter(state))

    async def hold() -> Permit:
        async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=1000) as permit:
            await asyncio.sleep(6)
            return permit

    holders = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(cancel_at)
    for holder in holders:
        holder.cancel()
    await asyncio.wait(holders)
    assert state.in_flight == set()
    assert len(state.settled) == len(set(state.settled))
    assert dispatcher.instance_states["a"].counters.in_flight == 0
    assert await chosen(dispatcher) == "a"


async def test_says_why_a_request_goes_elsewhere() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a", "b")
    own, other = dispatcher.instance_states["a"], dispatcher.instance_states["b"]
    assert dispatcher.why_moved("a", own) is None
    assert dispatcher.why_moved("of another model", other) is None
    assert dispatcher.why_moved("a", other) == "rebalanced"
    dispatcher.give_up(own, revoked())
    assert dispatcher.why_moved("a", other) == "auth"


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_those_who_wait_for_a_probe_send_the_next_when_it_is_due(how: str) -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a")
    await fail(dispatcher, 5)
    await asyncio.sleep(FIRST_PROBE_S)
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=1000) as probe:
        waiting = asyncio.create_task(chosen(dispatcher))
        await asyncio.sleep(10)
        if how == "fails":
            end(dispatcher, probe, connection_lost())
    due = now() + (2 * FIRST_PROBE_S if how == "fails" else 0)
    assert await waiting == "a"
    assert now() == due


async def test_a_probe_that_is_cancelled_in_line_lets_the_next_go() -> None:
    limiter = FreeLimiter()
    dispatcher = with_limiters(a=limiter)
    await fail(dispatcher, 5)
    await asyncio.sleep(FIRST_PROBE_S)
    limiter.opens = now() + 20
    probe, waiting = (asyncio.create_task(chosen(dispatcher)) for _ in range(2))
    await asyncio.sleep(5)
    probe.cancel()
    assert await waiting == "a"
    assert now() == limiter.opens


async def test_one_probe_that_hangs_does_not_keep_another_instance_from_being_tried() -> None:
    dispatcher = a_dispatcher(ScriptedSender(), "a", "b")
    await fail(dispatcher, 5)
    await asyncio.sleep(5)
    for _ in range(5):
        async with a_permit(dispatcher, COST, prefer="b", avoid=NOBODY, deadline=1000) as permit:
            end(dispatcher, permit, connection_lost("b"))
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=1000) as hanging:
        assert hanging.instance.name == "a"
        assert await chosen(dispatcher) == "b"
        assert now() == 5 + FIRST_PROBE_S


async def test_a_sample_that_was_sent_is_the_first_to_send_and_the_first_to_move() -> None:
    dispatcher = with_limiters(a=AdaptiveLimiter(Turnstile(opens=500.0)), b=AdaptiveLimiter(Turnstile()))
    went: list[tuple[str, str]] = []

    async def one(name: str) -> None:
        slot = BareSlot()
        slot.was_sent = name.isupper()
        async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=1000, slot=slot) as permit:
            went.append((name, permit.instance.name))
            await asyncio.sleep(1 if permit.instance.name == "a" else 600)

    async with asyncio.TaskGroup() as samples:
        for name in "abAB":
            samples.create_task(one(name))
            await asyncio.sleep(1)
        dispatcher.run_dry("b")
    assert went == [("A", "b"), ("B", "a"), ("a", "a"), ("b", "a")]
