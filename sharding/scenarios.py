"""The five scenarios of an evaluation: predefined axes of a sweep, selected by name or by chapter number.

A scenario sets only the axes that the user does not set. Models, task types and the number of tasks are always the user's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers.errors import InputError
from providers.suggestion import suggestion

Axis = Sequence[str] | Sequence[float]


@dataclass(frozen=True, slots=True)
class SweepScenario:
    """A scenario: values for the axes of a sweep."""

    number: str
    name: str
    question: str
    """The question that the scenario answers, for display."""
    varies: str | None
    """The axis under study; a user who sets it must include at least one of the scenario's values."""
    prompt_types: Sequence[str] = ("optimal",)
    tool_success_rates: Sequence[float] = (0.8,)
    difficulties: Sequence[str] | None = ("easy",)
    """None: all difficulties."""

    @property
    def axes(self) -> Mapping[str, Axis | None]:
        """The values of the axes by the names of their settings."""
        return {
            "prompt_types": self.prompt_types,
            "tool_success_rates": self.tool_success_rates,
            "difficulties": self.difficulties,
        }


SOLVER = "tool_loop"
"""The solver of all scenarios: it calls tools, which may fail; a task without tools takes one turn."""

SCENARIOS = (
    SweepScenario("5.1", "baseline", "how good is each model with a complete prompt?", varies=None),
    SweepScenario(
        "5.2", "scale", "how well do models of different sizes solve harder tasks?", varies=None, difficulties=None
    ),
    SweepScenario(
        "5.3",
        "flawed",
        "how do models handle a plan with one flaw?",
        varies="prompt_types",
        prompt_types=(
            "flawed_sequence_disorder",
            "flawed_tool_misuse",
            "flawed_parameter_error",
            "flawed_missing_step",
            "flawed_redundant_operations",
            "flawed_logical_inconsistency",
            "flawed_semantic_drift",
        ),
    ),
    SweepScenario(
        "5.4",
        "tool-reliability",
        "how much does the score drop when tools fail more often?",
        varies="tool_success_rates",
        tool_success_rates=(0.9, 0.8, 0.7, 0.6),
    ),
    SweepScenario(
        "5.5",
        "prompt-sensitivity",
        "how much does the score depend on the prompt type?",
        varies="prompt_types",
        prompt_types=("baseline", "cot", "optimal"),
    ),
)


def find_scenario(name: str) -> SweepScenario:
    """Find a scenario by name or number. Raises InputError that names the most similar one."""
    for scenario in SCENARIOS:
        if name in {scenario.name, scenario.number}:
            return scenario
    names = [name for scenario in SCENARIOS for name in (scenario.number, scenario.name)]
    raise InputError(f'no scenario "{name}"; {suggestion(name, names)}')
