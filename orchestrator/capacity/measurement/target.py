"""Which instances are loaded, and by which sender: those of one model in a configuration, or one address that was given by itself."""

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
from ...execution.components import instances_of, instances_with_all_keys, open_providers

ENDPOINT = "endpoint"
"""The provider's name where no file gives it one."""


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """Instances that answer, and how they are asked."""

    instances: Sequence[Instance]
    senders: Mapping[str, Sender]
    """By the provider's name."""
    identities: Mapping[str, str]
    """Of the instances that outlive the test, by name."""

    @property
    def model(self) -> str:
        return self.instances[0].model


def load_address(
    base_url: str, model: str, api_key_env: str | None, environment: Environment, flags: Sequence[SettingOverride] = ()
) -> LoadedConfig:
    """The configuration of one address without a file. Raises InputError."""
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
    """The one model that is loaded. Raises InputError where the file has several."""
    models = config.swept_models()
    if len(models) > 1:
        raise InputError(f"the file has several models: choose one with --model ({', '.join(models)})")
    return models[0]


@asynccontextmanager
async def open_target(
    loaded: LoadedConfig, environment: Environment, names: Sequence[str] = ()
) -> AsyncIterator[OpenTarget]:
    """Open what `names` mean, instances, deployments or models, else all of the one model; simulators are started. Raises InputError."""
    if not names:
        choose_model(loaded.config)
    instances_with_all_keys(loaded, environment.key)
    async with open_providers(loaded, environment, lambda _provider: None) as adapters:
        everything = [one for its in instances_of(loaded, adapters).values() for one in its]
        chosen = [one for name in names for one in named(name, everything)] if names else everything
        identities = {one.name: found for one in chosen if (found := adapters[one.provider].identity(one))}
        yield OpenTarget(list(dict.fromkeys(chosen)), adapters, identities)


def named(name: str, instances: Sequence[Instance]) -> list[Instance]:
    """The instance of that name, else all of that deployment, else all of that model. Raises InputError."""
    for exact in (
        [one for one in instances if one.name == name],
        [one for one in instances if one.deployment == name],
        [one for one in instances if one.model == name],
    ):
        if exact:
            return exact
    raise InputError(f"no instance {name!r}; {suggestion(name, [one.name for one in instances])}")
