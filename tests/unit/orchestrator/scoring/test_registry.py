"""Scorers by name: the built-in ones, configured ones, a person's own, and what is said of a wrong one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from orchestrator.scoring.registry import build_scorer, judge_of, spelt_out
from providers.errors import InputError
from providers.messages import JSON, ToolCall
from runners.calls.client import ModelClient
from runners.samples.answer import Answer, Score, guard_scorer
from runners.user_code_error import UserCodeError
from sharding.plan import Cell, Sample
from sharding.tasks.task import Task

NO_MODEL = cast(ModelClient, None)
SAMPLE = Sample(0, "s", Task("t", [{"role": "user", "content": "?"}], target="7"), Cell("m", "baseline", 1.0), 0, 0)


@pytest.mark.parametrize(
    "name",
    ["exact", "includes", "numeric", "f1", "exact_any", '{"name":"regex","pattern":"\\\\d"}', '{"name":"exact"}'],
)
async def test_every_built_in_scorer_accepts_the_target_itself(name: str) -> None:
    assert (await build_scorer(name)(SAMPLE, Answer("7"), NO_MODEL)).grade == "full"
    assert (await build_scorer(name)(SAMPLE, Answer("8"), NO_MODEL)).grade == "failed"


@pytest.mark.parametrize(("tolerance", "grade"), [(0, "failed"), (0.01, "failed"), (0.5, "full")])
async def test_a_number_may_be_off_by_the_tolerance(tolerance: float, grade: str) -> None:
    scorer = build_scorer(spelt_out({"name": "numeric", "tolerance": tolerance}))
    assert (await scorer(SAMPLE, Answer("about 7.4"), NO_MODEL)).grade == grade


@pytest.mark.parametrize("name", ["exact", "includes", "numeric", "choice", "f1", "exact_any", "tool_calls"])
@pytest.mark.parametrize("target", [None, float("nan")])
async def test_a_task_without_a_target_is_ungraded(name: str, target: JSON) -> None:
    sample = Sample(0, "s", Task("t", [], target=target), SAMPLE.cell, 0, 0)
    assert (await build_scorer(name)(sample, Answer("7"), NO_MODEL)).grade == "ungraded"


@pytest.mark.parametrize(("arguments", "grade"), [("exact", "failed"), ("subset", "full"), ("ignore", "full")])
async def test_arguments_of_calls_may_be_ignored_or_a_superset(arguments: str, grade: str) -> None:
    target: JSON = {"calls": [{"name": "add", "arguments": {"a": [1]}}]}
    call: ToolCall = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    sample = Sample(0, "s", Task("t", [], target=target), SAMPLE.cell, 0, 0)
    scorer = build_scorer(spelt_out({"tool_calls": {"arguments": arguments}}))
    assert (await scorer(sample, Answer("", tool_calls=[call]), NO_MODEL)).grade == grade


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        (True, (1.0, "full")),
        (False, (0.0, "failed")),
        (1, (1.0, "full")),
        (0.25, (0.25, "partial")),
        (Score(0.5, "partial"), (0.5, "partial")),
    ],
)
async def test_a_plain_function_may_return_a_bool_or_a_number(returned: object, score: tuple[float, str]) -> None:
    graded = await guard_scorer(lambda sample, answer: returned, "your scorer")(SAMPLE, Answer("7"), NO_MODEL)
    assert (graded.value, graded.grade) == score


@pytest.mark.parametrize("returned", [None, "7", 1.5, float("nan")])
async def test_what_is_no_score_is_the_users_error(returned: object) -> None:
    with pytest.raises(
        UserCodeError, match=r"your scorer returned .* on task t; it must return a Score, True or False"
    ):
        await guard_scorer(lambda *_: returned, "your scorer")(SAMPLE, Answer("7"), NO_MODEL)


@pytest.mark.parametrize(
    ("text", "error_class"),
    [
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I cannot answer this question.", "refusal"),
        ("As an AI, I have no numbers.", "refusal"),
        ("抱歉，我无法回答这个问题。", "refusal"),
        ("I can't see how it would be 8, but 8 it is.", "wrong_answer"),
        ("I am not sure.", "format"),
        ("I'm sorry, but I can't help with that. Still: 7", None),
    ],
)
async def test_a_refusal_is_told_from_a_wrong_answer(text: str, error_class: str | None) -> None:
    assert (await build_scorer("numeric")(SAMPLE, Answer(text), NO_MODEL)).error_class == error_class


def test_the_judge_of_a_scorer_is_a_model_that_the_run_needs() -> None:
    assert judge_of("exact") is judge_of({"name": "regex", "pattern": "x"}) is None
    assert judge_of({"name": "model_graded", "judge": "j"}) == "j"


def test_a_scorer_with_settings_has_one_name_whatever_the_order_of_its_keys() -> None:
    assert spelt_out("exact") == "exact"
    assert spelt_out({"name": "regex", "pattern": "x"}) == spelt_out({"pattern": "x", "name": "regex"})


@pytest.mark.parametrize(
    ("scorer", "says"),
    [
        ("numerc", "no scorer 'numerc'; did you mean \"numeric\"?"),
        ({"name": "regex"}, "the regex scorer: needs pattern"),
        ({"name": "regex", "pattern": "("}, "the regex scorer's pattern is not valid"),
        ({"pattern": "x"}, "a scorer's settings need a name"),
        ({"name": "numeric", "tolerence": 1}, "has no option 'tolerence'; did you mean \"tolerance\"?"),
        ({"name": "numeric", "tolerance": -1}, "the numeric scorer: tolerance: "),
        ({"name": "exact", "tolerance": 1}, "the exact scorer: takes no options, not 'tolerance'"),
        ({"name": "json_schema"}, "the json_schema scorer: needs schema"),
        ({"name": "json_schema", "schema": {"type": "objekt"}}, "the json_schema scorer's schema is not valid"),
        ({"name": "json_schema", "schema": {"$ref": "http://x/y"}}, "refers to http://x/y, which is not in it"),
        ({"name": "json_schema", "schema": {"$ref": "#/$defs/n"}}, "refers to /$defs/n, which is not in it"),
        ({"name": "choice", "index_base": 2}, "the choice scorer: index_base: "),
        ({"tool_calls": {"arguments": "some"}}, "the tool_calls scorer: arguments: "),
        ({"name": "model_graded"}, "the model_graded scorer: needs judge"),
        ({"name": "regx", "pattern": "x"}, "no scorer 'regx'; did you mean \"regex\"?"),
        ("no_such_module:f", "cannot import no_such_module for the scorer no_such_module:f"),
    ],
)
def test_a_wrong_scorer_is_one_sentence(scorer: str | dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        build_scorer(spelt_out(scorer))
    assert says in str(caught.value)


async def test_an_exception_of_a_persons_own_scorer_is_theirs() -> None:
    with pytest.raises(UserCodeError, match=r"the scorer json:loads raised TypeError on task t: "):
        await build_scorer("json:loads")(SAMPLE, Answer("7"), NO_MODEL)


async def test_the_error_of_a_scorer_on_a_task_without_a_target_says_what_to_return() -> None:
    without = Sample(0, "s", Task("t", []), SAMPLE.cell, 0, 0)
    with pytest.raises(
        UserCodeError, match=r'AttributeError .*; the task has no target: return Score\(0, "ungraded"\)'
    ):
        await guard_scorer(lambda sample, answer: sample.task.target.lower() in answer.text, "s")(
            without, Answer("7"), NO_MODEL
        )
