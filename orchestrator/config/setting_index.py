"""The settings by their dotted paths, read off the classes of `settings.py`: what flags, environment variables and the reference follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from .sections.flags import Flag, Variable
from .settings import Config

ENVIRONMENT_PREFIX = "ORCHESTRATOR_"
"""`ORCHESTRATOR_RUN__MAX_RETRIES=3` sets `run.max_retries`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of the file that has the same path in every file."""

    path: str
    """Dotted: run.max_retries."""
    field: FieldInfo

    @property
    def flag(self) -> Flag | None:
        """How the command line names it."""
        return next((mark for mark in self.field.metadata if isinstance(mark, Flag)), None)

    @property
    def short_variable(self) -> str | None:
        """Its environment variable without our prefix, where it has one."""
        return next((mark.name for mark in self.field.metadata if isinstance(mark, Variable)), None)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.path.replace(".", "__").upper()

    @property
    def documentation(self) -> str:
        """The docstring below the field, in one line."""
        return " ".join((self.field.description or "").split())

    @property
    def help(self) -> str:
        """The first sentence of the documentation."""
        return re.split(r"(?<=[.?]) ", self.documentation)[0]

    @property
    def choices(self) -> Sequence[str]:
        """The words that it can be; none where others can be said."""
        plain = plain_type(self.field.annotation)
        return get_args(plain) if get_origin(plain) is Literal else ()

    @property
    def number_type(self) -> type[int | float] | None:
        """int or float where nothing but a number can be said; bool where it is yes or no."""
        plain = plain_type(self.field.annotation)
        is_read = _reads_text(self.field.annotation) or any(isinstance(m, BeforeValidator) for m in self.field.metadata)
        return plain if isinstance(plain, type) and issubclass(plain, int | float) and not is_read else None


@cache
def fixed_settings() -> Sequence[Setting]:
    """Return every setting whose path holds no name of the user's, in the order of the file."""
    return tuple(settings_within(Config))


def setting_at(path: str) -> Setting:
    """Look up a setting. Raises StopIteration where there is none: paths are ours."""
    return next(setting for setting in fixed_settings() if setting.path == path)


def settings_within(section: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Find the settings of a section and of those inside it; `prefix` is its path with a dot."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_within(field.annotation, f"{prefix}{name}.")
        else:
            yield Setting(f"{prefix}{name}", field)


def plain_type(annotation: object) -> object:
    """Return the type without None, bounds and validators."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        said = [part for part in get_args(annotation) if part is not type(None)]
        return plain_type(said[0]) if len(said) == 1 else annotation
    return annotation


def _reads_text(annotation: object) -> bool:
    """Return whether a validator converts text to the value."""
    parts = get_args(annotation)
    return any(isinstance(part, BeforeValidator) or _reads_text(part) for part in parts)
