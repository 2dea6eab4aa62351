"""A transport for routes that are not whole when they are found: a simulator has no address before it has started."""

from __future__ import annotations

from collections.abc import Callable

from ..messages import ChatRequest, ChatResponse
from ..provider import Transport
from ..route import Route

BindRoute = Callable[[Route], Route]
"""Completes a route: with an address, with a secret."""


class LateTransport:
    """Binds each route at its instance's first request. Implements Transport."""

    def __init__(self, transport: Transport, bind: BindRoute) -> None:
        self._transport = transport
        self._bind = bind
        self._bound: dict[str, Route] = {}

    async def send(self, route: Route, request: ChatRequest, *, request_id: str, deadline: float) -> ChatResponse:
        """Send over the route as it was bound."""
        name = route.instance.name
        bound = self._bound.get(name) or self._bound.setdefault(name, self._bind(route))
        return await self._transport.send(bound, request, request_id=request_id, deadline=deadline)

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._transport.aclose()
