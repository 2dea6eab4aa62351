"""The instances that are loaded and their senders: those of one model in a configuration, or one address given without a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from providers.errors import InputError
from providers.instance import Instance
from providers.provider import Sender
from providers.suggestion import suggestion

from ...config.environment import Environment, SettingOverride
from ...config.loading import LoadedConfig, load_config
from ...config.settings import Config
from ...execution.components import open_providers

ENDPOINT = "endpoint"
"""The provider's name where no file names it."""


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """Instances that can be reached, and their senders."""

    instances: Sequence[Instance]
    senders: Mapping[str, Sender]
    """By provider name."""
    identities: Mapping[str, str]
    """Identities, by instance name, of the instances that outlive the test."""

    @property
    def model(self) -> str:
        """Model of the first instance."""
        return self.instances[0].model


def load_address(
    base_url: str, model: str, api_key_env: str | None, environment: Environment, flags: Sequence[SettingOverride] = ()
) -> LoadedConfig:
    """Build the configuration of one address without a file. Raises InputError."""
    provider: dict[str, str] = {"type": "openai", "base_url": base_url}
    if api_key_env:
        provider["api_key_env"] = api_key_env
    raw = {
        "providers": {ENDPOINT: provider},
        "models": {model: {"provider": ENDPOINT}},
        "tasks": [{"path": "none"}],  # a load test with prompts of its own opens none
    }
    return load_config(raw, environment, flags)


def choose_model(config: Config) -> str:
    """Return the only model of the configuration. Raises InputError where it has several."""
    models = config.swept_models()
    if len(models) > 1:
        raise InputError(f"the file has several models: choose one with --model ({', '.join(models)})")
    return models[0]


@asynccontextmanager
async def open_target(
    loaded: LoadedConfig, environment: Environment, names: Sequence[str] = ()
) -> AsyncIterator[OpenTarget]:
    """Open the named instances, deployments or models, else all instances of the only model. Starts simulators. Raises InputError."""
    if not names:
        choose_model(loaded.config)
    providers = open_providers(loaded, environment.key, environment.network())
    everything = providers.all_instances()
    chosen = [instance for name in names for instance in named(name, everything)] if names else everything
    async with providers.serving(environment):
        yield OpenTarget(list(dict.fromkeys(chosen)), providers.adapters, providers.identities(chosen))


def named(name: str, instances: Sequence[Instance]) -> list[Instance]:
    """Return the instance of that name, else all of that deployment, else all of that model. Raises InputError."""
    for exact in (
        [instance for instance in instances if instance.name == name],
        [instance for instance in instances if instance.deployment == name],
        [instance for instance in instances if instance.model == name],
    ):
        if exact:
            return exact
    raise InputError(f"no instance {name!r}; {suggestion(name, [instance.name for instance in instances])}")
