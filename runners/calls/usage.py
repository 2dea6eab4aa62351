"""The usage of a sample: what its requests took in tokens and time, its answer, and its last error."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.errors import ProviderError
from providers.instance import Instance
from providers.messages import Adaptation, ChatResponse, Usage

NO_USAGE = Usage(0, 0)


@dataclass(slots=True)
class SampleUsage:
    """The usage of a sample so far: filled by its client, read by its worker."""

    model: str
    """The model of the sample. Answers of other models, for example a judge, count for tokens and time, not as the sample's answer."""
    opened_s: float = 0.0
    """When the sample was opened, loop time."""
    solved_s: float | None = None
    """When its solver had returned and the grading began, loop time."""
    turns: int = 0
    attempts: int = 0
    throttles: int = 0
    first_sent_s: float | None = None
    rate_wait_s: float = 0.0
    retry_wait_s: float = 0.0
    """Both waits are summed over calls, which may wait at the same time."""
    waited_s: float = 0.0
    """Time in which at least one call waited."""
    waited_until_s: float = 0.0
    connect_s: float = 0.0
    ttft_s: float | None = None
    generation_s: float = 0.0
    parse_s: float = 0.0
    spent: dict[str, Usage] = field(default_factory=dict)
    """Usage by model: a solver may ask several models."""
    saved: dict[str, Usage] | None = None
    """Usage of the answers from the cache by model, which nobody is billed for; None where there is none."""
    usage: Usage = NO_USAGE
    """The usage of all models together; it is marked as estimated if one of them is."""
    instance: Instance | None = None
    moved_reason: str | None = None
    request_id: str | None = None
    response: ChatResponse | None = None
    error: ProviderError | None = None
    """The last error, even if a later attempt succeeded."""
    adaptation: Adaptation | None = None
    """How the last request was adapted to its instance."""

    def waited(self, since_s: float, until_s: float) -> float:
        """Add a call's wait and return its length in seconds; `waited_s` counts time that overlaps an earlier wait only once."""
        self.waited_s += max(0.0, until_s - max(since_s, self.waited_until_s))
        self.waited_until_s = until_s
        return until_s - since_s

    def concerns(self, model: str) -> bool:
        """Return whether an answer of `model` is the sample's answer: it is the sample's model, or that model has not answered yet."""
        return model == self.model or (self.model not in self.spent and self.model not in (self.saved or ()))

    def credit(self, response: ChatResponse, model: str) -> None:
        """Add an answer of `model`: its usage and its times."""
        timing = response.timing
        if self.concerns(model):
            self.response, self.adaptation = response, response.adaptation
        self._spend(model, response.usage)
        self.connect_s += timing.connect_s
        self.generation_s += timing.generation_s
        self.parse_s += timing.parse_s
        if self.ttft_s is None:
            self.ttft_s = timing.ttft_s

    def credit_kept(self, response: ChatResponse, model: str) -> None:
        """Add an answer of `model` from the cache: its tokens count, but nothing was sent and nothing took time."""
        if self.concerns(model):
            self.response, self.adaptation = response, response.adaptation
        self.usage = _add_usage(self.usage, response.usage) if self.spent or self.saved else response.usage
        self.saved = self.saved or {}
        self.saved[model] = _add_usage(self.saved[model], response.usage) if model in self.saved else response.usage

    def debit(self, error: ProviderError, model: str) -> None:
        """Add a failed request to `model`: the error, and its usage where the server reported one."""
        self.error = error
        if self.concerns(model):
            self.response, self.adaptation = None, error.evidence.adaptation
        if error.evidence.usage is not None:
            self._spend(model, error.evidence.usage)

    def _spend(self, model: str, usage: Usage) -> None:
        self.usage = _add_usage(self.usage, usage) if self.spent or self.saved else usage
        self.spent[model] = _add_usage(self.spent[model], usage) if model in self.spent else usage


def _add_usage(left: Usage, right: Usage) -> Usage:
    """Add two of them up."""
    return Usage(
        left.input_tokens + right.input_tokens,
        left.output_tokens + right.output_tokens,
        left.cached_tokens + right.cached_tokens,
        left.reasoning_tokens + right.reasoning_tokens,
        left.estimated or right.estimated,
    )
