"""The drift check without a run: `doctor --drift`."""

from __future__ import annotations

from contextlib import closing

from ..config.environment import Environment
from ..config.loading import LoadedConfig
from ..execution.alerts.drift import DriftFinding, DriftTargets, ask_canaries
from ..execution.components import open_providers
from ..open_sweep import open_sweep

CANARIES = 5


async def check_drift(loaded: LoadedConfig, environment: Environment, canaries: int = CANARIES) -> list[DriftFinding]:
    """Run `ask_canaries` for a configuration that no run has open. Raises InputError as a run would."""
    providers = open_providers(loaded, environment.key, environment.network())
    opened = open_sweep(loaded)
    with closing(opened.tasks):
        async with providers.serving(environment):
            targets = DriftTargets(providers.instances, providers.adapters)
            return await ask_canaries(loaded, opened.sweep, targets, canaries)
