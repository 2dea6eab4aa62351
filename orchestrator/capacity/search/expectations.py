"""`p95_ttft_s<1,success>=0.99@c=50`: what a rung must show, as an exit code. What cannot be measured is not met."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from providers.errors import InputError
from providers.messages import JSON
from providers.suggestion import suggestion

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_TERM = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*")
_PLACE = re.compile(r"\s*c\s*=\s*(\d+)\s*")
ALIASES = {"success": "success_rate", "errors": "error_rate", "qps": "requests_per_s"}
TIMES = ("ttft_s", "tpot_s", "itl_s", "latency_s", "scheduled_latency_s")
FIGURES = (
    *("qpm", "tpm", "success_rate", "error_rate", "throttled_rate", "requests_per_s", "output_tokens_per_s"),
    *("achieved_concurrency", "cost_usd"),
    *(f"{part}_{name}" for name in TIMES for part in ("mean", "p50", "p90", "p95", "p99")),
)


@dataclass(frozen=True, slots=True)
class Expectation:
    figure: str
    sign: str
    bound: float
    concurrency: int | None
    """None: at the limit."""

    def __str__(self) -> str:
        place = "" if self.concurrency is None else f"@c={self.concurrency}"
        return f"{self.figure}{self.sign}{self.bound:g}{place}"


@dataclass(frozen=True, slots=True)
class Outcome:
    expectation: str
    is_met: bool
    reason: str


def read_expectations(text: str) -> list[Expectation]:
    """Raises InputError that says which part is wrong."""
    terms, at, place = text.partition("@")
    found = _PLACE.fullmatch(place)
    if at and found is None:
        raise InputError(f"--expect {text}: write the place as @c=50, not @{place}")
    return [_term(text, term, int(found[1]) if found else None) for term in terms.split(",")]


def _term(text: str, term: str, concurrency: int | None) -> Expectation:
    found = _TERM.fullmatch(term)
    if found is None:
        raise InputError(f"--expect {text}: {term!r} is not FIGURE<NUMBER; e.g. p95_ttft_s<1 or success>=0.99")
    figure = ALIASES.get(found[1], found[1])
    if figure not in FIGURES:
        raise InputError(f"--expect {text}: no figure {found[1]!r}; {suggestion(found[1], [*ALIASES, *FIGURES])}")
    return Expectation(figure, found[2], float(found[3]), concurrency)


def check(expectation: Expectation, rows: Sequence[Mapping[str, JSON]], limit: int | None) -> Outcome:
    """Against the last measurement at the concurrency that is meant."""
    concurrency = limit if expectation.concurrency is None else expectation.concurrency
    row = next((one for one in reversed(rows) if one["concurrency"] == concurrency), None)
    if row is None:
        where = (
            "there is no limit to test it at" if concurrency is None else f"{concurrency} in flight was not measured"
        )
        return Outcome(str(expectation), False, where)
    value = row[expectation.figure]
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Outcome(str(expectation), False, f"n/a: {row['n']} requests are too few for it, or it is not measured")
    if row["verdict"] in {"CLIENT-LIMITED", "UNRESOLVED"}:
        return Outcome(str(expectation), False, f"{row['verdict']}: {row['reason']}")
    is_met = _COMPARE[expectation.sign](value, expectation.bound)
    return Outcome(str(expectation), is_met, f"{value:.4g} at {concurrency} in flight")
