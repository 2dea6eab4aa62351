"""The five scenarios of an evaluation: which axes a sweep has by one name, or by the number of its chapter.

A scenario fills in what nobody spelt out; what is spelt out counts. Models, task types and how many tasks are the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers.errors import InputError
from providers.suggestion import suggestion

Axis = Sequence[str] | Sequence[float]


@dataclass(frozen=True, slots=True)
class SweepScenario:
    number: str
    name: str
    question: str
    """What it finds out, for people."""
    varies: str | None
    """The axis that it is about: whoever spells it out takes at least one of its values from here."""
    prompt_types: Sequence[str] = ("optimal",)
    tool_success_rates: Sequence[float] = (0.8,)
    difficulties: Sequence[str] | None = ("easy",)
    """None: all of them."""

    @property
    def axes(self) -> Mapping[str, Axis | None]:
        """By the names that settings have."""
        return {
            "prompt_types": self.prompt_types,
            "tool_success_rates": self.tool_success_rates,
            "difficulties": self.difficulties,
        }


SOLVER = "tool_loop"
"""How all of them are solved: tools that fail want somebody who calls them; a task without tools takes one turn."""

SCENARIOS = (
    SweepScenario("5.1", "baseline", "how good is each model when everything is said?", varies=None),
    SweepScenario(
        "5.2", "scale", "how far do models of different size get as tasks grow harder?", varies=None, difficulties=None
    ),
    SweepScenario(
        "5.3",
        "flawed",
        "what do models make of a plan with one flaw?",
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
        "what is left when tools fail more and more often?",
        varies="tool_success_rates",
        tool_success_rates=(0.9, 0.8, 0.7, 0.6),
    ),
    SweepScenario(
        "5.5",
        "prompt-sensitivity",
        "how much does it matter how models are asked?",
        varies="prompt_types",
        prompt_types=("baseline", "cot", "optimal"),
    ),
)


def find_scenario(name: str) -> SweepScenario:
    """By name or number. Raises InputError naming the nearest."""
    for one in SCENARIOS:
        if name in {one.name, one.number}:
            return one
    known = [name for one in SCENARIOS for name in (one.number, one.name)]
    raise InputError(f'no scenario "{name}"; {suggestion(name, known)}')
