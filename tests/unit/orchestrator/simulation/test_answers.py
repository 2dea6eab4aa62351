"""Simulated answers: as good as the model's skill says, wrong where they are meant to be, and the same whenever they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.loading import LoadedConfig
from orchestrator.open_sweep import open_sweep
from orchestrator.scoring.refusal import is_refusal
from orchestrator.scoring.registry import COMPARISONS
from orchestrator.simulation.answers import SweepAnswers, calibrated, right_text, sweep_answers, wrong_text
from providers.messages import JSON, ChatRequest, Message, Tool
from providers.simulator.settings.answers import AnswerSettings
from providers.simulator.settings.provider import SimulatorSettings
from runners.tools.simulated_tools import named

Load = Callable[..., LoadedConfig]
ANY = ChatRequest(messages=[])
N = 2_000


@contextmanager
def active(load: Load, tmp_path: Path, seed: int = 0, **settings: Any) -> Iterator[SweepAnswers]:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(f'{{"id": "q{n}", "input": "{n}?", "target": {n}}}\n' for n in range(N)))
    found = open_sweep(load({"tasks": [{"path": str(path)}]}))
    yield SweepAnswers(found.sweep, AnswerSettings.model_validate(settings), seed)
    found.tasks.close()


def truths(answers: SweepAnswers, turn: int = 1) -> list[bool]:
    ids = [answers.sweep.sample(n).sample_id for n in range(len(answers.sweep))]
    return [bool(answers.answer(f"{one}/{turn}/1", ANY, "m").right) for one in ids]


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("skill", [0.2, 0.5, 0.85])
def test_the_share_of_right_answers_is_near_the_skill_whatever_the_spread(
    load: Load, tmp_path: Path, skill: float, spread: float
) -> None:
    with active(load, tmp_path, skill=skill, spread=spread) as answers:
        share = sum(truths(answers)) / N
    assert share == pytest.approx(skill, abs=4 * (skill * (1 - skill) / N) ** 0.5)


@pytest.mark.parametrize(("skill", "share"), [(0, 0), (1, 1)])
def test_perfect_and_hopeless_models_are_exactly_that(load: Load, tmp_path: Path, skill: float, share: int) -> None:
    with active(load, tmp_path, skill=skill, spread=2.0) as answers:
        assert set(truths(answers)) == {bool(share)}


def test_with_spread_some_tasks_are_hard_for_every_turn(load: Load, tmp_path: Path) -> None:
    """Two turns agree more often than two independent throws would."""
    with active(load, tmp_path, skill=0.5, spread=3.0) as answers:
        agree = sum(a == b for a, b in zip(truths(answers, 1), truths(answers, 2), strict=True)) / N
    assert agree > 0.6


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_prompt_types_and_difficulties_add_to_the_chance_of_being_right(
    load: Load, tmp_path: Path, spread: float
) -> None:
    shares = []
    for gain in ({"baseline": -1.0}, {}, {"baseline": 0.5, "default": 0.5}, {"cot": 9.0}):
        with active(load, tmp_path, skill=0.6, spread=spread, gain=gain) as answers:
            shares.append(sum(truths(answers)) / N)
    worse, usual, better, unasked = shares
    assert worse + 0.1 < usual < better - 0.1
    assert unasked == usual


@pytest.mark.parametrize("skill", [0, 1])
def test_no_gain_makes_a_perfect_model_err_or_a_hopeless_one_right(load: Load, tmp_path: Path, skill: float) -> None:
    with active(load, tmp_path, skill=skill, gain={"baseline": 3.0 - 6.0 * skill}) as answers:
        assert set(truths(answers)) == {bool(skill)}


def test_skill_may_be_told_by_model_or_by_deployment(load: Load, tmp_path: Path) -> None:
    with active(load, tmp_path, skill={"m": 1.0, "m-2": 0.0}) as answers:
        one = f"{answers.sweep.sample(0).sample_id}/1/1"
        assert answers.answer(one, ANY, "m").right is True
        assert answers.answer(one, ANY, "another").right is True
        assert answers.answer(one, ANY, "m-2").right is False


def test_an_answer_is_a_function_of_seed_sample_and_turn_alone(load: Load, tmp_path: Path) -> None:
    with active(load, tmp_path, skill=0.5, output_tokens=20) as answers:
        ids = [answers.sweep.sample(n).sample_id for n in range(200)]
        first = [answers.answer(f"{one}/1/1", ANY, "m") for one in ids]
        again = [answers.answer(f"{one}/1/3", ANY, "another") for one in reversed(ids)]
        assert first == again[::-1]
        assert first != [answers.answer(f"{one}/2/1", ANY, "m") for one in ids]
    with active(load, tmp_path, seed=1, skill=0.5, output_tokens=20) as other:
        assert first != [other.answer(f"{one}/1/1", ANY, "m") for one in ids]


def test_a_request_of_no_sample_is_answered_without_a_truth(load: Load, tmp_path: Path) -> None:
    with active(load, tmp_path) as answers:
        assert answers.answer("doctor/1/1", ANY, "m").right is None
        assert answers.answer("no-slashes", ANY, "m").right is None
        assert answers.answer(f"{'00' * 16}/1/1", ANY, "m").right is None
        assert answers.answer("/1/1", ANY, "m").right is None


def test_answers_are_as_long_as_asked_on_average(load: Load, tmp_path: Path) -> None:
    with active(load, tmp_path, output_tokens=50) as answers:
        lengths = [len(answers.answer(f"{answers.sweep.sample(n).sample_id}/1/1", ANY, "m").text) for n in range(500)]
    assert sum(lengths) / len(lengths) == pytest.approx(4 * 50, rel=0.1)
    assert min(lengths) < 150 < 250 < max(lengths)


def test_plans_are_followed_only_where_the_solver_takes_turns(load: Load, tmp_path: Path) -> None:
    tools: list[JSON] = [{"type": "function", "function": {"name": "look"}}]
    row = {"input": "?", "target": "ok", "tools": tools, "metadata": {"plan": [{"tool": "look", "arguments": {}}]}}
    path = tmp_path / "planned.jsonl"
    path.write_text(json.dumps(row))
    request = ChatRequest([{"role": "user", "content": "?"}], [{"type": "function", "function": {"name": "look"}}])
    found: dict[str, Any] = {}
    for solver in ("single_turn", "tool_loop"):
        loaded = load({"tasks": [{"path": str(path)}]}, flags={"run.solver": solver})
        opened_sweep = open_sweep(loaded)
        answers = sweep_answers(
            loaded, opened_sweep.sweep, SimulatorSettings.model_validate({"deployments": {"m": {}}})
        )
        found[solver] = answers.answer(f"{opened_sweep.sweep.sample(0).sample_id}/1/1", request, "m")
        opened_sweep.tasks.close()
    assert (found["single_turn"].text, found["single_turn"].tool_calls) == ("ok", ())
    assert found["tool_loop"].tool_calls[0]["function"]["name"] == "look"
    assert found["tool_loop"].right is None


def test_a_model_that_believes_its_prompt_makes_the_calls_of_the_flawed_plan(load: Load, tmp_path: Path) -> None:
    names = ("look", "take", "tell")
    tools: list[Tool] = [{"type": "function", "function": {"name": name}} for name in names]
    plan = [{"tool": name, "arguments": {"n": 1}, "description": f"Do {name}."} for name in names]
    path = tmp_path / "planned.jsonl"
    path.write_text(json.dumps({"input": "?", "target": "ok", "tools": tools, "metadata": {"plan": plan}}))
    prompts = ["optimal", "flawed_missing_step"]
    loaded = load({"tasks": [{"path": str(path)}], "sweep": {"prompt_types": prompts}, "run": {"solver": "tool_loop"}})
    found = open_sweep(loaded)
    settings = {"deployments": {"m": {}}, "answers": {"skill": 0.0}}
    answers = sweep_answers(loaded, found.sweep, SimulatorSettings.model_validate(settings))
    flawed = found.sweep.sample(1)
    said: list[Message] = [*flawed.task.messages]
    called: list[str] = []
    while calls := answers.answer(f"{flawed.sample_id}/{len(called) + 1}/1", ChatRequest(said, tools), "m").tool_calls:
        called.append(named(calls[0])[0])
        said.append({"role": "tool", "tool_call_id": "c", "content": "done"})
    shown = str(flawed.task.messages[-1]["content"])
    assert called == [name for name in names if f"{name}(" in shown]
    assert len(called) == 2
    found.tasks.close()


@pytest.mark.parametrize(
    ("scorer", "target", "prompt", "texts"),
    [
        ("choice", 2, "{question}\n{choices:letters}", ("C", "A")),
        ("choice", "rr", "(A) pp (B) qq (C) rr {question}", ("C", "A")),
        ("mine:score", 0, "{question}\n{choices:letters}", ("A", "B")),
        ({"name": "choice", "index_base": 1}, 2, "{question}\n{choices:letters}", ("B", "A")),
        ("choice", 2, "{question}\n{choices:numbers}", ("2", "9")),
        ("choice", "C", "{question}\n{choices:letters}", ("C", "A")),
        ("includes", 2, "{question}\n{choices:letters}", ("2", "9")),
    ],
)
def test_multiple_choice_is_answered_with_the_letter_that_the_prompt_shows(
    load: Load, tmp_path: Path, scorer: Any, target: JSON, prompt: str, texts: tuple[str, str]
) -> None:
    path = tmp_path / "mc.jsonl"
    rows = [{"id": n, "question": "?", "choices": ["pp", "qq", "rr"], "answer": target if n else 0} for n in range(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sections = {
        "sweep": {"prompt_types": ["p"]},
        "prompts": {"p": prompt},
        "tasks": [{"path": str(path), "scorer": scorer}],
    }
    loaded = load(sections)
    found = open_sweep(loaded)
    asked = found.sweep.sample(1)
    said = []
    for skill in (1.0, 0.0):
        settings = SimulatorSettings.model_validate({"deployments": {"m": {}}, "answers": {"skill": skill}})
        answers = sweep_answers(loaded, found.sweep, settings)
        said.append(answers.answer(f"{asked.sample_id}/1/1", ChatRequest(asked.task.messages), "m").text)
    found.tasks.close()
    assert tuple(said) == texts


TARGETS: list[JSON] = [
    0, 1, 7, 13, 93, -5, 12.5, "12.50", "1,200", "$40", "45%", 10_000_000, "1,000,000,000", "1e9", "99.99",
    "Paris", "yes", "no", "a", "A", "I", "I am not sure.", "?", "straße", "π", ["5", "12"], ["no", "?"], ["x"],
    "B", "(C)", "J", "Janet sells 9 eggs.\n#### 18", "Total: 3 + 4 = 7\nThe answer is 7.", True,
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=repr)
@pytest.mark.parametrize("scorer", COMPARISONS)
def test_a_wrong_text_is_never_accepted(scorer: str, target: JSON) -> None:
    assert COMPARISONS[scorer](wrong_text(target), target).grade != "full"


@pytest.mark.parametrize("target", TARGETS, ids=repr)
@pytest.mark.parametrize("scorer", ["exact", "includes"])
def test_a_right_text_is_always_accepted(scorer: str, target: JSON) -> None:
    assert COMPARISONS[scorer](right_text(target), target).grade == "full"


def test_a_template_stands_around_right_and_wrong_answers(load: Load, tmp_path: Path) -> None:
    with active(load, tmp_path, skill=0.5, template="Answer: {target}!") as answers:
        ids = [answers.sweep.sample(n).sample_id for n in range(50)]
        texts = {answers.answer(f"{one}/1/1", ANY, "m").text for one in ids}
    assert all(text.startswith("Answer: ") and text.endswith("!") for text in texts)


def test_a_share_of_answers_is_refused_and_the_log_may_say_so(load: Load, tmp_path: Path) -> None:
    with active(load, tmp_path, corruptions={"refusal": 0.3}) as answers:
        found = [answers.answer(f"{answers.sweep.sample(n).sample_id}/1/1", ANY, "m") for n in range(N)]
    refused = [one for one in found if one.corruption == "refusal"]
    assert len(refused) / N == pytest.approx(0.3, abs=0.05)
    assert {(one.right, is_refusal(one.text)) for one in refused} == {(False, True)}


def test_calibration_gives_the_skill_in_the_mean() -> None:
    assert calibrated(0.5, 2.0) == pytest.approx(0, abs=1e-6)
    assert calibrated(0.8, 0.0) == pytest.approx(1.3863, abs=1e-3)
    assert calibrated(0.8, 2.0) > calibrated(0.8, 0.0)
