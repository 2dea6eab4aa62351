"""The sweep of a configuration: its files, its axes, and what its results belong to."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.environment import Environment
from orchestrator.config.loading import LoadedConfig
from orchestrator.execution.components import no_key
from orchestrator.execution.prepare import prepare
from orchestrator.open_sweep import open_sweep
from providers.errors import InputError

Load = Callable[..., LoadedConfig]


def fingerprint(loaded: LoadedConfig) -> str:
    return prepare(loaded, no_key).plan().fingerprint


def test_the_axes_multiply(load: Load) -> None:
    flags = {"sweep.prompt_types": "baseline,cot", "sweep.tool_success_rates": "1,0.5", "sweep.epochs": 3}
    sweep = open_sweep(load({}, flags=flags)).sweep
    assert len(sweep) == 8 * 2 * 2 * 3
    assert sweep.stages == (1.0, 0.5)


@pytest.mark.parametrize(
    ("flags", "tasks"),
    [
        ({"sweep.limit": 3}, ["t1", "t2", "t3"]),
        ({"sweep.num_instances": 1}, ["t1", "t2", "t5", "t6"]),
        ({"sweep.difficulties": "hard"}, ["t5", "t6", "t7", "t8"]),
        ({"sweep.task_types": "sum", "sweep.difficulties": "easy"}, ["t1", "t3"]),
        ({"sweep.task_types": "all", "sweep.limit": 1}, ["t1"]),
    ],
)
def test_the_selection_takes_the_first_ones_of_each_kind(
    load: Load, flags: dict[str, object], tasks: list[str]
) -> None:
    sweep = open_sweep(load({}, flags=flags)).sweep
    assert [sweep.sample(n).task.task_id for n in range(len(sweep))] == tasks


def test_a_glob_takes_every_file_in_order(load: Load, tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.part.jsonl").write_text(f'{{"id": "{name}", "input": "?", "target": 1}}\n')
    sweep = open_sweep(load({"tasks": [{"path": str(tmp_path / "*.part.jsonl")}]})).sweep
    assert [sweep.sample(n).task.task_id for n in range(2)] == ["a", "b"]


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"tasks": [{"path": "nothing/*.jsonl"}]}, "tasks: no file matches nothing/*.jsonl under "),
        ({"tasks": [{"path": "/nowhere/none.jsonl"}]}, "/nowhere/none.jsonl: no such file; check the path"),
        ({"sweep": {"prompt_types": ["cott"]}}, 'unknown prompt type "cott"; did you mean "cot"?'),
        ({"sweep": {"prompt_types": ["cot", "cot"]}}, "prompt_types names cot twice"),
        ({"sweep": {"task_types": ["sums"]}}, 'no task has the task type "sums"; did you mean "sum"?'),
    ],
)
def test_what_does_not_fit_the_tasks_is_said(load: Load, sections: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        open_sweep(load(sections))
    assert says in str(caught.value)


def test_a_prompt_type_of_ones_own_is_text_or_a_file_beside_the_configuration(load: Load, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("system: From a file.\n")
    prompts = {"file": str(tmp_path / "mine.yaml"), "text": {"user": "Q: {input}"}}
    sweep = open_sweep(load({"prompts": prompts, "sweep": {"prompt_types": ["file", "text"], "limit": 1}})).sweep
    assert sweep.sample(0).task.messages[0] == {"role": "system", "content": "From a file."}
    assert sweep.sample(1).task.messages[0]["content"] == "Q: 1 + 1?"


@pytest.mark.parametrize(
    "flags",
    [
        {"run.rate_mode": "fixed"},
        {"run.storage_format": "json"},
        {"run.stagger_s": "0"},
        {"run.output_dir": "elsewhere"},
        {"run.max_workers": 3},
        {"run.max_retries": 9},
        {"models.m.workers": 3},
        {"providers.sim.seed": 9},
        {"providers.sim.transport": "sdk"},
        {"run.adapt": "drop"},
        {"models.m.adapt": "never"},
        {"models.m.timeouts": "reasoning"},
    ],
)
def test_results_do_not_depend_on_how_the_run_is_carried_out(load: Load, flags: dict[str, object]) -> None:
    assert fingerprint(load({}, flags=flags)) == fingerprint(load({}))


@pytest.mark.parametrize(
    "flags",
    [
        {"run.seed": 1},
        {"run.solver": "json:dumps"},
        {"generation.temperature": 1},
        {"generation.top_p": 0.5},
        {"generation.stop": "END"},
        {"generation.reasoning_effort": "low"},
        {"models.m.generation.temperature": "null"},
        {"models.m.generation.max_tokens": 9},
        {"sweep.limit": 3},
        {"sweep.epochs": 2},
        {"sweep.prompt_types": "cot"},
        {"sweep.tool_success_rates": "0.5"},
        {"models.m2.provider": "sim", "models.m2.deployments": "m2", "providers.sim.deployments.m2": {}},
    ],
)
def test_results_depend_on_what_is_asked(load: Load, flags: dict[str, object]) -> None:
    assert fingerprint(load({}, flags=flags)) != fingerprint(load({}))


def test_results_depend_on_the_tasks_and_the_scorer(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    before = fingerprint(load({}))
    assert fingerprint(load({"tasks": [{"path": str(path), "scorer": "exact"}]})) != before
    path.write_text(path.read_text().replace("1 + 1?", "1 + 1 ?"))
    assert fingerprint(load({})) != before


def test_a_scorer_from_python_is_part_of_what_results_belong_to(load: Load) -> None:
    async def mine(*_: object) -> Any: ...

    plan = prepare(load({}), no_key, scorer=mine).plan()
    assert plan.parts["scorers"].endswith("mine")
    assert plan.fingerprint != fingerprint(load({}))


def test_a_generation_that_says_nothing_new_has_the_fingerprint_it_always_had(load: Load) -> None:
    plan = prepare(load({"generation": {"temperature": 0, "max_tokens": 512}}), no_key).plan()
    assert plan.parts["generation"] == (
        '{"temperature":0.0,"max_tokens":512,"stream":false,"seed":null,"extra_body":null}'
    )
    assert "model_generation" not in plan.parts


def test_what_a_model_says_for_itself_is_part_of_what_results_belong_to_as_it_is_written(load: Load) -> None:
    own = {"temperature": None, "reasoning_effort": "low"}
    plan = prepare(load({}, flags={"models.m.generation": own}), no_key).plan()
    assert plan.parts["model_generation"] == '{"m":{"reasoning_effort":"low","temperature":null}}'


@pytest.mark.parametrize("solver", ["tool_loop", "single_turn"])
def test_the_code_of_tools_that_tasks_name_belongs_to_the_results_of_solvers_that_call_them(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, solver: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = tmp_path / f"tools_of_{solver}.py"
    code.write_text("def find(arguments):\n    return 1\n")
    row = {"input": "?", "target": "1", "metadata": {"tool_results": {"find": {"function": f"{code.stem}:find"}}}}
    (tmp_path / "named.jsonl").write_text(json.dumps(row))
    loaded = load({"tasks": [{"path": str(tmp_path / "named.jsonl")}]}, flags={"run.solver": solver})
    before = prepare(loaded, no_key).plan()
    code.write_text("def find(arguments):\n    return 2\n")
    after = prepare(loaded, no_key).plan()
    part = f"file {code.name}"
    assert (part in before.parts, before.parts.get(part) != after.parts.get(part)) == ((solver == "tool_loop",) * 2)


def test_a_run_that_has_begun_is_told_of_letters_that_are_compared_as_text(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = {"question": "Which?", "choices": ["red", "blue"], "answer": "B"}
    (tmp_path / "mc.jsonl").write_text(json.dumps(row) + "\n")
    loaded = load({"tasks": [{"path": str(tmp_path / "mc.jsonl")}]})
    with pytest.raises(InputError, match="set scorer: choice"):
        prepare(loaded, no_key)
    prepare(replace(loaded, is_stored=True), no_key)
    assert "set scorer: choice" in caplog.text


def test_a_key_in_the_configuration_is_refused_and_the_name_of_its_variable_is_none(load: Load) -> None:
    provider = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key_env": "LOCAL_SERVER_API_KEY"}
    sections = {"providers": {"p": provider}, "models": {"m": {"provider": "p"}}}
    environment = Environment({"LOCAL_SERVER_API_KEY": "local_server_api_key"})
    prepare(load(sections), environment.key)
    with pytest.raises(InputError, match="the value of LOCAL_SERVER_API_KEY stands in the configuration itself"):
        prepare(load(sections, flags={"run.notify": "true local_server_api_key"}), environment.key)


@pytest.mark.parametrize(("is_shown", "displays"), [(True, [None]), (False, ["none"])])
def test_one_process_of_a_run_shows_its_scan(
    load: Load, monkeypatch: pytest.MonkeyPatch, is_shown: bool, displays: list[str | None]
) -> None:
    asked: list[str | None] = []

    def note(display: str | None) -> nullcontext[None]:
        asked.append(display)
        return nullcontext()

    monkeypatch.setattr("orchestrator.open_sweep.scan_shown", note)
    open_sweep(load({}), is_shown=is_shown)
    assert asked == displays
