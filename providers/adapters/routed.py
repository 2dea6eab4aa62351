"""A provider over HTTP: the routes of its instances, and the one transport that follows them. What a vendor adds is its rule for routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus

from ..credentials import ApiKey
from ..errors import DeploymentMissing
from ..instance import Instance
from ..messages import ChatRequest, ChatResponse
from ..provider import RouteSpec, Transport
from ..route import Route
from ..wire.adaptation import OnAdapted
from .adaptations import Adaptations
from .registry import AdapterContext
from .settings import WireSettings, read_secret_headers


@dataclass(frozen=True, slots=True)
class Headers:
    """What every request of a provider carries beside its signature and its name."""

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, ApiKey] = field(default_factory=dict)


NO_HEADERS = Headers()

FindRoutes = Callable[[str, RouteSpec], Sequence[Route]]
"""Lists a model's routes in the order of the file. Raises InputError."""


class RoutedAdapter:
    """Implements Adapter."""

    def __init__(
        self,
        find_routes: FindRoutes,
        transport: Transport,
        *,
        headers: Headers = NO_HEADERS,
        on_adapted: OnAdapted = lambda _instance, _adaptation: None,
        outlives_run: bool = True,
    ) -> None:
        self._find_routes = find_routes
        self._transport = transport
        self._headers = headers
        self._outlives_run = outlives_run
        self._routes: dict[str, Route] = {}
        self._groups: dict[tuple[str, str, str], str] = {}
        """Limiter groups by address, deployment and key: what a server cannot tell apart shares its limits."""
        self._adaptations = Adaptations(on_adapted)

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """The model's instances; `complete` knows those that were asked for here."""
        own = self._headers
        found = self._find_routes(model, spec)
        routes = [
            replace(route, headers=own.plain, secret_headers=own.secret, adapt=spec.adapt, timeouts=spec.timeouts)
            for route in found
        ]
        named = [self._told_apart(route) for route in routes]
        self._routes.update((route.instance.name, route) for route in named)
        return [route.instance for route in named]

    def _told_apart(self, route: Route) -> Route:
        """One deployment may serve several models: each has an instance of its own, and all share the limits of the first."""
        instance = route.instance
        way = (route.base_url, instance.deployment, route.credential.name if route.credential else "")
        group = self._groups.setdefault(way, instance.limiter_group)
        holder = self._routes.get(instance.name)
        is_taken = holder is not None and holder.instance.model != instance.model
        name = f"{instance.name}@{instance.model}" if is_taken else instance.name
        return replace(route, instance=replace(instance, name=name, limiter_group=group))

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        route = self._routes[on.name]
        send = partial(self._transport.send, route, request_id=request_id, deadline=deadline)
        try:
            return await self._adaptations.send(send, route, request)
        except DeploymentMissing as error:
            if error.evidence.status == HTTPStatus.NOT_FOUND and route.address_hint:
                raise DeploymentMissing(f"{error} ({route.address_hint})", error.evidence) from error
            raise

    def identity(self, on: Instance) -> str | None:
        """None for a simulator: it ends with its run, and so does what was learnt of it."""
        if not self._outlives_run:
            return None
        route = self._routes[on.name]
        names = [route.credential.name if route.credential else "no key"]
        names += [secret.name for secret in route.secret_headers.values()]
        return f"{route.base_url} {on.deployment} {' '.join(names)}"

    async def aclose(self) -> None:
        await self._transport.aclose()


def open_routed(
    find_routes: FindRoutes, settings: WireSettings, adapter_context: AdapterContext, *, outlives_run: bool = True
) -> RoutedAdapter:
    """Open the adapter that follows `find_routes` as the settings say. Raises InputError where a header's variable is missing."""
    headers = Headers(settings.headers, read_secret_headers(settings, adapter_context.key))
    transport = open_transport(settings, adapter_context)
    return RoutedAdapter(
        find_routes,
        transport,
        headers=headers,
        on_adapted=adapter_context.on_adapted,
        outlives_run=outlives_run,
    )


def open_transport(settings: WireSettings, adapter_context: AdapterContext) -> Transport:
    """Open the transport that the settings name; aiohttp or openai are imported here and not before."""
    timeouts, network = settings.timeouts.as_timeouts(), adapter_context.network
    proxy = None if settings.address is None else network.proxy_for(settings.address)
    if settings.address is not None:
        network.check_certificates()
    wire = (timeouts, adapter_context.connections, settings.as_trust(network), proxy)
    if settings.transport == "sdk":
        from ..transport.sdk import SdkTransport

        return SdkTransport(*wire)
    from ..transport.native import NativeTransport

    return NativeTransport(*wire)


def plain_instance(provider: str, model: str, deployment: str, name: str) -> Instance:
    """An instance that shares its limits with no other; what the run adds (workers, rate, group) comes from above."""
    return Instance(name=name, model=model, deployment=deployment, provider=provider, limiter_group=name)


def unique_deployments(model: str, spec: RouteSpec) -> Sequence[str]:
    """The deployments that the file names, each once; the model's own name where it names none."""
    return tuple(dict.fromkeys(spec.deployments)) or (model,)
