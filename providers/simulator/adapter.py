"""The client's side of the simulator: which instances a model has there, and how each is called. The wire is that of real providers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ..adapters.registry import AdapterContext, AdapterType
from ..adapters.routed import open_transport, plain_instance, unique_deployments
from ..errors import InputError
from ..provider import Adapter, Route, RouteSpec
from ..suggestion import suggestion
from .endpoint import DEPLOYMENT_KEY
from .settings import SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..credentials import ApiKey
    from ..instance import Instance
    from ..messages import ChatRequest, ChatResponse

API_VERSION = "2024-10-21"


def open_simulator(name: str, settings: SimulatorSettings, adapter_context: AdapterContext) -> Adapter:
    """Open a simulator under its name in the user's file. Raises InputError where nobody says where it will listen."""
    if adapter_context.simulator_url is None:
        raise InputError(f"{name} has no server yet: start it and pass its address as simulator_url")
    return SimulatorAdapter(name, settings, adapter_context)


class SimulatorAdapter:
    """Implements Adapter. Its instances are known before its server runs: address and key are asked for at the first request."""

    def __init__(self, name: str, settings: SimulatorSettings, adapter_context: AdapterContext) -> None:
        self._name = name
        self._settings = settings
        self._context = adapter_context
        self._transport = open_transport(settings, adapter_context.connections)
        self._key_names: dict[str, str] = {}
        self._routes: dict[str, Route] = {}

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """The model's instances; `complete` knows those that were asked for here."""
        with_keys = instances_with_keys(self._name, self._settings, model, spec)
        self._key_names.update((instance.name, key_name) for instance, key_name in with_keys)
        return [instance for instance, _ in with_keys]

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        route = self._routes.get(on.name) or self._open_route(on)
        return await self._transport.send(route, request, request_id=request_id, deadline=deadline)

    def identity(self, on: Instance) -> str | None:  # noqa: ARG002 - of no instance
        """None: a simulator ends with its run, and so does what was learnt of it."""
        return None

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _open_route(self, on: Instance) -> Route:
        key_name = self._key_names[on.name]
        endpoints = self._settings.deployments if key_name == DEPLOYMENT_KEY else self._settings.keys
        dialect = endpoints[on.deployment if key_name == DEPLOYMENT_KEY else key_name].dialect
        url, key = self._url(), self._context.key(key_name)
        route = _azure_route(url, on, key) if dialect == "azure" else Route(on, f"{url}/v1", key)
        return self._routes.setdefault(on.name, route)

    def _url(self) -> str:
        url = self._context.simulator_url
        return str(url() if callable(url) else url).rstrip("/")


def instances_with_keys(
    provider: str, settings: SimulatorSettings, model: str, spec: RouteSpec
) -> Sequence[tuple[Instance, str]]:
    """Instances, each with the name of its key."""
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


def _checked(provider: str, noun: str, names: Sequence[str], known: Collection[str]) -> Sequence[str]:
    for name in names:
        if name not in known:
            raise InputError(f"{provider} has no {noun} {name!r}; {suggestion(name, known)}")
    return tuple(dict.fromkeys(names))


def _azure_route(url: str, instance: Instance, key: ApiKey) -> Route:
    base_url = f"{url}/openai/deployments/{quote(instance.deployment, safe='')}"
    return Route(instance, base_url, key, auth="api-key", api_version=API_VERSION)


SIMULATOR = AdapterType(SimulatorSettings, open_simulator)
