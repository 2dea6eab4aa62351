"""Where configuration becomes live objects: providers and instances, limiters and the method of a run.

Nothing else turns one into the other, and nothing here sends a request.
"""

from __future__ import annotations

import inspect
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from pydantic import BaseModel

from providers.adapters.registry import AdapterContext, adapter_type
from providers.adapters.settings import WireSettings
from providers.credentials import ApiKey
from providers.errors import InputError
from providers.instance import Instance
from providers.messages import JSON, Adaptation, Generation, Usage
from providers.pricing import find_price
from providers.provider import Adapter, RouteSpec, Sender
from providers.route import Timeouts
from providers.simulator.settings import SimulatorSettings
from providers.tokens import TokenEstimator
from providers.wire.adaptation import OnAdapted, describe_adaptation
from runners.calls.budget import Budget, PriceUsd
from runners.calls.client import Asking, CallContext, Deadlines
from runners.calls.retry import RetryBudget, RetryLimits
from runners.dispatch.decision_log import Decide
from runners.dispatch.dispatcher import Dispatcher
from runners.dispatch.instance_state import InstanceState
from runners.limits.adaptive.state import AdaptiveLimits
from runners.limits.adaptive_limiter import AdaptiveLimiter
from runners.limits.fixed import FixedLimiter
from runners.limits.permit import Limiter
from runners.samples.answer import Scorer, Solver, guard_scorer, guard_solver
from runners.samples.solvers import SOLVERS, ToolUse, build_solver
from runners.samples.worker import Method
from runners.tools.formats import FORMATS
from sharding.plan import Sample
from sharding.profiles import Profile, WorkerOptions, assign_workers, find_profile
from sharding.tasks.tool_results import declared_results

from ..config.environment import Environment, not_set
from ..config.loading import LoadedConfig
from ..config.settings import Config, GenerationConfig, ModelConfig, RouteConfig
from ..config.user_code import load_function
from ..open_sweep import OpenSweep, needed_models
from ..scoring.registry import build_scorer, spelt_out
from ..simulation.process import SimulatorAssignment, key_names, simulator_process
from .alerts.budgets import Budgets
from .alerts.open_files import raise_open_files
from .alerts.shared_quotas import start_shared, tell_remembered, together

log = logging.getLogger(__name__)

DEFAULT_PROFILES = {"azure": "azure-open", "gateway": "gateway-open", "openai": "openai", "simulator": "azure-open"}


# ------------------------------------------------------------------ providers and instances
def say_adapted(instance: str, adaptation: Adaptation) -> None:
    """Tell a person in one line what an instance refuses, and what it is sent instead."""
    log.warning("%s: %s", instance, describe_adaptation(adaptation))


@asynccontextmanager
async def open_providers(
    loaded: LoadedConfig,
    environment: Environment,
    simulator_log: Callable[[str], Path | None],
    on_adapted: OnAdapted = say_adapted,
) -> AsyncIterator[dict[str, Adapter]]:
    """Every provider that the swept models use, with its keys; simulators are started first, with room for sockets like ours."""
    raise_open_files()
    async with AsyncExitStack() as stack:
        adapters = {}
        for name in used_providers(loaded.config):
            settings = loaded.providers[name]
            adapter_context = AdapterContext(key=environment.key, network=environment.network(), on_adapted=on_adapted)
            if isinstance(settings, SimulatorSettings):
                keys = simulator_keys(settings, environment)
                assignment = SimulatorAssignment(
                    loaded.raw,
                    str(loaded.base),
                    name,
                    {k: v.secret for k, v in keys.items()},
                    _text(simulator_log(name)),
                )
                url = await stack.enter_async_context(simulator_process(assignment))
                adapter_context = AdapterContext(key=keys.__getitem__, simulator_url=url, on_adapted=on_adapted)
            adapters[name] = open_adapter(loaded, name, adapter_context)
            stack.push_async_callback(adapters[name].aclose)
        yield adapters


def offline_adapters(loaded: LoadedConfig, key: Callable[[str], ApiKey]) -> dict[str, Adapter]:
    """The same providers before any server is started: enough to plan, not to send."""
    found = {}
    for name in used_providers(loaded.config):
        simulated = isinstance(loaded.providers[name], SimulatorSettings)
        adapter_context = AdapterContext(key=no_key if simulated else key, simulator_url="http://127.0.0.1:9")
        found[name] = open_adapter(loaded, name, adapter_context)
    return found


def instances_with_all_keys(loaded: LoadedConfig, key: Callable[[str], ApiKey]) -> dict[str, list[Instance]]:
    """Every instance, its key looked up. Raises InputError that names all variables that are missing, not the first alone."""
    missing: list[str] = []

    def found(name: str) -> ApiKey:
        try:
            return key(name)
        except InputError:
            missing.append(name)
            return no_key(name)

    instances = instances_of(loaded, offline_adapters(loaded, found))
    if missing:
        raise InputError(not_set(list(dict.fromkeys(missing))))
    return instances


def no_key(name: str) -> ApiKey:
    """What planning needs of a key: its name."""
    return ApiKey(name, "not-read")


