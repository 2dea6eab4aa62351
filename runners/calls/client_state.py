"""What a sample's client and its calls share: the settings, the slot, the deadline, and the usage so far."""

from __future__ import annotations

from collections.abc import Callable

from sharding.plan import Sample

from ..dispatch.slots import WorkerSlot
from .active_sample import ActiveSample
from .call_context import CallContext
from .usage import SampleUsage


class ClientState:
    """The state of one sample's client that its calls read and fill. `SampleClient` sets it."""

    time: Callable[[], float]
    """The time of the running loop."""
    call_context: CallContext
    active: ActiveSample
    sample: Sample
    slot: WorkerSlot
    sample_usage: SampleUsage
    deadline: float
    is_judging: bool
    turn_prefix: str
    billable: int
    """Number of requests that were or may have been billed."""
