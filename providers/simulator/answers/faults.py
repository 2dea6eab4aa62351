"""Seeded faults: whether and how a request goes wrong is a function of (seed, request id) alone.

Quota comes before faults, and a resend that was throttled before meets the same fault once it is let in. The id has the
attempt in it ("sample_id/turn/attempt"), so a retry draws anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from ...seeded_draws import draw_uniform
from ..settings import Fault

if TYPE_CHECKING:
    from ..settings import FaultSettings

FAULTS: tuple[Fault, ...] = get_args(Fault)
"""In the order in which they share the unit interval."""


def draw_fault(seed: int, request_id: str, settings: FaultSettings) -> Fault | None:
    """Draw the fault of this request, or None."""
    left = draw_uniform(seed, "fault", request_id)
    for fault in FAULTS:
        left -= getattr(settings, fault)
        if left < 0:
            return fault
    return None
