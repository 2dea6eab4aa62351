"""Headers of limits, in the families of the field: how the quota stands, and how long to wait.

What is said is true in every family; only the names differ, and whether they tell the window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..limits.quota import QuotaLevel, QuotaRefusal
    from ..protocol_settings import HeaderFamily
    from ..settings import EndpointSettings

Levels = tuple["QuotaLevel | None", "QuotaLevel | None"]


@dataclass(frozen=True, slots=True)
class QuotaState:
    """How a quota stands."""

    levels: Levels
    """Of requests and of tokens."""
    day: QuotaLevel | None
    window_s: float

    def named(self) -> list[tuple[str, QuotaLevel]]:
        """List the levels that there are, by unit."""
        units = zip(("requests", "tokens"), self.levels, strict=True)
        return [(unit, level) for unit, level in units if level is not None]

    def of_window(self, per_minute: float) -> int:
        """Convert a limit per minute to one per window."""
        return math.floor(per_minute * self.window_s / 60)


def limit_headers(state: QuotaState, settings: EndpointSettings) -> dict[str, str]:
    """Say how the quota stands, in the endpoint's family of headers."""
    return FAMILIES[settings.header_family](state) if settings.rate_limit_headers else {}


def retry_headers(refusal: QuotaRefusal, settings: EndpointSettings) -> dict[str, str]:
    """Say the wait: retry-after in whole seconds, and beside it the milliseconds where the wait is exact."""
    is_silent = settings.throttle_style == 400 or settings.wait_in in ("words", "retry_info")
    if refusal.retry_after_s is None or is_silent:
        return {}
    if settings.wait_in == "zero_ms":
        return {"retry-after": str(max(1, math.ceil(refusal.retry_after_s))), "retry-after-ms": "0"}
    headers = {"retry-after": str(math.ceil(refusal.retry_after_s))}
    if settings.retry_after == "exact":
        headers["retry-after-ms"] = str(math.ceil(refusal.retry_after_s * 1000))
    return headers


def _openai(state: QuotaState) -> dict[str, str]:
    """Say limits per minute, what is left of the window, and the time until it is full again (never sleep on that); requests of the
    day stand under the names of the minute's."""
    headers: dict[str, str] = {}
    for unit, of_window in zip(("requests", "tokens"), state.levels, strict=True):
        level = state.day if unit == "requests" and state.day is not None else of_window
        if level is not None:
            headers[f"x-ratelimit-limit-{unit}"] = f"{level.limit:.15g}"
            headers[f"x-ratelimit-remaining-{unit}"] = str(math.floor(level.remaining))
            headers[f"x-ratelimit-reset-{unit}"] = _span(level.reset_s)
    return headers


def _azure(state: QuotaState) -> dict[str, str]:
    headers: dict[str, str] = {}
    for unit, level in state.named():
        headers[f"x-ratelimit-limit-{unit}"] = str(state.of_window(level.limit))
        headers[f"x-ratelimit-remaining-{unit}"] = str(math.floor(level.remaining))
        headers[f"x-ratelimit-renewalperiod-{unit}"] = f"{state.window_s:.15g}"
    return headers


def _mistral(state: QuotaState) -> dict[str, str]:
    names = {"requests": "req-minute", "tokens": "tokens-minute"}
    headers: dict[str, str] = {}
    for unit, level in state.named():
        headers[f"x-ratelimit-limit-{names[unit]}"] = f"{level.limit:.15g}"
        headers[f"x-ratelimit-remaining-{names[unit]}"] = str(math.floor(level.remaining))
    return headers


def _huggingface(state: QuotaState) -> dict[str, str]:
    """Say the window in the name and the reset in seconds, as Cerebras does too."""
    headers: dict[str, str] = {}
    for unit, level in state.named():
        headers[f"x-ratelimit-limit-{unit}-minute"] = f"{level.limit:.15g}"
        headers[f"x-ratelimit-remaining-{unit}-minute"] = str(math.floor(level.remaining))
        headers[f"x-ratelimit-reset-{unit}-minute"] = f"{level.reset_s:.3f}"
    return headers


def _together(state: QuotaState) -> dict[str, str]:
    """Name neither the unit nor the window."""
    names = {"requests": "x-ratelimit", "tokens": "x-tokenlimit"}
    headers: dict[str, str] = {}
    for unit, level in state.named():
        headers[f"{names[unit]}-limit"] = str(state.of_window(level.limit))
        headers[f"{names[unit]}-remaining"] = str(math.floor(level.remaining))
        headers[f"{names[unit]}-reset"] = str(math.ceil(level.reset_s))
    return headers


def _rfc(state: QuotaState) -> dict[str, str]:
    """Follow the IETF's draft, in structured fields and, for requests, in the three fields of its older versions."""
    policies, levels = [], []
    headers: dict[str, str] = {}
    for unit, level in state.named():
        limit, remaining, reset = state.of_window(level.limit), math.floor(level.remaining), math.ceil(level.reset_s)
        policies.append(f'"{unit}";q={limit};w={math.ceil(state.window_s)}')
        levels.append(f'"{unit}";r={remaining};t={reset}')
        if unit == "requests":
            headers |= {f"ratelimit-{name}": str(value) for name, value in
                        (("limit", limit), ("remaining", remaining), ("reset", reset))}  # fmt: skip
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(levels), **headers} if policies else {}


def _span(seconds: float) -> str:
    """Write a duration as OpenAI does: 17ms, 1.5s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.4g}s"


FAMILIES: Mapping[HeaderFamily, Callable[[QuotaState], dict[str, str]]] = {
    "openai": _openai,
    "azure": _azure,
    "mistral": _mistral,
    "huggingface": _huggingface,
    "together": _together,
    "rfc": _rfc,
}
