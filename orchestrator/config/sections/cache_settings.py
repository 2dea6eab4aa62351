"""The part of the user's file about the cache of answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .fields import Amount, Duration, Section, Text
from .flags import Flag

DAY_S = 86_400.0


def _as_word(value: object) -> object:
    """Read YAML's booleans, which `on` and `off` are."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


Mode = Annotated[
    Literal["off", "on", "read", "refresh"],
    BeforeValidator(_as_word, json_schema_input_type=Literal["off", "on", "read", "refresh"] | bool),
]


class CacheConfig(Section):
    """Answers of earlier runs in place of requests: what was asked before costs nothing."""

    mode: Annotated[Mode, Flag("--cache", metavar="MODE", is_optional="on")] = "off"
    """Whether answers are kept and used again: off, on, read or refresh. read uses them and keeps none; refresh asks everything anew and
    replaces them. An answer is used again only for the same request: model, messages, tools, parameters, epoch, and the same call of its
    sample; above a temperature of 0 also the same task. Errors, and answers without text, are never kept."""
    max_age: Annotated[Duration, Flag("--cache-max-age", metavar="DURATION")] = 7 * DAY_S
    """Oldest answer that is used: seconds, or 12h, 7d."""
    max_size_gb: Amount = 5
    """Most gigabytes on disk; the oldest answers go first."""
    memory_mb: Annotated[float, Field(ge=0)] = 64
    """Most megabytes of answers in memory."""
    dir: Text | None = None
    """The folder of the answers, on a local disk. None: the user's cache folder, which all runs share."""
