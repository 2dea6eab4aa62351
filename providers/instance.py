"""An instance: one independently limited way to reach a model. An Azure deployment and a gateway key are both instances."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instance:
    name: str
    """Stable, shown to people, no secret: "azure-east/DeepSeek-V3-0324-2", "ideallab/key1/qwen2.5-72b-instruct"."""
    model: str
    """What statistics are kept under."""
    deployment: str
    """What the API is called with; case kept."""
    provider: str
    limiter_group: str
    """Instances of one group share one limiter; by default the instance's own name."""
    workers: int | None = None
    """Most samples in flight; None ("auto") lifts the bound."""
    qps: float | None = None
    """Requests per second in fixed mode; None where no rate is set."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a person says an instance allows; None where nobody knows."""

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
