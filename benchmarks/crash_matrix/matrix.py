"""The trials of the matrix, how they run, and their table."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from .points import FORMS, POINTS, STAGES, Point, Stage
from .starts import Start
from .trial import Blow, Outcome, Reference, Trial, Workshop

AT_ONCE = 3
"""Trials that run in parallel; they mostly wait."""
RANDOM_KILL, TERM, INT = "kill -9 at a random time", "SIGTERM at a random time", "SIGINT at a random time"
SIGNALS = {RANDOM_KILL: signal.SIGKILL, TERM: signal.SIGTERM, INT: signal.SIGINT}
AGAIN_SHARE = 0.25
"""Share of the trials whose resume is ended as well."""


def named_trials(references: Mapping[str, Reference], seed: int) -> Iterator[Trial]:
    """Generate trials without end: every point and signal for every form, then all again at other times. A share also ends the resume."""
    rng = random.Random(seed)
    kinds = [(kind, form, stage) for form in FORMS for stage in STAGES for kind in _kinds(form, stage)]
    for kind, form, stage in cycle(kinds):
        start = references[form].starts[stage]
        blows = [_blow(kind, start, rng)]
        if rng.random() < AGAIN_SHARE:
            blows.append(_blow(rng.choice(_kinds(form, stage)), start, rng))
        yield Trial(form, blows, stage)


def _kinds(form: str, stage: Stage) -> list[Point | str]:
    """Return the points of a stage, and the random times: they have the stage in their name, but for a new run."""
    points = [point for point in POINTS if form in point.forms and point.stage == stage]
    return [*points, *((name if stage == "run" else f"{stage}: {name}") for name in SIGNALS)]


def chosen_trials(
    references: Mapping[str, Reference], names: Iterable[tuple[str, str, str]], seed: int
) -> Iterator[Trial]:
    """Generate the named trials: kind, form, and the kind of a second interruption or ""."""
    rng, points = random.Random(seed), {point.name: point for point in POINTS}
    for kind, form, second in names:
        stage = points[kind].stage if kind in points else "run"
        start = references[form].starts[stage]
        blows = [_blow(points.get(name, name), start, rng, sure=True) for name in (kind, second) if name]
        yield Trial(form, blows, stage)


def _blow(kind: Point | str, start: Start, rng: random.Random, *, sure: bool = False) -> Blow:
    """Choose a random occurrence of the point in the undisturbed run.

    A busy machine commits fewer groups, so `sure` uses the first half of the occurrences.
    """
    if isinstance(kind, str):
        return Blow(kind, signal=SIGNALS[kind.rpartition(": ")[2]], after_s=rng.uniform(0.0, 1.05 * start.took_s))
    seen = start.seen[kind.operation]
    number = rng.randint(1, max(1, seen // 2) if sure else seen)
    return Blow(kind.name, {"operation": kind.operation, "when": kind.when, "number": number})


def perform(workshop: Workshop, trials: Iterable[Trial], references: Mapping[str, Reference]) -> Iterator[Outcome]:
    """Run all trials, a few in parallel, and return their outcomes in order."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield from threads.map(
            lambda pair: workshop.perform(pair[1], references[pair[1].form], pair[0]), enumerate(trials, start=1)
        )


def run_matrix(folder: Path, count: int, seed: int) -> Iterator[Outcome]:
    """Run `count` trials and iterate over their outcomes."""
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
    "redone",
    "seconds",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Format a row per kind and form, and one for all."""
    kinds = dict.fromkeys((outcome.kind, outcome.form) for outcome in outcomes)
    lines = [HEADER, *(_line(*kind, [o for o in outcomes if (o.kind, o.form) == kind]) for kind in kinds)]
    lines.append(_line("all", "", outcomes))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([f"{line[0]:<{widths[0]}}", f"{line[1]:<{widths[1]}}", *(f"{c:>{w}}" for c, w in zip(line[2:], widths[2:], strict=True))])
        for line in lines
    )  # fmt: skip


def _line(kind: str, form: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    sums = (
        sum(getattr(outcome, name) for outcome in outcomes)
        for name in ("hits", "lost", "duplicated", "refused", "differing", "redone")
    )
    again = sum(1 for outcome in outcomes if outcome.second)
    return (
        kind,
        form,
        str(len(outcomes)),
        str(again),
        *map(str, sums),
        f"{sum(outcome.seconds for outcome in outcomes):.1f}",
    )
