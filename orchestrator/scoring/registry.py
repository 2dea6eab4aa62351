"""Scorers by name: the built-in table, or a person's own `module:function`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion
from runners.answer import Score, Scorer, guard_scorer

from ..user_code import load_function
from . import text

COMPARISONS: Mapping[str, Callable[[str, JSON], Score]] = {
    "exact": text.exact,
    "includes": text.includes,
    "numeric": text.numeric,
}


def spelt_out(scorer: str | Mapping[str, Any]) -> str:
    """A scorer's one name: what task sets carry and fingerprints cover. `{type: regex, pattern: …}` becomes JSON."""
    return scorer if isinstance(scorer, str) else orjson.dumps(scorer, option=orjson.OPT_SORT_KEYS).decode()


def build_scorer(name: str) -> Scorer:
    """The scorer of a name from `spelt_out`. Raises InputError where there is none."""
    if name.startswith("{"):
        return _configured(orjson.loads(name))
    if name in COMPARISONS:
        return text.scorer(COMPARISONS[name])
    if ":" in name:
        return guard_scorer(load_function(name, "scorer"), f"the scorer {name}")
    raise InputError(f"no scorer {name!r}; {suggestion(name, [*COMPARISONS, 'regex'])}, or module:function")


def _configured(settings: Mapping[str, Any]) -> Scorer:
    kind = settings.get("type")
    if kind != "regex":
        return build_scorer(str(kind))
    try:
        return text.scorer(text.regex(str(settings["pattern"])))
    except KeyError as error:
        raise InputError("the regex scorer needs a pattern: {type: regex, pattern: 'Answer: (.*)'}") from error
    except re.error as error:
        raise InputError(f"the regex scorer's pattern is not valid: {error}") from error
