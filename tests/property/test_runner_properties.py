"""What holds for queues, gates, limiters and places in every order of events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from providers.errors import Empty, ProviderError
from providers.messages import RateLimitHint, Usage
from runners.calls.retry import EMPTY_ATTEMPTS, Retries, RetryLimits
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.health import SUSPECT_AFTER, HealthTracker
from runners.dispatch.instance_state import InstanceState, Permit
from runners.dispatch.permit_request import PermitRequest
from runners.dispatch.slots import WorkerSlots
from runners.event_loop.virtual_time import run_virtual
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import AdaptiveState, Cost, Go, Limiter, Settled, WaitForEvent, WaitUntil
from runners.limits.throttle_gate import LONGEST_GUESS_S, ThrottleGate
from runners.samples.bitmap import Bitmap
from runners.samples.shard_queue import ShardQueue
from tests.unit.runners.doubles import (
    COST,
    ScriptedSender,
    an_instance,
    connection_lost,
    empty,
    malformed,
    revoked,
    server_fault,
)

hints = st.none() | st.builds(RateLimitHint, retry_after_s=st.none() | st.floats(0, 100))
endings = st.builds(
    Settled,
    how=st.sampled_from(["succeeded", "throttled", "failed", "cancelled"]),
    latency_s=st.floats(0.001, 60),
    usage=st.none() | st.builds(Usage, st.integers(0, 2000), st.integers(0, 500)),
    hint=hints,
)


# ------------------------------------------------------------------ queues
@given(
    parts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=8),
    done=st.sets(st.integers(0, 150)),
    done_meanwhile=st.lists(st.integers(0, 150), max_size=20),
)
def test_a_queue_gives_every_ordinal_once_but_those_that_are_done(
    parts: list[tuple[int, int]], done: set[int], done_meanwhile: list[int]
) -> None:
    ranges, at = [], 0
    for gap, length in parts:
        ranges.append(range(at + gap, at + gap + length))
        at += gap + length
    bitmap = Bitmap(151)
    for ordinal in done:
        bitmap.add(ordinal)
    queue, taken, skipped = ShardQueue(ranges, bitmap), list[int](), set(done)
    while (front := queue.take()) is not None:
        taken.append(front)
        if done_meanwhile and (also := done_meanwhile.pop()) not in taken:
            bitmap.add(also)
            skipped.add(also)
    assert taken == sorted(set(taken))
    everything = {ordinal for part in ranges for ordinal in part}
    assert everything - skipped <= set(taken) <= everything - done


@given(st.lists(st.integers(0, 200)))
def test_a_bitmap_is_a_set(added: list[int]) -> None:
    bitmap = Bitmap(201)
    for ordinal in added:
        bitmap.add(ordinal)
    assert {ordinal for ordinal in range(201) if ordinal in bitmap} == set(added)
    assert bitmap.count == len(set(added))


# ------------------------------------------------------------------ gate and health
@given(st.lists(st.tuples(endings, st.floats(0, 30)), max_size=40))
def test_the_gate_only_ever_moves_forward_and_its_guess_is_bounded(events: list[tuple[Settled, float]]) -> None:
    gate, now = ThrottleGate(), 0.0
    for settled, later_s in events:
        now += later_s
        before, said = gate.opens_at, settled.hint.retry_after_s if settled.hint else None
        gate.settle(settled, now)
        assert gate.opens_at >= before
        assert gate.opens_at <= max(before, now + max(said or 0.0, LONGEST_GUESS_S))
        if settled.how == "throttled":
            assert gate.opens_at > now or said is not None
            assert gate.opens_at >= now + (said or 0.0)
        else:
            assert gate.opens_at == before


class VitalsMachine(RuleBasedStateMachine):
    """An instance that answers, fails, is probed and may go for good, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.health_tracker = HealthTracker()
        self.now = 0.0
        self.probe_is_out = False
        self.failures = 0
        self.is_gone = False

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.health_tracker.is_healthy and self.health_tracker.may_send(self.now))
    @rule()
    def a_probe_goes_out(self) -> None:
        assert not self.probe_is_out
        self.health_tracker.send_probe()
        self.probe_is_out = True

    @precondition(lambda self: self.probe_is_out)
    @rule()
    def the_probe_fails(self) -> None:
        self.health_tracker.failed(connection_lost(), self.now, is_probe=True)
        self.probe_is_out = False
        assert self.health_tracker.opens_at > self.now

    @precondition(lambda self: self.probe_is_out)
    @rule()
    def the_probe_is_recalled(self) -> None:
        self.health_tracker.recall_probe()
        self.probe_is_out = False

    @rule()
    def something_is_answered(self) -> None:
        self.health_tracker.answered()
        self.probe_is_out = False
        self.failures = 0
        assert self.health_tracker.is_healthy or self.is_gone

    @rule()
    def something_fails(self) -> None:
        self.failures += 1
        self.health_tracker.failed(connection_lost(), self.now, is_probe=False)

    @rule()
    def it_goes(self) -> None:
        assert self.health_tracker.give_up(revoked()) is not self.is_gone
        self.is_gone = True

    @invariant()
    def what_is_gone_stays_gone(self) -> None:
        assert self.health_tracker.health.is_usable is not self.is_gone
        if self.is_gone:
            assert not self.health_tracker.may_send(self.now + 1e9)

    @invariant()
    def a_silent_instance_gets_one_probe_at_a_time(self) -> None:
        if self.probe_is_out and not self.health_tracker.is_healthy:
            assert not self.health_tracker.may_send(self.now)

    @invariant()
    def a_few_failures_are_no_evidence(self) -> None:
        if self.failures == 0 and not self.is_gone and self.health_tracker.is_healthy:
            assert self.health_tracker.may_send(self.now)
        if self.health_tracker.is_healthy:
            assert self.failures < SUSPECT_AFTER


