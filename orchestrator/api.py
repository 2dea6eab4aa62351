"""The library's face: `run` and `resume`, as coroutines for notebooks and as plain functions for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from providers.errors import OrchestratorError
from providers.messages import JSON
from runners.event_loop.run_loop import run_loop
from runners.samples.answer import Scorer, Solver
from runners.shutdown import Shutdown

from .config.environment import Environment, SettingOverride, flags_of, read_environment
from .config.loading import ConfigSource, LoadedConfig, load_config
from .execution.alerts.events import OnEvent
from .execution.debug import debug_log
from .execution.execute import RunHooks, execute
from .execution.outcome import ExitCode, RunOutcome
from .execution.prepare import Prepared, code_name, create, prepare
from .execution.rehearsal import Rehearsal, rehearse
from .results.directory import RunDirectory
from .results.run import Run


class RunStopped(OrchestratorError):
    """The run ended before every sample had a final record; `run` holds what there is and can be resumed."""

    def __init__(self, run_outcome: RunOutcome, run: Run) -> None:
        super().__init__(
            f"{run_outcome.reason}; go on with resume({str(run.path)!r}), and the same solver and scorer if they were yours"
        )
        self.run_outcome = run_outcome
        self.run = run


async def run(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    solver: Solver | None = None,
    scorer: Scorer | None = None,
    settings: Mapping[str, JSON] | None = None,
    on_event: OnEvent | None = None,
) -> Run:
    """Run a sweep and return its results; samples that failed stand in them as unresolved.

    `settings` are dotted keys of the file, e.g. {"run.rate_mode": "fixed"}. `solver` and `scorer` are your own coroutines.
    `on_event` is told of alerts: adapted, instance_lost, health, refusals, drift, drift_unknown, quota_shared, open_files,
    run_stalled, budget_near, run_finished; of loop_blocked in a thread of its own.
    Raises InputError for a wrong configuration, RunStopped when no instance is left or your own code failed.
    """
    environment = read_environment(config)
    loaded = load_config(config, environment, _flags(model, limit, settings, solver, scorer))
    prepared = prepare(loaded, environment.key, solver=solver, scorer=scorer)
    hooks = RunHooks(Shutdown(loaded.config.run.grace_s), solver, scorer, on_event)
    return await _carried_out(prepared, create(prepared), environment, hooks)


async def resume(
    path: str | Path,
    *,
    solver: Solver | None = None,
    scorer: Scorer | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> Run:
    """Go on with a run where it stopped: samples without a final record are run, nothing is run twice.

    `settings` may change what results do not depend on, e.g. {"run.token_limit": 2_000_000}.
    """
    environment = read_environment()
    directory = RunDirectory(Path(path))
    stored = stored_config(directory, environment, _flags(None, None, settings, solver, scorer))
    prepared = prepare(stored, environment.key, solver=solver, scorer=scorer)
    hooks = RunHooks(Shutdown(stored.config.run.grace_s), solver, scorer)
    return await _carried_out(prepared, directory, environment, hooks)


def run_sync(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    solver: Solver | None = None,
    scorer: Scorer | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> Run:
    """`run` for a plain script, on an event loop of its own."""
    return run_loop(run(config, model=model, limit=limit, solver=solver, scorer=scorer, settings=settings))


def rehearse_sync(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> Rehearsal:
    """`rehearse` for a plain script."""
    return run_loop(rehearse(config, model=model, limit=limit, settings=settings))


def resume_sync(
    path: str | Path,
    *,
    solver: Solver | None = None,
    scorer: Scorer | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> Run:
    """`resume` for a plain script."""
    return run_loop(resume(path, solver=solver, scorer=scorer, settings=settings))


def stored_config(
    directory: RunDirectory, environment: Environment, flags: Sequence[SettingOverride] = ()
) -> LoadedConfig:
    """The configuration that a run was started with; `flags` may change what its results do not depend on."""
    manifest = directory.read_manifest()
    return load_config(manifest.raw, environment, flags, base=Path(manifest.base))


async def _carried_out(prepared: Prepared, directory: RunDirectory, environment: Environment, hooks: RunHooks) -> Run:
    try:
        with debug_log(prepared, directory):
            run_outcome = await execute(prepared, directory, environment, hooks)
    finally:
        prepared.sweep.tasks.close()
    found = Run.load(directory.path)
    if run_outcome.exit_code not in {ExitCode.DONE, ExitCode.DONE_WITH_FAILURES}:
        raise RunStopped(run_outcome, found)
    return found


def _flags(
    model: Sequence[str] | str | None,
    limit: int | None,
    settings: Mapping[str, JSON] | None,
    solver: Solver | None,
    scorer: Scorer | None,
) -> list[SettingOverride]:
    """What the call says about the configuration. Code that is passed in is known by its name in the fingerprint."""
    passed_in = {"run.solver": solver, "run.scorer": scorer}
    named = {path: code_name(code) for path, code in passed_in.items() if code is not None}
    return flags_of(model, limit, {**(settings or {}), **named})
