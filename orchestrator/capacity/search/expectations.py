"""Expectations such as `p95_ttft_s<1,success>=0.99@c=50` that decide the exit code. A figure that cannot be measured does not meet one."""

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
    """A bound on one figure at one concurrency."""

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
    """Whether an expectation is met, and why."""

    expectation: str
    is_met: bool
    reason: str


def read_expectations(text: str) -> list[Expectation]:
    """Read a list of expectations. Raises InputError that names the wrong part."""
    terms, at, place = text.partition("@")
    matched = _PLACE.fullmatch(place)
    if at and matched is None:
        raise InputError(f"--expect {text}: write the concurrency as @c=50, not @{place}")
    return [_term(text, term, int(matched[1]) if matched else None) for term in terms.split(",")]


def _term(text: str, term: str, concurrency: int | None) -> Expectation:
    matched = _TERM.fullmatch(term)
    if matched is None:
        raise InputError(f"--expect {text}: {term!r} is not FIGURE<NUMBER; e.g. p95_ttft_s<1 or success>=0.99")
    figure = ALIASES.get(matched[1], matched[1])
    if figure not in FIGURES:
        raise InputError(f"--expect {text}: no figure {matched[1]!r}; {suggestion(matched[1], [*ALIASES, *FIGURES])}")
    return Expectation(figure, matched[2], float(matched[3]), concurrency)


def check(expectation: Expectation, rows: Sequence[Mapping[str, JSON]], limit: int | None) -> Outcome:
    """Compare the expectation with the last measurement at its concurrency."""
    concurrency = limit if expectation.concurrency is None else expectation.concurrency
    row = next((rung_row for rung_row in reversed(rows) if rung_row["concurrency"] == concurrency), None)
    if row is None:
        where = (
            "there is no limit at which to test it"
            if concurrency is None
            else f"{concurrency} in flight was not measured"
        )
        return Outcome(str(expectation), False, where)
    value = row[expectation.figure]
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Outcome(str(expectation), False, f"n/a: {row['n']} requests are too few for it, or it is not measured")
    if row["verdict"] in {"CLIENT-LIMITED", "UNRESOLVED"}:
        return Outcome(str(expectation), False, f"{row['verdict']}: {row['reason']}")
    is_met = _COMPARE[expectation.sign](value, expectation.bound)
    return Outcome(str(expectation), is_met, f"{value:.4g} at {concurrency} in flight")
