"""What a target accepts, and what is refused before a run."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import pytest

from orchestrator.scoring.choice import choice
from orchestrator.scoring.targets.accepted import accepted_texts
from orchestrator.scoring.targets.check import check_targets, find_index_bases
from orchestrator.scoring.targets.choice_targets import accepted_choices
from orchestrator.scoring.targets.lettered import check_lettered
from providers.errors import InputError
from providers.messages import JSON
from sharding.tasks.sources import TaskPool
from sharding.tasks.task import Task
from tests.unit.orchestrator.scoring.targets.listed_tasks import ListedTasks

FOUR = ["Paris", "London", "Rome", "Oslo"]
ARC: JSON = {"text": FOUR, "label": ["1", "2", "3", "4"]}


def task(target: JSON, choices: JSON = None) -> Task:
    return Task("t", (), target, columns={"target": target, "choices": choices})


def pool(*targets: JSON, choices: JSON = None) -> TaskPool:
    return TaskPool([ListedTasks([task(target, choices) for target in targets])])


@pytest.mark.parametrize(
    ("target", "texts"),
    [
        (None, []),
        (nan, []),
        ("a", ["a"]),
        (7, ["7"]),
        (3.0, ["3"]),
        (2.5, ["2.5"]),
        (True, ["True"]),
        (["a", 3.0], ["a", "3"]),
        ({"text": ["a", "b"], "answer_start": [1, 2]}, ["a", "b"]),
        ([{"text": "a", "answer_start": 1}, {"text": "b", "answer_start": 2}], ["a", "b"]),
        ({"value": "a", "aliases": ["b", "c"], "type": "x"}, ["a", "b", "c"]),
    ],
)
def test_a_target_accepts_texts(target: JSON, texts: Sequence[str]) -> None:
    assert accepted_texts(target) == texts


@pytest.mark.parametrize(
    ("target", "choices", "base", "letter"),
    [
        ("C", None, None, "C"),
        ("(c)", None, None, "C"),
        ("C) Rome", None, None, "C"),
        ("C. Rome", FOUR, None, "C"),
        ("Rome", FOUR, None, "C"),
        (2, FOUR, 0, "C"),
        ("2", FOUR, 0, "C"),
        (2.0, FOUR, 0, "C"),
        ("2.0", FOUR, 1, "B"),
        (3, None, 1, "C"),
        ("3", ARC, None, "C"),
        ("3", [{"label": "1", "text": "x"}, {"label": "3", "text": "y"}], None, "B"),
        (["A", "C"], FOUR, None, "C"),
        ("L", None, None, "L"),
    ],
)
def test_a_target_names_an_option_in_many_ways(target: JSON, choices: JSON, base: int | None, letter: str) -> None:
    assert choice(f"The answer is {letter}.", task(target, choices), base).grade == "full"
    assert choice("The answer is D.", task(target, choices), base).grade == "failed"


def test_the_rows_own_labels_win_over_the_alphabet() -> None:
    labelled = task("G", {"text": FOUR, "label": ["F", "G", "H", "J"]})
    assert choice("The answer is G.", labelled).grade == "full"
    assert choice("The answer is London.", labelled).grade == "full"
    assert choice("The answer is H.", labelled).grade == "failed"
    assert choice("The answer is 3.", task("3", ARC)).grade == "full"


@pytest.mark.parametrize(
    ("targets", "choices", "base"),
    [
        ([0, 1, 3], FOUR, 0),
        ([1, 2, 4], FOUR, 1),
        (["2", "0"], None, 0),
        (["3", "1"], ARC, None),
        (["A", "B"], None, None),
    ],
)
def test_the_whole_file_tells_whether_numbers_count_from_0_or_1(
    targets: Sequence[JSON], choices: JSON, base: int | None
) -> None:
    tasks = pool(*targets, choices=choices)
    assert list(find_index_bases(tasks, range(len(tasks))).values()) == ([] if base is None else [base])


@pytest.mark.parametrize(
    ("targets", "choices", "says"), [([1, 2], FOUR, "neither"), (["2"], None, "neither"), ([0, 4], FOUR, "both")]
)
def test_a_file_that_does_not_tell_is_refused(targets: Sequence[JSON], choices: JSON, says: str) -> None:
    tasks = pool(*targets, choices=choices)
    with pytest.raises(InputError, match=rf"listed: the targets are numbers.*{says}.*index_base: 0"):
        find_index_bases(tasks, range(len(tasks)))


@pytest.mark.parametrize(
    ("scorer", "targets", "says"),
    [
        ("includes", [None, nan], "listed: the scorer includes needs a target, and no task has one"),
        ("tool_calls", ["x"], "the scorer tool_calls needs a target with calls, or metadata.plan"),
        ("exact", ["a", ""], "listed, item 2, task t: the target is empty"),
        ("includes", [" "], "the target is empty"),
        ("f1", [[]], "the target is empty"),
        ("f1", [["a", ""]], "one of the accepted answers is empty"),
        ("exact_any", [{"text": [], "answer_start": []}], "fields: {target: {column: …, if_empty: unanswerable}}"),
        ("includes", [{"answer": "a"}], "it is an object with the fields answer; name the field"),
        (
            "numeric",
            ["7", "a dozen"],
            "listed, item 2, task t: the scorer numeric finds no number in the target 'a dozen'",
        ),
        ("choice", ["Berlin"], "the target 'Berlin' names no option"),
    ],
)
def test_what_cannot_be_graded_is_refused_with_its_row(scorer: str, targets: Sequence[JSON], says: str) -> None:
    tasks = pool(*targets)
    with pytest.raises(InputError) as caught:
        check_targets(tasks, range(len(tasks)), scorer, {}, is_named=True)
    assert says in str(caught.value)


def test_some_rows_may_lack_a_target_and_all_may_where_no_scorer_is_named() -> None:
    check_targets(pool("a", None), range(2), "exact", {}, is_named=True)
    check_targets(pool(None, None), range(2), "includes", {}, is_named=False)


def numbers(*rows: tuple[str, list[str]]) -> TaskPool:
    return TaskPool([ListedTasks([task(target, list(choices)) for target, choices in rows])])


def test_numbers_as_text_are_read_alike_in_all_rows_of_a_file() -> None:
    tasks = numbers(("0", ["5", "6"]), ("1", ["1", "2"]), ("1", ["7", "8"]))
    (base,) = find_index_bases(tasks, range(3)).values()
    assert [accepted_choices(tasks[row], base)[0] for row in range(3)] == [{"A"}, {"B"}, {"B"}]


def test_a_number_that_is_no_option_among_texts_of_options_is_refused() -> None:
    tasks = numbers(("1", ["1", "2"]), ("2", ["1", "2"]), ("0", ["1", "2"]))
    with pytest.raises(InputError, match="item 3: the target 0 is no option"):
        find_index_bases(tasks, range(3))


PRIMES = ["2", "3", "5", "7"]
NUMBERED = "1. 2\n2. 3\n3. 5\n4. 7"


@pytest.mark.parametrize(
    ("prompt", "choices", "target", "answer", "details"),
    [
        ("1. Paris\n2. London\n3. Rome\n4. Oslo", FOUR, "B", "2", {"read": "2", "as": "position", "option": "B"}),
        (
            "(0) Paris (1) London (2) Rome (3) Oslo",
            FOUR,
            1,
            "The answer is 1.",
            {"read": "1", "as": "position", "option": "B"},
        ),
        ("A. Paris\nB. London\nC. Rome\nD. Oslo", FOUR, "B", "2", None),
        ("A. Paris\nB. London\nC. Rome\nD. Oslo", FOUR, 1, "(B)", {"read": "B", "as": "letter", "option": "B"}),
        ("Which is even?", PRIMES, "A", "2", {"read": "2", "as": "text", "option": "A"}),
        (NUMBERED, PRIMES, "A", "The answer is 2.", {"read": "2", "as": "text", "option": "A"}),
        (NUMBERED, PRIMES, "D", "4", {"read": "4", "as": "position", "option": "D"}),
        ("Which?", ARC, "2", "2", {"read": "2", "as": "label", "option": "B"}),
        ("Which?", FOUR, "B", "It is London", {"read": "London", "as": "text", "option": "B"}),
        ("1) red\n2) blue", None, "B", "2", {"read": "2", "as": "position", "option": "B"}),
        (
            "2 + 2?\n1. Think.\n2. Answer.\nA) 3 B) 4",
            None,
            "B",
            "It is 4 (B).",
            {"read": "B", "as": "letter", "option": "B"},
        ),
    ],
)
def test_a_number_in_an_answer_is_a_text_or_else_a_position_that_the_prompt_shows(
    prompt: str, choices: JSON, target: JSON, answer: str, details: JSON
) -> None:
    asked = Task("t", [{"role": "user", "content": prompt}], target, columns={"choices": choices})
    score = choice(answer, asked, 0)
    assert (score.details, score.grade) == (details, "full" if details else "failed")


@pytest.mark.parametrize(("scorer", "says"), [("includes", "nearly every answer"), ("exact", 'counts (B) and "The')])
@pytest.mark.parametrize("target", ["B", "(b)", 2, "2"])
def test_letters_of_options_are_not_compared_as_text_without_a_word(scorer: str, says: str, target: JSON) -> None:
    tasks = pool(target, "A", choices=FOUR)
    [warning] = check_lettered(tasks, range(2), scorer, is_named=True)
    assert says in warning
    with pytest.raises(InputError, match=rf"^listed: .* set scorer: choice, .* name the scorer: {scorer}$"):
        check_lettered(tasks, range(2), scorer, is_named=False)


def test_letters_of_options_are_found_in_every_file() -> None:
    texts, letters = ListedTasks([task("Paris", None)] * 150), ListedTasks([task("B", FOUR)] * 2)
    tasks = TaskPool([texts, letters])
    assert len(check_lettered(tasks, range(152), "includes", is_named=True)) == 1
    with pytest.raises(InputError, match="set scorer: choice"):
        check_lettered(tasks, range(100, 152), "includes", is_named=False)
    assert check_lettered(tasks, range(150), "includes", is_named=False) == []


@pytest.mark.parametrize(
    ("targets", "choices"), [(["Paris", "Rome"], FOUR), (["A", "B"], None), (["2", "3"], PRIMES), ([None], FOUR)]
)
def test_other_targets_are_compared_as_text(targets: Sequence[JSON], choices: JSON) -> None:
    tasks = pool(*targets, choices=choices)
    assert check_lettered(tasks, range(len(tasks)), "includes", is_named=False) == []


def test_a_file_without_any_target_is_told_before_the_run() -> None:
    (warning,) = check_targets(pool(None, None), range(2), "includes", {}, is_named=False)
    assert warning.startswith(
        "listed: no task has a target (its columns: target, choices), so that every answer will be ungraded"
    )
    assert check_targets(pool("a", None), range(2), "includes", {}, is_named=False) == []
