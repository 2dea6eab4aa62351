"""Instances: a model behind one endpoint, deployment and key, with its own limits. Azure deployments and gateway keys are instances."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instance:
    """One endpoint of a model that has its own rate limits."""

    name: str
    """Stable, visible to users, no secret: "azure-east/DeepSeek-V3-0324-2", "ideallab/key1/qwen2.5-72b-instruct"."""
    model: str
    """The model's name in statistics and results."""
    deployment: str
    """The model or deployment name that requests carry; its case is kept."""
    provider: str
    limiter_group: str
    """Instances of one group share one limiter; the default is the instance's own name."""
    workers: int | None = None
    """Most samples in flight; None ("auto") means no limit."""
    qps: float | None = None
    """Requests per second in fixed mode; None where no rate is set."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an instance that the user states; None where they are unknown."""

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
