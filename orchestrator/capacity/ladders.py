"""One ladder for every instance, each on its own, and where it is asked for one over all of them together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from providers.instance import Instance
from runners.calls.budget import Spending
from runners.load import ClosedLoop

from ..execution.user_state import user_state
from .display.ladder_result import ladder_document, read_measured, write_ladder
from .measurement.bench import Bench, RungDuration
from .measurement.rung import Rung
from .measurement.session import LoadOrder, Session, open_session
from .measurement.spec import in_contrast
from .search.binding import StatedLimits
from .search.ladder import Ladder, climb, conclude
from .search.next_step import MOST_BISECTIONS, MOST_REPEATS, LadderPlan
from .search.recommendation import learned_limits
from .workload.load_estimate import requests_of

TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class LadderOptions:
    """How an order is climbed, and what becomes of the result."""

    plan: LadderPlan
    rung_duration: RungDuration
    directory: Path
    known: StatedLimits = field(default_factory=StatedLimits)
    together: bool = False
    saves: bool = False
    rung_file: str | None = None


OnLadder = Callable[[Ladder], None]


async def run_ladders(
    order: LoadOrder, ladder_options: LadderOptions, on_rung: OnLadder = lambda _ladder: None
) -> list[Ladder]:
    """Climb every ladder, from where its directory says; the last one over all together, where there are several and it is asked for."""
    async with open_session(order, str(ladder_options.directory)) as session:
        instances, ladders = session.target.instances, list[Ladder]()
        for name, group in _groups(instances, ladder_options.together):
            place = (
                ladder_options.directory
                if len(instances) == 1
                else ladder_options.directory / re.sub(r"[^\w.-]+", "-", name)
            )
            each = replace(ladder_options, plan=ladder_options.plan.times(len(group)))
            ladders.append(await _climb(name, _bench(session, group, ladder_options), each, place, on_rung))
            if session.budget.reached:
                break
            await asyncio.sleep(ladders[-1].rungs[-1].wait_s)
        if ladder_options.saves:
            identities = session.target.identities
            learned = {one.name: found for one in ladders if (found := learned_limits(one)) is not None}
            user_state().remember({identities[name]: found for name, found in learned.items() if name in identities})
    return ladders


def most_requests(plan: LadderPlan, rung_duration: RungDuration) -> int | None:
    """Of one ladder: every rung, all that may refine it, and the contrast, which counts double; None where rungs have a duration."""
    rungs = [requests_of(ClosedLoop(one), rung_duration.volume(one)) for one in plan.rungs]
    known = [one for one in rungs if one is not None]
    if len(known) < len(rungs):
        return None
    return sum(known) + max(known) * (1 + 2 * plan.contrasts + (MOST_BISECTIONS + 2 * MOST_REPEATS) * plan.refines)


def _bench(session: Session, group: Sequence[Instance], ladder_options: LadderOptions) -> Bench:
    return Bench(
        session.scheduled(group),
        ladder_options.rung_duration,
        session.budget,
        session.is_priced,
        session.metrics_address,
        None if (contrast := in_contrast(session.workload)) is None else contrast.request,
    )


def _groups(instances: Sequence[Instance], together: bool) -> list[tuple[str, Sequence[Instance]]]:
    alone: list[tuple[str, Sequence[Instance]]] = [(one.name, [one]) for one in instances]
    return [*alone, (TOGETHER, instances)] if together and len(instances) > 1 else alone


async def _climb(name: str, bench: Bench, ladder_options: LadderOptions, place: Path, on_rung: OnLadder) -> Ladder:
    measured = read_measured(place)
    while measured and measured[-1].gone:  # what was broken off is measured again
        measured = measured[:-1]
    bench.fired = sum(one.measures.attempted for one in measured)
    bench.budget.spent += _spent_on(measured)

    conclusion = partial(conclude, name, bench.target.instances[0].model, ladder_options.known, ladder_options.plan)

    def keep(rungs: Sequence[Rung]) -> None:
        ladder = conclusion(rungs)
        write_ladder(place, ladder_document(ladder), ladder_options.rung_file)
        on_rung(ladder)

    return conclusion(await climb(bench, ladder_options.plan, ladder_options.known, measured, keep))


def _spent_on(rungs: Sequence[Rung]) -> Spending:
    tokens = sum(one.measures.input_tokens + one.measures.output_tokens for one in rungs)
    return Spending(tokens, sum(one.cost_usd or 0.0 for one in rungs))


def shared_quota(ladders: Sequence[Ladder]) -> Mapping[str, float] | None:
    """Requests per minute of all singles added up against all together, where the keys spend one quota."""
    from .search.ladder import share_a_quota

    if not ladders or ladders[-1].name != TOGETHER:
        return None
    found = share_a_quota(ladders[:-1], ladders[-1])
    return None if found is None else {"singles_qpm": found[0], "together_qpm": found[1]}