def open_adapter(loaded: LoadedConfig, name: str, adapter_context: AdapterContext) -> Adapter:
    kind = str(loaded.config.providers[name]["type"])
    return adapter_type(kind).open(name, loaded.providers[name], adapter_context)


def used_providers(config: Config) -> list[str]:
    routes = (route for model in needed_models(config) for route in config.models[model].all_routes())
    return list(dict.fromkeys(route.provider for route in routes))


def simulator_keys(settings: SimulatorSettings, environment: Environment) -> dict[str, ApiKey]:
    """A simulator's secrets: the environment's where a variable has the key's name, else new ones for this process."""
    return {name: environment.key_or(name, otherwise=f"sk-sim-{secrets.token_hex(16)}") for name in key_names(settings)}


def instances_of(loaded: LoadedConfig, adapters: Mapping[str, Adapter]) -> dict[str, list[Instance]]:
    """The instances of every model that is needed, over all its routes, with workers and rates."""
    config = loaded.config
    found = {name: _model_instances(name, loaded, adapters) for name in needed_models(config)}
    names = [instance.name for instances in found.values() for instance in instances]
    if len(names) != len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"models: the instance {twice} is named by two routes; name each deployment and key once")
    return found


def _model_instances(name: str, loaded: LoadedConfig, adapters: Mapping[str, Adapter]) -> list[Instance]:
    config, model = loaded.config, loaded.config.models[name]
    worker_options = WorkerOptions(
        rate_mode=config.run.rate_mode,
        prompt_types=len(config.sweep.prompt_types),
        max_workers=config.run.max_workers,
        workers=model.workers,
        qps=model.qps,
    )
    return [
        replace(
            assign_workers(
                instance,
                _profile(name, model, config.providers[route.provider]["type"], bool(route.keys)),
                worker_options,
            ),
            limiter_group=route.limiter_group or instance.limiter_group,
        )
        for route in model.all_routes()
        for instance in adapters[route.provider].instances(name, _route_spec(route, model, loaded))
    ]


def _route_spec(route: RouteConfig, model: ModelConfig, loaded: LoadedConfig) -> RouteSpec:
    adapt = model.adapt or loaded.config.run.adapt
    timeouts = _timeouts(model, loaded.providers[route.provider])
    return RouteSpec(route.deployments, route.keys, model.operation, adapt, timeouts)


def _timeouts(model: ModelConfig, settings: BaseModel) -> Timeouts | None:
    """The model's own over its provider's; None where it has none."""
    names = ("connect_s", "first_token_s", "between_tokens_s")
    own = {name: value for name in names if (value := getattr(model.timeouts, name)) is not None}
    shared = settings.timeouts.as_timeouts() if isinstance(settings, WireSettings) else Timeouts()
    return replace(shared, **own) if own else None


def _profile(name: str, model: ModelConfig, kind: str, by_keys: bool) -> Profile:
    try:
        return find_profile(model.profile or ("gateway-open" if by_keys else DEFAULT_PROFILES.get(kind, "openai")))
    except InputError as error:
        raise InputError(f"models.{name}.profile: {error}") from error


# ------------------------------------------------------------------ the run
@dataclass(frozen=True, slots=True)
class Limiting:
    """How sends are limited, and who is told of decisions."""

    mode: str
    decide: Decide = lambda _instance, _event, _evidence: None
    learned: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    """What earlier runs have learnt, by the instance's name."""


def dispatchers_of(
    instances: Mapping[str, Sequence[Instance]], senders: Mapping[str, Sender], limiting: Limiting
) -> dict[str, Dispatcher]:
    """One dispatcher per model; instances of one limiter group share a limiter, and so do those that were found to share a quota."""
    limiters: dict[str, Limiter] = {}
    dispatchers = {}
    for model, its in instances.items():
        groups = start_shared(its, limiting.learned if limiting.mode == "adaptive" else {})
        for instance in its:
            group = groups[instance.name]
            if group not in limiters:
                joined = [one for one in its if groups[one.name] == group != one.limiter_group]
                limiters[group] = _limiter(instance, joined, limiting)
        instance_states = [InstanceState(one, senders[one.provider], limiters[groups[one.name]]) for one in its]
        dispatchers[model] = Dispatcher(model, instance_states, limiting.decide)
        tell_remembered(its, groups, limiting.decide)
    return dispatchers


def _limiter(instance: Instance, joined: Sequence[Instance], limiting: Limiting) -> Limiter:
    """Of an instance, and of those that have `joined` it because they share its quota."""
    if limiting.mode == "fixed":
        return FixedLimiter(workers=instance.workers or UNBOUNDED_WORKERS, qps=instance.qps)
    restored, most = limiting.learned.get(instance.name), together([instance, *joined])
    return AdaptiveLimiter(
        AdaptiveLimits(most=most, restored=restored, on_decision=partial(limiting.decide, instance.name))
    )


UNBOUNDED_WORKERS = 1_000
"""`workers: auto` in fixed mode: the rate is the bound."""


