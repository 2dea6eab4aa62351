"""Run a ladder: measure the next step, store it, wait, and repeat until no step is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...results.stats.intervals import Interval
from ..measurement.bench import Bench
from ..measurement.rung import LadderStep, Rung
from .binding import OPEN, QUOTAS, Binding, StatedLimits, doubts, find_binding, plateau_of
from .next_step import LadderFindings, LadderPlan, find, next_step
from .rules import HARD, INVALID
from .server_time import Limit

OnRung = Callable[[Sequence[Rung]], None]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs of a ladder and the conclusions from them."""

    name: str
    """Name of the instance; `together` for several instances."""
    model: str
    plan: LadderPlan
    rungs: Sequence[Rung]
    found: LadderFindings
    binding: Binding
    is_complete: bool
    doubts: Sequence[str] = ()
    """Contradictions between the stated limits and the measurements."""

    @property
    def limit(self) -> int | None:
        """The limit as far as it is known; None where it lies above all tested rungs, or where stored credit carried it."""
        return None if self.is_credit or self.is_open else self.found.limit

    @property
    def at_least(self) -> int | None:
        """The highest concurrency that passed, where the limit lies above it."""
        return self.found.limit if self.is_open and not self.is_credit else None

    @property
    def is_open(self) -> bool:
        """Whether nothing of the endpoint stopped the ladder."""
        return (self.found.stop is None and self.found.knee is None) or self.binding.limit == "client"

    @property
    def interval(self) -> Interval | None:
        """Where the limit lies; None where no limit is named, or where it is the last of several rungs that failed when repeated."""
        return self.found.interval if self.limit is not None else None

    @property
    def requests(self) -> int:
        """The requests of all rungs."""
        return sum(rung.measures.attempted for rung in self.rungs)

    @property
    def stragglers(self) -> int:
        """The answers of all rungs that took more than four times the 90th percentile of their rung."""
        return sum(rung.throughput.stragglers for rung in self.rungs if rung.throughput is not None)

    @property
    def cost_usd(self) -> float | None:
        """The cost of all rungs; None where no price is known."""
        costs = [rung.cost_usd for rung in self.rungs if rung.cost_usd is not None]
        return sum(costs) if costs else None

    @property
    def is_credit(self) -> bool:
        """Whether a quota refuses or binds, and the rung at the limit ended before its stored credit was spent."""
        at_limit = None if self.found.limit is None else self.at(self.found.limit)
        if at_limit is None or not at_limit.measures.is_burst or self.binding.limit == "concurrency":
            return False
        return self.binding.limit in QUOTAS or any(rung.let_in is not None for rung in self.steps)

    @property
    def held(self) -> Rung | None:
        """The test of the recommended concurrency."""
        matches = [rung for rung in self.rungs if rung.phase == "hold" and rung.concurrency == self.found.recommended]
        return matches[-1] if matches else None

    def at(self, concurrency: int) -> Rung | None:
        """Return the last measurement at this concurrency."""
        return next((rung for rung in reversed(self.steps) if rung.concurrency == concurrency), None)

    @property
    def steps(self) -> Sequence[Rung]:
        """All rungs with the same kind of requests."""
        return [rung for rung in self.rungs if rung.phase != "contrast"]

    @property
    def contrast(self) -> Rung | None:
        """The rung with requests of other lengths, if any."""
        return next((rung for rung in self.rungs if rung.phase == "contrast"), None)


async def climb(
    bench: Bench, plan: LadderPlan, known: StatedLimits, measured: Sequence[Rung], on_rung: OnRung
) -> list[Rung]:
    """Continue from what is `measured` until no step is left; `on_rung` gets all rungs after each one."""
    rungs = list(measured)
    while (step := _next(rungs, plan, known)) is not None:
        if rungs:
            await bench.rest(rungs[-1])
        rungs.append(await bench.measure(step))
        on_rung(rungs)
    return rungs


def _next(rungs: Sequence[Rung], plan: LadderPlan, known: StatedLimits) -> LadderStep | None:
    return next_step(rungs, plan) or contrast_step(rungs, plan, known)


def contrast_step(rungs: Sequence[Rung], plan: LadderPlan, known: StatedLimits) -> LadderStep | None:
    """Return the contrast, the last rung of a ladder: once, where the other rungs leave the limit open, at the top of the plateau."""
    if not plan.contrasts or not rungs or rungs[-1].gone or any(rung.phase == "contrast" for rung in rungs):
        return None
    if next_step(rungs, plan) is not None:
        return None
    findings = find(rungs, plan)
    if find_binding(rungs, findings, known, plan.minute_s).limit not in OPEN:
        return None
    valid = [
        rung for rung, judgement in zip(rungs, findings.judged, strict=True) if judgement.verdict not in INVALID | HARD
    ]
    plateau = plateau_of(valid)
    if not plateau or plateau[-1].measures.is_burst:  # within one window a quota's credit makes any contrast
        return None
    return LadderStep(plateau[-1].concurrency, "contrast")


def conclude(name: str, model: str, known: StatedLimits, plan: LadderPlan, rungs: Sequence[Rung]) -> Ladder:
    """Draw the conclusions from the rungs."""
    findings = find(rungs, plan)
    is_complete = bool(rungs) and not rungs[-1].gone and _next(rungs, plan, known) is None
    binding = find_binding(rungs, findings, known, plan.minute_s)
    return Ladder(name, model, plan, rungs, findings, binding, is_complete, doubts(rungs, findings, known))


_SHARED: frozenset[Limit] = QUOTAS | {"concurrency", "capacity", "held or saturated"}


def share_a_quota(alone: Sequence[Ladder], together: Ladder) -> tuple[float, float] | None:
    """Return QPM summed over single instances and QPM of all together, where the instances seem to share one quota.

    Each runs at the same concurrency in both. The sum must exceed the joint rate by more than a third, and the joint ladder must meet a
    quota or a plateau: two names of one server share its capacity as well.
    """
    if together.binding.limit not in _SHARED:
        return None
    for concurrency in sorted({rung.concurrency for rung in alone[0].steps}, reverse=True):
        singles = [ladder.at(concurrency) for ladder in alone]
        joint = together.at(len(alone) * concurrency)
        if joint is not None and None not in singles:
            summed = sum(rung.measures.qpm for rung in singles if rung is not None)
            return (summed, joint.measures.qpm) if summed > 4 / 3 * joint.measures.qpm > 0 else None
    return None
