"""Default numbers of workers and request rates by kind of instance, and the function that applies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from providers.errors import InputError
from providers.instance import Instance
from providers.suggestion import suggestion


@dataclass(frozen=True, slots=True)
class Profile:
    """Default workers and rate of one kind of instance."""

    adaptive_workers: int
    fixed_workers: int
    qps: float | None
    """Requests per second in fixed mode; None means no rate limit."""
    times_prompt_types: bool
    """Whether the number of workers is multiplied by the number of prompt types."""


PROFILES: Mapping[str, Profile] = {
    # name                    adaptive fixed qps   × prompt types
    "azure-open": Profile(100, 50, 200.0, True),  # several deployments of one open model
    "azure-closed": Profile(200, 100, 200.0, True),  # one deployment with a large quota
    "gateway-open": Profile(5, 3, 10.0, False),  # one of several keys
    "gateway-closed": Profile(1, 1, 5.0, False),  # serial: stability first
    "openai": Profile(32, 16, None, False),  # any other server
}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The user's settings for workers and rate. Raises InputError where a number is out of range."""

    rate_mode: Literal["adaptive", "fixed"] = "adaptive"
    prompt_types: int = 1
    max_workers: int | None = None
    """Most workers of an instance; limits every other setting."""
    workers: int | Literal["auto"] | None = None
    """Workers of every instance, never multiplied; "auto" means no limit; None means the profile's number."""
    qps: float | None = None
    """Replaces the profile's rate; fixed mode only."""

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("max_workers", self.max_workers)):
            if isinstance(value, int) and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        if self.qps is not None and not self.qps > 0:
            raise InputError(f"qps must be more than 0, not {self.qps:g}")


def find_profile(name: str) -> Profile:
    """Return the profile of a name. Raises InputError that names the most similar profile."""
    profile = PROFILES.get(name)
    if profile is None:
        raise InputError(f'unknown profile "{name}"; {suggestion(name, PROFILES)}')
    return profile


def assign_workers(instance: Instance, profile: Profile, worker_options: WorkerOptions) -> Instance:
    """Set the number of workers of an instance and, in fixed mode, its rate."""
    return replace(instance, workers=_workers(profile, worker_options), qps=_qps(profile, worker_options))


def _workers(profile: Profile, worker_options: WorkerOptions) -> int | None:
    if worker_options.workers == "auto":
        return worker_options.max_workers
    workers = _base_workers(profile, worker_options) if worker_options.workers is None else worker_options.workers
    return workers if worker_options.max_workers is None else min(workers, worker_options.max_workers)


def _base_workers(profile: Profile, worker_options: WorkerOptions) -> int:
    base = profile.adaptive_workers if worker_options.rate_mode == "adaptive" else profile.fixed_workers
    return base * worker_options.prompt_types if profile.times_prompt_types else base


def _qps(profile: Profile, worker_options: WorkerOptions) -> float | None:
    if worker_options.rate_mode == "adaptive":
        return None
    return profile.qps if worker_options.qps is None else worker_options.qps
