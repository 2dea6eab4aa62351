"""Quota or capacity: what each kind of evidence says, and that a 429 is never a capacity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.capacity.measurement.rung import Bursts, LadderStep, QuotaVariation, Rung
from orchestrator.capacity.measurement.server_metrics import ServerLoad
from orchestrator.capacity.search.binding import Binding, StatedLimits, doubts, find_binding
from orchestrator.capacity.search.ladder import contrast_step
from orchestrator.capacity.search.next_step import LadderPlan, find
from tests.unit.orchestrator.capacity.rungs import a_rung

PLAN = LadderPlan((1, 2, 5, 10))


def bound(rungs: list[Rung], known: StatedLimits | None = None) -> Binding:
    return find_binding(rungs, find(rungs, PLAN), known or StatedLimits(), 60.0)


def flat(**more: object) -> list[Rung]:
    """Up to 5 it grows, then no more."""
    plateau = [a_rung(c, 300, latency_s=c / 5, **more) for c in (5, 10, 20)]  # type: ignore[arg-type]
    return [a_rung(1, 60), a_rung(2, 120), *plateau]


@pytest.mark.parametrize(
    ("unit", "limit", "sureness"),
    [
        ("requests", "RPM", "certain"),
        ("tokens", "TPM", "certain"),
        ("concurrency", "concurrency", "certain"),
        ("unsaid", "quota", "likely"),
    ],
)
def test_refusals_name_their_limit(unit: str, limit: str, sureness: str) -> None:
    found = bound(flat(throttles={unit: 40}))
    assert (found.limit, found.sureness) == (limit, sureness)


def test_a_plateau_at_a_limit_that_is_told_is_that_limit() -> None:
    assert bound(flat(told=(None, 152_000.0))).limit == "TPM"
    assert bound(flat(told=(302.0, None))).limit == "RPM"
    assert bound(flat(), StatedLimits(tpm=148_000)).limit == "TPM"
    assert bound(flat(), StatedLimits(tpm=300_000)).limit == "held or saturated"


def test_the_unit_that_is_constant_from_window_to_window_is_the_quotas() -> None:
    tokens = Bursts(60.0, [24, 27, 22, 25], [13_400, 13_450, 13_380, 13_420])
    assert bound(flat(bursts=tokens)).limit == "TPM"
    requests = Bursts(60.0, [25, 25, 25, 25], [13_400, 14_900, 12_100, 13_000])
    assert bound(flat(bursts=requests)).limit == "RPM"
    alike = Bursts(60.0, [25, 25, 25, 25], [13_575, 13_575, 13_575, 13_575])
    assert bound(flat(bursts=alike)).limit == "quota"


def test_a_window_that_slides_shows_in_its_constant_sum() -> None:
    assert bound(flat(flow=QuotaVariation(0.05, 0.012, 0.05))).limit == "TPM"
    output_bound = QuotaVariation(0.05, 0.05, 0.004)
    assert bound(flat(flow=output_bound)).limit == "held or saturated"  # a busy processor: its output is constant


def test_without_any_evidence_a_plateau_is_not_called_a_capacity() -> None:
    found = bound(flat())
    assert (found.limit, found.sureness) == ("held or saturated", "open")
    assert found.qpm_ceiling == pytest.approx(300)
    assert bound(flat(server=ServerLoad(1, None, None, 7, 0.6))).limit == "capacity"


def test_a_rule_of_the_rung_alone_binds_by_itself() -> None:
    assert bound([a_rung(1, 60), a_rung(2, 120, ttft_s=2.0)]).limit == "capacity"
    assert bound([a_rung(1, 60), a_rung(2, 120, failed=100)]).limit == "errors"
    assert bound([a_rung(1, 60, cpu_share=1.0), a_rung(2, 120, cpu_share=1.0)]).limit == "client"
    assert bound([a_rung(1, 60), a_rung(2, 120)]).limit == "none"


def test_a_limit_that_was_stated_and_is_passed_is_doubted() -> None:
    rungs = [a_rung(1, 60), a_rung(2, 120)]
    assert doubts(rungs, find(rungs, PLAN), StatedLimits(rpm=100)) == ["stated limit 100 RPM, measured 120 over 120 s"]
    assert doubts(rungs, find(rungs, PLAN), StatedLimits(rpm=120, tpm=60_000)) == []
    short = [replace(one, measures=replace(one.measures, is_burst=True)) for one in rungs]
    assert doubts(short, find(short, PLAN), StatedLimits(tpm=30_000)) == [
        "stated limit 30,000 TPM, measured 60,000 in bursts"
    ]


def contrasted(qpm: float, *, tokens: float = 1_000.0, token_s: float = 0.01, **more: object) -> Binding:
    """Answered tokens took 0.01 s in an empty server, and latency grows fourfold up to the plateau's end."""
    lower = [a_rung(1, 60, token_s=0.01), a_rung(2, 120, token_s=0.01)]
    plateau = [a_rung(c, 300, latency_s=c / 5, token_s=token_s) for c in (5, 10, 20)]
    contrast = a_rung(20, qpm, phase="contrast", **{"tokens": tokens, "output": 25, **more})  # type: ignore[arg-type]
    return bound([*lower, *plateau, contrast])


