"""What a run needs, opened once: its providers and instances, its prices, its sweep and its plan; and what its caller brings.

`prepare.py` builds a RunContext. A run, a rehearsal, `plan` and the display of prompts all work from one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from providers.instance import Instance
from runners.calls.budget import PriceUsd
from runners.event_loop.shutdown import Shutdown
from runners.samples.answer import ScorerFunction, Solver
from runners.samples.bitmap import Bitmap
from sharding.planner import Layout, SweepPlan, plan_remaining

from ..config.loading import LoadedConfig
from ..config.settings import Config
from ..open_sweep import OpenSweep
from .alerts.events import OnEvent
from .components import OpenProviders
from .history.resumption import ResumeOptions


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything that is known before the first request is sent."""

    loaded: LoadedConfig
    providers: OpenProviders
    price_usd: PriceUsd
    sweep: OpenSweep
    whole_plan: SweepPlan
    """Over every sample of the sweep."""

    @property
    def config(self) -> Config:
        """The validated configuration of the run."""
        return self.loaded.config

    @property
    def instances(self) -> Mapping[str, Sequence[Instance]]:
        """By model."""
        return self.providers.instances

    def plan(self, done: Bitmap | None = None, asked: Bitmap | None = None) -> SweepPlan:
        """Plan what is not done yet; only what is in `asked`, if it is given."""
        if asked is not None:
            return self._plan_where(asked.__contains__)
        if done is not None and done.count:
            return self._plan_where(lambda ordinal: ordinal not in done)
        return self.whole_plan

    def _plan_where(self, remains: Callable[[int], bool]) -> SweepPlan:
        return plan_remaining(self.whole_plan, self.instances, Layout(self.config.run.stagger_s, remains))


@dataclass(frozen=True, slots=True)
class UserCode:
    """Code that was passed from Python: it overrides every name in the file."""

    solver: Solver | None = None
    scorer: ScorerFunction | None = None


@dataclass(frozen=True, slots=True)
class RunHooks:
    """What the caller provides: its own code, the means to stop, and the options of a resume."""

    shutdown: Shutdown = field(default_factory=Shutdown)
    solver: Solver | None = None
    scorer: ScorerFunction | None = None
    on_event: OnEvent | None = None
    resumption: ResumeOptions = field(default_factory=ResumeOptions)

    @property
    def code(self) -> UserCode:
        """The solver and the scorer that the user passed."""
        return UserCode(self.solver, self.scorer)
