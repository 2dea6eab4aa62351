"""Families of servers with known limits, drawn by a salt: what the ladder is asked, and what the right answer is."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from providers.simulator.limits.quota import FixedWindow, Meter, SlidingWindow, TokenBucket

from .servers import Answers, ModelServer, QuotaRule, Refusals, Speed

TOKENS_PER_REQUEST = 648
"""Of the default workload: 520 in and 128 out."""


@dataclass(frozen=True, slots=True)
class Case:
    """One endpoint, how it is tested, and its truth."""

    family: str
    servers: Sequence[ModelServer]
    truth: float | None
    """The limit in flight, or the quota a minute; None where there is no sharp limit."""
    binding: frozenset[str]
    """The answers that are right."""
    figure: Literal["limit", "qpm", "tpm"] = "limit"
    window_s: float | None = None


SERVER = frozenset({"capacity", "held or saturated"})
KINKED = ("hard", "5xx", "knee", "collapse")
WORDS = ("429: too many requests", "429: Too Many Requests", "too many concurrent requests", "")


def draw(family: str, salt: int, index: int) -> Case:
    """Draw the endpoint of a family with this number."""
    draws = random.Random(f"{salt}/{family}/{index}")
    return FAMILIES[family](draws, 1000 * salt + index)


def knee_speed(knee: float, steepness: float = 0.0) -> Speed:
    """Serve up to `knee` requests at full speed; above it all together get (knee/n)^steepness of that."""
    return lambda n: 1.0 if n <= knee else (knee / n) ** (1 + steepness)


def _level(draws: random.Random, least: int = 3, most: int = 200) -> int:
    return round(math.exp(draws.uniform(math.log(least), math.log(most))))


def _answers(draws: random.Random, sigma: float | None = None) -> Answers:
    total_s = draws.uniform(0.4, 3.0)
    return Answers(draws.uniform(0.02, 0.2), total_s, draws.uniform(0.0, 0.4) if sigma is None else sigma)


def _hard(draws: random.Random, seed: int) -> Case:
    seats, answers = _level(draws), _answers(draws)
    retry_after_s = draws.choice((None, 1.0, answers.total_s, 10.0))
    server = ModelServer(answers, seed, seats=seats, refusals=Refusals(draws.choice(WORDS), retry_after_s))
    return Case("hard", [server], seats, frozenset({"concurrency"}))


def _overload(draws: random.Random, seed: int) -> Case:
    seats = _level(draws)
    server = ModelServer(_answers(draws), seed, seats=seats, refusals=Refusals("503: overloaded", None, status=503))
    return Case("5xx", [server], seats, frozenset({"errors"}))


def _knee(draws: random.Random, seed: int) -> Case:
    knee = _level(draws)
    return Case("knee", [ModelServer(_answers(draws), seed, knee_speed(knee))], knee, SERVER)


def _collapse(draws: random.Random, seed: int) -> Case:
    knee, steepness = _level(draws, 4, 150), draws.uniform(0.4, 1.5)
    return Case("collapse", [ModelServer(_answers(draws), seed, knee_speed(knee, steepness))], knee, SERVER)


def _tail(draws: random.Random, seed: int) -> Case:
    knee = _level(draws, 3, 100)
    return Case("tail", [ModelServer(_answers(draws, draws.uniform(0.8, 1.2)), seed, knee_speed(knee))], knee, SERVER)


def _stragglers(draws: random.Random, seed: int) -> Case:
    knee = _level(draws)
    answers = replace(_answers(draws), hangs=0.005)
    return Case("stragglers", [ModelServer(answers, seed, knee_speed(knee))], knee, SERVER)


def _batch(draws: random.Random, seed: int) -> Case:
    """Draw a server whose step takes longer with every request of its batch: each one slows all others a little."""
    half = _level(draws, 6, 60)
    return Case("batch", [ModelServer(_answers(draws), seed, lambda n: 1 / (1 + n / half))], None, SERVER)


def _meter(draws: random.Random, kind: str, amount: float) -> Meter:
    if kind == "bucket":
        return TokenBucket(amount / 60, max(2_000.0 if amount > 5_000 else 2.0, amount / 60 * draws.uniform(1, 10)))
    return (FixedWindow if kind == "fixed" else SlidingWindow)(amount, 60.0)


def _quota(draws: random.Random, seed: int, *, holds: bool, window_s: float | None) -> Case:
    tokens, answers = draws.random() < 0.5, _answers(draws)
    rpm = draws.uniform(40, 400)
    amount = round(rpm * (TOKENS_PER_REQUEST if tokens else 1))
    unit, named = ("TPM", "tokens per min (TPM)") if tokens else ("RPM", "requests per min (RPM)")
    refusals = Refusals(
        f"Rate limit reached on {named}" if draws.random() < 0.5 else "Too Many Requests",
        draws.choice((None, 60.0)),
        draws.random() < 0.4,
    )
    meter = _meter(draws, draws.choice(("fixed", "sliding", "bucket")), amount)
    server = ModelServer(answers, seed, refusals=refusals, quota=QuotaRule(meter, tokens, holds))
    binding = frozenset({unit, "quota", "held or saturated", "none"} if holds else {unit, "quota", "none"})
    family = f"{'held' if holds else 'quota'}{'' if window_s is None else ' --window'}"
    return Case(family, [server], amount, binding, "tpm" if tokens else "qpm", window_s)


def _unequal(draws: random.Random, seed: int) -> Case:
    knees = [_level(draws, 3, 60) for _ in range(draws.choice((2, 3)))]
    answers = _answers(draws)
    servers = [ModelServer(answers, seed + 7 * i, knee_speed(knee)) for i, knee in enumerate(knees)]
    return Case("unequal", servers, sum(knees), SERVER)


FAMILIES: Mapping[str, Callable[[random.Random, int], Case]] = {
    "hard": _hard,
    "5xx": _overload,
    "knee": _knee,
    "collapse": _collapse,
    "stragglers": _stragglers,
    "tail": _tail,
    "batch": _batch,
    "quota": lambda draws, seed: _quota(draws, seed, holds=False, window_s=None),
    "quota --window": lambda draws, seed: _quota(draws, seed, holds=False, window_s=60.0),
    "held": lambda draws, seed: _quota(draws, seed, holds=True, window_s=None),
    "held --window": lambda draws, seed: _quota(draws, seed, holds=True, window_s=60.0),
    "unequal": _unequal,
}