@pytest.mark.parametrize(("qpm", "limit"), [(150, "TPM"), (170, "TPM"), (300, "RPM"), (270, "RPM")])
def test_what_stays_the_same_while_requests_grow_longer_is_what_is_counted(qpm: float, limit: str) -> None:
    found = contrasted(qpm)
    assert (found.limit, found.sureness) == (limit, "likely")
    assert found.qpm_ceiling == pytest.approx(300)
    beat = Bursts(60.0, [25, 25, 25, 25], [13_575, 13_575, 13_575, 13_575])
    assert (contrasted(qpm, bursts=beat).limit, contrasted(qpm, bursts=beat).sureness) == (limit, "certain")


def test_a_server_whose_answers_slow_down_is_busy_whatever_stays_the_same() -> None:
    for qpm in (150, 300, 600):
        found = contrasted(qpm, token_s=0.04)
        assert (found.limit, found.sureness) == ("capacity", "certain")
    assert contrasted(150, token_s=0.016).limit == "TPM"  # a client that is late by a little


def test_where_neither_stays_the_same_the_time_of_the_server_is_spent() -> None:
    found = contrasted(600)
    assert (found.limit, found.sureness) == ("capacity", "likely")
    assert "2.00 × the requests" in found.evidence


def test_a_contrast_that_says_nothing_leaves_it_open() -> None:
    for found in (
        contrasted(150, failed=100),
        contrasted(150, cpu_share=1.0),
        contrasted(300, tokens=600),
        contrasted(300, output=50),
    ):
        assert (found.limit, found.sureness) == ("held or saturated", "open")
        assert "the contrast is not decisive" in found.evidence


def test_a_contrast_is_asked_for_once_and_only_where_it_is_open_what_binds() -> None:
    plan = LadderPlan((1, 2, 5, 10, 20), stops=False, refines=False, contrasts=True)
    assert contrast_step(flat(), plan, StatedLimits()) == LadderStep(20, "contrast")
    assert contrast_step(flat()[:4], plan, StatedLimits()) is None
    assert contrast_step(flat(throttles={"requests": 40}), plan, StatedLimits()) is None
    assert contrast_step(flat(), plan, StatedLimits(tpm=148_000)) is None
    assert contrast_step([*flat(), a_rung(20, 150, phase="contrast")], plan, StatedLimits()) is None
    assert contrast_step([*flat(), a_rung(50, 0, gone="a: 401")], plan, StatedLimits()) is None
    alike = Bursts(60.0, [25, 25, 25, 25], [13_575, 13_575, 13_575, 13_575])
    assert contrast_step(flat(bursts=alike), plan, StatedLimits()) == LadderStep(20, "contrast")
