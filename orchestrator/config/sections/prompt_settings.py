"""The part of the user's file about prompt types of a person's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag, model_validator

from .fields import MAPPING, TEXT, Count, Section, text_or_mapping


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

    @model_validator(mode="before")
    @classmethod
    def _is_no_text_without_quotes(cls, raw: object) -> object:
        if (
            isinstance(raw, dict)
            and len(raw) == 1
            and None in raw.values()
            and not raw.keys() & cls.model_fields.keys()
        ):
            raise ValueError(f'YAML reads this as a mapping; put quotes around the text: "{{{next(iter(raw))}}}"')
        return raw


Prompt = Annotated[Annotated[str, Tag(TEXT)] | Annotated[PromptConfig, Tag(MAPPING)], Discriminator(text_or_mapping)]
