"""`capacity`: compute the gain of a capacity plan and compare predictions with the measurements of a ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..capacity.capacity_plan import CapacityGain, CapacityPlan, PredictionCheck


@click.command("capacity")
@click.argument("plan", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--ladder", type=click.Path(exists=True), help="A ladder's result, to compare predictions with measurements."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(plan: str, ladder: str | None, as_json: bool) -> int:
    """Compute the gain of the changes in PLAN: scenario split × TPM × instances, separately, together, and weighted by call share."""
    from pathlib import Path

    from ..capacity.capacity_plan import check, gain_of, read_plan, read_rungs

    capacity_plan = read_plan(Path(plan))
    gain = gain_of(capacity_plan)
    checks = check(capacity_plan, read_rungs(Path(ladder))) if ladder else []
    if as_json:
        _echo_json(gain, checks)
    else:
        _echo(capacity_plan, gain, checks)
    return 0


def _echo(plan: CapacityPlan, gain: CapacityGain, checks: list[PredictionCheck]) -> None:
    from ..ui.terminal import say
    from .tables import print_table

    print_table("Before and after", ("", "before", "after", "gain"), _before_after(plan, gain))
    print_table(
        "Composite gain",
        ("scenario", "share", "latency", "TPM", "instances", "together", "waiting"),
        [
            (
                gain_row.scenario,
                f"{gain_row.share:.0%}",
                f"{gain_row.latency:.3g} ×",
                f"{gain_row.tpm:.4g} ×",
                f"{gain_row.instances:.3g} ×",
                _times(gain_row.composite),
                f"{-gain_row.wait_saved:+.0%}" if gain_row.wait_saved else "as before",
            )
            for gain_row in gain.scenarios
        ],
    )
    say(f"weighted by call share: {_times(gain.weighted)}")
    say(f"gain in calls at a fixed mix of scenarios: {_times(gain.at_fixed_mix)}")
    if checks:
        rows = [
            (check.figure, _figure(check.predicted), _figure(check.measured), _deviation(check)) for check in checks
        ]
        print_table("Theory and measurement", ("", "predicted", "measured", "deviation"), rows)


def _before_after(plan: CapacityPlan, gain: CapacityGain) -> list[tuple[str, str, str, str]]:
    before, after = plan.before, plan.after
    rows = [("model", before.model, after.model, "")] if before.model or after.model else []
    rows.append(("TPM per instance", f"{before.tpm:,.0f}", f"{after.tpm:,.0f}", f"{after.tpm / before.tpm:.4g} ×"))
    if before.parameters_b and after.parameters_b:
        rows.append(("parameters", f"{before.parameters_b:g} B", f"{after.parameters_b:g} B", ""))
    rows.append(
        ("instances on the same hardware", "1 ×", f"{plan.instance_ratio:.3g} ×", f"{plan.instance_ratio:.3g} ×")
    )
    for scenario_gain in gain.scenarios:
        latency = plan.scenarios[scenario_gain.scenario].latency_s
        qpm = scenario_gain.per_instance_qpm
        rows.append(
            (
                f"{scenario_gain.scenario}: latency",
                f"{latency[0]:g} s",
                f"{latency[1]:g} s",
                f"{scenario_gain.latency:.3g} ×",
            )
        )
        rows.append(
            (
                f"{scenario_gain.scenario}: calls a minute, one instance",
                f"{qpm[0]:.3g}",
                f"{qpm[1]:.3g}",
                f"{qpm[1] / qpm[0]:.3g} ×",
            )
        )
    return rows


def _times(gain: float) -> str:
    return f"{gain:.1f} ×" if gain >= 5 else f"{gain:.2f} ×"


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _deviation(check: PredictionCheck) -> str:
    return "n/a" if check.deviation is None else f"{100 * check.deviation:+.1f} %"


def _echo_json(gain: CapacityGain, checks: list[PredictionCheck]) -> None:
    from dataclasses import asdict

    from ..ui.terminal import say_json

    document = {
        "scenarios": [
            {**asdict(scenario_gain), "composite": scenario_gain.composite} for scenario_gain in gain.scenarios
        ],
        "weighted": gain.weighted,
        "at_fixed_mix": gain.at_fixed_mix,
        "checks": [{**asdict(check), "deviation": check.deviation} for check in checks],
    }
    say_json(document)
