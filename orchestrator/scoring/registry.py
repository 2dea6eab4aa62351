"""Scorers by name: the built-in ones, or the user's own `module:function`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, TypeVar, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion
from runners.samples.answer import Score, Scorer, guard_scorer

from ..config.user_code import load_function
from . import text
from .choice import choice
from .judge import RUBRIC, Judge
from .patterns import regex
from .refusal import telling_refusals
from .schema import json_schema
from .tool_calls import tool_calls

ScorerSetting = str | Mapping[str, object]
"""A scorer in the user's file: a name, or `{name: numeric, tolerance: 0.01}`."""

COMPARISONS: Mapping[str, Callable[[str, JSON], Score]] = {
    "exact": text.exact,
    "includes": text.includes,
    "numeric": text.numeric,
    "choice": choice,
}
"""Comparisons of text and target that need no options."""


class Options(BaseModel):
    """The settings of a scorer without options."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str


class NumericOptions(Options):
    """The settings of `numeric`."""

    tolerance: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    """Largest absolute difference from the target."""


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
    "choice": (Options, lambda _: text.scorer(choice)),
    "json_schema": (SchemaOptions, lambda options: json_schema(options.json_schema)),
    "tool_calls": (Options, lambda _: tool_calls()),
    "model_graded": (JudgeOptions, lambda options: Judge(options.judge, options.rubric, options.max_tokens)),
}


def spelt_out(scorer: ScorerSetting) -> str:
    """Return the setting of a scorer as one text, for task sets and fingerprints. `{name: regex, pattern: …}` becomes JSON."""
    return scorer if isinstance(scorer, str) else orjson.dumps(scorer, option=orjson.OPT_SORT_KEYS).decode()


def judge_of(scorer: ScorerSetting) -> str | None:
    """Return the judge's model of a scorer; None for a scorer without a judge."""
    if isinstance(scorer, str) or scorer.get("name") != "model_graded":
        return None
    return _options(JudgeOptions, scorer).judge


def build_scorer(spelt: str) -> Scorer:
    """Build the scorer of a text from `spelt_out`. Raises InputError where it does not exist or its options are invalid."""
    settings: Mapping[str, object] = orjson.loads(spelt) if spelt.startswith("{") else {"name": spelt}
    name = settings.get("name")
    if not isinstance(name, str):
        raise InputError("a scorer's settings need a name, for example {name: numeric, tolerance: 0.01}")
    if name in SCORERS:
        kind, build = SCORERS[name]
        return telling_refusals(build(_options(kind, settings)))
    if ":" in name:
        return guard_scorer(cast("Scorer", load_function(name, "scorer")), f"the scorer {name}")
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
