"""The ladder at work: measure what the search asks for, write it down, rest, and go on until it asks for nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .binding import Binding, Known, contrast_step, find_binding
from .probe import Bench
from .rung import Rung
from .search import Findings, Plan, Step, find, next_step

OnRung = Callable[[Sequence[Rung]], None]


@dataclass(frozen=True, slots=True)
class Ladder:
    """What came of it."""

    name: str
    """Of the instance; `together` of several."""
    model: str
    plan: Plan
    rungs: Sequence[Rung]
    found: Findings
    binding: Binding
    is_complete: bool

    @property
    def held(self) -> Rung | None:
        """The recommended value under test."""
        holds = [one for one in self.rungs if one.phase == "hold" and one.concurrency == self.found.recommended]
        return holds[-1] if holds else None

    def at(self, concurrency: int) -> Rung | None:
        """The last measurement there."""
        return next((one for one in reversed(self.steps) if one.concurrency == concurrency), None)

    @property
    def steps(self) -> Sequence[Rung]:
        """All rungs of the same requests."""
        return [one for one in self.rungs if one.phase != "contrast"]

    @property
    def contrast(self) -> Rung | None:
        return next((one for one in self.rungs if one.phase == "contrast"), None)


async def climb(bench: Bench, plan: Plan, known: Known, measured: Sequence[Rung], on_rung: OnRung) -> list[Rung]:
    """Go on from what is `measured`; `on_rung` gets all rungs after each one."""
    rungs = list(measured)
    while (step := _next(rungs, plan, known)) is not None:
        if rungs:
            await bench.rest(rungs[-1])
        rungs.append(await bench.measure(step))
        on_rung(rungs)
    return rungs


def _next(rungs: Sequence[Rung], plan: Plan, known: Known) -> Step | None:
    return next_step(rungs, plan) or contrast_step(rungs, plan, known)


def conclude(name: str, model: str, known: Known, plan: Plan, rungs: Sequence[Rung]) -> Ladder:
    found = find(rungs, plan)
    is_complete = bool(rungs) and not rungs[-1].gone and _next(rungs, plan, known) is None
    return Ladder(name, model, plan, rungs, found, find_binding(rungs, found, known, plan.minute_s), is_complete)


def share_a_quota(alone: Sequence[Ladder], together: Ladder) -> tuple[float, float] | None:
    """Best requests per minute of all singles added up, and of all together, where the first is more than a third larger."""
    summed = sum(_best_qpm(one) for one in alone)
    joint = _best_qpm(together)
    return (summed, joint) if joint and summed > 4 / 3 * joint else None


def _best_qpm(ladder: Ladder) -> float:
    return max((one.measures.qpm for one in ladder.steps), default=0.0)
