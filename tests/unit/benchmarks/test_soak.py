"""How the soak tells growth from what comes and goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.soak.growth import FEWEST, Sampled, fit_growth, log_rates

MINUTES = 60


def sampled(memory_mb: Callable[[int], float], minutes: int = MINUTES) -> list[Sampled]:
    return [Sampled(60.0 * m, memory_mb(m), 20 + m % 3, 9, 80 + m % 7, 2.0 * m, 5.0, 9.0 * m) for m in range(minutes)]


@pytest.mark.parametrize(
    ("memory_mb", "grows"),
    [
        (lambda _: 160.0, False),
        (lambda m: 160.0 + 10 * (m % 5), False),
        (lambda m: 160.0 + min(m, 10), False),
        (lambda m: 160.0 + 0.5 * m, True),
        (lambda m: 160.0 + 40 * (m > 40), True),
    ],
    ids=["constant", "comes and goes", "warms up", "leaks", "a step"],
)
def test_only_what_rises_after_the_warm_up_grows(memory_mb: Callable[[int], float], grows: bool) -> None:
    rising = [growth.quantity for growth in fit_growth(sampled(memory_mb)) if not growth.is_flat]
    assert rising == (["memory_mb"] if grows else [])


def test_an_execution_that_was_short_says_nothing() -> None:
    assert fit_growth(sampled(lambda m: 100.0 * m, FEWEST)) == []
    assert fit_growth([]) == []


def test_a_log_is_told_by_its_rate_in_both_halves() -> None:
    assert log_rates(sampled(lambda _: 160.0)) == (120.0, 120.0)