TestVitals = VitalsMachine.TestCase


# ------------------------------------------------------------------ the adaptive state
class LimitsMachine(RuleBasedStateMachine):
    """Sends and endings in any order: the invariants of the seam, whatever the state has learnt."""

    MOST = 12

    def __init__(self) -> None:
        super().__init__()
        self.state: AdaptiveState = self.make()
        self.now = 100.0
        self.flying: dict[int, float] = {}
        self.count = 0

    def make(self) -> AdaptiveState:
        return AdaptiveLimits(most=self.MOST)

    @rule(seconds=st.floats(0, 90))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(tokens=st.integers(1, 3000), output=st.integers(1, 1000), times=st.integers(1, 15))
    def some_ask(self, tokens: int, output: int, times: int) -> None:
        for _ in range(times):
            decision = self.state.acquire(Cost(tokens, output), self.now)
            if isinstance(decision, Go):
                assert decision.ticket not in self.flying
                self.flying[decision.ticket] = self.now
                assert len(self.flying) <= self.MOST
            elif isinstance(decision, WaitUntil):
                assert decision.at > self.now
            else:
                assert isinstance(decision, WaitForEvent)
                assert self.flying, "nobody would ever end this wait"

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), ending=endings)
    def one_ends(self, data: st.DataObject, ending: Settled) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.flying)))
        del self.flying[ticket]
        self.state.settle(ticket, ending, self.now)

    @precondition(lambda self: not self.flying)
    @rule()
    def who_waits_when_idle_goes_in_the_end(self) -> None:
        for _ in range(1000):
            decision = self.state.acquire(COST, self.now)
            if isinstance(decision, Go):
                self.flying[decision.ticket] = self.now
                return
            assert isinstance(decision, WaitUntil)
            self.now = decision.at
        raise AssertionError("it never goes")

    @invariant()
    def what_it_shows_is_so(self) -> None:
        shown = self.state.snapshot(self.now)
        in_flight, cap = shown["in_flight"], shown["cap"]
        assert in_flight == len(self.flying)
        assert cap is None or (isinstance(cap, int | float) and cap >= 1)


LimitsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAdaptiveLimits = LimitsMachine.TestCase


# ------------------------------------------------------------------ limiters in their loop
callers = st.lists(
    st.tuples(
        st.integers(0, 40),  # arrives, in eighths of a second
        st.integers(0, 24),  # holds
        st.none() | st.integers(0, 60),  # gives up
        st.sampled_from(["succeeded", "succeeded", "succeeded", "failed", "throttled"]),
    ),
    max_size=25,
)


class Crowd:
    """Callers of one limiter; who was let through, in which order, and how many at once."""

    def __init__(self, limiter: Limiter) -> None:
        self.dispatcher = Dispatcher("m", [InstanceState(an_instance(), ScriptedSender(), limiter)], lambda *_: None)
        self.arrived: list[int] = []
        self.went: list[int] = []
        self.sent_at: list[float] = []
        self.in_flight = self.most = 0

    async def run(self, plans: Sequence[tuple[int, int, int | None, str]]) -> None:
        async with asyncio.TaskGroup() as group:
            for number, plan in enumerate(plans):
                group.create_task(self._call(number, *plan))

    async def _call(self, number: int, arrives: int, holds: int, gives_up: int | None, how: str) -> None:
        await asyncio.sleep(arrives / 8)
        self.arrived.append(number)
        try:
            permit = await self.take(1e6 if gives_up is None else gives_up / 8)
        except TimeoutError:
            return
        self.went.append(number)
        self.sent_at.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(holds / 8)
        self.in_flight -= 1
        hint = RateLimitHint(retry_after_s=1.5)
        self.dispatcher.finish(permit, Settled(how, holds / 8, hint=hint), None)  # type: ignore[arg-type]

    async def take(self, patience_s: float) -> Permit:
        permit = self.dispatcher.try_acquire(COST, "a", frozenset())
        if permit is not None:
            return permit
        deadline = asyncio.get_running_loop().time() + patience_s
        return await self.dispatcher.acquire(PermitRequest(COST, "a", frozenset(), deadline))


