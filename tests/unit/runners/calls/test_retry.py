"""What is tried again, how often, and how long between."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from providers.errors import Empty, ProviderError, ServerFault, Throttled
from runners.calls.retry import FREE_RETRIES, GivesUp, Retries, RetryBudget, RetryLimits
from tests.unit.runners.doubles import (
    connection_lost,
    empty,
    malformed,
    missing,
    out_of_quota,
    rejections,
    revoked,
    server_fault,
    throttled,
    timed_out,
)


class Call:
    """Fails as told, then answers."""

    def __init__(self, *failures: ProviderError) -> None:
        self.made = 0
        self._failures = iter(failures)

    async def __call__(self) -> str:
        self.made += 1
        failure = next(self._failures, None)
        if failure is not None:
            raise failure
        return "answer"


class Sleep:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, delay_s: float) -> None:
        self.slept.append(delay_s)


async def outcome_of(
    call: Call,
    limits: RetryLimits | None = None,
    sleep: Sleep | None = None,
    seed: str = "s",
    gives_up: GivesUp = lambda _: False,
) -> str:
    retries = Retries(limits or RetryLimits(max_retries=5), seed, gives_up)
    while True:
        try:
            return await call()
        except ProviderError as error:
            delay_s = retries.delay_after(error)
            if delay_s is None:
                raise
        await (sleep or Sleep())(delay_s)


@pytest.mark.parametrize("make", [server_fault, timed_out, connection_lost, malformed, empty])
async def test_transient_failures_and_an_empty_answer_are_tried_again(make: Callable[[], ProviderError]) -> None:
    call = Call(make())
    assert await outcome_of(call) == "answer"
    assert call.made == 2


@pytest.mark.parametrize(
    "failure", [*rejections(), revoked(), out_of_quota(), missing(), throttled()], ids=lambda f: type(f).__name__
)
async def test_what_cannot_succeed_later_is_raised_at_once(failure: ProviderError) -> None:
    call, sleep = Call(failure), Sleep()
    with pytest.raises(type(failure)):
        await outcome_of(call, sleep=sleep)
    assert call.made == 1
    assert sleep.slept == []


async def test_the_last_error_is_raised_once_the_attempts_are_used_up() -> None:
    call = Call(timed_out(), connection_lost(), server_fault("b"))
    with pytest.raises(ServerFault) as caught:
        await outcome_of(call, RetryLimits(max_retries=2))
    assert call.made == 3
    assert caught.value.evidence.instance == "b"


async def test_without_retries_a_call_is_made_once() -> None:
    for failure in (server_fault(), empty()):
        call = Call(failure)
        with pytest.raises(type(failure)):
            await outcome_of(call, RetryLimits(max_retries=0))
        assert call.made == 1


async def test_an_empty_answer_is_asked_for_exactly_twice() -> None:
    call, sleep = Call(*(empty() for _ in range(9))), Sleep()
    with pytest.raises(Empty):
        await outcome_of(call, RetryLimits(max_retries=9), sleep)
    assert call.made == 2
    assert sleep.slept == [0.0]


async def test_an_earlier_failure_of_another_kind_does_not_count_as_an_empty_answer() -> None:
    call = Call(server_fault(), empty())
    assert await outcome_of(call) == "answer"
    twice = Call(empty(), server_fault(), empty())
    with pytest.raises(Empty):
        await outcome_of(twice)
    assert twice.made == 3


async def test_the_servers_own_wait_is_honoured_and_nothing_is_added() -> None:
    sleep = Sleep()
    await outcome_of(Call(server_fault(retry_after_s=12.345), server_fault(retry_after_s=0.001)), sleep=sleep)
    assert sleep.slept == [12.345, 0.001]


async def test_without_a_word_from_the_server_the_wait_is_bounded_and_rises() -> None:
    sleep = Sleep()
    limits = RetryLimits(max_retries=12, first_wait_s=0.5, longest_wait_s=3.0)
    await outcome_of(Call(*(server_fault() for _ in range(12))), limits, sleep)
    assert len(sleep.slept) == 12
    assert all(0 <= wait <= min(0.5 * 2**number, 3.0) for number, wait in enumerate(sleep.slept))


async def test_a_throttle_after_a_retry_is_still_not_the_policys_business() -> None:
    with pytest.raises(Throttled):
        await outcome_of(Call(server_fault(), throttled()))


async def test_the_waits_are_a_function_of_the_seed() -> None:
    async def waits(seed: str) -> list[float]:
        sleep = Sleep()
        await outcome_of(Call(*(server_fault() for _ in range(5))), sleep=sleep, seed=seed)
        return sleep.slept

    assert await waits("a") == await waits("a") != await waits("b")
    assert len(set(await waits("a"))) == 5


async def test_a_call_that_is_given_up_ends_with_its_error_and_waits_no_more() -> None:
    call, sleep, asked = Call(empty(), server_fault(), server_fault("b")), Sleep(), list[ProviderError]()

    def gives_up(error: ProviderError) -> bool:
        asked.append(error)
        return len(asked) == 2

    with pytest.raises(ServerFault):
        await outcome_of(call, sleep=sleep, gives_up=gives_up)
    assert call.made == 3
    assert len(sleep.slept) == 2
    assert [error.error_class for error in asked] == ["server_error"] * 2, "an empty answer has its own bound"


def test_a_run_has_its_free_retries_and_a_share_of_its_calls() -> None:
    told: list[str] = []
    budget = RetryBudget(0.25, on_spent=told.append)
    budget.calls = 1000
    assert sum(budget.take() for _ in range(2000)) == FREE_RETRIES + 250
    assert budget.refused == 2000 - FREE_RETRIES - 250
    assert told == ["750 retries in 1,000 calls; run.retry_budget is 0.25"]
    budget.calls += 4
    assert [budget.take(), budget.take()] == [True, False]
    assert len(told) == 1