def call_context_of(
    config: Config, dispatchers: Mapping[str, Dispatcher], budgets: Budgets | None = None
) -> CallContext:
    """Without `budgets` nothing is bounded but the single call: a rehearsal spends nothing."""
    run = config.run
    budget, retry_budget = (budgets.budget, budgets.retries) if budgets else (Budget(), RetryBudget(run.retry_budget))
    return CallContext(
        dispatchers=dispatchers,
        estimators={model: TokenEstimator() for model in dispatchers},
        asking={model: asking_of(config, model) for model in dispatchers},
        retries=RetryLimits(run.max_retries),
        retry_budget=retry_budget,
        budget=budget,
    )


def asking_of(config: Config, model: str) -> Asking:
    """How a model is asked: its own settings over those of the file and the run."""
    timeouts = config.models[model].timeouts
    attempt_s, sample_s = (
        timeouts.attempt_s or config.run.attempt_timeout_s,
        timeouts.sample_s or config.run.sample_timeout_s,
    )
    return Asking(config.generation_of(model).as_generation(), _judging(config, model), Deadlines(attempt_s, sample_s))


def _judging(config: Config, model: str) -> Generation:
    """How a scorer asks: what the file says for the models that are tested is not said for their judge, but its own words are."""
    said, own = config.generation, config.models[model].generation
    shared = GenerationConfig(temperature=said.temperature, stream=said.stream, seed=said.seed)
    return (shared if own is None else own.over(shared)).as_generation()


def method_of(
    loaded: LoadedConfig, run_id: str, open_: OpenSweep, solver: Solver | None, scorer: Scorer | None
) -> Method:
    """How samples are solved, scored and priced. `solver` and `scorer` from Python win over the file's names."""
    chosen = guard_solver(solver, "your solver") if solver else _solver(loaded.config)
    own_scorer = guard_scorer(scorer, "your scorer") if scorer else None
    scorers: dict[str, Scorer] = {}

    def scorer_of(sample: Sample) -> Scorer:
        if own_scorer is not None:
            return own_scorer
        name = open_.tasks.scorer(open_.sweep.row(sample.ordinal)) or spelt_out(loaded.config.run.scorer)
        if name not in scorers:
            scorers[name] = build_scorer(name)
        return scorers[name]

    return Method(run_id, chosen, scorer_of, prices_of(loaded.config))


def check_method(config: Config, solver: Solver | None, scorer: Scorer | None) -> None:
    """Raises InputError where the file names a solver or scorer that is not there, or what is passed in is no coroutine."""
    for name, code in (("solver", solver), ("scorer", scorer)):
        if inspect.isfunction(code) and not inspect.iscoroutinefunction(code):
            raise InputError(f"your {name} {code.__qualname__} must be `async def`")
    if solver is None:
        _solver(config)
    if scorer is None:
        for entry in config.tasks:
            build_scorer(spelt_out(entry.scorer or config.run.scorer))


def _solver(config: Config) -> Solver:
    name = config.run.solver
    if name in SOLVERS:
        return build_solver(name, tool_use(config))
    if ":" in name:
        return guard_solver(load_function(name, "solver"), f"the solver {name}")
    raise InputError(f"run.solver: no solver {name!r}; known: {', '.join(SOLVERS)}, or module:function")


def tool_use(config: Config) -> ToolUse:
    """How the built-in solvers use tools; each of a person's own tools is imported once."""
    formats = {name: FORMATS[model.tool_format] for name, model in config.models.items()}
    load = cache(partial(load_function, purpose="tool"))
    return ToolUse(config.tools.max_turns, config.tools.failure_kinds, formats, load)


def check_tools(config: Config, open_: OpenSweep) -> None:
    """Raises InputError naming file and row where a task declares results that the tool loop cannot use."""
    if config.run.solver != "tool_loop":
        return
    load = tool_use(config).load
    for row in open_.sweep.rows:
        try:
            for declared in declared_results(open_.tasks[row]).values():
                if declared.function is not None:
                    load(declared.function)
        except InputError as error:
            raise InputError(f"{open_.tasks.origin(row)}: {error}") from error


def prices_of(config: Config) -> PriceUsd:
    """What a model's usage costs: by the file's `prices:`, else by its provider's list."""
    kinds = _provider_kinds(config)

    @cache
    def cost_of(model: str) -> Callable[[Usage], float] | None:
        return find_price(model, kinds[model], config.prices)

    def price_usd(model: str, usage: Usage) -> float | None:
        cost = cost_of(model)
        return None if cost is None else cost(usage)

    return price_usd


def require_prices(config: Config) -> None:
    """Raises InputError where a limit on cost is set and a model's price is not known."""
    price_of = prices_of(config)
    unknown = [model for model in config.swept_models() if price_of(model, Usage(1, 1)) is None]
    if config.run.cost_limit_usd is not None and unknown:
        raise InputError(
            f"run.cost_limit_usd is set, but nobody knows what {', '.join(unknown)} costs: "
            f"add {'it' if len(unknown) == 1 else 'them'} to `prices:` in the file (input_per_million, output_per_million)"
        )


def _provider_kinds(config: Config) -> dict[str, str]:
    return {
        name: str(config.providers[model.all_routes()[0].provider]["type"]) for name, model in config.models.items()
    }


def _text(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None
