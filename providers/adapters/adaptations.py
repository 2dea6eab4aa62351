"""Fields that the instances of one provider refuse, read from their answers and applied to every later request of the provider."""

from __future__ import annotations

from ..errors import ProviderError
from ..messages import Adaptation, ChatRequest
from ..route import Route
from ..wire.operations.adaptation import OnAdapted, extend_adaptation, find_adaptation
from ..wire.operations.generation import sent_fields

REFUSED = frozenset({400, 422})


class Adaptations:
    """The adaptations of a provider by instance.

    `on_adapted` is called once for each field, even where several concurrent requests were refused for it.
    """

    def __init__(self, on_adapted: OnAdapted) -> None:
        self._on_adapted = on_adapted
        self.learnt: dict[str, Adaptation] = {}
        """By the instance's name."""

    def learn(self, sent: ChatRequest, error: ProviderError, route: Route) -> bool:
        """Return whether a new send may succeed: this refusal, or that of a concurrent request, added an adaptation."""
        name = route.instance.name
        if error.evidence.status not in REFUSED:
            return False
        addition = find_adaptation(error.evidence.body, sent_fields(sent), sent.adaptation, route.adapt)
        if addition is None:
            return False
        known = self.learnt.get(name)
        if known is sent.adaptation:
            self.learnt[name] = addition if known is None else extend_adaptation(known, addition)
            self._on_adapted(name, addition)
        return True
