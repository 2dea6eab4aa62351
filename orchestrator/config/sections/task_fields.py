"""The part of the user's file about the fields of task files."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag, model_validator

from .fields import MAPPING, TEXT, Section, Text, text_or_mapping


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


FieldSetting = Annotated[
    Annotated[str, Tag(TEXT)] | Annotated[FieldConfig, Tag(MAPPING)], Discriminator(text_or_mapping)
]
