"""Every sample is cut off at its own deadline, by one timer."""

from __future__ import annotations

import asyncio

import pytest

from runners.calls.sample_timers import SampleTimers

pytestmark = pytest.mark.looptime


class Sample:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.cut_off_at: float | None = None

    def cut_off(self) -> None:
        self.cut_off_at = asyncio.get_running_loop().time()


async def test_each_is_cut_off_at_its_own_deadline_in_whatever_order_they_were_started() -> None:
    timers, samples = SampleTimers(), [Sample(deadline) for deadline in (30.0, 10.0, 20.0, 10.0)]
    for sample in samples:
        timers.start(sample)
    await asyncio.sleep(60)
    assert [sample.cut_off_at for sample in samples] == [30, 10, 20, 10]


async def test_a_sample_that_is_stopped_is_not_cut_off_and_the_next_one_is() -> None:
    timers, ended, late = SampleTimers(), Sample(10.0), Sample(25.0)
    timers.start(ended)
    timers.start(late)
    await asyncio.sleep(5)
    timers.stop(ended)
    await asyncio.sleep(60)
    assert (ended.cut_off_at, late.cut_off_at) == (None, 25)


async def test_it_starts_anew_after_all_have_ended() -> None:
    timers, first, second = SampleTimers(), Sample(10.0), Sample(40.0)
    timers.start(first)
    timers.stop(first)
    timers.stop(first)
    timers.start(second)
    await asyncio.sleep(60)
    assert (first.cut_off_at, second.cut_off_at) == (None, 40)