@given(callers, st.integers(1, 5), st.sampled_from([None, 0.5, 3.0, 7.0]))
@settings(max_examples=60, deadline=None)
def test_fixed_keeps_its_bounds_and_the_order_and_serves_everybody(
    plans: list[tuple[int, int, int | None, str]], workers: int, qps: float | None
) -> None:
    async def scene() -> Crowd:
        crowd = Crowd(FixedLimiter(workers=workers, qps=qps))
        await crowd.run(plans)
        await crowd.take(100)  # nothing has leaked
        return crowd

    crowd = run_virtual(scene())
    assert crowd.most <= workers
    assert crowd.went == [number for number in crowd.arrived if number in set(crowd.went)]
    assert {number for number, plan in enumerate(plans) if plan[2] is None} <= set(crowd.went)
    if qps is not None:
        gaps = [later - sooner for sooner, later in zip(crowd.sent_at, crowd.sent_at[1:], strict=False)]
        assert all(gap >= 1 / qps - 1e-6 for gap in gaps)


@given(callers, st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_adaptive_keeps_its_bound_and_the_order_and_serves_everybody(
    plans: list[tuple[int, int, int | None, str]], most: int
) -> None:
    async def scene() -> Crowd:
        crowd = Crowd(AdaptiveLimiter(AdaptiveLimits(most=most)))
        await crowd.run(plans)
        await crowd.take(1000)  # nothing has leaked
        return crowd

    crowd = run_virtual(scene())
    assert crowd.most <= most
    assert crowd.went == [number for number in crowd.arrived if number in set(crowd.went)]
    assert {number for number, plan in enumerate(plans) if plan[2] is None} <= set(crowd.went)


# ------------------------------------------------------------------ places
@given(
    workers=st.integers(1, 4),
    samples=st.lists(
        st.tuples(st.lists(st.integers(0, 6), max_size=4), st.none() | st.integers(0, 12), st.booleans()), max_size=30
    ),
)
@settings(max_examples=80, deadline=None)
def test_places_are_neither_lost_nor_multiplied(
    workers: int, samples: list[tuple[list[int], int | None, bool]]
) -> None:
    """Samples that work and park in turn; some are late and end while they work, park or wait for their place."""

    async def scene() -> tuple[int, int, int]:
        slots, working, most = WorkerSlots(workers), 0, 0

        async def work() -> None:
            nonlocal working, most
            working += 1
            most = max(most, working)
            try:
                await asyncio.sleep(1)
            finally:
                working -= 1

        async def one(parks: list[int], patience: int | None, at_once: bool) -> None:
            place = await slots.take()
            try:
                async with asyncio.timeout(patience):
                    place.sent()
                    await work()
                    if at_once:
                        await asyncio.gather(*[place.park(seconds) for seconds in parks])
                    for seconds in [] if at_once else parks:
                        await place.park(seconds)
                        await work()
            except TimeoutError:
                pass
            finally:
                place.end()
                place.end()

        async with asyncio.TaskGroup() as group:
            for sample in samples:
                group.create_task(one(*sample))
        free = 0
        while not slots.free.locked():
            await slots.free.acquire()
            free += 1
        unsent = 0
        while not slots.unsent.locked():
            await slots.unsent.acquire()
            unsent += 1
        return most, free, unsent

    most, free, unsent = run_virtual(scene())
    assert most <= workers
    assert free == workers
    assert unsent == 16


# ------------------------------------------------------------------ retries
@given(
    st.lists(st.sampled_from([server_fault, connection_lost, malformed, empty]), max_size=12),
    st.integers(0, 8),
)
@settings(deadline=None)
def test_attempts_are_bounded_and_empty_answers_more_narrowly(failures: list[type], max_retries: int) -> None:
    errors: list[ProviderError] = [make() for make in failures]
    raised: list[ProviderError] = []
    slept: list[float] = []

    def outcome_of_call() -> str | ProviderError:
        retries = Retries(RetryLimits(max_retries=max_retries), "seed")
        for error in errors:
            raised.append(error)
            delay_s = retries.delay_after(error)
            if delay_s is None:
                return error
            slept.append(delay_s)
        return "answer"

    outcome = outcome_of_call()
    empties = sum(isinstance(error, Empty) for error in raised)
    assert empties <= EMPTY_ATTEMPTS
    if isinstance(outcome, ProviderError):
        assert outcome is raised[-1]
        assert len(raised) == max_retries + 1 or empties == EMPTY_ATTEMPTS
        assert len(slept) == len(raised) - 1
    else:
        assert len(slept) == len(raised) == len(errors) <= max_retries
    assert all(0 <= wait <= 30 for wait in slept)
