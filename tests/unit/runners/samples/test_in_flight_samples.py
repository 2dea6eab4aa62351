"""A run says what every open sample waits for, grouped and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runners.calls.active_sample import ActiveSample
from runners.calls.budget import Budget, BudgetLimits
from runners.calls.call_context import CallContext
from runners.calls.client import ModelClient
from runners.dispatch.slots import WorkerSlot, WorkerSlots
from runners.event_loop.shutdown import Shutdown
from runners.samples.answer import Answer, Score, Scorer, Solver
from runners.samples.bitmap import Bitmap
from runners.samples.in_flight_samples import MOST_LETTERS, MOST_WAITS, InFlightSamples, Wait
from runners.samples.pool import Pool, PoolSpec, SampleSteps
from runners.samples.record import Record
from runners.samples.shard_queue import ModelQueues, ShardQueue
from runners.samples.solvers import single_turn
from runners.samples.worker import Method, work
from sharding.plan import Sample
from sharding.tasks.task import Task
from tests.unit.runners.doubles import (
    FreeLimiter,
    GivenPlan,
    ScriptedSender,
    a_dispatcher,
    a_record,
    a_sample,
    an_exchange,
    an_opened,
    connection_lost,
    server_fault,
)

pytestmark = pytest.mark.looptime


async def right(sample: Sample, answer: Answer, model: ModelClient) -> Score:
    return Score(1.0, "full")


async def hang(*anything: object) -> str:
    await asyncio.Event().wait()
    return "never"


async def hang_scoring(*anything: object) -> Score:
    await hang()
    return Score(1.0, "full")


async def waits_of(
    call_context: CallContext,
    *,
    samples: int = 1,
    after_s: float = 10.5,
    solver: Solver = single_turn,
    scorer: Scorer = right,
) -> Sequence[Wait]:
    """What is said of `samples` after a while; then they are cancelled, and nobody is open any more."""
    in_flight_samples, method = InFlightSamples(), Method("run", solver, lambda _: scorer, lambda *_: None)
    slots = WorkerSlots(samples)

    async def one(ordinal: int) -> None:
        active = an_opened(a_sample(ordinal))
        in_flight_samples.open[ordinal] = active
        try:
            await work(active, await slots.take(), method, call_context)
        finally:
            del in_flight_samples.open[ordinal]

    tasks = [asyncio.create_task(one(ordinal)) for ordinal in range(samples)]
    await asyncio.sleep(after_s)
    waits = in_flight_samples.waits()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(in_flight_samples) == 0
    return waits


def refused_until(opens: float, sender: ScriptedSender | None = None) -> CallContext:
    return an_exchange(a_dispatcher(sender or ScriptedSender(), "a", limiters={"a": FreeLimiter(opens)}))


async def test_those_that_wait_for_a_permit_name_the_instance_and_until_when_it_is_shut() -> None:
    (wait,) = await waits_of(refused_until(500.0), samples=12)
    assert wait.what.startswith("waiting for a permit to send to a (throttled until ")
    assert (wait.samples, wait.tasks) == (12, ("t0", "t1", "t2"))
    assert wait.sentence().endswith(", for up to 10 s: t0, t1, t2, …")


async def test_those_that_were_sent_wait_for_an_answer() -> None:
    (wait,) = await waits_of(an_exchange(a_dispatcher(ScriptedSender(takes_s=100.0), "a")))
    assert (wait.what, wait.longest_s) == ("waiting for the answer of a", 10.5)


async def test_those_that_wait_for_the_budget_say_so_and_for_how_long() -> None:
    """One request fits in; the others wait for what it leaves over."""
    call_context = an_exchange(
        a_dispatcher(ScriptedSender(takes_s=100.0), "a"), budget=Budget(bounds=BudgetLimits(tokens=600))
    )
    waits = await waits_of(call_context, samples=3)
    assert [(wait.what, wait.samples, wait.longest_s) for wait in waits] == [
        ("waiting for the budget", 2, 10.5),
        ("waiting for the answer of a", 1, 10.5),
    ]


async def test_those_that_failed_are_parked() -> None:
    sender = ScriptedSender(always=server_fault(retry_after_s=90.0))
    (wait,) = await waits_of(an_exchange(a_dispatcher(sender, "a")))
    assert wait.what == "parked until they are retried"


async def test_a_model_whose_instances_are_all_silent_is_named() -> None:
    sender = ScriptedSender(always=connection_lost())
    waits = await waits_of(an_exchange(a_dispatcher(sender, "a"), max_retries=50), samples=8, after_s=5.3)
    assert "waiting for an instance of m that is due a request" in {wait.what for wait in waits}


@pytest.mark.parametrize(
    ("solver", "scorer", "what"),
    [(hang, right, "in the solver's own code"), (single_turn, hang_scoring, "in the scorer")],
)
async def test_own_code_is_told_from_waiting_for_a_model(solver: Solver, scorer: Scorer, what: str) -> None:
    call_context = an_exchange(a_dispatcher(ScriptedSender(), "a"))
    (wait,) = await waits_of(call_context, solver=solver, scorer=scorer)
    assert wait == Wait(what, 1, 10.5, ("t0",))


async def test_a_solver_is_in_its_own_code_again_after_a_call_and_of_several_calls_the_oldest_counts() -> None:
    async def two_at_once(sample: Sample, model: ModelClient) -> str:
        await model.chat(sample.task.messages)
        async with asyncio.TaskGroup() as group:
            group.create_task(model.chat(sample.task.messages))
            await asyncio.sleep(3.0)
            group.create_task(model.chat(sample.task.messages))
        return await hang()

    def call_context() -> CallContext:
        return an_exchange(a_dispatcher(ScriptedSender(takes_s=4.0), "a"))

    (asking,) = await waits_of(call_context(), solver=two_at_once, after_s=7.5)
    assert (asking.what, asking.longest_s) == ("waiting for the answer of a", 3.5)
    (own,) = await waits_of(call_context(), solver=two_at_once, after_s=20.0)
    assert (own.what, own.longest_s) == ("in the solver's own code", 9.0)


async def test_those_whose_record_the_disk_has_not_taken_are_counted() -> None:
    in_flight_samples, full = InFlightSamples(), asyncio.Event()

    async def work_at_once(active: ActiveSample, slot: WorkerSlot) -> Record:
        return a_record(active.sample.ordinal)

    async def deliver_later(record: Record) -> None:
        await full.wait()

    done = Bitmap(1)
    queues = ModelQueues(
        {"a": ShardQueue([range(1)], done)}, a_dispatcher(ScriptedSender()), done=done, rebalances=True
    )
    steps = SampleSteps(work_at_once, deliver_later, in_flight_samples)
    running = asyncio.create_task(
        Pool(PoolSpec("a", 0, 0.0, 1), queues, steps, lambda: None).run(GivenPlan(()), Shutdown())
    )
    await asyncio.sleep(2.0)
    assert in_flight_samples.waits() == [Wait("waiting for the disk to take their record", 1, 2.0, ("t0",))]
    full.set()
    await running
    assert len(in_flight_samples) == 0


async def test_a_report_is_bounded_however_many_samples_and_however_long_their_names() -> None:
    in_flight_samples = InFlightSamples()
    for number in range(400):
        task = Task(f"{number}" * 5_000, ({"role": "user", "content": "?"},))
        in_flight_samples.open[number] = active = an_opened(replace(a_sample(number), task=task))
        if number % 2:
            name = f"instance-{number}"
            active.activity.wait_for_answer(a_dispatcher(ScriptedSender(), name).instance_states[name], 0.0)
    waits = in_flight_samples.waits()
    assert len(waits) == MOST_WAITS
    assert sum(wait.samples for wait in waits) == 400
    assert all(len(wait.sentence()) < 4 * MOST_LETTERS + 100 for wait in waits)


async def test_an_answer_is_expected_for_as_long_as_its_own_model_is_given() -> None:
    """A model without a time of its own is not waited for."""
    in_flight_samples, active = InFlightSamples(), an_opened(a_sample())
    own = {active.sample.cell.model: 900.0}
    instance_state = a_dispatcher(ScriptedSender(), "a").instance_states["a"]
    in_flight_samples.open[0] = active
    doing = active.activity.begin_call(0.0)
    assert not in_flight_samples.expects_answer(own)
    doing.wait_for_answer(instance_state, asyncio.get_running_loop().time())
    assert not in_flight_samples.expects_answer({})
    await asyncio.sleep(899.0)
    assert in_flight_samples.expects_answer(own)
    await asyncio.sleep(2.0)
    assert not in_flight_samples.expects_answer(own)
