"""The parts of the settings' fields: the base of all sections, and types that read the users' notations."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .durations import seconds_of


class Section(BaseModel):
    """A mapping of the file. Unknown keys are errors; the docstring below a field documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def listed(value: object) -> object:
    """Convert a comma-separated text or a single value to a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int | float) else value


def _named(value: object) -> object:
    """Convert values to names, because YAML may have read numbers: `difficulties: [1, 2]`."""
    names = listed(value)
    return [_text(name) for name in names] if isinstance(names, list | tuple) else names


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _all_or_listed(value: object) -> object:
    return None if value == "all" else _named(value)


Name = str | float
"""YAML reads some names as numbers."""
Names = Annotated[tuple[str, ...], BeforeValidator(_named, json_schema_input_type=Name | list[Name])]
NamesOrAll = Annotated[
    tuple[str, ...] | None, BeforeValidator(_all_or_listed, json_schema_input_type=Name | list[Name] | None)
]
Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=Name)]
Share = Annotated[float, Field(ge=0, le=1)]
Rates = Annotated[tuple[Share, ...], BeforeValidator(listed, json_schema_input_type=Share | str | list[Share])]
Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]
Delays = Annotated[
    tuple[Seconds, ...],
    BeforeValidator(listed, json_schema_input_type=Seconds | str | list[Seconds]),
    Field(min_length=1),
]
Duration = Annotated[
    float, BeforeValidator(seconds_of, json_schema_input_type=float | str), Field(gt=0, allow_inf_nan=False)
]
"""Seconds, or a text such as 90m."""
