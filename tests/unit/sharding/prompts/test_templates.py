from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from providers.errors import InputError
from providers.messages import JSON
from sharding.prompts.templates import PromptSource, PromptTemplate, load_prompt_types
from sharding.tasks.task import Task

TASK = Task("t", ({"role": "user", "content": "What is {x}?"},), target=4, task_type="sum")


def test_shipped_prompt_types_come_in_the_order_asked_for() -> None:
    assert list(load_prompt_types(["optimal", "baseline", "cot"])) == ["optimal", "baseline", "cot"]


def test_baseline_leaves_the_task_as_it_is() -> None:
    assert load_prompt_types(["baseline"])["baseline"].apply(TASK) is TASK


def test_cot_asks_for_steps_and_an_answer_on_its_own_line() -> None:
    asked = load_prompt_types(["cot"])["cot"].apply(TASK)
    content = str(asked.messages[0]["content"])
    assert content.startswith("What is {x}?\n\nThink step by step")
    assert "\nAnswer: " in content
    assert (asked.task_id, asked.target, asked.task_type) == ("t", 4, "sum")


def test_optimal_gives_a_role_steps_and_the_form_of_the_answer() -> None:
    asked = load_prompt_types(["optimal"])["optimal"].apply(TASK)
    assert [message["role"] for message in asked.messages] == ["system", "user"]
    assert "What is {x}?" in str(asked.messages[1]["content"])
    assert "\nAnswer: " in str(asked.messages[1]["content"])


def test_digests_follow_the_text_alone() -> None:
    digests = {prompt.digest for prompt in load_prompt_types(["baseline", "cot", "optimal"]).values()}
    assert len(digests) == 3
    assert PromptTemplate("a", "s", None).digest == PromptTemplate("b", "s", None).digest
    assert PromptTemplate("a", "s", None).digest != PromptTemplate("a", None, "s").digest


def test_people_add_their_own_from_a_file_or_inline(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("system: Be brief.\nuser: 'Q: {input}'\n")
    loaded = load_prompt_types(["mine", "cot"], {"mine": path, "cot": {"user": "{input} Think."}})
    assert [message["content"] for message in loaded["mine"].apply(TASK).messages] == ["Be brief.", "Q: What is {x}?"]
    assert loaded["cot"].apply(TASK).messages[0]["content"] == "What is {x}? Think."


def test_an_unknown_prompt_type_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r'unknown prompt type "optimla"; did you mean "optimal"\? Known: baseline, cot, .*mine'
    ):
        load_prompt_types(["optimla"], {"mine": {}})


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"usr": "{input}"}, 'prompt type p: unknown key "usr"; did you mean "user"?'),
        ({"user": 3}, "prompt type p: user must be text"),
        ({"user": "no place for the task"}, "prompt type p: user must contain {input}"),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused(source: PromptSource, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        load_prompt_types(["p"], {"p": source})
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    "variable", ["{input.__class__}", "{0.__class__}", "{input.__init__.__globals__}", "{input[0]}", "{input!r}"]
)
def test_a_template_reads_columns_and_nothing_of_python(variable: str) -> None:
    with suppress(InputError):  # no such column
        shown = load_prompt_types(["p"], {"p": {"user": f"{{input}} {variable}"}})["p"].apply(TASK)
        assert shown.messages[0]["content"] == f"What is {{x}}? {variable}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [("- a", "a prompt type is a mapping"), ("user: [", "not valid YAML"), (None, "cannot be read")],
)
def test_a_prompt_file_that_is_wrong_is_named(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "p.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        load_prompt_types(["p"], {"p": path})
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------ the form of a step, plans of one's own
STEPS: JSON = [{"tool": "read", "arguments": {"n": 1}, "description": "Read it."}, {"tool": "tell", "arguments": None}]
FLAWED: JSON = {"missing": {"severe": ["tell"], "light": [{"tool": "read", "arguments": {"n": 2}}]}}
PLANNED = Task("t", TASK.messages, metadata={"plan": STEPS}, columns={"flawed": FLAWED, "bad": 7})


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        (None, "1. read(n=1): Read it.\n2. tell"),
        ("- {call}", "- read(n=1)\n- tell"),
        ("{number}) {tool} with {arguments}: {description}", "1) read with n=1: Read it.\n2) tell with : "),
    ],
)
def test_a_step_of_the_plan_has_the_users_form(step: str | None, shown: str) -> None:
    template = load_prompt_types(["p"], {"p": {"user": "{input} {plan}", "step": step}})["p"]
    assert template.apply(PLANNED).messages[0]["content"] == f"What is {{x}}? {shown}"


