"""Finds tasks of multiple choice that would be graded as text: a letter stands in nearly every text, or is written in many ways."""

from __future__ import annotations

from collections.abc import Sequence

from providers.errors import InputError
from sharding.tasks.task import Task, TaskSet

from .accepted import accepted_texts, is_absent
from .check import file_of
from .choice_targets import LETTER_OR_INDEX, row_choices

EXAMINED = 100
"""Rows at the start that are examined."""
_WHY = {
    "includes": "the scorer includes finds a letter in nearly every answer",
    "exact": 'the scorer exact counts (B) and "The answer is B." as wrong',
}


def check_lettered(tasks: TaskSet, rows: Sequence[int], scorer: str, *, is_named: bool) -> str | None:
    """Return a warning where `includes` or `exact` would compare the letters or indices of options as text.

    Raises InputError where the user has not named the scorer.
    """
    if scorer not in _WHY or not rows:
        return None
    examined = [task for row in rows[:EXAMINED] if not is_absent((task := tasks[row]).target)]
    if not examined or not all(map(_names_option, examined)):
        return None
    example = f"{examined[0].target!r:.20}"
    sentence = (
        f"{file_of(tasks, rows[0])}: the targets are letters or numbers of options, such as {example}, and {_WHY[scorer]}; "
        "set scorer: choice, and show the options in the prompt, for example with {choices:letters}"
    )
    if is_named:
        return sentence
    raise InputError(f"{sentence}. To compare them as text all the same, name the scorer: {scorer}")


def _names_option(task: Task) -> bool:
    """Return whether a row has options, and its target is the letter, the label or the number of one, and not its text."""
    choices = row_choices(task)
    has_options = choices.size > 1 or {"A", "B"} <= task.columns.keys()
    if not has_options:
        return False
    texts = {text.strip().casefold() for text in choices.texts}
    return all(
        LETTER_OR_INDEX.fullmatch(text) is not None and text.strip().casefold() not in texts
        for text in accepted_texts(task.target)
    )
