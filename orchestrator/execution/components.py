"""The providers of a configuration, opened once; the instances and the prices of its models.

Nothing here sends a request: a run, a rehearsal, `plan`, `doctor`, the drift check and load tests all open their providers with
`open_providers`. Opening does no network I/O; a simulator's address is known to its adapter when its process has started.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from providers.adapters.registry import AdapterContext, adapter_type
from providers.adapters.settings import WireSettings
from providers.credentials import ApiKey
from providers.errors import InputError
from providers.instance import Instance
from providers.messages import Adaptation, Usage
from providers.pricing import find_price
from providers.provider import Adapter, RouteSpec
from providers.route import Timeouts
from providers.simulator.settings.provider import SimulatorSettings
from providers.transport.network import Network
from providers.wire.operations.adaptation import OnAdapted, describe_adaptation
from runners.calls.budget import PriceUsd
from sharding.profiles import Profile, WorkerOptions, assign_workers, find_profile

from ..config.environment import Environment, not_set
from ..config.loading import LoadedConfig
from ..config.sections.model_settings import ModelConfig, RouteConfig
from ..config.settings import Config
from ..open_sweep import needed_models
from ..simulation.process import SimulatorAssignment, key_names, simulator_process
from .alerts.open_files import raise_open_files

log = logging.getLogger(__name__)

DEFAULT_PROFILES = {"azure": "azure-open", "gateway": "gateway-open", "openai": "openai", "simulator": "azure-open"}


# ------------------------------------------------------------------ providers
def say_adapted(instance: str, adaptation: Adaptation) -> None:
    """Report to the user in one line what an instance refuses, and what it is sent instead."""
    log.warning("%s: %s", instance, describe_adaptation(adaptation))


@dataclass(slots=True)
class AdaptationListener:
    """An OnAdapted whose listener may be set after the adapters are open."""

    tell: OnAdapted = say_adapted

    def __call__(self, instance: str, adaptation: Adaptation) -> None:
        """Pass the adaptation to the current listener."""
        self.tell(instance, adaptation)


@dataclass(slots=True)
class SimulatorLink:
    """The address and the keys of a simulator's server; none until the process has started."""

    provider: str
    read: Callable[[str], ApiKey] = field(repr=False)
    """Reads all other variables, such as a secret header's."""
    url: str | None = None
    keys: Mapping[str, ApiKey] = field(default_factory=dict, repr=False)

    def address(self) -> str:
        """Return the server's address. Raises InputError before it has one."""
        if self.url is None:
            raise InputError(f"the simulator {self.provider} has not started: open its providers with `serving`")
        return self.url

    def key(self, name: str) -> ApiKey:
        """Return a key of the server, or the value of a variable. Raises InputError where there is neither."""
        return self.keys.get(name) or self.read(name)


@dataclass(frozen=True, slots=True)
class OpenProviders:
    """Every provider that the swept models use, and the instances that they offer."""

    loaded: LoadedConfig
    adapters: Mapping[str, Adapter]
    """By the provider's name."""
    instances: Mapping[str, Sequence[Instance]]
    """By model."""
    simulators: Mapping[str, SimulatorLink]
    """By the provider's name."""
    adaptation_listener: AdaptationListener
    """Of all adapters."""

    def all_instances(self) -> list[Instance]:
        """Return the instances of all models."""
        return [instance for own in self.instances.values() for instance in own]

    def identities(self, instances: Iterable[Instance]) -> dict[str, str]:
        """Return the identity of each instance, under which limits are remembered and keys are locked between runs."""
        by_name = {instance.name: self.adapters[instance.provider].identity(instance) for instance in instances}
        return {name: identity for name, identity in by_name.items() if identity}

    @asynccontextmanager
    async def serving(
        self,
        environment: Environment,
        simulator_log: Callable[[str], Path | None] = lambda _provider: None,
        on_adapted: OnAdapted = say_adapted,
    ) -> AsyncIterator[None]:
        """Start the simulators, with room for sockets like ours, so that every instance may be asked; close all adapters at the end."""
        raise_open_files()
        self.adaptation_listener.tell = on_adapted
        async with AsyncExitStack() as stack:
            for name, adapter in self.adapters.items():
                if name in self.simulators:
                    await stack.enter_async_context(self._simulator(name, environment, simulator_log(name)))
                stack.push_async_callback(adapter.aclose)
            yield

    @asynccontextmanager
    async def _simulator(self, name: str, environment: Environment, log: Path | None) -> AsyncIterator[None]:
        link, settings = self.simulators[name], self.loaded.providers[name]
        assert isinstance(settings, SimulatorSettings)
        link.keys = simulator_keys(settings, environment)
        async with simulator_process(_assign_simulator(self.loaded, link, log)) as link.url:
            yield


def _assign_simulator(loaded: LoadedConfig, link: SimulatorLink, log: Path | None) -> SimulatorAssignment:
    secrets_by_name = {name: key.secret for name, key in link.keys.items()}
    log_path = str(log.absolute()) if log else None
    return SimulatorAssignment(loaded.raw, str(loaded.base), link.provider, secrets_by_name, log_path)


