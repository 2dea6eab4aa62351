"""The minimum detectable effect: the smallest difference that a sweep of a given size can show."""

from __future__ import annotations

import math
from statistics import NormalDist

from .intervals import CONFIDENCE, z_of

POWER = 0.8


def minimum_detectable_effect(pairs: int, discordance: float, *, power: float = POWER) -> float:
    """Compute the smallest difference of two paired rates that a two-sided test finds with `power`; nan where there is none.

    `discordance` is the share of pairs where the two differ. Inverts n = (z_a sqrt(p) + z_b sqrt(p - d^2))^2 / d^2 (R. J. Connor,
    Biometrics 43, 1987). A difference cannot exceed the discordance: where even that cannot be detected, the result is nan.
    """
    if pairs < 1 or discordance <= 0:
        return math.nan
    z_a, z_b = z_of(CONFIDENCE), NormalDist().inv_cdf(power)
    low, high = 0.0, discordance
    if _needed(high, discordance, z_a, z_b) > pairs:
        return math.nan
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _needed(middle, discordance, z_a, z_b) > pairs else (low, middle)
    return high


def detectable_mean_effect(standard_error: float, *, power: float = POWER) -> float:
    """Compute the same for clustered or graded scores from the standard error of the difference: (z_a + z_b) SE; nan where it is 0."""
    if not standard_error > 0:
        return math.nan
    return (z_of(CONFIDENCE) + NormalDist().inv_cdf(power)) * standard_error


def _needed(difference: float, discordance: float, z_a: float, z_b: float) -> float:
    if difference <= 0:
        return math.inf
    spread = math.sqrt(max(0.0, discordance - difference**2))
    return (z_a * math.sqrt(discordance) + z_b * spread) ** 2 / difference**2
