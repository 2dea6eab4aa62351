"""A gateway with several keys: every key is an account of its own, so every key and model is an instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from ..errors import InputError
from ..provider import Adapter, RouteSpec
from ..route import Route
from ..suggestion import suggestion
from .registry import AdapterContext, AdapterType
from .routed import open_routed, plain_instance, unique_deployments
from .settings import BASE_URL_HINT, Address, VariableName, WireSettings, check_key


def _split_names(names: object) -> object:
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else names


class GatewaySettings(WireSettings):
    """An address and the names of its keys."""

    type: Literal["gateway"]
    base_url: Address
    api_key_envs: Annotated[tuple[VariableName, ...], BeforeValidator(_split_names), Field(min_length=1)]
    """A list, or one string with commas. A key's place in it names its instances: append, do not insert."""

    @field_validator("api_key_envs")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("names a variable twice: one key is one account")
        return names

    @property
    def address(self) -> str:
        return self.base_url


def open_gateway(name: str, settings: GatewaySettings, adapter_context: AdapterContext) -> Adapter:
    """Open a gateway under its name in the user's file. A key is read when a model first uses it."""

    def find_routes(model: str, spec: RouteSpec) -> Sequence[Route]:
        deployments = unique_deployments(model, spec)
        routes: list[Route] = []
        for index, key_name in _chosen_keys(name, settings, spec).items():
            key = check_key(adapter_context.key(key_name))
            for deployment in deployments:
                last = model if len(deployments) == 1 else deployment
                instance = plain_instance(name, model, deployment, f"{name}/key{index}/{last}")
                routes.append(
                    Route(instance, settings.base_url, key, operation=spec.operation, address_hint=BASE_URL_HINT)
                )
        return routes

    return open_routed(find_routes, settings, adapter_context)


def _chosen_keys(provider: str, settings: GatewaySettings, spec: RouteSpec) -> Mapping[int, str]:
    names = list(settings.api_key_envs)
    for name in spec.keys:
        if name not in names:
            raise InputError(f"{provider} has no key {name!r}; {suggestion(name, names)}")
    return {index: name for index, name in enumerate(names) if not spec.keys or name in spec.keys}


GATEWAY = AdapterType(GatewaySettings, open_gateway)
