"""One ladder for every instance, each on its own, and where it is asked for one over all of them together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from providers.instance import Instance
from providers.messages import ChatRequest
from runners.load import Target

from ..env import Environment
from ..loading import LoadedConfig
from ..state import user_state
from ..wiring import prices_of
from .binding import Known
from .instances import OpenInstances, open_instances
from .ladder import Ladder, climb, conclude
from .metrics_page import open_metrics
from .probe import Bench, Pace, Spent
from .recommendation import learned_limits
from .results import ladder_document, read_measured, write_ladder
from .rung import Rung
from .search import Plan

TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for."""

    plan: Plan
    pace: Pace
    directory: Path
    ask: Callable[[int], ChatRequest]
    known: Known = field(default_factory=Known)
    instances: Sequence[str] = ()
    together: bool = False
    saves: bool = False
    cost_limit_usd: float | None = None
    metrics_url: str | None = None
    rung_file: str | None = None
    attempt_s: float = 300.0
    share: bool = False


OnLadder = Callable[[Ladder], None]


async def run_ladders(
    loaded: LoadedConfig, environment: Environment, order: Order, on_rung: OnLadder = lambda _ladder: None
) -> list[Ladder]:
    """Climb every ladder, from where its directory says; the last one over all together, where there are several and it is asked for."""
    async with (
        open_instances(loaded, environment, order.instances) as opened,
        open_metrics(order.metrics_url) as metrics,
    ):
        state, identities = user_state(), opened.identities()
        price_usd = prices_of(loaded.config)
        model = opened.instances[0].model
        spent = Spent(partial(price_usd, model), order.cost_limit_usd)
        with state.locked([] if order.share else list(identities.values()), str(order.directory)):
            ladders = []
            for name, group in _groups(opened.instances, order.together):
                bench = Bench(Target(group, opened.adapters, order.ask, order.attempt_s), order.pace, spent, metrics)
                ladders.append(await _climb(name, bench, order, _place(order.directory, name, opened), on_rung))
                if spent.cost_usd >= (order.cost_limit_usd or float("inf")):
                    break
                await asyncio.sleep(0 if not ladders[-1].rungs else ladders[-1].rungs[-1].wait_s)
        if order.saves:
            learned = {one.name: found for one in ladders if (found := learned_limits(one)) is not None}
            state.remember({identities[name]: found for name, found in learned.items() if name in identities})
    return ladders


def _groups(instances: Sequence[Instance], together: bool) -> list[tuple[str, Sequence[Instance]]]:
    alone: list[tuple[str, Sequence[Instance]]] = [(one.name, [one]) for one in instances]
    return [*alone, (TOGETHER, instances)] if together and len(instances) > 1 else alone


async def _climb(name: str, bench: Bench, order: Order, place: Path, on_rung: OnLadder) -> Ladder:
    measured = read_measured(place)
    while measured and measured[-1].gone:  # what was broken off is measured again
        measured = measured[:-1]
    bench.fired = sum(one.measures.attempted for one in measured)
    bench.spent.cost_usd += sum(one.cost_usd or 0.0 for one in measured)

    conclusion = partial(conclude, name, bench.target.instances[0].model, order.known, order.plan)

    def keep(rungs: Sequence[Rung]) -> None:
        ladder = conclusion(rungs)
        write_ladder(place, ladder_document(ladder), order.rung_file)
        on_rung(ladder)

    return conclusion(await climb(bench, order.plan, measured, keep))


def _place(directory: Path, name: str, opened: OpenInstances) -> Path:
    """Of one instance alone the directory itself."""
    return directory if len(opened.instances) == 1 else directory / re.sub(r"[^\w.-]+", "-", name)


def shared_quota(ladders: Sequence[Ladder]) -> Mapping[str, float] | None:
    """Requests per minute of all singles added up against all together, where the keys spend one quota."""
    from .ladder import share_a_quota

    if not ladders or ladders[-1].name != TOGETHER:
        return None
    found = share_a_quota(ladders[:-1], ladders[-1])
    return None if found is None else {"singles_qpm": found[0], "together_qpm": found[1]}
