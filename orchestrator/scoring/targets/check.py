"""Finds what cannot be graded before the first request: targets that are missing, empty, or of a form that the scorer cannot use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set

from providers.errors import InputError
from sharding.tasks.task import Task, TaskSet

from ..answers.option_labels import LETTERS
from ..answers.stated_number import stated_number
from ..expected_calls import expectation_of
from .accepted import accepted_texts, is_absent
from .choice_targets import accepted_choices, index_base, is_number_of_an_option, needs_base, row_choices

ANY_TEXT = frozenset({"exact", "exact_any", "includes", "f1", "regex"})
"""The scorers that can use every text as a target."""
EMPTY = (
    "the target is empty, and every answer or none would meet it; fill it in, or say what stands for it with "
    "fields: {target: {column: …, if_empty: unanswerable}}; if_empty: null runs such tasks ungraded"
)
EMPTY_PART = "one of the accepted answers is empty, and every answer or none would meet it; remove it"


def check_targets(
    tasks: TaskSet, rows: Sequence[int], scorer: str, bases: Mapping[str, int], *, is_named: bool
) -> list[str]:
    """Raise InputError with file and row where a built-in scorer cannot use a target, or has none in any row.

    Return a warning for every file without any target. `bases` are the numbers of the first option, by file. `is_named` tells that the
    user has named the scorer.
    """
    read = rows
    if scorer in ANY_TEXT:  # only what is unusual can be wrong, so that usual rows need not be read again
        unusual = frozenset(tasks.unusual_targets())
        read = [row for row in rows if row in unusual] if unusual else ()
    without: set[int] = set()
    for row in read:
        task = tasks[row]
        reason = fault(task, scorer, bases.get(file_of(tasks, row)) if bases else None)
        if reason is not None:
            raise InputError(f"{tasks.origin(row)}, task {task.task_id}: {reason}")
        if _is_without_target(task, scorer):
            without.add(row)
    if is_named and rows and len(without) == len(rows):
        first = rows[0]
        column = "a target with calls, or metadata.plan" if scorer == "tool_calls" else "a target"
        found = ", ".join(tasks[first].columns) or "none"
        raise InputError(
            f"{file_of(tasks, first)}: the scorer {scorer} needs {column}, and no task has one (its columns: {found}); "
            "name the column that holds the answer with fields: {target: …}"
        )
    return [_ungraded(tasks, file, without) for file in _files_without_target(tasks, rows, without)]


def _files_without_target(tasks: TaskSet, rows: Sequence[int], without: Set[int]) -> Sequence[str]:
    files = dict.fromkeys(file_of(tasks, row) for row in sorted(without))
    for row in rows:
        if not files:
            break
        if row not in without:
            files.pop(file_of(tasks, row), None)
    return list(files)


def _ungraded(tasks: TaskSet, file: str, without: Set[int]) -> str:
    row = next(row for row in sorted(without) if file_of(tasks, row) == file)
    return (
        f"{file}: no task has a target (its columns: {', '.join(tasks[row].columns) or 'none'}), so that every answer will be ungraded; "
        "name the column that holds the answer with fields: {target: …}, or a scorer that needs none"
    )


def fault(task: Task, scorer: str, base: int | None) -> str | None:
    """Return why the scorer cannot use the target of a task; None where it can, or where there is none."""
    if scorer == "tool_calls":
        try:
            expectation_of(task)
        except ValueError as error:
            return f"the scorer tool_calls cannot read the target: {error}"
        return None
    if is_absent(task.target):
        return None
    try:
        texts = accepted_texts(task.target)
    except ValueError as error:
        return f"the scorer {scorer} cannot use the target: {error}"
    if not all(text.strip() for text in texts) or not texts:
        return EMPTY_PART if any(text.strip() for text in texts) else EMPTY
    return _unusable(task, scorer, texts, base)


def _unusable(task: Task, scorer: str, texts: Sequence[str], base: int | None) -> str | None:
    if scorer == "numeric" and not any((number := stated_number(text)) and number.value is not None for text in texts):
        return f"the scorer numeric finds no number in the target {task.target!r:.60}; fix it, or name another scorer"
    if scorer == "choice" and not accepted_choices(task, base)[0]:
        count = row_choices(task).size
        known = f"one of the {count} options" if count else "an option: a letter from A, or a number"
        return f"the target {task.target!r:.60} names no option; it must name {known}"
    return None


def _is_without_target(task: Task, scorer: str) -> bool:
    return expectation_of(task) is None if scorer == "tool_calls" else is_absent(task.target)


def file_of(tasks: TaskSet, row: int) -> str:
    """Return the file of a row, as messages name it."""
    return tasks.origin(row).rpartition(",")[0] or tasks.origin(row)


def find_index_bases(tasks: TaskSet, rows: Iterable[int]) -> Mapping[str, int]:
    """Decide for every file whose targets are numbers whether the first option is 0 or 1, from all of its rows.

    With a base, every number of the file is an index, also one that is the text of an option. Raises InputError where a file does not tell.
    """
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    as_text: Counter[str] = Counter()
    first: dict[str, str] = {}
    for row in rows:
        task = tasks[row]
        indices = _indices(task)
        if indices:
            size = row_choices(task).size
            file = file_of(tasks, row)
            found[file] += [(index, size) for index in indices]
            first.setdefault(file, tasks.origin(row))
        elif is_number_of_an_option(task):
            as_text[file_of(tasks, row)] += 1
    for file, numbers in found.items():
        if as_text[file] > len(numbers):
            raise InputError(
                f"{first[file]}: the target {numbers[0][0]} is no option, while most targets of the file are the text of one; "
                "correct it, or set scorer: {name: choice, index_base: 0} or 1 if all are indices"
            )
    return {file: _base(file, indices) for file, indices in found.items()}


def _indices(task: Task) -> Sequence[int]:
    try:
        return needs_base(task)
    except ValueError:  # `fault` tells what is wrong
        return ()


def _base(file: str, indices: Sequence[tuple[int, int]]) -> int:
    has_zero, has_size = index_base(indices)
    if has_zero != has_size:
        return 0 if has_zero else 1
    why = "both a 0 and the number of options occur" if has_zero else "neither a 0 nor the number of options occurs"
    example = next(iter(indices))[0]
    option = LETTERS[example] if example < len(LETTERS) else "another option"
    raise InputError(
        f"{file}: the targets are numbers, and the file does not tell whether {example} means {option} ({why}); "
        "set it with scorer: {name: choice, index_base: 0} or {name: choice, index_base: 1}"
    )