def open_providers(loaded: LoadedConfig, key: Callable[[str], ApiKey], network: Network) -> OpenProviders:
    """Open each provider once and find its instances. Raises InputError that names all variables that are missing, not the first alone."""
    keys, adapters, simulators = _KeyReader(key), dict[str, Adapter](), dict[str, SimulatorLink]()
    listener = AdaptationListener()
    for name in used_providers(loaded.config):
        adapter_context = AdapterContext(key=keys.read, network=network, on_adapted=listener)
        if isinstance(loaded.providers[name], SimulatorSettings):
            link = simulators[name] = SimulatorLink(name, keys.read)
            adapter_context = AdapterContext(key=link.key, simulator_url=link.address, on_adapted=listener)
        kind = str(loaded.config.providers[name]["type"])
        adapters[name] = adapter_type(kind).open(name, loaded.providers[name], adapter_context)
    instances = instances_of(loaded, adapters)
    keys.require_all()
    return OpenProviders(loaded, adapters, instances, simulators, listener)


class _KeyReader:
    """A reader of keys that remembers which are missing, so that one error names them all."""

    def __init__(self, key: Callable[[str], ApiKey]) -> None:
        self._key = key
        self._missing: list[str] = []
        self._is_opening = True

    def read(self, name: str) -> ApiKey:
        try:
            return self._key(name)
        except InputError:
            if not self._is_opening:
                raise
            self._missing.append(name)
            return no_key(name)

    def require_all(self) -> None:
        """Raise InputError where a key was missing; from now on each missing key does."""
        self._is_opening = False
        if self._missing:
            raise InputError(not_set(list(dict.fromkeys(self._missing))))


def no_key(name: str) -> ApiKey:
    """Return what planning needs of a key: its name."""
    return ApiKey(name, "not-read")


def used_providers(config: Config) -> list[str]:
    """List the providers that the models of the sweep and their judges are reached through."""
    routes = (route for model in needed_models(config) for route in config.models[model].all_routes())
    return list(dict.fromkeys(route.provider for route in routes))


def simulator_keys(settings: SimulatorSettings, environment: Environment) -> dict[str, ApiKey]:
    """Choose a simulator's secrets: the environment's where a variable has the key's name, else new ones for this process."""
    return {name: environment.key_or(name, otherwise=f"sk-sim-{secrets.token_hex(16)}") for name in key_names(settings)}


# ------------------------------------------------------------------ instances
def instances_of(loaded: LoadedConfig, adapters: Mapping[str, Adapter]) -> dict[str, list[Instance]]:
    """Find the instances of every model that is needed, over all its routes, with workers and rates."""
    config = loaded.config
    instances = {name: _model_instances(name, loaded, adapters) for name in needed_models(config)}
    names = [instance.name for group in instances.values() for instance in group]
    if len(names) != len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"models: the instance {twice} is named by two routes; name each deployment and key once")
    return instances


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
                _profile(name, model, str(config.providers[route.provider]["type"]), bool(route.keys)),
                worker_options,
            ),
            limiter_group=route.limiter_group or instance.limiter_group,
        )
        for route in model.all_routes()
        for instance in adapters[route.provider].instances(name, _route_spec(route, model, loaded))
    ]


def _route_spec(route: RouteConfig, model: ModelConfig, loaded: LoadedConfig) -> RouteSpec:
    """Return what a model's route requires of its provider."""
    adapt = model.adapt or loaded.config.run.adapt
    timeouts = _timeouts(model, loaded.providers[route.provider])
    return RouteSpec(route.deployments, route.keys, model.operation, adapt, timeouts)


def _timeouts(model: ModelConfig, settings: BaseModel) -> Timeouts | None:
    """Override the provider's settings with the model's; None if it has none."""
    names = ("connect_s", "first_token_s", "between_tokens_s")
    own = {name: value for name in names if (value := getattr(model.timeouts, name)) is not None}
    shared = settings.timeouts.as_timeouts() if isinstance(settings, WireSettings) else Timeouts()
    return replace(shared, **own) if own else None


def _profile(name: str, model: ModelConfig, kind: str, by_keys: bool) -> Profile:
    try:
        return find_profile(model.profile or ("gateway-open" if by_keys else DEFAULT_PROFILES.get(kind, "openai")))
    except InputError as error:
        raise InputError(f"models.{name}.profile: {error}") from error


# ------------------------------------------------------------------ prices
def prices_of(config: Config) -> PriceUsd:
    """Price a model's usage by the file's `prices:`, else by its provider's list."""
    kinds = _provider_kinds(config)

    @cache
    def cost_of(model: str) -> Callable[[Usage], float] | None:
        return find_price(model, kinds[model], config.prices)

    def price_usd(model: str, usage: Usage) -> float | None:
        cost = cost_of(model)
        return None if cost is None else cost(usage)

    return price_usd


def require_prices(config: Config, price_usd: PriceUsd) -> None:
    """Raise InputError if there is a limit on cost and a model's price is not known."""
    unknown = [model for model in config.swept_models() if price_usd(model, Usage(1, 1)) is None]
    if config.run.cost_limit_usd is not None and unknown:
        raise InputError(
            f"run.cost_limit_usd is set, but nobody knows what {', '.join(unknown)} costs: "
            f"add {'it' if len(unknown) == 1 else 'them'} to `prices:` in the file (input_per_million, output_per_million)"
        )


def _provider_kinds(config: Config) -> dict[str, str]:
    return {
        name: str(config.providers[model.all_routes()[0].provider]["type"]) for name, model in config.models.items()
    }
