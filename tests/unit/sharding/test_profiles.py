from __future__ import annotations

import pytest

from providers.errors import InputError
from providers.instance import Instance
from sharding.profiles import PROFILES, WorkerOptions, assign_workers, find_profile

INSTANCE = Instance("a/m", "m", "m", "a", "a/m")


def staffed(profile: str, worker_options: WorkerOptions) -> tuple[int | None, float | None]:
    instance = assign_workers(INSTANCE, find_profile(profile), worker_options)
    return instance.workers, instance.qps


@pytest.mark.parametrize(
    ("profile", "adaptive", "fixed", "qps"),
    [
        ("azure-open", 300, 150, 200),
        ("azure-closed", 600, 300, 200),
        ("gateway-open", 5, 3, 10),
        ("gateway-closed", 1, 1, 5),
        ("openai", 32, 16, None),
    ],
)
def test_three_prompt_types_multiply_azure_and_never_the_others(
    profile: str, adaptive: int, fixed: int, qps: float | None
) -> None:
    assert staffed(profile, WorkerOptions("adaptive", 3)) == (adaptive, None)
    assert staffed(profile, WorkerOptions("fixed", 3)) == (fixed, qps)


def test_a_number_of_workers_that_somebody_says_is_not_multiplied() -> None:
    assert staffed("azure-open", WorkerOptions(prompt_types=3, workers=7)) == (7, None)


def test_auto_lifts_the_bound_unless_there_is_a_cap() -> None:
    assert staffed("azure-open", WorkerOptions(workers="auto")) == (None, None)
    assert staffed("azure-open", WorkerOptions(workers="auto", max_workers=50)) == (50, None)


def test_the_cap_holds_whatever_the_rest_says() -> None:
    assert staffed("azure-open", WorkerOptions(prompt_types=3, max_workers=120)) == (120, None)
    assert staffed("gateway-open", WorkerOptions(max_workers=120)) == (5, None)
    assert staffed("gateway-open", WorkerOptions(workers=500, max_workers=120)) == (120, None)


def test_a_rate_applies_in_fixed_mode_only() -> None:
    assert staffed("openai", WorkerOptions("fixed", qps=2.5)) == (16, 2.5)
    assert staffed("openai", WorkerOptions("adaptive", qps=2.5)) == (32, None)


def test_nothing_else_of_the_instance_changes() -> None:
    instance = assign_workers(INSTANCE, PROFILES["openai"], WorkerOptions())
    assert (instance.name, instance.limiter_group, instance.deployment) == ("a/m", "a/m", "m")


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"max_workers": 0}, {"qps": 0}, {"qps": float("nan")}])
def test_numbers_that_cannot_be_meant_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be"):
        WorkerOptions(**wrong)  # type: ignore[arg-type]


def test_an_unknown_profile_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match='unknown profile "azure-opne"; did you mean "azure-open"'):
        find_profile("azure-opne")
