"""What a load test sends: the request of every number, the same in every run of a seed, and how long it is meant to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from providers.messages import ChatRequest, Generation, Message, Tool

STREAMED = Generation(stream=True)
"""Without it there is no time to first token."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one request asks, and for how much."""

    messages: Sequence[Message]
    max_tokens: int | None = None
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """The requests of a load test by number, without end."""

    name: str
    input_tokens: float
    """Mean per request, as far as anybody knows before it is sent."""
    max_output_tokens: float | None
    """Mean of what requests allow; None where they set no bound."""
    prompt: Callable[[int], Prompt]
    """Pure: of a seed and the number alone."""
    generation: Generation = STREAMED
    """What all requests have in common; the prompt says how long the answer may be."""

    def request(self, number: int) -> ChatRequest:
        """The request of a number; the same whenever it is asked for."""
        prompt = self.prompt(number)
        return ChatRequest(prompt.messages, prompt.tools, replace(self.generation, max_tokens=prompt.max_tokens))
