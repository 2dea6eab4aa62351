"""The simulator's adapter: the instances of a model and their routes. Requests use the transports of real providers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..adapters.registry import AdapterContext, AdapterType
from ..adapters.routed import open_routed, plain_instance, unique_deployments
from ..credentials import ApiKey
from ..errors import InputError
from ..provider import Adapter, RouteSpec
from ..route import Route
from ..suggestion import suggestion
from .endpoint import DEPLOYMENT_KEY
from .settings.provider import SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..instance import Instance

API_VERSION = "2024-10-21"


def open_simulator(name: str, settings: SimulatorSettings, adapter_context: AdapterContext) -> Adapter:
    """Open a simulator under its name in the user's file. Raises InputError where no server was started."""
    if adapter_context.simulator_url is None:
        raise InputError(f"{name} has no server yet: start it and pass its address as simulator_url")

    def find_routes(model: str, spec: RouteSpec) -> Sequence[Route]:
        """List the routes of a model that the route's specification allows."""
        if spec.operation != "chat":
            raise InputError(
                f"models.{model}: the simulator {name} supports operation: chat, not operation: {spec.operation}"
            )
        routes = []
        for instance, key_name in instances_with_keys(name, settings, model, spec):
            key = ApiKey(key_name, "")
            endpoints = settings.deployments if key_name == DEPLOYMENT_KEY else settings.keys
            dialect = endpoints[instance.deployment if key_name == DEPLOYMENT_KEY else key_name].dialect
            routes.append(_azure_route(instance, key) if dialect == "azure" else Route(instance, "/v1", key))
        return routes

    def bind(route: Route) -> Route:
        """Put the server's address before the path of a route, and the secret behind the name of its key."""
        assert route.credential is not None
        url = adapter_context.simulator_url
        address = str(url() if callable(url) else url).rstrip("/")
        key = adapter_context.key(route.credential.name)
        return replace(route, base_url=f"{address}{route.base_url}", credential=key)

    return open_routed(find_routes, settings, adapter_context, bind=bind)


def instances_with_keys(
    provider: str, settings: SimulatorSettings, model: str, spec: RouteSpec
) -> Sequence[tuple[Instance, str]]:
    """List the instances of a model, each with the name of its key."""
    by_key = bool(spec.keys) or not settings.deployments or (not spec.deployments and model not in settings.deployments)
    deployments = unique_deployments(model, spec)
    if by_key:
        keys = _checked(provider, "key", spec.keys or list(settings.keys), settings.keys)
        if not keys:
            hint = suggestion(model, settings.deployments)
            raise InputError(f"{provider} has no deployment {model!r} and no keys; {hint}")
        return [
            (plain_instance(provider, model, name, f"{provider}/{key}/{model if len(deployments) == 1 else name}"), key)
            for key in keys
            for name in deployments
        ]
    deployments = _checked(provider, "deployment", deployments, settings.deployments)
    return [(plain_instance(provider, model, name, f"{provider}/{name}"), DEPLOYMENT_KEY) for name in deployments]


def _checked(provider: str, noun: str, names: Sequence[str], existing: Collection[str]) -> Sequence[str]:
    for name in names:
        if name not in existing:
            raise InputError(f"{provider} has no {noun} {name!r}; {suggestion(name, existing)}")
    return tuple(dict.fromkeys(names))


def _azure_route(instance: Instance, key: ApiKey) -> Route:
    path = f"/openai/deployments/{quote(instance.deployment, safe='')}"
    return Route(instance, path, key, auth="api-key", api_version=API_VERSION)


SIMULATOR = AdapterType(SimulatorSettings, open_simulator)
