"""The capacity plan against the published one that it generalises."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.capacity.capacity_plan import CapacityPlan, check, gain_of, read_plan, read_rungs
from providers.errors import InputError

EXAMPLE = Path(__file__).parents[4] / "examples" / "capacity.yaml"
RUNGS = [
    {"concurrency": 1, "qpm": 10.48, "tpm": 5696, "mean_latency_s": 5.73},
    {"concurrency": 2, "qpm": 16.03, "tpm": 8693, "mean_latency_s": 5.63},
    {"concurrency": 4, "qpm": 24.79, "tpm": 13521, "mean_latency_s": 7.26},
    {"concurrency": 8, "qpm": 23.33, "tpm": 12689, "mean_latency_s": 7.01},
    {"concurrency": 16, "qpm": 23.29, "tpm": 12649, "mean_latency_s": 7.01},
]


def test_the_example_has_the_published_gains() -> None:
    gain = gain_of(read_plan(EXAMPLE))
    frequent, rare = gain.scenarios
    assert (frequent.latency, frequent.tpm, round(frequent.instances, 2)) == (4.0, 1.125, 2.09)
    assert round(frequent.composite, 1) == 9.4
    assert round(rare.composite, 2) == 2.35
    assert round(gain.weighted) == 8
    assert frequent.per_instance_qpm == (0.5, 2.25)
    assert frequent.wait_saved == 0.75


def test_at_a_fixed_mix_the_slow_scenario_holds_the_fast_one_back() -> None:
    gain = gain_of(read_plan(EXAMPLE))
    assert gain.at_fixed_mix == pytest.approx(1 / (0.8 / 9.391 + 0.2 / 2.348), rel=1e-3)
    assert gain.at_fixed_mix < gain.weighted


def test_theory_stands_against_the_published_measurement() -> None:
    tpm, qpm, concurrency = check(read_plan(EXAMPLE), RUNGS)
    assert (tpm.predicted, tpm.measured) == (13500, 13521)
    assert qpm.deviation == pytest.approx(24.79 / (13500 / 543) - 1)
    assert concurrency.measured == 4
    assert concurrency.predicted == pytest.approx(2.37, abs=0.01)


def test_instances_win_over_parameters() -> None:
    plan = CapacityPlan.model_validate(
        {
            "before": {"tpm": 1, "instances": 2, "parameters_b": 10},
            "after": {"tpm": 1, "instances": 3, "parameters_b": 10},
            "scenarios": {"all": {"share": 1, "latency_s": [1, 1]}},
        }
    )
    assert gain_of(plan).weighted == 1.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("before: {tpm: 0}", "before.tpm"),
        ("before: {tpm: 1}\nafter: {tpm: 1}\nscenarios: {a: {share: 0.5, latency_s: [1, 1]}}", "add up to 0.5"),
        ("before: {tpm: 1}\nafter: {tpm: 1}\nscenarios: {}", "scenarios"),
        ("before: {tpm: 1, tmp: 2}", "before.tmp"),
        ("[", "YAML"),
    ],
)
def test_a_plan_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_plan(path)


def test_a_ladder_without_figures_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="qpm"):
        check(read_plan(EXAMPLE), [{"concurrency": 1}])
    (tmp_path / "ladder.json").write_text('{"rungs": []}')
    with pytest.raises(InputError, match="no rung"):
        read_rungs(tmp_path)
    with pytest.raises(InputError, match="not the result of a ladder"):
        read_rungs(tmp_path / "other.json")
