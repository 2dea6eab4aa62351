"""The Python API: `run` and `resume`, as coroutines for notebooks and as plain functions for scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from providers.errors import OrchestratorError
from providers.messages import JSON
from runners.event_loop.run_loop import run_loop
from runners.event_loop.shutdown import Shutdown
from runners.samples.answer import ScorerFunction, Solver

from .config.environment import Environment, SettingOverride, flags_of, read_environment
from .config.given_tasks import SupportsColumns
from .config.loading import ConfigSource, LoadedConfig, load_config
from .execution.alerts.events import OnEvent
from .execution.context import RunContext, RunHooks
from .execution.debug import debug_log
from .execution.execute import execute
from .execution.forecast.rehearsal import Rehearsal, rehearse
from .execution.history.outcome import ExitCode, RunOutcome
from .execution.history.resumption import ResumeOptions
from .execution.history.trust import SCORERS, require_trusted
from .execution.prepare import code_name, create, prepare
from .rescoring.request import Request, load_for_rescoring
from .rescoring.rescore import rescore as grade_again
from .results.run import Run
from .results.run_directory.directory import RunDirectory
from .scoring.setting import ScorerSetting

Tasks = Iterable[Mapping[str, Any]] | SupportsColumns
"""Rows of tasks: dicts, or anything with columns, such as a DataFrame."""
Fields = Mapping[str, str | Mapping[str, JSON]]
"""What the columns of tasks mean, as under `fields` of the file: {"input": "question", "difficulty": {"const": "easy"}}."""


class RunStopped(OrchestratorError):
    """The error of a run that ended before every sample had a final record. `run` holds the results so far and can be resumed."""

    def __init__(self, run_outcome: RunOutcome, run: Run) -> None:
        super().__init__(
            f"{run_outcome.reason}; continue with resume({str(run.path)!r}), and the same solver and scorer if you passed any"
        )
        self.run_outcome = run_outcome
        self.run = run


async def run(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    tasks: Tasks | None = None,
    fields: Fields | None = None,
    solver: Solver | None = None,
    scorer: ScorerFunction | ScorerSetting | None = None,
    settings: Mapping[str, JSON] | None = None,
    on_event: OnEvent | None = None,
) -> Run:
    """Run a sweep and return its results, failed samples included.

    `config` is the path of a sweep file or its content. `model` selects models of the file, `limit` bounds the number of tasks.
    `tasks` replace those of the file, whose `fields` and `scorer` apply to them: a list of dicts, a DataFrame of pandas or
    Polars, an Arrow table, or a data set of Hugging Face. They are kept in `runs/tasks`, so that a resume needs no `tasks`. `fields`
    say what their columns mean, as in the file, and win over its own: {"input": "question", "target": "answer.text"}.
    `settings` are dotted keys of the file, e.g. {"run.rate_mode": "fixed"}. `solver` is your own coroutine function,
    `scorer` your own function, or the setting of a built-in one, for example "numeric"; it overrides the scorers of the file.
    `on_event` is called for these events: adapted, instance_lost, health, refusals, drift, drift_unknown, quota_shared, answer_floor,
    open_files, run_stalled, budget_near, run_finished; and for loop_blocked, from another thread.
    Raises InputError for a wrong configuration, RunStopped when a limit is reached, no instance is left or your own code failed.
    """
    environment = read_environment(config)
    loaded = load_config(
        config, environment, _flags(model, limit, settings, solver, scorer), tasks=tasks, fields=fields
    )
    loaded, code = _with_scorer(loaded, scorer, environment)
    context = prepare(loaded, environment.key, environment.network(), solver=solver, scorer=code)
    hooks = RunHooks(Shutdown(loaded.config.run.grace_s), solver, code, on_event)
    return await _carried_out(context, create(context), environment, hooks)


async def resume(
    path: str | Path,
    *,
    solver: Solver | None = None,
    scorer: ScorerFunction | ScorerSetting | None = None,
    settings: Mapping[str, JSON] | None = None,
    changed_code: bool = False,
    trust: bool = False,
    on_event: OnEvent | None = None,
) -> Run:
    """Continue a stopped run: run the samples without a final record, and no other.

    `path` is the run directory. `settings` may change only what results do not depend on, e.g. {"run.token_limit": 2_000_000}.
    `changed_code` continues with your own code as it is now, after a correction; the run notes what has changed. `trust` runs the code and
    sends the keys that the run names, though this user did not start it on this machine.
    Raises InputError and RunStopped as `run` does.
    """
    environment = read_environment()
    directory, flags = RunDirectory(Path(path)), _flags(None, None, settings, solver, scorer)
    given = [*(flag.path for flag in flags), *(SCORERS if scorer is not None else ())]
    is_trusted = require_trusted(directory, "resume", given, is_given=trust)
    stored = replace(stored_config(directory, environment, flags), is_trusted=is_trusted)
    stored, code = _with_scorer(stored, scorer, environment)
    context = prepare(stored, environment.key, environment.network(), solver=solver, scorer=code)
    hooks = RunHooks(
        Shutdown(stored.config.run.grace_s), solver, code, on_event, ResumeOptions(changed_code=changed_code)
    )
    return await _carried_out(context, directory, environment, hooks)


async def rescore(
    path: str | Path,
    *,
    scorer: ScorerFunction | ScorerSetting | None = None,
    targets: Mapping[str, JSON] | None = None,
    settings: Mapping[str, JSON] | None = None,
    trust: bool = False,
) -> Run:
    """Grade the stored answers of a run again, without a request, and return the new run, which is beside the old one.

    `scorer` is a name, a mapping with options or your own function; None takes the scorers of the run as they are now. `targets` are
    targets by task id; the others are those of the task files. `settings` may hold other weights: {"scoring.weights.grades.partial": 0.5}.
    `trust` runs the scorers and readers that the run names, though this user did not start it on this machine.
    Raises InputError where the answers cannot be graded so.
    """
    return await asyncio.to_thread(rescore_sync, path, scorer=scorer, targets=targets, settings=settings, trust=trust)


def rescore_sync(
    path: str | Path,
    *,
    scorer: ScorerFunction | ScorerSetting | None = None,
    targets: Mapping[str, JSON] | None = None,
    settings: Mapping[str, JSON] | None = None,
    trust: bool = False,
) -> Run:
    """Call `rescore` from a plain script."""
    own = scorer if callable(scorer) else None
    named = code_name(own) if own is not None else cast("ScorerSetting | None", scorer)
    flags, directory = flags_of(None, None, settings or {}), RunDirectory(Path(path))
    require_trusted(directory, "rescore", SCORERS if scorer is not None else (), is_given=trust)
    loaded = load_for_rescoring(directory, read_environment(), flags, scorer=named)
    return grade_again(Path(path), Request(loaded, targets or {}, own), lambda _evidence: None).after


def run_sync(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    tasks: Tasks | None = None,
    fields: Fields | None = None,
    solver: Solver | None = None,
    scorer: ScorerFunction | ScorerSetting | None = None,
    settings: Mapping[str, JSON] | None = None,
    on_event: OnEvent | None = None,
) -> Run:
    """Call `run` from a plain script, on a new event loop."""
    return run_loop(
        run(
            config,
            model=model,
            limit=limit,
            tasks=tasks,
            fields=fields,
            solver=solver,
            scorer=scorer,
            settings=settings,
            on_event=on_event,
        )
    )


def rehearse_sync(
    config: ConfigSource,
    *,
    model: Sequence[str] | str | None = None,
    limit: int | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> Rehearsal:
    """Call `rehearse` from a plain script, on a new event loop."""
    return run_loop(rehearse(config, model=model, limit=limit, settings=settings))


def resume_sync(
    path: str | Path,
    *,
    solver: Solver | None = None,
    scorer: ScorerFunction | ScorerSetting | None = None,
    settings: Mapping[str, JSON] | None = None,
    changed_code: bool = False,
    trust: bool = False,
    on_event: OnEvent | None = None,
) -> Run:
    """Call `resume` from a plain script, on a new event loop."""
    return run_loop(
        resume(
            path,
            solver=solver,
            scorer=scorer,
            settings=settings,
            changed_code=changed_code,
            trust=trust,
            on_event=on_event,
        )
    )


def stored_config(
    directory: RunDirectory, environment: Environment, flags: Sequence[SettingOverride] = ()
) -> LoadedConfig:
    """Return the configuration that a run was started with; `flags` may change only what its results do not depend on."""
    manifest = directory.read_manifest()
    return load_config(manifest.raw, environment, flags, base=Path(manifest.base), is_stored=True)


async def _carried_out(context: RunContext, directory: RunDirectory, environment: Environment, hooks: RunHooks) -> Run:
    try:
        with debug_log(context, directory):
            run_outcome = await execute(context, directory, environment, hooks)
    finally:
        context.sweep.tasks.close()
    results = Run.load(directory.path)
    if run_outcome.exit_code not in {ExitCode.DONE, ExitCode.DONE_WITH_FAILURES}:
        raise RunStopped(run_outcome, results)
    return results


def _flags(
    model: Sequence[str] | str | None,
    limit: int | None,
    settings: Mapping[str, JSON] | None,
    solver: Solver | None,
    scorer: ScorerFunction | ScorerSetting | None,
) -> list[SettingOverride]:
    """Return the arguments as settings. Code that is passed in enters the fingerprint under its name."""
    passed_in = {"run.solver": solver, "run.scorer": scorer}
    named: dict[str, object] = {
        path: code if isinstance(code, str | Mapping) else code_name(code)
        for path, code in passed_in.items()
        if code is not None
    }
    return flags_of(model, limit, {**(settings or {}), **named})


def _with_scorer(
    loaded: LoadedConfig, scorer: ScorerFunction | ScorerSetting | None, environment: Environment
) -> tuple[LoadedConfig, ScorerFunction | None]:
    """Return the configuration and the scorer that is code. A scorer that is named overrides those of the task files."""
    if not isinstance(scorer, str | Mapping):
        return loaded, scorer
    tasks = [entry.model_copy(update={"scorer": None}) for entry in loaded.config.tasks]
    written = [entry.model_dump(mode="json", exclude_unset=True) for entry in tasks]
    raw = {
        **loaded.raw,
        "tasks": [{name: value for name, value in entry.items() if name != "scorer"} for entry in written],
    }
    flags = [SettingOverride("run.scorer", scorer, "scorer=")]
    named = load_config(raw, environment, flags, base=loaded.base, is_stored=loaded.is_stored)
    return replace(named, is_trusted=loaded.is_trusted), None
