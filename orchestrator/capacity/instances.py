"""Which instances a capacity test loads, opened with their keys; simulators are started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from providers.errors import InputError
from providers.instance import Instance
from providers.provider import Adapter
from providers.suggestion import suggestion

from ..env import Environment
from ..loading import LoadedConfig
from ..wiring import instances_of, instances_with_all_keys, open_providers


@dataclass(frozen=True, slots=True)
class OpenInstances:
    instances: Sequence[Instance]
    """All of one model, unless several were named."""
    adapters: Mapping[str, Adapter]
    """By the provider's name."""

    def identities(self) -> dict[str, str]:
        """Of the instances that outlive the test, by name."""
        return {one.name: found for one in self.instances if (found := self.adapters[one.provider].identity(one))}


@asynccontextmanager
async def open_instances(
    loaded: LoadedConfig, environment: Environment, names: Sequence[str] = ()
) -> AsyncIterator[OpenInstances]:
    """Those of the file's model, or those `names` mean: instances, deployments or models. Raises InputError."""
    instances_with_all_keys(loaded, environment.key)
    async with open_providers(loaded, environment, lambda _provider: None) as adapters:
        by_model = instances_of(loaded, adapters)
        if not names and len(by_model) > 1:
            raise InputError(f"the file has several models: choose one with --model ({', '.join(by_model)})")
        everything = [one for its in by_model.values() for one in its]
        chosen = [one for name in names for one in named(name, everything)] if names else everything
        yield OpenInstances(list(dict.fromkeys(chosen)), adapters)


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
