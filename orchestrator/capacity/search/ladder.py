"""The ladder at work: measure what the search asks for, write it down, rest, and go on until it asks for nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..measurement.bench import Bench
from ..measurement.rung import LadderStep, Rung
from .binding import QUOTAS, Binding, Limit, StatedLimits, contrast_step, doubts, find_binding
from .next_step import LadderFindings, LadderPlan, find, next_step

OnRung = Callable[[Sequence[Rung]], None]


@dataclass(frozen=True, slots=True)
class Ladder:
    """What came of it."""

    name: str
    """Of the instance; `together` of several."""
    model: str
    plan: LadderPlan
    rungs: Sequence[Rung]
    found: LadderFindings
    binding: Binding
    is_complete: bool
    doubts: Sequence[str] = ()
    """What was said beforehand and was not seen."""

    @property
    def limit(self) -> int | None:
        """As far as it is found: not where it lies above all that was tested, nor where stored credit carried it."""
        return None if self.is_credit or self.is_open else self.found.limit

    @property
    def at_least(self) -> int | None:
        """The highest that passed, where the limit lies above it."""
        return self.found.limit if self.is_open and not self.is_credit else None

    @property
    def is_open(self) -> bool:
        """Nothing of the endpoint has stopped it."""
        return self.found.stop is None or self.binding.limit == "client"

    @property
    def is_credit(self) -> bool:
        """A quota refuses or binds, and what passed at the limit was over before its stored credit was."""
        at_limit = None if self.found.limit is None else self.at(self.found.limit)
        if at_limit is None or not at_limit.measures.is_burst:
            return False
        return self.binding.limit in QUOTAS or any(one.let_in is not None for one in self.steps)

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


async def climb(
    bench: Bench, plan: LadderPlan, known: StatedLimits, measured: Sequence[Rung], on_rung: OnRung
) -> list[Rung]:
    """Go on from what is `measured`; `on_rung` gets all rungs after each one."""
    rungs = list(measured)
    while (step := _next(rungs, plan, known)) is not None:
        if rungs:
            await bench.rest(rungs[-1])
        rungs.append(await bench.measure(step))
        on_rung(rungs)
    return rungs


def _next(rungs: Sequence[Rung], plan: LadderPlan, known: StatedLimits) -> LadderStep | None:
    return next_step(rungs, plan) or contrast_step(rungs, plan, known)


def conclude(name: str, model: str, known: StatedLimits, plan: LadderPlan, rungs: Sequence[Rung]) -> Ladder:
    found = find(rungs, plan)
    is_complete = bool(rungs) and not rungs[-1].gone and _next(rungs, plan, known) is None
    binding = find_binding(rungs, found, known, plan.minute_s)
    return Ladder(name, model, plan, rungs, found, binding, is_complete, doubts(rungs, found, known))


_SHARED: frozenset[Limit] = QUOTAS | {"concurrency", "held or saturated"}


def share_a_quota(alone: Sequence[Ladder], together: Ladder) -> tuple[float, float] | None:
    """Requests per minute of all singles added up, and of all together with as many in flight each, where the first is more than a third
    larger and together they meet a quota or a plateau.
    """
    if together.binding.limit not in _SHARED:
        return None
    for concurrency in sorted({one.concurrency for one in alone[0].steps}, reverse=True):
        singles = [one.at(concurrency) for one in alone]
        joint = together.at(len(alone) * concurrency)
        if joint is not None and None not in singles:
            summed = sum(one.measures.qpm for one in singles if one is not None)
            return (summed, joint.measures.qpm) if summed > 4 / 3 * joint.measures.qpm > 0 else None
    return None
