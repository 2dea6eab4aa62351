"""Live statistics, and whether this client is its own bottleneck."""

from __future__ import annotations

import asyncio
import time

from runners.limits.permit import Settled
from runners.samples.monitor import LAG_BOUND_S, LAG_EVERY_S, LoopLag, Monitor

from ..doubles import (
    COST,
    FreeLimiter,
    ScriptedSender,
    a_dispatcher,
    a_permit,
    a_record,
    a_response,
    revoked,
    throttled,
)

NOBODY: frozenset[str] = frozenset()


async def test_counts_what_is_durable_on_top_of_what_was_there() -> None:
    monitor = Monitor(100, 40, {})
    for ordinal, outcome in enumerate(["ok", "ok", "infra_failure"]):
        monitor.count(a_record(ordinal, outcome))
    statistics = monitor.statistics()
    assert (statistics.total, statistics.done) == (100, 43)
    assert statistics.outcomes == {"ok": 2, "infra_failure": 1}
    assert statistics.samples_per_s > 0


async def test_shows_each_instance_as_it_is() -> None:
    limiters = {name: FreeLimiter() for name in "abc"}
    dispatcher = a_dispatcher(ScriptedSender(), *"abc", limiters=limiters)
    deadline = asyncio.get_running_loop().time() + 60
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=deadline) as permit:
        dispatcher.finish(permit, Settled("succeeded", 2.0, a_response().usage), None)
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=deadline) as permit:
        dispatcher.finish(permit, Settled("throttled", 0.1), throttled())
    limiters["b"].opens = deadline
    dispatcher.give_up(dispatcher.instance_states["c"], revoked("c"))
    async with a_permit(dispatcher, COST, prefer="a", avoid=NOBODY, deadline=deadline):
        a, b, c = Monitor(1, 0, {"m": dispatcher}).statistics().instances
    assert (a.state, a.in_flight, a.succeeded, a.throttled, a.tokens, a.mean_latency_s) == ("healthy", 1, 1, 1, 15, 2.0)
    assert (b.state, b.mean_latency_s) == ("throttled", None)
    assert (c.state, c.evidence) == ("key not accepted", "401: key revoked")


async def test_a_loop_that_is_held_up_is_noticed() -> None:
    lag = LoopLag()
    lag.start()
    await asyncio.sleep(0)
    time.sleep(LAG_EVERY_S + 4 * LAG_BOUND_S)  # noqa: ASYNC251 - this is the fault that is looked for
    await asyncio.sleep(0.001)
    assert lag.lag_s > LAG_BOUND_S
    assert lag.is_client_bound
    lag.stop()


async def test_nothing_is_measured_after_the_end() -> None:
    monitor = Monitor(1, 0, {})
    with monitor:
        handle = monitor.lag._handle
    assert handle is not None
    assert handle.cancelled()
