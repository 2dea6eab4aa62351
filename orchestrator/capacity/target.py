"""Which instances are loaded, and by which sender: those of one model in a configuration, or one address that was given by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from providers.errors import InputError, ProviderError
from providers.instance import Instance
from providers.messages import ChatRequest, ChatResponse
from providers.provider import Adapter
from providers.suggestion import suggestion
from providers.tokens import TokenEstimator
from runners.limits.permit import Cost
from runners.spending import Purse
from runners.station import Sender

from ..config import Config
from ..env import Environment, Setting
from ..loading import LoadedConfig, load_config
from ..wiring import instances_of, instances_with_all_keys, open_providers

ENDPOINT = "endpoint"
"""The provider's name where no file gives it one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a configuration is meant; None where there is but one."""

    model: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """Instances that answer, and how they are asked."""

    model: str
    instances: Sequence[Instance]
    senders: Mapping[str, Sender]
    """By the provider's name."""


def load_address(
    base_url: str, model: str, api_key_env: str | None, environment: Environment, flags: Sequence[Setting] = ()
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


def choose_model(config: Config, choice: Choice) -> str:
    """The model that is meant. Raises InputError where the file has several and none is named."""
    models = config.swept_models()
    if choice.model is None and len(models) == 1:
        return models[0]
    if choice.model is None:
        raise InputError(f"the file has several models: choose one with --model ({', '.join(models)})")
    if choice.model not in config.models:
        raise InputError(f"no model {choice.model!r}; {suggestion(choice.model, config.models)}")
    return choice.model


@asynccontextmanager
async def open_target(loaded: LoadedConfig, environment: Environment, choice: Choice) -> AsyncIterator[OpenTarget]:
    """Open the model's providers; simulators are started. Raises InputError where a key is missing or nothing has the name."""
    model = choose_model(loaded.config, choice)
    instances_with_all_keys(loaded, environment.key)
    async with open_providers(loaded, environment, lambda _provider: None) as adapters:
        yield OpenTarget(model, _chosen(loaded, adapters, model, choice.instance), adapters)


def _chosen(loaded: LoadedConfig, adapters: Mapping[str, Adapter], model: str, name: str | None) -> list[Instance]:
    instances = instances_of(loaded, adapters)[model]
    if name is None:
        return instances
    found = [one for one in instances if name in {one.name, one.deployment}]
    if not found:
        raise InputError(f"{model} has no instance {name!r}; {suggestion(name, [one.name for one in instances])}")
    return found


@dataclass(slots=True)
class PaidSender:
    """Sends through `sender` as long as the purse has room. Raises LimitReached, and what `sender` raises."""

    sender: Sender
    purse: Purse
    output_tokens: int
    """Reckoned with where a request sets no bound."""
    estimator: TokenEstimator = field(default_factory=TokenEstimator)

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        input_tokens = self.estimator.estimate(request.messages, request.tools)
        cost = Cost(input_tokens, self.output_tokens if request.max_tokens is None else request.max_tokens)
        aside = await self.purse.set_aside(on.model, cost)
        try:
            response = await self.sender.complete(on, request, request_id=request_id, deadline=deadline)
        except ProviderError as error:
            self.purse.fail(on.model, aside, error)
            raise
        except BaseException:
            self.purse.settle(on.model, aside, None)
            raise
        self.purse.settle(on.model, aside, response.usage)
        self.estimator.learn(request.messages, request.tools, response.usage)
        return response
