"""The protocol of sources of simulated answers. The orchestrator package implements it with the tasks' targets.

This module has only filler, for a server without tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...seeded_draws import draw_name, draw_uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...messages import ChatRequest, ToolCall


FILLER_TOKENS = 32
"""Mean length of filler where the settings name none."""


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """The content of an answer before faults and token limits apply."""

    text: str
    tool_calls: Sequence[ToolCall] = ()
    right: bool | None = None
    """Whether the answer is right, for the log only; None where it is unknown."""
    corruption: str | None = None
    """The kind of deliberate corruption, for the log only."""
    error: str | None = None
    """Why there is no answer: the user's script failed. The server answers 500 with this message."""


class AnswerSource(Protocol):
    """A source of answers that depend on the request and its id ("sample_id/turn/attempt") only.

    Two runs with the same seed get the same answers, in any order.
    """

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:
        """Answer a request."""
        ...


@dataclass(frozen=True, slots=True)
class EchoAnswers:
    """A source of filler of 0.5 to 1.5 times `output_tokens` tokens, drawn from the request id."""

    output_tokens: int | None = None
    seed: int = 0

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:  # noqa: ARG002 - filler ignores the request
        """Return filler for a request."""
        tokens = max(
            1, round((self.output_tokens or FILLER_TOKENS) * (0.5 + draw_uniform(self.seed, "length", request_id)))
        )
        word = draw_name(self.seed, "text", request_id)[:3] + " "  # four characters: one token
        return SimulatedAnswer(word * (tokens - 1) + word[:3] + ".")
