"""A sweep before it costs anything: the real pools, limiters, retries and rebalancing on a virtual clock, against modelled instances."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from providers.instance import Instance
from providers.messages import JSON
from providers.provider import RouteSpec, Sender
from providers.simulator.adapter import instances_with_keys
from providers.simulator.answers.source import AnswerSource, EchoAnswers
from providers.simulator.endpoint import DEPLOYMENT_KEY
from providers.simulator.in_process import InProcessSimulator, Place
from providers.simulator.settings import EndpointSettings, SimulatorSettings
from runners.calls.active_sample import ActiveSample
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.dispatch.slots import SlotLease
from runners.engines.local import LocalEngine
from runners.event_loop.virtual_time import run_virtual
from runners.samples.answer import Scorer, Solver
from runners.samples.bitmap import Bitmap
from runners.samples.record import Record
from runners.samples.worker import work
from runners.shutdown import Shutdown

from ..config.environment import flags_of, read_environment
from ..config.loading import ConfigSource, load_config
from ..open_sweep import needed_models
from ..simulation.answers import sweep_answers
from .components import Limiting, call_context_of, dispatchers_of, method_of, no_key
from .prepare import Prepared, prepare

UNKNOWN = EndpointSettings()
"""What a rehearsal believes of an instance that nobody has measured: no quota, 0.2 s and 10 ms a token."""


WAITED_SHARE = 0.1
"""Of the time: below that no gate was what held an instance back."""


@dataclass(frozen=True, slots=True)
class InstanceForecast:
    instance: str
    model: str
    samples: int
    """Answered here."""
    requests: int
    refused: int
    tokens: int
    bound_by: str
    """The gate that it waited at longest, or its workers."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    duration_s: float
    samples: int
    requests: int
    refused: int
    input_tokens: int
    """With the judges' own, as are all three."""
    output_tokens: int
    cost_usd: float | None
    """None where no price is known."""
    outcomes: Mapping[str, int]
    instances: Sequence[InstanceForecast]


