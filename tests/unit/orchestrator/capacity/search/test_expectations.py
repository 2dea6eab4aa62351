"""Expectations: what they say, and what fails them."""

from __future__ import annotations

import pytest

from orchestrator.capacity.display.ladder_result import rung_row
from orchestrator.capacity.search.expectations import check, read_expectations
from orchestrator.capacity.search.rules import Judgement
from providers.errors import InputError
from tests.unit.orchestrator.capacity.rungs import a_rung

ROWS = [rung_row(a_rung(c, 60.0 * c), Judgement("PASS")) for c in (1, 10, 50)]


def met(text: str, limit: int | None = 10) -> list[bool]:
    return [check(one, ROWS, limit).is_met for one in read_expectations(text)]


def test_each_term_is_held_against_the_rung_that_is_meant() -> None:
    assert met("p95_ttft_s<1,success>=0.99@c=50") == [True, True]
    assert met("qpm>=3000@c=50") == [True]
    assert met("qpm>=3000") == [False]
    assert met("mean_latency_s<=1e0, error_rate<0.01 @ c = 1") == [True, True]


def test_what_was_not_measured_is_not_met_and_says_why() -> None:
    (few,) = read_expectations("p99_ttft_s<1")
    found = check(few, ROWS, 10)
    assert not found.is_met
    assert found.reason.startswith("n/a")
    (elsewhere,) = read_expectations("qpm>1@c=7")
    assert "7 in flight was not measured" in check(elsewhere, ROWS, 10).reason
    assert "no limit" in check(few, ROWS, None).reason
    late = [rung_row(a_rung(10, 600), Judgement("CLIENT-LIMITED", "late"))]
    (rate,) = read_expectations("qpm>1")
    assert not check(rate, late, 10).is_met


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p95_ttft<1", "did you mean"),
        ("ttft", "is not FIGURE<NUMBER"),
        ("qpm<1@50", "@c=50"),
        ("qpm<1@c=50@c=60", "@c=50"),
        ("", "is not FIGURE"),
        ("qpm=5", "is not FIGURE"),
        ("qpm<1,,tpm<2", "is not FIGURE"),
    ],
)
def test_a_bad_expression_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_expectations(text)
