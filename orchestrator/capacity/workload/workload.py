"""The requests of a load test by number, identical in every run with the same seed, and their expected lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from providers.messages import ChatRequest, Generation, Message, Tool

STREAMED = Generation(stream=True)
"""Without streaming there is no time to first token."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages of one request and the bound of its answer."""

    messages: Sequence[Message]
    max_tokens: int | None = None
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """The requests of a load test by number, without end."""

    name: str
    input_tokens: float
    """Mean per request, as estimated before the request is sent."""
    max_output_tokens: float | None
    """Mean bound of the answers; None where requests set no bound."""
    prompt: Callable[[int], Prompt]
    """Pure: depends on the seed and the number only."""
    generation: Generation = STREAMED
    """The settings that all requests share. The prompt bounds the length of the answer."""

    def request(self, number: int) -> ChatRequest:
        """Build the request of a number; always the same for the same number."""
        prompt = self.prompt(number)
        return ChatRequest(prompt.messages, prompt.tools, replace(self.generation, max_tokens=prompt.max_tokens))
