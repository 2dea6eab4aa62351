"""The part of the user's file about tasks and prompts: files, the meaning of their columns, and prompt types."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag, model_validator

from .fields import Count, Names, Section, Text
from .tool_settings import RegistryConfig


class FieldConfig(Section):
    """A field that is more than a column: a constant, or a column with a value for the rows where it is empty."""

    const: str | int | float | list[object] | dict[str, object] | None = None
    """One value for every row of a file: {const: easy}."""
    column: Text | None = None
    """The column, or a dotted path; needs `if_empty`."""
    if_empty: str | int | float | list[object] | dict[str, object] | None = None
    """What stands for null, blank text and an empty list: {column: answers.text, if_empty: unanswerable}. A target of null is ungraded."""

    @model_validator(mode="after")
    def _is_one_form(self) -> FieldConfig:
        if self.model_fields_set not in ({"const"}, {"column", "if_empty"}) or (self.const, self.column) == (
            None,
            None,
        ):
            raise ValueError("write {const: easy}, or {column: answers.text, if_empty: unanswerable}")
        return self


TEXT, MAPPING = TAGS = ("text", "mapping")
"""The two forms of a setting that is a text or a mapping."""


def _kind(value: object) -> str:
    return TEXT if isinstance(value, str) else MAPPING


FieldSetting = Annotated[Annotated[str, Tag(TEXT)] | Annotated[FieldConfig, Tag(MAPPING)], Discriminator(_kind)]


class TaskFileConfig(Section):
    """Where tasks come from, and how their columns are named."""

    path: str
    """A file, a glob or a folder, relative to the configuration file: .jsonl, .json, .csv, .parquet or .arrow, also with .gz or .zst; a
    folder of `save_to_disk` (folder#split where it has several), or hf://org/set@revision#split."""
    fields: dict[str, FieldSetting] = Field(default_factory=dict)
    """Our names to the file's columns: input, messages, target, id, tools, task_type, difficulty, family, system, choices. A column, a
    dotted path (answer.text), a composition ("{id}.{level}", and {file} for the file's name), {const: easy}, or
    {column: answer.text, if_empty: unanswerable}. A composition may name other fields of this list: "{id}.{difficulty}"."""
    rows: str | None = None
    """The dotted path of the list in a JSON document: data.tasks. None: the document is the list."""
    models: Names = ()
    """The models that get these tasks; empty: every model of the sweep."""
    scorer: str | dict[str, object] | None = None
    """How the answers to these tasks are scored; None: by `run.scorer`. A scorer that is named needs a target in one row at least; a task
    without one is ungraded."""
    reader: str | None = None
    """`bfcl`, or `module:function` for formats of your own."""
    tools: RegistryConfig | None = None
    """Tools that stand in a file of their own, and which of them a task needs. None: tasks have a column `tools`."""


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


Prompt = Annotated[Annotated[str, Tag(TEXT)] | Annotated[PromptConfig, Tag(MAPPING)], Discriminator(_kind)]
