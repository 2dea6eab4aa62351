"""The parts of the fields in a simulator's settings: the base of all sections, and numbers with a range."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Total = Annotated[int, Field(ge=0)]


class SimulatorSection(BaseModel):
    """A mapping of the file. Unknown keys are errors; the docstring below a field documents it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
