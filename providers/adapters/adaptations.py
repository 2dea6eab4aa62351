"""What the instances of one provider were found to refuse, learnt from their answers: every caller of the provider has it at once."""

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
    """By instance. `on_adapted` is told of each field once, however many requests were refused for it at the same time."""

    def __init__(self, on_adapted: OnAdapted) -> None:
        self._on_adapted = on_adapted
        self._learnt: dict[str, Adaptation] = {}

    async def send(self, send: Send, route: Route, request: ChatRequest) -> ChatResponse:
        """Send as the instance takes it, and again at once where it refuses a field that may be changed.

        A refusal brings a new field or is raised: there are no more sends than fields.
        """
        name = route.instance.name
        while True:
            adaptation = self._learnt.get(name)
            asked = request if adaptation is None else replace(request, adaptation=adaptation)
            try:
                response = await send(asked)
            except ProviderError as error:
                if self._learn(name, asked, error, route.adapt):
                    continue
                if adaptation is not None:
                    error.evidence = replace(error.evidence, adaptation=adaptation)
                raise
            return response if adaptation is None else replace(response, adaptation=adaptation)

    def _learn(self, name: str, asked: ChatRequest, error: ProviderError, adapt: Adapt) -> bool:
        """Whether sending anew may end otherwise: something was learnt now, or by another request meanwhile."""
        if error.evidence.status not in REFUSED:
            return False
        news = find_adaptation(error.evidence.body, sent_fields(asked), asked.adaptation, adapt)
        if news is None:
            return False
        known = self._learnt.get(name)
        if known is asked.adaptation:
            self._learnt[name] = news if known is None else extend_adaptation(known, news)
            self._on_adapted(name, news)
        return True
