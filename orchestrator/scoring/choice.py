"""Multiple choice: compares the option that an answer chooses with the target's."""

from __future__ import annotations

from runners.calls.client import ModelClient
from runners.samples.answer import UNGRADED, Answer, Score, Scorer
from sharding.plan import Sample
from sharding.tasks.task import Task

from .answers.stated_choice import stated_choice
from .targets.accepted import is_absent
from .targets.choice_targets import accepted_choices
from .text import FULL, NO_ANSWER, WRONG


def choice(text: str, task: Task, base: int | None = None) -> Score:
    """Compare the chosen option with the target's; `base` is the number of the first option where targets are numbers."""
    wanted, options = accepted_choices(task, base)
    letter = stated_choice(text, options)
    if letter is None:
        return NO_ANSWER
    return FULL if letter in wanted else WRONG


def choice_scorer(base: int | None = None) -> Scorer:
    """Build the scorer `choice`."""

    async def score(sample: Sample, answer: Answer, model: ModelClient) -> Score:  # noqa: ARG001 - needs no model
        return UNGRADED if is_absent(sample.task.target) else choice(answer.text, sample.task, base)

    return score
