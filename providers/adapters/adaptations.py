"""Fields that the instances of one provider refuse, read from their answers and applied to every later request of the provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from ..errors import ProviderError
from ..messages import Adaptation, ChatRequest, ChatResponse
from ..route import Adapt, Route
from ..wire.adaptation import OnAdapted, extend_adaptation, find_adaptation
from ..wire.generation import sent_fields

REFUSED = frozenset({400, 422})

Send = Callable[[ChatRequest], Awaitable[ChatResponse]]


class Adaptations:
    """The adaptations of a provider by instance.

    `on_adapted` is called once for each field, even where several concurrent requests were refused for it.
    """

    def __init__(self, on_adapted: OnAdapted) -> None:
        self._on_adapted = on_adapted
        self._learnt: dict[str, Adaptation] = {}

    async def send(self, send: Send, route: Route, request: ChatRequest) -> ChatResponse:
        """Send the request as adapted to the instance, and again at once where it refuses a field that may be changed.

        A refusal that names no new field is raised, so there are no more sends than fields.
        """
        name = route.instance.name
        while True:
            adaptation = self._learnt.get(name)
            adapted = request if adaptation is None else replace(request, adaptation=adaptation)
            try:
                response = await send(adapted)
            except ProviderError as error:
                if self._learn(name, adapted, error, route.adapt):
                    continue
                if adaptation is not None:
                    error.evidence = replace(error.evidence, adaptation=adaptation)
                raise
            return response if adaptation is None else replace(response, adaptation=adaptation)

    def _learn(self, name: str, sent: ChatRequest, error: ProviderError, adapt: Adapt) -> bool:
        """Return whether a new send may succeed: this refusal, or that of a concurrent request, added an adaptation."""
        if error.evidence.status not in REFUSED:
            return False
        addition = find_adaptation(error.evidence.body, sent_fields(sent), sent.adaptation, adapt)
        if addition is None:
            return False
        known = self._learnt.get(name)
        if known is sent.adaptation:
            self._learnt[name] = addition if known is None else extend_adaptation(known, addition)
            self._on_adapted(name, addition)
        return True
