"""What a load test sends: the request of every number, the same in every run of a seed, and how long it is meant to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from providers.messages import JSON, ChatRequest, Message, Tool


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one request asks, and for how much."""

    messages: Sequence[Message]
    max_tokens: int | None = None
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Sending:
    """What all requests of a load have in common."""

    stream: bool = True
    """Without it there is no time to first token."""
    temperature: float | None = None
    seed: int | None = None
    extra_body: Mapping[str, JSON] | None = None
    """Goes to the wire as it is, e.g. `ignore_eos` for answers of exactly the length that was asked for."""


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
    sending: Sending = field(default_factory=Sending)

    def request(self, number: int) -> ChatRequest:
        """The request of a number; the same whenever it is asked for."""
        prompt, sending = self.prompt(number), self.sending
        return ChatRequest(
            prompt.messages,
            prompt.tools,
            max_tokens=prompt.max_tokens,
            temperature=sending.temperature,
            seed=sending.seed,
            stream=sending.stream,
            extra_body=sending.extra_body,
        )
