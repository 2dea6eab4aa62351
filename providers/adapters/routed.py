"""A provider over HTTP: the routes of its instances, and the one transport that follows them. What a vendor adds is its rule for routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..instance import Instance
from ..messages import ChatRequest, ChatResponse
from ..provider import Route, RouteSpec, Transport
from .settings import WireSettings


class RoutedAdapter:
    """Implements Adapter. `find_routes` lists a model's routes in the order of the file, and raises InputError."""

    def __init__(
        self,
        find_routes: Callable[[str, RouteSpec], Sequence[Route]],
        transport: Transport,
        *,
        outlives_run: bool = True,
    ) -> None:
        self._find_routes = find_routes
        self._transport = transport
        self._outlives_run = outlives_run
        self._routes: dict[str, Route] = {}

    def instances(self, model: str, spec: RouteSpec) -> Sequence[Instance]:
        """The model's instances; `complete` knows those that were asked for here."""
        routes = self._find_routes(model, spec)
        self._routes.update((route.instance.name, route) for route in routes)
        return [route.instance for route in routes]

    async def complete(self, on: Instance, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        return await self._transport.send(self._routes[on.name], request, request_id=request_id, deadline=deadline)

    def identity(self, on: Instance) -> str | None:
        """None for a simulator: it ends with its run, and so does what was learnt of it."""
        if not self._outlives_run:
            return None
        route = self._routes[on.name]
        key_name = route.credential.name if route.credential else "no key"
        return f"{route.base_url} {on.deployment} {key_name}"

    async def aclose(self) -> None:
        await self._transport.aclose()


def open_transport(settings: WireSettings, connections: int) -> Transport:
    """Open the transport that the settings name; aiohttp or openai are imported here and not before."""
    timeouts = settings.timeouts.as_timeouts()
    if settings.transport == "sdk":
        from ..transport.sdk import SdkTransport

        return SdkTransport(timeouts, connections, settings.as_trust())
    from ..transport.native import NativeTransport

    return NativeTransport(timeouts, connections, settings.as_trust())


def plain_instance(provider: str, model: str, deployment: str, name: str) -> Instance:
    """An instance that shares its limits with no other; what the run adds (workers, rate, group) comes from above."""
    return Instance(name=name, model=model, deployment=deployment, provider=provider, limiter_group=name)


def unique_deployments(model: str, spec: RouteSpec) -> Sequence[str]:
    """The deployments that the file names, each once; the model's own name where it names none."""
    return tuple(dict.fromkeys(spec.deployments)) or (model,)
