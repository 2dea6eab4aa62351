"""Seeded faults: the fault of a request depends on (seed, request id) only.

The quota is checked before faults, so a request that was throttled has the same fault when it is sent again and admitted. The id contains
the attempt ("sample_id/turn/attempt"), so a retry draws again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from ...seeded_draws import draw_uniform
from ..settings.provider import Fault

if TYPE_CHECKING:
    from ..settings.provider import FaultSettings

FAULTS: tuple[Fault, ...] = get_args(Fault)
"""All faults, in the order of their shares of the unit interval."""


def draw_fault(seed: int, request_id: str, settings: FaultSettings) -> Fault | None:
    """Draw the fault of a request; None in most cases."""
    left = draw_uniform(seed, "fault", request_id)
    for fault in FAULTS:
        left -= getattr(settings, fault)
        if left < 0:
            return fault
    return None
