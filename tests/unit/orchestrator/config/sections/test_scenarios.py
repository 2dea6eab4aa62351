"""Scenarios in a person's file: what they add, what they leave alone, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.config.loading import LoadedConfig
from orchestrator.open_sweep import open_sweep
from providers.errors import InputError
from sharding.prompts.flaws import FLAWS
from sharding.prompts.templates import load_prompt_types
from sharding.scenarios import SCENARIOS, SweepScenario

Load = Callable[..., LoadedConfig]


def axes(loaded: LoadedConfig) -> list[Any]:
    sweep = loaded.config.sweep
    return [sweep.prompt_types, sweep.tool_success_rates, sweep.difficulties, loaded.config.run.solver]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_a_scenario_is_known_by_name_and_by_number(load: Load, scenario: SweepScenario) -> None:
    by_name = load({"sweep": {"scenario": scenario.name}})
    by_number = load({"sweep": {"scenario": float(scenario.number)}})
    difficulties = scenario.difficulties and tuple(scenario.difficulties)
    assert axes(by_name) == axes(by_number) == [
        tuple(scenario.prompt_types), tuple(scenario.tool_success_rates), difficulties, "tool_loop",
    ]  # fmt: skip
    assert by_number.config.sweep.scenario == scenario.name


def test_the_flawed_scenario_has_every_flaw_once() -> None:
    (flawed,) = (one for one in SCENARIOS if one.name == "flawed")
    prompts = load_prompt_types(flawed.prompt_types).values()
    assert [prompt.flaw for prompt in prompts] == list(FLAWS)


def test_what_is_spelt_out_counts_whoever_says_it(load: Load) -> None:
    sections = {"sweep": {"scenario": "5.5", "difficulties": "all"}, "run": {"solver": "single_turn"}}
    loaded = load(sections, flags={"sweep.prompt_types": "cot", "sweep.tool_success_rates": 1})
    assert axes(loaded) == [("cot",), (1.0,), None, "single_turn"]


def test_a_flag_names_the_scenario_of_a_file_that_has_none(load: Load) -> None:
    assert load({}, flags={"sweep.scenario": "5.4"}).config.sweep.tool_success_rates == (0.9, 0.8, 0.7, 0.6)
    assert load({"sweep": None}, flags={"sweep.scenario": "5.4"}).config.sweep.scenario == "tool-reliability"


def test_a_scenario_is_the_same_sweep_as_its_axes_spelt_out(load: Load) -> None:
    by_name = open_sweep(load({"sweep": {"scenario": "prompt-sensitivity"}})).sweep
    spelt = {"prompt_types": "baseline,cot,optimal", "tool_success_rates": 0.8, "difficulties": "easy"}
    assert by_name.fingerprint_parts == open_sweep(load({"sweep": spelt})).sweep.fingerprint_parts


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"scenario": "flawd"}, 'sweep.scenario: no scenario "flawd"; did you mean "flawed"? Known: 5.1, 5.2'),
        ({"scenario": 5.6}, 'sweep.scenario: no scenario "5.6"; did you mean "5.'),
        ({"scenario": ["flawed"]}, "sweep.scenario: "),
        ({"scenario": "flawed", "prompt_types": "cot"}, "and cot is none of them; leave out scenario or prompt_types"),
        ({"scenario": "5.4", "tool_success_rates": [1, 0.5]}, "0.9, 0.8, 0.7, 0.6, and 1.0, 0.5 is none of them"),
        ({"scenario": "5.4", "tool_success_rates": [2]}, "sweep.tool_success_rates"),
    ],
)
def test_what_is_no_scenario_or_leaves_nothing_of_it_is_said(load: Load, sweep: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        load({"sweep": sweep})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tasks_that_a_scenario_does_not_fit_are_said_with_its_name(load: Load) -> None:
    (flawed,) = (one for one in SCENARIOS if one.name == "flawed")
    with pytest.raises(InputError, match=r'^scenario flawed: no task has the task type "sums"'):
        open_sweep(load({"sweep": {"scenario": flawed.number, "task_types": "sums"}}))


def test_rates_that_nobody_will_see_are_warned_of(load: Load) -> None:
    idle = load({"sweep": {"tool_success_rates": [1, 0.8]}})
    assert idle.warnings() == [
        "sweep.tool_success_rates: 0.8 changes nothing: the solver single_turn calls no tools, run.solver: tool_loop does"
    ]
    assert load({"sweep": {"scenario": "5.4"}}).warnings() == []
    assert load({}).warnings() == []
