"""Run one ladder per instance, and on request one over all instances together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from providers.instance import Instance
from runners.calls.budget import Spending
from runners.load.run_load import ClosedLoop

from ..execution.limits.user_state import user_state
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
    """How the ladders run, and what happens with the results."""

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
    """Run every ladder from where its directory left off; on request the last one runs over all instances together."""
    async with open_session(order, str(ladder_options.directory)) as session:
        instances, ladders = session.target.instances, list[Ladder]()
        for name, group in _groups(instances, ladder_options.together):
            directory = (
                ladder_options.directory
                if len(instances) == 1
                else ladder_options.directory / re.sub(r"[^\w.-]+", "-", name)
            )
            group_options = replace(ladder_options, plan=ladder_options.plan.times(len(group)))
            bench = _bench(session, group, ladder_options)
            if name == TOGETHER:
                bench.shares = shares_of(ladders)
            ladders.append(await _climb(name, bench, group_options, directory, on_rung))
            if session.budget.reached:
                break
            await asyncio.sleep(ladders[-1].rungs[-1].wait_s)
        if ladder_options.saves:
            identities = session.target.identities
            learned = {ladder.name: limits for ladder in ladders if (limits := learned_limits(ladder)) is not None}
            user_state().remember({identities[name]: limits for name, limits in learned.items() if name in identities})
    return ladders


def shares_of(ladders: Sequence[Ladder]) -> Mapping[str, float]:
    """Return the limit of every instance by name; empty, for equal parts, where one of them is unknown."""
    limits = {ladder.name: ladder.found.limit for ladder in ladders}
    known = {name: float(limit) for name, limit in limits.items() if limit}
    return known if len(known) == len(limits) else {}


def most_requests(plan: LadderPlan, rung_duration: RungDuration) -> int | None:
    """Compute the maximum requests of one ladder: all rungs, refinements, and the contrast, which counts double.

    None where rungs have a duration.
    """
    rungs = [requests_of(ClosedLoop(concurrency), rung_duration.volume(concurrency)) for concurrency in plan.rungs]
    known = [requests for requests in rungs if requests is not None]
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
        1 - ladder_options.plan.rules.min_success,
        None if (contrast := in_contrast(session.workload)) is None else contrast.request,
    )


def _groups(instances: Sequence[Instance], together: bool) -> list[tuple[str, Sequence[Instance]]]:
    alone: list[tuple[str, Sequence[Instance]]] = [(instance.name, [instance]) for instance in instances]
    return [*alone, (TOGETHER, instances)] if together and len(instances) > 1 else alone


async def _climb(name: str, bench: Bench, ladder_options: LadderOptions, directory: Path, on_rung: OnLadder) -> Ladder:
    measured = read_measured(directory)
    while measured and measured[-1].gone:  # an interrupted rung is measured again
        measured = measured[:-1]
    bench.fired = sum(rung.measures.attempted for rung in measured)
    bench.budget.spent += _spent_on(measured)

    conclusion = partial(conclude, name, bench.target.instances[0].model, ladder_options.known, ladder_options.plan)

    def keep(rungs: Sequence[Rung]) -> None:
        ladder = conclusion(rungs)
        write_ladder(directory, ladder_document(ladder), ladder_options.rung_file)
        on_rung(ladder)

    return conclusion(await climb(bench, ladder_options.plan, ladder_options.known, measured, keep))


def _spent_on(rungs: Sequence[Rung]) -> Spending:
    tokens = sum(rung.measures.input_tokens + rung.measures.output_tokens for rung in rungs)
    return Spending(tokens, sum(rung.cost_usd or 0.0 for rung in rungs))


def shared_quota(ladders: Sequence[Ladder]) -> Mapping[str, float] | None:
    """Return the summed QPM of single instances and their joint QPM, where the keys share one quota, else None."""
    from .search.ladder import share_a_quota

    if not ladders or ladders[-1].name != TOGETHER:
        return None
    rates = share_a_quota(ladders[:-1], ladders[-1])
    return None if rates is None else {"singles_qpm": rates[0], "together_qpm": rates[1]}
