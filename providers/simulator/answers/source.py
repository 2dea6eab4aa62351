"""The seam through which simulated answers come: implemented above, where targets are known.

Here is only filler, for a server without tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...seeded_draws import draw_name, draw_uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...messages import ChatRequest, ToolCall


FILLER_TOKENS = 32
"""Mean length of filler where nobody says."""


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    text: str
    tool_calls: Sequence[ToolCall] = ()
    right: bool | None = None
    """Whether it is meant to be right: the truth, for the log alone; None where nobody can say."""
    corruption: str | None = None
    """How it was spoilt on purpose: for the log alone, too."""


class AnswerSource(Protocol):
    """A pure function of the request and its id ("sample_id/turn/attempt"): two runs of one seed get the same answers, in any order."""

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:
        """Answer a request."""
        ...


@dataclass(frozen=True, slots=True)
class EchoAnswers:
    """Filler of a length between half and one and a half times `output_tokens`, the same for the same request id."""

    output_tokens: int | None = None
    seed: int = 0

    def answer(self, request_id: str, request: ChatRequest, deployment: str) -> SimulatedAnswer:  # noqa: ARG002 - filler heeds nobody
        """Answer with filler."""
        tokens = max(
            1, round((self.output_tokens or FILLER_TOKENS) * (0.5 + draw_uniform(self.seed, "length", request_id)))
        )
        word = draw_name(self.seed, "text", request_id)[:3] + " "  # four characters: one token
        return SimulatedAnswer(word * (tokens - 1) + word[:3] + ".")