@pytest.mark.parametrize(
    ("column", "shown"), [("flawed.missing.severe", "1. tell"), ("flawed.missing.light", "1. read(n=2)")]
)
def test_a_plan_of_ones_own_stands_in_a_column_for_each_severity(column: str, shown: str) -> None:
    template = load_prompt_types(["p"], {"p": {"user": "{input} {plan}", "plan": column}})["p"]
    assert template.apply(PLANNED).messages[0]["content"] == f"What is {{x}}? {shown}"


@pytest.mark.parametrize(
    ("column", "reason"), [("flawed.other", "task t has no tool plan"), ("bad", "task t: bad must be a list of names")]
)
def test_a_column_without_a_plan_is_refused(column: str, reason: str) -> None:
    template = load_prompt_types(["p"], {"p": {"user": "{input} {plan}", "plan": column}})["p"]
    with pytest.raises(InputError, match=reason):
        template.apply(PLANNED)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"user": "{input} {plan}", "step": "{nmber} {tool}"}, 'unknown placeholder "nmber"; did you mean "number"'),
        ({"user": "{input} {plan}", "step": "{number}"}, "step must show"),
        ({"user": "{input}", "step": "{tool}"}, "step needs a plan"),
        ({"user": "{input}", "plan": "flawed.x"}, "plan needs a plan"),
    ],
)
def test_a_form_or_a_column_that_shows_nothing_is_refused(source: PromptSource, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_prompt_types(["p"], {"p": source})


def test_digests_of_templates_without_the_new_keys_stay_as_they_were() -> None:
    assert load_prompt_types(["cot"])["cot"].digest == "a48948bf7785b3bd"


@pytest.mark.parametrize(
    ("system", "user", "is_as_before"),
    [
        ("Reach {goal}", "Go.", True),
        ("Reach {goal}", "{input}", False),
        (None, r"\frac{a} {input}", True),
        (None, r"\frac{a}{b} {input}", False),
        (None, r"\section{Task}{name} {input}", False),
    ],
)
def test_a_digest_is_new_where_a_text_is_shown_otherwise_than_by_earlier_versions(
    system: str | None, user: str, is_as_before: bool
) -> None:
    before = hashlib.sha256(orjson.dumps([system, user, None, None])).hexdigest()[:16]
    assert (PromptTemplate("a", system, user).digest == before) is is_as_before


def test_a_goal_that_is_the_text_of_the_task_is_not_shown_twice() -> None:
    optimal, drifted = load_prompt_types(["optimal", "flawed_semantic_drift"]).values()
    own = replace(PLANNED, metadata={**(PLANNED.metadata or {}), "goal": "Know it."})
    text = str(optimal.apply(PLANNED).messages[-1]["content"])
    assert text.count("What is {x}?") == 1
    assert "# Goal\n\nWhat the task asks for.\n\n# Plan" in text
    assert "# Goal\n\nKnow it.\n\n# Plan" in str(optimal.apply(own).messages[-1]["content"])
    assert "What the task asks for." not in str(drifted.apply(PLANNED).messages[-1]["content"])
    alone = load_prompt_types(["p"], {"p": {"user": "{bad}: {goal} {plan}"}})["p"]
    assert str(alone.apply(PLANNED).messages[-1]["content"]).startswith("7: What is {x}?")
