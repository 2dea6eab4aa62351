"""The steps before a run, in the order in which a user's mistakes are found, and the directory of a new run."""

from __future__ import annotations

import logging
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from providers.credentials import ApiKey
from providers.errors import InputError
from providers.file_modes import OPEN_FOLDER, PRIVATE_FOLDER
from providers.masking import SHORTEST_KEY
from providers.transport.network import DIRECT, Network
from runners.samples.answer import ScorerFunction, Solver
from sharding.planner import Layout, SweepPlan, build_plan

from ..config.loading import LoadedConfig
from ..config.own_code import code_parts
from ..open_sweep import method_parts, open_sweep, own_functions
from ..results.run_directory.directory import Manifest, RunDirectory, new_directory
from .components import open_providers, prices_of, require_prices
from .context import RunContext, UserCode
from .history.trust import trust_run
from .method import check_method, check_scorers, tool_functions

log = logging.getLogger(__name__)


def prepare(
    loaded: LoadedConfig,
    key: Callable[[str], ApiKey],
    network: Network = DIRECT,
    *,
    solver: Solver | None = None,
    scorer: ScorerFunction | None = None,
) -> RunContext:
    """Open the providers, read the tasks, lay out the sweep and plan it. Raises InputError for whatever a person can have got
    wrong, so that nothing has been made by then; `key` does where a variable is missing."""
    config, price_usd = loaded.config, prices_of(loaded.config)
    check_method(config, UserCode(solver, scorer))
    require_prices(config, price_usd)
    _require_command(config.run.notify)
    keys: list[ApiKey] = []

    def noted(name: str) -> ApiKey:
        keys.append(key(name))
        return keys[-1]

    providers = open_providers(loaded, noted, network)
    _require_no_key_in(loaded.raw, keys)
    sweep = open_sweep(loaded)
    for note in sweep.notes:
        log.warning("%s", note)
    sweep.sweep.check_prompts()
    tools = tool_functions(loaded, sweep)
    if scorer is None:
        for warning in check_scorers(config, sweep, has_begun=loaded.is_stored):
            log.warning("%s", warning)
    parts = method_parts(config, code_name(scorer) if scorer else None) | code_parts(
        {**own_functions(config, solver, scorer), **tools}
    )
    layout = Layout(config.run.stagger_s, extra_parts=parts)
    plan = build_plan(sweep.sweep, providers.instances, layout)
    _require_shard(plan, config.run.debug_process_num)
    return RunContext(loaded, providers, price_usd, sweep, plan)


def _require_no_key_in(raw: Mapping[str, Any], keys: Sequence[ApiKey]) -> None:
    """Raise InputError if the configuration holds an API key, in `extra_body` or a command: the manifest would store it."""
    text = orjson.dumps(raw).decode()
    for key in keys:
        if len(key.secret) >= SHORTEST_KEY and orjson.dumps(key.secret).decode()[1:-1] in text:
            raise InputError(
                f"the value of {key.name} stands in the configuration itself; take it out: keys stay in variables"
            )


def _require_command(notify: str | None) -> None:
    if notify is None:
        return
    try:
        program = shlex.split(notify)[0]
    except (ValueError, IndexError) as error:
        raise InputError(f"--notify {notify!r} is not a command; quote it as for a shell") from error
    if shutil.which(program) is None:
        raise InputError(f"--notify: there is no program {program!r} on the PATH")


def code_name(code: Solver | ScorerFunction) -> str:
    """Return the name of a user's own function in fingerprints: `module:function`."""
    return f"{code.__module__}:{getattr(code, '__qualname__', type(code).__qualname__)}"


def _require_shard(plan: SweepPlan, number: int | None) -> None:
    shards = len(plan.stages[0])
    if number is not None and number > shards:
        raise InputError(
            f"DEBUG_PROCESS_NUM is {number}, but the plan has {shards} shards; choose one from 1 to {shards}"
        )


def create(context: RunContext) -> RunDirectory:
    """Make a new run directory with its manifest, and trust what it names: it is of this user's configuration."""
    config, plan = context.config, context.whole_plan
    directory = new_directory(Path(config.run.output_dir), OPEN_FOLDER if config.run.share_files else PRIVATE_FOLDER)
    directory.write_manifest(
        Manifest(
            run_id=directory.path.name,
            raw=context.loaded.raw,
            base=str(context.loaded.base),
            storage_format=config.run.storage_format,
            total=len(context.sweep.sweep),
            fingerprint=plan.fingerprint,
            parts=plan.parts,
        )
    )
    trust_run(directory)
    return directory
