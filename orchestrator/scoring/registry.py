"""Scorers by name: the built-in ones, or the user's own `module:function`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion
from runners.samples.answer import Score, Scorer, guard_scorer
from sharding.tasks.task import Task

from ..config.user_code import load_function
from . import overlap, text
from .choice import choice, choice_scorer
from .expected_calls import ArgumentRule
from .judge import RUBRIC, Judge
from .patterns import regex
from .refusal import telling_refusals
from .schema import json_schema
from .setting import ScorerSetting
from .tool_calls import tool_calls

COMPARISONS: Mapping[str, Callable[[str, JSON], Score]] = {
    "exact": text.exact,
    "includes": text.includes,
    "numeric": text.numeric,
    "choice": lambda answer, target: choice(answer, Task("", (), target)),
}
"""Comparisons of text and target that need nothing else of the task."""


NEEDS_TARGET = frozenset({"exact", "exact_any", "includes", "f1", "regex", "numeric", "choice", "tool_calls"})
"""The scorers that compare with a target; the others grade without one."""


class Options(BaseModel):
    """The settings of a scorer without options."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str


class NumericOptions(Options):
    """The settings of `numeric`."""

    tolerance: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    """Largest absolute difference from the target."""


class ChoiceOptions(Options):
    """The settings of `choice`."""

    index_base: Literal[0, 1] | None = None
    """The number of the first option, where targets are numbers; None: the file tells."""


class ToolCallsOptions(Options):
    """The settings of `tool_calls`."""

    arguments: ArgumentRule = "exact"
    """ignore: only the tools count. subset: a call may have more arguments than expected. exact: it may not."""


class RegexOptions(Options):
    """The settings of `regex`."""

    pattern: str


class SchemaOptions(Options):
    """The settings of `json_schema`."""

    json_schema: Annotated[dict[str, object], Field(alias="schema")]


class JudgeOptions(Options):
    """The settings of `model_graded`."""

    judge: str
    """A model of the section `models:`."""
    rubric: str = RUBRIC
    max_tokens: Annotated[int, Field(ge=1)] = 512


def _numeric(options: NumericOptions) -> Scorer:
    return text.scorer(partial(text.numeric, tolerance=options.tolerance))


OptionsT = TypeVar("OptionsT", bound=Options)

SCORERS: Mapping[str, tuple[type[Options], Callable[[Any], Scorer]]] = {
    "exact": (Options, lambda _: text.scorer(text.exact)),
    "includes": (Options, lambda _: text.scorer(text.includes)),
    "numeric": (NumericOptions, _numeric),
    "regex": (RegexOptions, lambda options: regex(options.pattern)),
    "choice": (ChoiceOptions, lambda options: choice_scorer(options.index_base)),
    "f1": (Options, lambda _: text.scorer(overlap.f1)),
    "exact_any": (Options, lambda _: text.scorer(overlap.exact_any)),
    "json_schema": (SchemaOptions, lambda options: json_schema(options.json_schema)),
    "tool_calls": (ToolCallsOptions, lambda options: tool_calls(options.arguments)),
    "model_graded": (JudgeOptions, lambda options: Judge(options.judge, options.rubric, options.max_tokens)),
}


def spelt_out(scorer: ScorerSetting) -> str:
    """Return the setting of a scorer as one text, for task sets and fingerprints. `{name: regex, pattern: …}` becomes JSON."""
    return scorer if isinstance(scorer, str) else orjson.dumps(_with_name(scorer), option=orjson.OPT_SORT_KEYS).decode()


def _with_name(scorer: Mapping[str, object]) -> Mapping[str, object]:
    """Write `{tool_calls: {arguments: ignore}}` as `{name: tool_calls, arguments: ignore}`."""
    if "name" in scorer or len(scorer) != 1:
        return scorer
    ((name, options),) = scorer.items()
    return {"name": name, **options} if name in SCORERS and isinstance(options, Mapping) else scorer


def scorer_name(spelt: str) -> str:
    """Return the name in a text from `spelt_out`."""
    return str(orjson.loads(spelt).get("name")) if spelt.startswith("{") else spelt


def given_index_base(spelt: str) -> int | None:
    """Return the `index_base` that the user has set for `choice`."""
    return _options(ChoiceOptions, orjson.loads(spelt)).index_base if spelt.startswith("{") else None


def judge_of(scorer: ScorerSetting) -> str | None:
    """Return the judge's model of a scorer; None for a scorer without a judge."""
    settings = {} if isinstance(scorer, str) else _with_name(scorer)
    return _options(JudgeOptions, settings).judge if settings.get("name") == "model_graded" else None


def build_scorer(spelt: str, index_base: int | None = None) -> Scorer:
    """Build the scorer of a text from `spelt_out`; `index_base` is what the file tells of `choice`'s targets.

    Raises InputError where it does not exist or its options are invalid.
    """
    settings: Mapping[str, object] = orjson.loads(spelt) if spelt.startswith("{") else {"name": spelt}
    name = settings.get("name")
    if not isinstance(name, str):
        raise InputError("a scorer's settings need a name, for example {name: numeric, tolerance: 0.01}")
    if name in SCORERS:
        kind, build = SCORERS[name]
        options = _options(kind, settings)
        if isinstance(options, ChoiceOptions) and options.index_base is None:
            options = options.model_copy(update={"index_base": index_base})
        return telling_refusals(build(options))
    if ":" in name:
        return guard_scorer(load_function(name, "scorer"), f"the scorer {name}")
    raise InputError(f"no scorer {name!r}; {suggestion(name, SCORERS)}, or module:function")


def _options(kind: type[OptionsT], settings: Mapping[str, object]) -> OptionsT:
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        raise InputError(f"the {settings['name']} scorer: {_reason(error, kind)}") from error


def _reason(error: ValidationError, kind: type[Options]) -> str:
    problem = error.errors(include_url=False)[0]
    option = ".".join(map(str, problem["loc"]))
    options = [field.alias or name for name, field in kind.model_fields.items() if name != "name"]
    if problem["type"] == "missing":
        return f"needs {option}"
    if problem["type"] == "extra_forbidden":
        return (
            f"has no option {option!r}; {suggestion(option, options)}"
            if options
            else f"takes no options, not {option!r}"
        )
    return f"{option}: {problem['msg']}, not {problem['input']!r:.60}"
