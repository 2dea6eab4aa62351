"""Quota or capacity: what each kind of evidence says, and that a 429 is never a capacity."""

from __future__ import annotations

import pytest

from orchestrator.capacity.binding import Binding, Known, find_binding
from orchestrator.capacity.rung import Bursts, Flow, Rung, ServerLoad
from orchestrator.capacity.search import Plan, find

from .rungs import a_rung

PLAN = Plan((1, 2, 5, 10))


def bound(rungs: list[Rung], known: Known | None = None) -> Binding:
    return find_binding(rungs, find(rungs, PLAN), known or Known(), 60.0)


def flat(**more: object) -> list[Rung]:
    """Up to 5 it grows, then no more."""
    plateau = [a_rung(c, 300, latency_s=c / 5, **more) for c in (5, 10, 20)]  # type: ignore[arg-type]
    return [a_rung(1, 60), a_rung(2, 120), *plateau]


@pytest.mark.parametrize(
    ("unit", "limit"), [("requests", "RPM"), ("tokens", "TPM"), ("concurrency", "concurrency"), ("unsaid", "quota")]
)
def test_refusals_name_their_limit(unit: str, limit: str) -> None:
    found = bound(flat(throttles={unit: 40}))
    assert (found.limit, found.sureness) == (limit, "certain")


def test_a_plateau_at_a_limit_that_is_told_is_that_limit() -> None:
    assert bound(flat(told=(None, 152_000.0))).limit == "TPM"
    assert bound(flat(told=(302.0, None))).limit == "RPM"
    assert bound(flat(), Known(tpm=148_000)).limit == "TPM"
    assert bound(flat(), Known(tpm=300_000)).limit == "held or saturated"


def test_the_unit_that_is_constant_from_window_to_window_is_the_quotas() -> None:
    tokens = Bursts(60.0, [24, 27, 22, 25], [13_400, 13_450, 13_380, 13_420])
    assert bound(flat(bursts=tokens)).limit == "TPM"
    requests = Bursts(60.0, [25, 25, 25, 25], [13_400, 14_900, 12_100, 13_000])
    assert bound(flat(bursts=requests)).limit == "RPM"
    alike = Bursts(60.0, [25, 25, 25, 25], [13_575, 13_575, 13_575, 13_575])
    assert bound(flat(bursts=alike)).limit == "quota"


def test_a_window_that_slides_shows_in_its_constant_sum() -> None:
    assert bound(flat(flow=Flow(0.05, 0.012, 0.05))).limit == "TPM"
    output_bound = Flow(0.05, 0.05, 0.004)
    assert bound(flat(flow=output_bound)).limit == "held or saturated"  # a busy processor: its output is constant


def test_without_any_evidence_a_plateau_is_not_called_a_capacity() -> None:
    found = bound(flat())
    assert (found.limit, found.sureness) == ("held or saturated", "open")
    assert found.qpm_ceiling == pytest.approx(300)
    assert bound(flat(server=ServerLoad(7, 0.6))).limit == "capacity"


def test_a_rule_of_the_rung_alone_binds_by_itself() -> None:
    assert bound([a_rung(1, 60), a_rung(2, 120, ttft_s=2.0)]).limit == "capacity"
    assert bound([a_rung(1, 60), a_rung(2, 120, failed=100)]).limit == "errors"
    assert bound([a_rung(1, 60, cpu_share=1.0), a_rung(2, 120, cpu_share=1.0)]).limit == "client"
    assert bound([a_rung(1, 60), a_rung(2, 120)]).limit == "none"
