"""Answers to multiple choice in the form that a prompt shows: the letter of an option where the target is its index or its text.

That concerns `choice` and scorers of one's own. The others compare with the target's own text, and get it whatever the prompt shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from providers.errors import InputError
from providers.messages import ChatRequest
from sharding.conversation import text_of
from sharding.sweep import Sweep
from sharding.tasks.task import Task

from ..scoring.answers.option_labels import LETTERS
from ..scoring.registry import given_index_base, scorer_name
from ..scoring.targets.accepted import accepted_texts
from ..scoring.targets.check import file_of, find_index_bases
from ..scoring.targets.choice_targets import accepted_choices, row_choices

BETWEEN = (". ", ") ", ": ", ".", ")", ":", " ", "\n")
"""What may stand between the letter of an option and its text."""


class ShownLetters:
    """The letters that the prompts of a sweep show."""

    def __init__(self, sweep: Sweep, default_scorer: str) -> None:
        self._sweep = sweep
        self._default = default_scorer

    def answers(self, task: Task, ordinal: int, request: ChatRequest) -> tuple[str, str] | None:
        """Return a right and a wrong letter; None where the prompt shows none, or the target is a letter already."""
        row = self._sweep.row(ordinal)
        spelt = self._sweep.tasks.scorer(row) or self._default
        options, name = row_choices(task).texts, scorer_name(spelt)
        if (
            not (options and (name == "choice" or ":" in name))
            or _is_letter(task, len(options))
            or not _shows_letters(request, options)
        ):
            return None
        try:
            base = given_index_base(spelt) if name == "choice" else None
            right, _ = accepted_choices(
                task, self._bases.get(file_of(self._sweep.tasks, row)) if base is None else base
            )
        except ValueError:  # the scorer reports what is wrong with the target
            return None
        wrong = [letter for letter in LETTERS[: len(options)] if letter not in right]
        return (min(right), wrong[0]) if right and wrong else None

    @cached_property
    def _bases(self) -> Mapping[str, int]:
        """The number of the first option by file, where targets are numbers."""
        tasks = self._sweep.tasks
        try:
            return find_index_bases(tasks, range(len(tasks)))
        except InputError:  # for a scorer of one's own it need not be known
            return {file_of(tasks, row): 0 for row in range(len(tasks))}


def _is_letter(task: Task, size: int) -> bool:
    texts = accepted_texts(task.target) if isinstance(task.target, str | list) else ()
    return any(text.strip("() .").upper() in [*LETTERS[:size]] for text in texts)


def _shows_letters(request: ChatRequest, options: Sequence[str]) -> bool:
    shown = "\n".join(text_of(message.get("content")) for message in request.messages)
    labelled = zip(LETTERS, options, strict=False)
    return all(any(f"{letter}{sign}{text}" in shown for sign in BETWEEN) for letter, text in labelled)
