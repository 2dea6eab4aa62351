"""Which trials there are, how they are performed, and their table."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from .points import FORMS, POINTS, Point
from .trial import Blow, Outcome, Reference, Trial, Workshop

AT_ONCE = 3
"""Trials that run beside each other; they mostly wait."""
RANDOM_KILL, TERM, INT = "kill -9 at a random time", "SIGTERM at a random time", "SIGINT at a random time"
SIGNALS = {RANDOM_KILL: signal.SIGKILL, TERM: signal.SIGTERM, INT: signal.SIGINT}
AGAIN_SHARE = 0.25
"""Of trials whose resume is ended as well."""


def named_trials(references: Mapping[str, Reference], seed: int) -> Iterator[Trial]:
    """For ever: every point of every form and every signal once, then all again at other moments; a share ends the resume, too."""
    rng = random.Random(seed)
    places = [(point, form) for form in FORMS for point in POINTS if form in point.forms]
    kinds: list[tuple[Point | str, str]] = [*places, *((name, form) for form in FORMS for name in SIGNALS)]
    for kind, form in cycle(kinds):
        reference = references[form]
        blows = [_blow(kind, reference, rng)]
        if rng.random() < AGAIN_SHARE:
            blows.append(_blow(rng.choice([kind for kind, its in kinds if its == form]), reference, rng))
        yield Trial(form, blows)


def chosen_trials(
    references: Mapping[str, Reference], names: Iterable[tuple[str, str, str]], seed: int
) -> Iterator[Trial]:
    """Those named: kind, form, and the kind of a second blow or nothing."""
    rng, points = random.Random(seed), {point.name: point for point in POINTS}
    for kind, form, second in names:
        blows = [_blow(points.get(name, name), references[form], rng, sure=True) for name in (kind, second) if name]
        yield Trial(form, blows)


def _blow(kind: Point | str, reference: Reference, rng: random.Random, *, sure: bool = False) -> Blow:
    """At any time that the undisturbed run came by there; a busy machine commits fewer groups, so `sure` keeps to the first half."""
    if isinstance(kind, str):
        return Blow(kind, signal=SIGNALS[kind], after_s=rng.uniform(0.0, 1.05 * reference.took_s))
    seen = reference.seen[kind.operation]
    number = rng.randint(1, max(1, seen // 2) if sure else seen)
    return Blow(kind.name, {"operation": kind.operation, "when": kind.when, "number": number})


def perform(workshop: Workshop, trials: Iterable[Trial], references: Mapping[str, Reference]) -> Iterator[Outcome]:
    """All of them, a few at once, in their order."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield from threads.map(
            lambda pair: workshop.perform(pair[1], references[pair[1].form], pair[0]), enumerate(trials, start=1)
        )


def run_matrix(folder: Path, count: int, seed: int) -> Iterator[Outcome]:
    with Workshop(folder) as workshop:
        references = {form: workshop.refer(form) for form in FORMS}
        yield from perform(workshop, islice(named_trials(references, seed), count), references)


# ------------------------------------------------------------------ the table
HEADER = (
    "ended at",
    "results",
    "trials",
    "again",
    "ended",
    "lost",
    "duplicated",
    "refused starts",
    "differing",
    "seconds",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for every kind and form, and one for all."""
    kinds = dict.fromkeys((one.kind, one.form) for one in outcomes)
    lines = [HEADER, *(_line(*kind, [o for o in outcomes if (o.kind, o.form) == kind]) for kind in kinds)]
    lines.append(_line("all", "", outcomes))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([f"{line[0]:<{widths[0]}}", f"{line[1]:<{widths[1]}}", *(f"{c:>{w}}" for c, w in zip(line[2:], widths[2:], strict=True))])
        for line in lines
    )  # fmt: skip


def _line(kind: str, form: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    sums = (
        sum(getattr(one, name) for one in outcomes) for name in ("hits", "lost", "duplicated", "refused", "differing")
    )
    again = sum(1 for one in outcomes if one.second)
    return (kind, form, str(len(outcomes)), str(again), *map(str, sums), f"{sum(one.seconds for one in outcomes):.1f}")
