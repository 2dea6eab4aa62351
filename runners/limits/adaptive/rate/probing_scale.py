"""The time scale of probing: how rarely a limit is probed at most, and how rarely its budget asks for."""

from __future__ import annotations

from .episode_evidence import EpisodeEvidence
from .rate_model import FIRST_SCALE_S, FLOW, RateModel

LONGEST_SCALE_S = 600.0
"""Longest time scale of a window, and of a flow unless REFUSED_BUDGET asks for more."""
LONGEST_FLOW_S = 60.0
REFUSED_BUDGET = 0.004
"""Largest share of sends that may be refused by probing."""
LONGEST_WINDOWS = 2.0
"""Longest time scale in windows, unless REFUSED_BUDGET asks for more."""
BUDGETED_WINDOWS, CHEAP_WINDOWS = 5.0, 3.0
"""The most windows that REFUSED_BUDGET asks for: what is left unused of a limit that has risen costs more. Fewer where refusals are cheap
..."""
FEW, SHORT_S = 16.0, 45.0
"""... because refusals tell how long to wait, or the window has fewer requests, or is shorter."""
BUDGETED_S, BUDGETED_REQUESTS = 45.0, 25.0
"""The same for a flow: the longer of this time and that of so many requests."""


def longest_scale_s(model: RateModel, evidence: EpisodeEvidence) -> float:
    """Return the longest time scale: the limit of a window is probed again while it binds, within REFUSED_BUDGET."""
    if model.level == FLOW:
        return max(LONGEST_FLOW_S, budgeted_scale_s(model, evidence))
    longest_s = max(LONGEST_WINDOWS * model.window_s, FIRST_SCALE_S, budgeted_scale_s(model, evidence))
    return min(LONGEST_SCALE_S, longest_s)


def budgeted_scale_s(model: RateModel, evidence: EpisodeEvidence) -> float:
    """Return the time scale at which probing costs REFUSED_BUDGET."""
    goodput = max(0.05, evidence.answers.count / max(1.0, evidence.running_s))
    if model.level:
        is_cheap = model.is_told or model.window_s < SHORT_S or goodput * model.window_s < FEW
        most_s = (CHEAP_WINDOWS if is_cheap else BUDGETED_WINDOWS) * model.window_s
    else:
        most_s = max(BUDGETED_S, BUDGETED_REQUESTS / goodput)
    return min(most_s, 0.5 / (REFUSED_BUDGET * goodput))
