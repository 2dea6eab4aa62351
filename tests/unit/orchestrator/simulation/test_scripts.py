"""Scripted answers of the simulator: from a column, a file or a function."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.config.loading import LoadedConfig
from orchestrator.open_sweep import open_sweep
from orchestrator.simulation.answers import sweep_answers
from providers.errors import InputError
from providers.messages import ChatRequest, Message
from providers.simulator.answers.source import SimulatedAnswer
from providers.simulator.settings.provider import SimulatorSettings
from sharding.plan import Sample

Load = Callable[..., LoadedConfig]
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
ROWS = [
    {"id": "a", "input": "?", "target": "right", "said": {"often": ["<do>look</do>", "Done."]}},
    {"id": "b", "input": "?", "target": "right", "said": {"often": "Always."}},
    {"id": "c", "input": "?", "target": "right"},
    {"id": "d", "input": "?", "target": "right", "said": {"often": [{"tool_calls": [CALL]}, "Done."]}},
]


def answered(load: Load, folder: Path, script: Mapping[str, object]) -> list[list[SimulatedAnswer]]:
    """The answers to every task in three turns."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = open_sweep(load({"tasks": [{"path": str(folder / "rows.jsonl")}]}))
    settings: Any = {"deployments": {"m": {}}, "answers": {"script": script}}
    loaded = load({"tasks": [{"path": str(folder / "rows.jsonl")}]})
    answers = sweep_answers(loaded, found.sweep, SimulatorSettings.model_validate(settings))
    ids = [found.sweep.sample(number).sample_id for number in range(len(ROWS))]
    with closing(found.tasks):
        return [[answers.answer(f"{one}/{turn}/1", ChatRequest([]), "m") for turn in (1, 2, 3)] for one in ids]


def test_a_column_has_a_text_or_a_reply_for_every_turn(load: Load, tmp_path: Path) -> None:
    a, b, c, d = answered(load, tmp_path, {"column": "said.often"})
    assert [answer.text for answer in a] == ["<do>look</do>", "Done.", "Done."]
    assert [answer.text for answer in b] == ["Always."] * 3
    assert [answer.text for answer in c] == ["right"] * 3
    assert (d[0].text, d[0].tool_calls, d[1].text) == ("", [CALL], "Done.")


def test_a_file_has_the_replies_by_the_tasks_ids(load: Load, tmp_path: Path) -> None:
    (tmp_path / "said.jsonl").write_text('{"id": "a", "replies": ["One.", "Two."]}\n\n{"id": "b", "replies": "B."}\n')
    a, b, c, _ = answered(load, tmp_path, {"file": str(tmp_path / "said.jsonl")})
    assert [[answer.text for answer in own] for own in (a, b, c)] == [
        ["One.", "Two.", "Two."],
        ["B."] * 3,
        ["right"] * 3,
    ]


@pytest.fixture
def own_module() -> ModuleType:
    module = sys.modules["own_script"] = ModuleType("own_script")
    return module


def test_a_function_answers_from_the_sample_the_messages_and_the_turn(
    load: Load, tmp_path: Path, own_module: ModuleType
) -> None:
    def answer(sample: Sample, messages: Sequence[Message], turn: int) -> str | None:
        return f"{sample.task.task_id}{len(messages)}{turn}" if turn < 3 else None

    vars(own_module)["answer"] = answer
    a, *_ = answered(load, tmp_path, {"function": "own_script:answer"})
    assert [answer.text for answer in a] == ["a01", "a02", "right"]


def test_a_function_that_fails_or_says_nothing_readable_is_named(
    load: Load, tmp_path: Path, own_module: ModuleType
) -> None:
    vars(own_module).update(fail=lambda *_: 1 / 0, number=lambda *_: 7)
    (failed, *_), *_ = answered(load, tmp_path, {"function": "own_script:fail"})
    assert failed.error == "the script own_script:fail raised ZeroDivisionError on task a: division by zero"
    (odd, *_), *_ = answered(load, tmp_path, {"function": "own_script:number"})
    assert odd.error == "task a: a scripted answer is a text, or a message with content or tool_calls, not 7"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"column": "nothing"}, "no task has a value in the column 'nothing'"),
        ({"file": "missing.jsonl"}, "missing.jsonl: cannot be read"),
        ({"function": "no_such_module:f"}, "cannot import no_such_module for the script"),
    ],
)
def test_a_script_that_cannot_be_used_is_refused_at_the_start(
    load: Load, tmp_path: Path, script: Mapping[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        answered(load, tmp_path, script)


def test_a_script_has_one_source() -> None:
    with pytest.raises(ValueError, match="a script has one source"):
        SimulatorSettings.model_validate({"deployments": {"m": {}}, "answers": {"script": {}}})
