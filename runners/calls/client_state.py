"""What a sample's client and its calls share: the settings, the slot, the deadline, and the usage so far."""

from __future__ import annotations

import asyncio

from ..dispatch.slots import WorkerSlot
from .active_sample import ActiveSample
from .call_context import CallContext
from .usage import SampleUsage


class ClientState:
    """The state of one sample's client that its calls read and fill."""

    def __init__(self, call_context: CallContext, active: ActiveSample, slot: WorkerSlot) -> None:
        self.time = asyncio.get_running_loop().time
        """The time of the running loop."""
        self.call_context = call_context
        self.active = active
        self.sample = active.sample
        self.slot = slot
        self.sample_usage = SampleUsage(self.sample.cell.model, self.time())
        self.deadline = self.sample_usage.opened_s + call_context.asking[self.sample_usage.model].deadlines.sample_s
        self.is_judging = False
        self.turn_prefix = ""
        self.billable = 0
        """Number of requests that were or may have been billed."""
