"""A provider over HTTP: the routes of its instances, and one transport for all of them. A vendor adds only its function for routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from ..credentials import ApiKey
from ..errors import DeploymentMissing, ProviderError
from ..instance import Instance
from ..messages import ChatRequest, ChatResponse
from ..provider import RouteSpec, Transport
from ..route import Route
from ..wire.operations.adaptation import OnAdapted
from .adaptations import Adaptations
from .registry import AdapterContext
from .settings import WireSettings, read_secret_headers


@dataclass(frozen=True, slots=True)
class Headers:
    """The user's headers that every request of a provider carries, in addition to authentication and request id."""

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, ApiKey] = field(default_factory=dict)


NO_HEADERS = Headers()

FindRoutes = Callable[[str, RouteSpec], Sequence[Route]]
"""Lists a model's routes in the order of the file. Raises InputError."""
BindRoute = Callable[[Route], Route]
"""Completes a route that is not whole when it is found: a simulator has no address before it has started, and ends with its run."""


class RoutedAdapter:
    """The adapter of every provider over HTTP; implements Adapter."""

    def __init__(
        self,
        find_routes: FindRoutes,
        transport: Transport,
        *,
        headers: Headers = NO_HEADERS,
        on_adapted: OnAdapted = lambda _instance, _adaptation: None,
        bind: BindRoute | None = None,
    ) -> None:
        self._find_routes = find_routes
        self._transport = transport
        self._headers = headers
        self._routes: dict[str, Route] = {}
        self._bind = bind
        self._bound: dict[str, Route] = {}
        """The routes as requests are sent over them, bound at their instance's first request."""
        self._groups: dict[tuple[str, str, str], str] = {}
        """Limiter groups by address, deployment and key: a server applies one limit to all requests that share these three."""
        self._adaptations = Adaptations(on_adapted)

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """List the model's instances; `complete` accepts only instances that this method returned."""
        headers = self._headers
        routes = [
            replace(
                route, headers=headers.plain, secret_headers=headers.secret, adapt=spec.adapt, timeouts=spec.timeouts
            )
            for route in self._find_routes(model, spec)
        ]
        named = [self._with_unique_name(route) for route in routes]
        self._routes.update((route.instance.name, route) for route in named)
        return [route.instance for route in named]

    def _with_unique_name(self, route: Route) -> Route:
        """Return the route with a unique instance name: a deployment that serves several models has one instance for each.

        These instances share the limiter group of the first.
        """
        instance = route.instance
        address = (route.base_url, instance.deployment, route.credential.name if route.credential else "")
        group = self._groups.setdefault(address, instance.limiter_group)
        holder = self._routes.get(instance.name)
        is_taken = holder is not None and holder.instance.model != instance.model
        name = f"{instance.name}@{instance.model}" if is_taken else instance.name
        return replace(route, instance=replace(instance, name=name, limiter_group=group))

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send one request to an instance; adapt it where the instance refuses a field. Raises ProviderError.

        A refusal that names no new field is raised, so there are no more sends than fields.
        """
        if on.name not in self._bound:
            found = self._routes[on.name]
            self._bound[on.name] = found if self._bind is None else self._bind(found)
        route = self._bound[on.name]
        while True:
            adaptation = self._adaptations.learnt.get(on.name)
            adapted = request if adaptation is None else replace(request, adaptation=adaptation)
            try:
                response = await self._transport.send(route, adapted, request_id=request_id, deadline=deadline)
            except ProviderError as error:
                if self._adaptations.learn(adapted, error, route):
                    continue
                if adaptation is not None:
                    error.evidence = replace(error.evidence, adaptation=adaptation)
                if not isinstance(error, DeploymentMissing):
                    raise
                if error.evidence.status == HTTPStatus.NOT_FOUND and route.address_hint:
                    raise DeploymentMissing(f"{error} ({route.address_hint})", error.evidence) from error
                raise
            return response if adaptation is None else replace(response, adaptation=adaptation)

    def identity(self, on: Instance) -> str | None:
        """Return address, deployment and key names; None for a simulator, which ends with its run."""
        if self._bind is not None:
            return None
        route = self._routes[on.name]
        names = [route.credential.name if route.credential else "no key"]
        names += [secret.name for secret in route.secret_headers.values()]
        return f"{route.base_url} {on.deployment} {' '.join(names)}"

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def open_routed(
    find_routes: FindRoutes,
    settings: WireSettings,
    adapter_context: AdapterContext,
    *,
    bind: BindRoute | None = None,
) -> RoutedAdapter:
    """Open an adapter for the routes of `find_routes`. Raises InputError where the variable of a header is missing."""
    headers = Headers(settings.headers, read_secret_headers(settings, adapter_context.key))
    transport = open_transport(settings, adapter_context)
    return RoutedAdapter(
        find_routes,
        transport,
        headers=headers,
        on_adapted=adapter_context.on_adapted,
        bind=bind,
    )


def open_transport(settings: WireSettings, adapter_context: AdapterContext) -> Transport:
    """Open the transport that the settings name; the transport, and with it httptools or openai, is imported here for the first time."""
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
    """Build an instance with its own limiter group; the run adds workers, rate and group later."""
    return Instance(name=name, model=model, deployment=deployment, provider=provider, limiter_group=name)


def unique_deployments(model: str, spec: RouteSpec) -> Sequence[str]:
    """Return the deployments that the file names, without duplicates; the model's name where it names none."""
    return tuple(dict.fromkeys(spec.deployments)) or (model,)