async def rehearse(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> Rehearsal:
    """Rehearse the sweep of a file: needs no key and sends nothing.

    Simulators are what their entry says; other instances what `rehearse_as` says of their model.
    """
    flags = flags_of(model, limit, settings)
    prepared = prepare(load_config(config, read_environment(config), flags), no_key)
    try:
        return await rehearse_prepared(prepared)
    finally:
        prepared.sweep.tasks.close()


async def rehearse_prepared(
    prepared: Prepared, solver: Solver | None = None, scorer: Scorer | None = None
) -> Rehearsal:
    """Rehearse on a thread of its own, so that a notebook's loop may run meanwhile. A solver of one's own is rehearsed, too."""
    return await asyncio.to_thread(rehearse_now, prepared, solver, scorer)


def rehearse_now(prepared: Prepared, solver: Solver | None = None, scorer: Scorer | None = None) -> Rehearsal:
    """Rehearse in this thread."""
    return run_virtual(_rehearse(prepared, solver, scorer))


class _RehearsalTotals:
    """Sums over records; keeps none of them."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd: float | None = None
        self.answered: Counter[str] = Counter()

    async def enter(self, record: Record) -> None:
        self.outcomes[record.outcome] += 1
        self.input_tokens += record.input_tokens + record.judge_input_tokens
        self.output_tokens += record.output_tokens + record.judge_output_tokens
        self.answered[str(record.instance)] += 1
        for cost_usd in (record.cost_usd, record.judge_cost_usd):
            if cost_usd is not None:
                self.cost_usd = (self.cost_usd or 0.0) + cost_usd


async def _rehearse(prepared: Prepared, solver: Solver | None, scorer: Scorer | None) -> Rehearsal:
    loaded, books, loop = prepared.loaded, _RehearsalTotals(), asyncio.get_running_loop()
    with ExitStack() as stack:
        senders = _senders(prepared, stack)
        dispatchers = dispatchers_of(prepared.instances, senders, Limiting(loaded.config.run.rate_mode))
        call_context = call_context_of(loaded.config, dispatchers)
        method = method_of(loaded, "rehearsal", prepared.sweep, solver, scorer)

        async def solve(active: ActiveSample, slot: SlotLease) -> Record:
            return await work(active, method, call_context, slot)

        done = Bitmap(len(prepared.sweep.sweep))
        engine = LocalEngine(dispatchers, solve, books.enter, Shutdown(), done, loaded.config.run.rebalance)
        plan = prepared.plan()
        since = loop.time()
        for stage in range(len(plan.stages)):
            await engine.execute(plan, stage)
        return _forecast(books, dispatchers, loop.time() - since)


def _forecast(books: _RehearsalTotals, dispatchers: Mapping[str, Dispatcher], duration_s: float) -> Rehearsal:
    instance_states = [
        instance_state for dispatcher in dispatchers.values() for instance_state in dispatcher.instance_states.values()
    ]
    return Rehearsal(
        duration_s=duration_s,
        samples=books.outcomes.total(),
        requests=sum(_sends(instance_state) for instance_state in instance_states),
        refused=sum(instance_state.counters.throttled for instance_state in instance_states),
        input_tokens=books.input_tokens,
        output_tokens=books.output_tokens,
        cost_usd=books.cost_usd,
        outcomes=dict(books.outcomes),
        instances=[_instance_forecast(instance_state, books.answered) for instance_state in instance_states],
    )


def _instance_forecast(instance_state: InstanceState, answered: Mapping[str, int]) -> InstanceForecast:
    name = instance_state.instance.name
    return InstanceForecast(
        instance=name,
        model=instance_state.instance.model,
        samples=answered.get(name, 0),
        requests=_sends(instance_state),
        refused=instance_state.counters.throttled,
        tokens=instance_state.counters.tokens,
        bound_by=_bound_by(instance_state.limiter.snapshot()),
    )


def _bound_by(snapshot: Mapping[str, JSON]) -> str:
    """The gate with the longest wait, where the limiter knows; else its mode."""
    waits = snapshot.get("time_under")
    if not isinstance(waits, Mapping):
        return str(snapshot.get("mode", "workers"))
    known = {gate: float(wait_s) for gate, wait_s in waits.items() if isinstance(wait_s, int | float)}
    longest = max((gate for gate in known if gate != "idle"), key=lambda gate: known[gate], default="idle")
    return longest if known.get(longest, 0.0) > WAITED_SHARE * sum(known.values()) else "workers"


def _sends(instance_state: InstanceState) -> int:
    return instance_state.counters.succeeded + instance_state.counters.throttled + instance_state.counters.failed


def _senders(prepared: Prepared, stack: ExitStack) -> dict[str, Sender]:
    """One modelled server per provider."""
    senders: dict[str, Sender] = {}
    for name in {one.provider for its in prepared.instances.values() for one in its}:
        server = _modelled(name, prepared)
        stack.callback(server.close)
        senders[name] = server
    return senders


def _modelled(provider: str, prepared: Prepared) -> InProcessSimulator:
    settings = prepared.loaded.providers[provider]
    if isinstance(settings, SimulatorSettings):
        answers: AnswerSource = sweep_answers(prepared.loaded.config, prepared.sweep.sweep, settings)
        return InProcessSimulator(settings, answers, _simulator_places(provider, settings, prepared))
    own = [one for its in prepared.instances.values() for one in its if one.provider == provider]
    believed = SimulatorSettings(deployments={one.name: _believed(one, prepared) for one in own})
    limit = prepared.loaded.config.generation.as_generation().output_limit
    answers = EchoAnswers(max(1, limit // 4)) if limit else EchoAnswers()
    return InProcessSimulator(believed, answers, {one.name: (DEPLOYMENT_KEY, one.name) for one in own})


def _simulator_places(provider: str, settings: SimulatorSettings, prepared: Prepared) -> dict[str, Place]:
    config = prepared.loaded.config
    return {
        instance.name: (key, instance.deployment)
        for model in needed_models(config)
        for route in config.models[model].all_routes()
        if route.provider == provider
        for instance, key in instances_with_keys(provider, settings, model, RouteSpec(route.deployments, route.keys))
    }


def _believed(instance: Instance, prepared: Prepared) -> EndpointSettings:
    return prepared.loaded.config.models[instance.model].rehearse_as or UNKNOWN
