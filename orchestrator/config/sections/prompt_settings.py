"""The part of the user's file about prompt types of a person's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from .fields import Count, Section


class ExamplesConfig(Section):
    """Examples of a prompt type: rows of a task file."""

    path: str
    """The file, relative to the configuration file."""
    user: str
    """The text of one example, with columns as variables; with `assistant`, of its user message."""
    assistant: str | None = None
    """The text of the assistant's turn. With it, examples are sent as turns; without it, they stand where {examples} is."""
    count: Count | None = None
    """Most examples; None: every row of the file."""
    match: str | None = None
    """A column in which example and task must be equal, such as subject."""
    separator: str = "\n\n"
    """The text between two examples."""


class PromptConfig(Section):
    """As in the files of `sharding/prompts/prompt_types`."""

    system: str | None = None
    """Text of the system message."""
    user: str | None = None
    """Text of the user message. {input} stands for the task's own, {name} for a column: {subject}, {answer.text}, {choices:letters}
    (also :numbers, :bullets, :lines, :json), and {examples} for the examples."""
    user_with_plan: str | None = None
    """In place of `user` where the task has a plan: {goal} and {plan} stand for it."""
    step: str | None = None
    """The form of one step of {plan}: {number}, {tool}, {arguments}, {call} and {description} stand for its parts."""
    plan: str | None = None
    """A column with a plan of your own in place of the task's, such as flawed.missing_step.severe: a list of names or of steps."""
    examples: ExamplesConfig | None = None
    """Examples before the question, from a file."""
    flaw: str | None = None
    """How the plan is spoilt: a flaw of `sharding/prompts`."""
    like: str | None = None
    """The prompt type whose settings apply if this one does not set them."""


def _prompt_kind(value: object) -> str:
    return "file" if isinstance(value, str) else "template"


Prompt = Annotated[Annotated[str, Tag("file")] | Annotated[PromptConfig, Tag("template")], Discriminator(_prompt_kind)]
