"""Rate limit headers in the naming schemes of vendors: the state of the quota and the wait.

The values are correct in every scheme; only the names differ, and whether the window is reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..limits.quota import QuotaLevel, QuotaRefusal
    from ..settings.protocol import HeaderFamily
    from ..settings.provider import EndpointSettings

Levels = tuple["QuotaLevel | None", "QuotaLevel | None"]


@dataclass(frozen=True, slots=True)
class QuotaState:
    """The current state of a quota."""

    levels: Levels
    """The levels of requests and of tokens."""
    day: QuotaLevel | None
    window_s: float

    def named(self) -> list[tuple[str, QuotaLevel]]:
        """List the existing levels with their units."""
        units = zip(("requests", "tokens"), self.levels, strict=True)
        return [(unit, level) for unit, level in units if level is not None]

    def of_window(self, per_minute: float) -> int:
        """Convert a limit per minute to a limit per window."""
        return math.floor(per_minute * self.window_s / 60)


def limit_headers(state: QuotaState, settings: EndpointSettings) -> dict[str, str]:
    """Build the headers of the quota's state in the endpoint's naming scheme."""
    return FAMILIES[settings.header_family](state) if settings.rate_limit_headers else {}


def retry_headers(refusal: QuotaRefusal, settings: EndpointSettings) -> dict[str, str]:
    """Build the headers of the wait: retry-after in whole seconds, and retry-after-ms where the wait is exact."""
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
    """Build limits per minute, remaining amounts, and the time until the window is full again (not to be used as a wait). A limit of
    requests per day has the names of the limit per minute."""
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
    """Build headers with the window in the name and the reset in seconds, as Cerebras does too."""
    headers: dict[str, str] = {}
    for unit, level in state.named():
        headers[f"x-ratelimit-limit-{unit}-minute"] = f"{level.limit:.15g}"
        headers[f"x-ratelimit-remaining-{unit}-minute"] = str(math.floor(level.remaining))
        headers[f"x-ratelimit-reset-{unit}-minute"] = f"{level.reset_s:.3f}"
    return headers


def _together(state: QuotaState) -> dict[str, str]:
    """Build headers that name neither the unit nor the window."""
    names = {"requests": "x-ratelimit", "tokens": "x-tokenlimit"}
    headers: dict[str, str] = {}
    for unit, level in state.named():
        headers[f"{names[unit]}-limit"] = str(state.of_window(level.limit))
        headers[f"{names[unit]}-remaining"] = str(math.floor(level.remaining))
        headers[f"{names[unit]}-reset"] = str(math.ceil(level.reset_s))
    return headers


def _rfc(state: QuotaState) -> dict[str, str]:
    """Build the IETF draft's structured fields and, for requests, the three fields of its older versions."""
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
