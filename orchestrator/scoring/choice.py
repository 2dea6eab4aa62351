"""Multiple choice: compares the option that an answer chooses with the target's."""

from __future__ import annotations

from dataclasses import replace

from runners.calls.client import ModelClient
from runners.samples.answer import UNGRADED, Answer, Score, Scorer
from sharding.plan import Sample
from sharding.tasks.task import Task

from .answers.stated_choice import stated_choice
from .targets.accepted import is_absent
from .targets.choice_targets import accepted_choices, row_choices
from .text import FULL, NO_ANSWER, WRONG

_READ = 200
"""The most characters of an option's text in the details of a score."""


def choice(text: str, task: Task, base: int | None = None) -> Score:
    """Compare the chosen option with the target's; `base` is the number of the first option where targets are numbers.

    The details of the score say what was read, as what, and which option that is.
    """
    wanted, options = accepted_choices(task, base)
    stated = stated_choice(text, options)
    if stated is None:
        return NO_ANSWER
    how = "text" if stated.is_text or stated.read in options.texts else _kind(stated.read, task)
    details = {"read": stated.read[:_READ], "as": how, "option": stated.letter}
    return replace(FULL if stated.letter in wanted else WRONG, details=details)


def _kind(read: str, task: Task) -> str:
    labels = row_choices(task).labels
    return "label" if labels else "position" if read.isdigit() else "letter"


def choice_scorer(base: int | None = None) -> Scorer:
    """Build the scorer `choice`."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - needs no model
        return UNGRADED if is_absent(sample.task.target) else choice(answer.text, sample.task, base)

    return score
