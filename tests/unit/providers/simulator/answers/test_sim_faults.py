from __future__ import annotations

from collections import Counter

import pytest

from providers.seeded_draws import draw_name, draw_uniform
from providers.simulator.answers.faults import FAULTS, draw_fault
from providers.simulator.settings.provider import FaultSettings


def test_a_fault_depends_on_seed_and_request_alone() -> None:
    settings = FaultSettings(error_500=0.3, empty=0.3)
    ids = [f"s{i}/1/1" for i in range(200)]
    forwards = [draw_fault(1, each, settings) for each in ids]
    backwards = [draw_fault(1, each, settings) for each in reversed(ids)]
    assert forwards == backwards[::-1]
    assert forwards != [draw_fault(2, each, settings) for each in ids]


def test_faults_come_in_the_shares_that_were_asked_for() -> None:
    settings = FaultSettings(**dict.fromkeys(FAULTS, 0.05))
    counts = Counter(draw_fault(3, f"s{i}/1/1", settings) for i in range(20_000))
    assert set(counts) == {*FAULTS, None}
    assert all(counts[fault] / 20_000 == pytest.approx(0.05, abs=0.008) for fault in FAULTS)


def test_no_share_means_no_fault_and_a_share_of_one_means_always() -> None:
    ids = [f"s{i}/1/1" for i in range(500)]
    assert {draw_fault(0, each, FaultSettings()) for each in ids} == {None}
    assert {draw_fault(0, each, FaultSettings(reset=1.0)) for each in ids} == {"reset"}


def test_a_retry_draws_anew() -> None:
    settings = FaultSettings(error_500=0.5)
    attempts = {draw_fault(0, f"s/1/{attempt}", settings) for attempt in range(1, 30)}
    assert attempts == {None, "error_500"}


def test_draws_are_the_same_on_every_machine() -> None:
    assert draw_uniform(0, "fault", "s/1/1") == 0.13246095841574268
    assert draw_name(0, "response", "s/1/1") == "8c093075838f2a33"
