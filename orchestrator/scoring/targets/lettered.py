"""Finds tasks of multiple choice that would be graded as text: a letter stands in nearly every text, or is written in many ways."""

from __future__ import annotations

from collections.abc import Sequence

from providers.errors import InputError
from sharding.tasks.sources import TaskPool
from sharding.tasks.task import Task

from .accepted import accepted_texts, is_absent
from .check import file_of
from .choice_targets import LETTER_OR_INDEX, row_choices

EXAMINED = 100
"""Rows at the start of every file that are examined."""
_WHY = {
    "includes": "the scorer includes finds a letter in nearly every answer",
    "exact": 'the scorer exact counts (B) and "The answer is B." as wrong',
}


def check_lettered(tasks: TaskPool, rows: Sequence[int], scorer: str, *, is_named: bool) -> list[str]:
    """Return a warning for every file of which `includes` or `exact` would compare the letters or indices of options as text.

    Raises InputError where the user has not named the scorer.
    """
    if scorer not in _WHY:
        return []
    found = (_sentence(tasks, first, scorer) for first in tasks.first_rows(rows, EXAMINED))
    sentences = [sentence for sentence in found if sentence is not None]
    if sentences and not is_named:
        raise InputError(f"{sentences[0]}. To compare them as text all the same, name the scorer: {scorer}")
    return sentences


def _sentence(tasks: TaskPool, rows: Sequence[int], scorer: str) -> str | None:
    graded = [task for row in rows if not is_absent((task := tasks[row]).target)]
    if not graded or not all(map(_names_option, graded)):
        return None
    example = f"{graded[0].target!r:.20}"
    return (
        f"{file_of(tasks, rows[0])}: the targets are letters or numbers of options, such as {example}, and {_WHY[scorer]}; "
        "set scorer: choice, and show the options in the prompt, for example with {choices:letters}"
    )


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
